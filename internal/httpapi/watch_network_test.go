package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

// listening is a client of a watch on a real connection.
type listening struct {
	t        testing.TB
	response *http.Response
	reader   *bufio.Reader
	// last is the id of the last event that had one.
	last string
}

// listen opens a watch.
func listen(t testing.TB, base string, q request) *listening {
	t.Helper()
	ctx, leave := context.WithTimeout(context.Background(), 2*time.Minute)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+q.target, nil)
	if err != nil {
		t.Fatal(err)
	}
	setHeader(r, q.header)
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { leave(); response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		t.Fatalf("status %d", response.StatusCode)
	}
	return &listening{t: t, response: response, reader: bufio.NewReader(response.Body)}
}

// next waits for an event; false is the end of the stream.
func (l *listening) next() (e event, ok bool) {
	l.t.Helper()
	for e.Event == "" {
		if e, ok = readEvent(l.t, l.reader, false); !ok {
			return e, false
		}
	}
	if e.ID != "" {
		l.last = e.ID
	}
	return e, true
}

func TestAWatchOutlivesTheTimeToSendARequest(t *testing.T) {
	a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) { o.BookmarkInterval = 20 * time.Millisecond })
	l := listen(t, a.serveWithin(50*time.Millisecond), request{target: "/v1/watch/pay"})
	for range 20 {
		if e, ok := l.next(); !ok || e.Event != "bookmark" {
			t.Fatalf("%v, %v", e, ok)
		}
	}
}

// TestAWatchIsResumedWithoutLossOverLostConnections keeps losing its connection,
// and what had come over it too, and comes back with the id of the last event.
func TestAWatchIsResumedWithoutLossOverLostConnections(t *testing.T) {
	const writes = 400
	a := newAPI(t, nil)
	base := a.serve()
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() {
		for i := range writes {
			a.together(map[string]string{"db/a": fmt.Sprint(i), "db/b": strings.Repeat("v", 100), "other": "x"})
		}
	})
	last := "0"
	for next := 1; next <= writes; {
		l := listen(t, base, request{target: "/v1/watch/pay?prefix=db/", header: []string{"Last-Event-ID: " + last}})
		for range 1 + rand.IntN(30) {
			e, ok := l.next()
			if !ok || e.Event != "change" {
				t.Fatalf("%v, %v", e, ok)
			}
			if e.ID != fmt.Sprint(next) || len(e.Changes) != 2 || *e.Changes[0].Text != fmt.Sprint(next-1) {
				t.Fatalf("event %v, want revision %d with both its changes", e, next)
			}
			if next++; next > writes {
				break
			}
		}
		last = l.last
		l.response.Body.Close() // whatever else has come
	}
}

func TestAReaderThatStopsIsDroppedAndHoldsUpNobody(t *testing.T) {
	a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) { o.WatchWriteTimeout = 100 * time.Millisecond })
	base := a.serve()
	stopped, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer stopped.Close()
	if _, err := fmt.Fprint(stopped, "GET /v1/watch/pay HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stopped).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatal(line, err)
	}
	l := listen(t, base, request{target: "/v1/watch/pay"})
	if a.store.Watching() != 2 {
		t.Fatalf("%d watches are open", a.store.Watching())
	}
	for i := 0; a.store.Watching() == 2; i++ { // until the buffers of the connection are full
		a.put("a", strings.Repeat(fmt.Sprint(i%10), 1<<20))
		for e, ok := l.next(); e.Event != "change"; e, ok = l.next() {
			if !ok {
				t.Fatal("the other watch ended")
			}
		}
		if i > 1000 {
			t.Fatal("the one that stopped is held for ever")
		}
	}
}

func TestWatchersAreLimitedAndLeaveTheirPlaceWhenTheyGo(t *testing.T) {
	a := newAPI(t, func(s *config.StoreOptions, o *httpapi.Options) {
		s.MaxWatches, o.BookmarkInterval = 3, 10*time.Millisecond
	})
	base := a.serve()
	var list []*listening
	for range 3 {
		list = append(list, listen(t, base, request{target: "/v1/watch/pay"}))
	}
	send(t, base, request{method: "GET", target: "/v1/watch/pay"}).wantProblem(t, 429, "too_many_watchers")
	send(t, base, request{method: "GET", target: "/v1/kv/pay/a"}).wantProblem(t, 404, "key_not_found")
	list[0].response.Body.Close()
	for deadline := time.Now().Add(time.Minute); a.store.Watching() == 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the place of one that left isn't given back")
		}
	}
	listen(t, base, request{target: "/v1/watch/pay"})
}

func TestCurlWatches(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed here")
	}
	a := newAPI(t, nil)
	a.put("db/url", "x")
	base := a.serve()
	printed := make(chan string, 1)
	go func() {
		printed <- curl(t, base, `curl -fsSN "$U/v1/watch/pay?prefix=db/&from=0" | while read -r line; do
			case $line in "data: "*) echo "${line#data: }"; n=$((n+1)); [ "$n" = 3 ] && exit 0;; esac; done; true`)
	}()
	a.put("db/url", "y")
	a.put("elsewhere", "z")
	result, err := a.store.Delete(context.Background(), config.Delete{Namespace: "pay", Key: "db/url"})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() { // until curl meets a pipe that is closed
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				a.put("db/more", fmt.Sprint(i))
			}
		}
	})
	got := strings.Split(<-printed, "\n")
	close(stop)
	writing.Wait()
	want := []string{
		`[{"op":"put","key":"db/url","revision":1,"createRevision":1,"version":1,"type":"text/plain","text":"x"}]`,
		`[{"op":"put","key":"db/url","revision":2,"createRevision":1,"version":2,"type":"text/plain","text":"y"}]`,
		fmt.Sprintf(`[{"op":"delete","key":"db/url","revision":%d}]`, result.Revision), "",
	}
	if !slices.Equal(got, want) {
		t.Errorf("curl prints\n%q, want\n%q", got, want)
	}
}
