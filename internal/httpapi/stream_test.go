package httpapi_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

// streamed is a line of a stream: an entry or the end.
type streamed struct {
	Key      string
	Text     *string
	End      bool
	Revision uint64
	Entries  int
}

func lines(t testing.TB, body string) (list []streamed) {
	t.Helper()
	for scanner := bufio.NewScanner(strings.NewReader(body)); scanner.Scan(); {
		var line streamed
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatalf("line %.200q: %v", scanner.Text(), err)
		}
		list = append(list, line)
	}
	return list
}

// ndjson asks for a listing as a stream.
func ndjson(method, target string) request {
	return request{method: method, target: target, header: []string{"Accept: application/x-ndjson"}}
}

func TestAStreamHoldsTheWholeListingAndSaysSo(t *testing.T) {
	const n = config.MaxListLimit + 500
	a := newAPI(t, nil)
	for i := range n {
		a.put(fmt.Sprintf("k/%05d", i), fmt.Sprint("v", i))
	}
	a.put("l", "another prefix")
	base := a.serve()
	got := send(t, base, ndjson("GET", "/v1/keys/pay?prefix=k/&values=1"))
	got.wantHeader(t, map[string]string{"Content-Type": "application/x-ndjson", "Conclave-Revision": fmt.Sprint(n + 1), "Content-Length": ""})
	list := lines(t, got.body)
	if end := list[len(list)-1]; len(list) != n+1 || !end.End || end.Revision != n+1 || end.Entries != n {
		t.Fatalf("%d lines, the last is %+v", len(list), end)
	}
	for i, line := range list[:n] {
		if line.Key != fmt.Sprintf("k/%05d", i) || line.Text == nil || *line.Text != fmt.Sprint("v", i) || line.End {
			t.Fatalf("line %d is %+v", i, line)
		}
	}
	if without := lines(t, send(t, base, ndjson("GET", "/v1/keys/pay?prefix=l")).body); len(without) != 2 || without[0].Text != nil {
		t.Errorf("%+v, want a line without its value and the end", without)
	}
	send(t, base, ndjson("GET", "/v1/keys/empty")).want(t, 200, fmt.Sprintf("{\"end\":true,\"revision\":%d,\"entries\":0}\n", n+1))
	send(t, base, ndjson("HEAD", "/v1/keys/pay")).want(t, 200, "")
}

func TestOnlyAWishForLinesIsAnsweredWithLines(t *testing.T) {
	base := newAPI(t, nil).serve()
	for accept, want := range map[string]string{
		"*/*": "application/json", "application/*": "application/json", "application/json": "application/json", "application/x-ndjson;q=0": "application/json",
		"application/x-ndjson": "application/x-ndjson", "text/html, application/x-ndjson;q=0.5": "application/x-ndjson",
	} {
		got := send(t, base, request{method: "GET", target: "/v1/keys/pay", header: []string{"Accept: " + accept}})
		got.wantHeader(t, map[string]string{"Content-Type": want, "Vary": "Accept"})
	}
}

// pieceWriter is a connection whose client takes its time.
type pieceWriter struct {
	*httptest.ResponseRecorder
	// accept is called with each piece before it is taken.
	accept   func(piece []byte) error
	deadline time.Time
}

func (p *pieceWriter) Write(piece []byte) (int, error) {
	if err := p.accept(piece); err != nil {
		return 0, err
	}
	return p.ResponseRecorder.Write(piece)
}

func (p *pieceWriter) SetWriteDeadline(at time.Time) error {
	p.deadline = at
	return nil
}

// stream serves a stream of everything to a connection. cut tells whether it was
// cut off instead of ended.
func (a *api) stream(accept func(*pieceWriter, []byte) error) (w *pieceWriter, cut bool) {
	w = &pieceWriter{ResponseRecorder: httptest.NewRecorder()}
	w.accept = func(piece []byte) error { return accept(w, piece) }
	r := httptest.NewRequest(http.MethodGet, "/v1/keys/pay?values=1", nil)
	r.Host = "localhost"
	r.Header.Set("Accept", "application/x-ndjson")
	defer func() {
		switch reason := recover(); reason {
		case nil:
		case http.ErrAbortHandler:
			cut = true
		default:
			panic(reason)
		}
	}()
	a.handler.ServeHTTP(w, r)
	return w, false
}

// fill writes n keys of a MiB each.
func (a *api) fill(n int) {
	for i := range n {
		a.put(fmt.Sprintf("k%03d", i), strings.Repeat("v", 1<<20))
	}
}

func TestAStreamShowsOneRevisionAndGathersNothing(t *testing.T) {
	a := newAPI(t, nil)
	a.fill(10)
	pieces := 0
	w, cut := a.stream(func(_ *pieceWriter, piece []byte) error {
		if pieces++; pieces == 2 {
			a.put("k000", "changed meanwhile")
			a.put("k009", "changed meanwhile")
			a.put("new", "v")
		}
		if len(piece) > 64<<10 {
			t.Errorf("a piece of %d bytes", len(piece))
		}
		return nil
	})
	body := w.Body.String()
	if !strings.HasSuffix(body, "{\"end\":true,\"revision\":10,\"entries\":10}\n") || strings.Contains(body, "changed") || strings.Contains(body, `"new"`) || cut {
		t.Errorf("the stream shows what came after it began, and ends with %q", body[max(0, len(body)-100):])
	}
	if pieces < 150 || a.handler.Serving() != 0 {
		t.Errorf("%d pieces, %d requests left", pieces, a.handler.Serving())
	}
}

func TestAStreamGoesOnAsLongAsItsReaderTakesSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil)
		a.fill(1)
		w, cut := a.stream(func(w *pieceWriter, _ []byte) error {
			if left := time.Until(w.deadline); left != 30*time.Second {
				t.Errorf("%v are left for a piece", left)
			}
			time.Sleep(29 * time.Second)
			return nil
		})
		if list := lines(t, strings.ReplaceAll(w.Body.String(), strings.Repeat("v", 1<<20), "")); len(list) != 2 || !list[1].End || cut {
			t.Errorf("%d lines, cut %v", len(list), cut)
		}
	})
}

func TestAStreamThatIsNotReadIsCutOffWithoutItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil)
		a.fill(10)
		began := time.Now()
		w, cut := a.stream(func(*pieceWriter, []byte) error { time.Sleep(29 * time.Second); return nil })
		if took := time.Since(began); !cut || took > 11*time.Minute || strings.Contains(w.Body.String(), `"end"`) {
			t.Errorf("slow as may be: cut %v after %v", cut, took)
		}
		w, cut = a.stream(func(*pieceWriter, []byte) error { return errors.New("the deadline passed") })
		if !cut || w.Body.Len() > 0 {
			t.Errorf("not at all: cut %v after %d bytes", cut, w.Body.Len())
		}
		if n := a.handler.Serving(); n != 0 {
			t.Errorf("%d requests are left", n)
		}
	})
}
