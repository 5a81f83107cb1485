package httpapi_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

// discard is a ResponseWriter that costs nothing, so that what is measured is
// ours. It is used again and again, as a connection is.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkGet measures the handler alone, without net/http.
func BenchmarkGet(b *testing.B) {
	a := newAPI(b, func(_ *config.StoreOptions, o *httpapi.Options) { o.Logger = nil })
	a.put("db/url", strings.Repeat("v", 256))
	for _, c := range []struct {
		name, target string
		header       []string
	}{
		{"linear", "/v1/kv/pay/db/url", nil},
		{"local", "/v1/kv/pay/db/url?consistency=local", nil},
		{"unchanged", "/v1/kv/pay/db/url?consistency=local", []string{`If-None-Match: "1"`}},
		{"envelope", "/v1/kv/pay/db/url?meta=1", nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, c.target, nil)
			r.Host = "127.0.0.1:8400"
			setHeader(r, c.header)
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				a.handler.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkServerGet measures a local get over a real connection beside a bare
// handler that answers with the same bytes and headers.
func BenchmarkServerGet(b *testing.B) {
	a := newAPI(b, func(_ *config.StoreOptions, o *httpapi.Options) { o.Logger = nil })
	value := strings.Repeat("v", 256)
	a.put("db/url", value)
	base := a.serve()
	const target = "/v1/kv/pay/db/url?consistency=local"
	headers := send(b, base, request{method: "GET", target: target}).header
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range headers {
			w.Header()[name] = values
		}
		_, _ = io.WriteString(w, value)
	}))
	b.Cleanup(bare.Close)
	for _, c := range []struct{ name, base string }{{"bare", bare.URL}, {"store", base}} {
		b.Run(c.name, func(b *testing.B) {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
			defer client.CloseIdleConnections()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, c.base+target, nil)
					response, err := client.Do(r)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			})
		})
	}
}

// BenchmarkPut measures a put through a cluster of one in memory.
func BenchmarkPut(b *testing.B) {
	a := newAPI(b, func(_ *config.StoreOptions, o *httpapi.Options) { o.Logger = nil })
	body := strings.NewReader(strings.Repeat("v", 256))
	r := httptest.NewRequest(http.MethodPut, "/v1/kv/pay/db/url", body)
	r.Host = "127.0.0.1:8400"
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		body.Seek(0, io.SeekStart)
		a.handler.ServeHTTP(w, r)
	}
}
