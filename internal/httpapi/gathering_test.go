package httpapi_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

// TestRendersThatWaitHoldABoundedAmountOfMemory asks for more documents of many keys
// than there is room for lists of them, while none can be made.
func TestRendersThatWaitHoldABoundedAmountOfMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) { o.MaxDocuments = 1 })
		long := strings.Repeat("a", 400)
		for i := range 5000 {
			a.put(fmt.Sprintf("%s/%d", long, i), "")
		}
		if !a.handler.OccupyDocuments(1) {
			t.Fatal("the turn is taken")
		}
		began, atOnce, late := time.Now(), 0, 0
		var mu sync.Mutex
		var all sync.WaitGroup
		for n := range len(long) {
			for _, format := range []string{"json", "yaml", "env"} {
				all.Go(func() {
					got := a.do(request{method: "GET", target: "/v1/render/pay?format=" + format + "&prefix=" + long[:n]})
					got.wantProblem(t, 503, "overloaded")
					mu.Lock()
					defer mu.Unlock()
					if time.Since(began) == 0 {
						atOnce++
					} else {
						late++
					}
				})
			}
		}
		synctest.Wait()
		if held := a.handler.RenderedBytes(); held > 64<<20 || held < 60<<20 {
			t.Errorf("%d bytes are held", held)
		}
		all.Wait()
		if atOnce < 300 || late < 300 {
			t.Errorf("%d were refused at once and %d after their time", atOnce, late)
		}
		if held := a.handler.RenderedBytes(); held != 0 {
			t.Errorf("%d bytes are left", held)
		}
	})
}

// TestStreamsTakeNoPlaceOfOtherRequests lets as many clients as may be stream a
// listing that they don't read.
func TestStreamsTakeNoPlaceOfOtherRequests(t *testing.T) {
	a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) { o.MaxRequests, o.MaxStreams = 1, 3 })
	a.fill(8)
	base := a.serve()
	const stream = "GET /v1/keys/pay?values=1 HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n"
	for i := range 3 {
		dial(t, base).say(t, stream)
		waitFor(t, "a stream", func() bool { l := a.handler.Load(); return l.Streams == int64(i+1) && l.Requests == 0 })
	}
	send(t, base, request{method: "GET", target: "/v1/kv/pay/k000"}).want(t, 200, "-")
	send(t, base, request{method: "GET", target: "/v1/keys/pay?limit=1"}).want(t, 200, "-")
	refused := send(t, base, ndjson("GET", "/v1/keys/pay"))
	refused.wantProblem(t, 503, "overloaded")
	if after := refused.header.Get("Retry-After"); after == "" {
		t.Error("nobody says when to come back")
	}
	send(t, base, request{method: "GET", target: "/v1/kv/pay/k000"}).want(t, 200, "-")
}
