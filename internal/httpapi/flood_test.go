package httpapi_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

// slowly are requests that clients send without reading the replies, or not to
// their ends.
var slowly = map[string]string{
	"page":     "GET /v1/keys/pay?values=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"envelope": "GET /v1/kv/pay/k1?meta=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"value":    "GET /v1/kv/pay/k1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"stream":   "GET /v1/keys/pay?values=1 HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n",
	"history":  "GET /v1/history/pay/k1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"diff":     "GET /v1/diff/pay?from=0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"render":   "GET /v1/render/pay?prefix=text HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"watch":    "GET /v1/watch/pay?initial=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"batch":    "POST /v1/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 44\r\n\r\n" + `{"items":[{"namespace":"pay","key":"k1"}  ]}`,
	"txn":      "POST /v1/txn HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 52\r\n\r\n" + `{"namespace":"pay","then":[{"op":"get","key":"k1"}]}`,
	"body":     "PUT /v1/kv/pay/new HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2097152\r\n\r\n" + strings.Repeat("v", 1<<20),
	"head":     "PUT /v1/kv/pay/new HTTP/1.1\r\nHost: localhost\r\nX: ",
	"nothing":  "",
}

// flooding is how many clients of each kind there are. Under the race detector thirty
// take so long to be served that the first are given up before the last begin.
var flooding = flag.Int("flooding", 8, "slow clients of each of 13 kinds")

// idle tells whether a kind of slow client never ends its request's head.
func idle(name string) bool { return name == "head" || name == "nothing" }

// TestAFloodOfSlowClientsTakesBoundedMemoryAndKeepsNobodyOut opens many connections
// of each kind, more than may be.
func TestAFloodOfSlowClientsTakesBoundedMemoryAndKeepsNobodyOut(t *testing.T) {
	const mostBytes = 256 << 20
	each := *flooding
	a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) { o.Logger = nil })
	for i := range 3 { // six bytes of JSON for each byte
		a.put(fmt.Sprint("k", i), strings.Repeat("\x01", config.MaxValueBytes))
	}
	a.put("text/a", strings.Repeat("v", config.MaxValueBytes))
	address, bounds := boundedServer(t, a.handler, each*len(slowly)-each/2)
	before := heldBytes()
	var flood []net.Conn
	defer func() {
		for _, c := range flood {
			c.Close()
		}
		waitFor(t, "the end of all requests", func() bool {
			l := a.handler.Load()
			return l.Requests == 0 && l.Streams == 0 && l.Waiting == 0
		})
	}()
	open := func(name string) {
		for range each {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(name, err)
			}
			flood = append(flood, c)
			if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = c.Write([]byte(slowly[name])) }() // which the server may refuse to read
		}
	}
	for name := range slowly {
		if !idle(name) {
			open(name)
		}
	}
	waitFor(t, "the requests", func() bool {
		l := a.handler.Load()
		return l.Streams == int64(each) && l.Waiting == int64(each)
	})
	// Too many now; a request that is still on its way could be taken for one of these.
	for name := range slowly {
		if idle(name) {
			open(name)
		}
	}
	waitFor(t, "connections that give way", func() bool {
		_, displaced := bounds.Open()
		return displaced > 0
	})
	for range 20 {
		c := dial(t, address)
		c.say(t, strings.Replace(aGet, "/a ", "/text/a ", 1))
		c.answer(t).want(t, 200, "-")
	}
	if held := heldBytes() - before; held > mostBytes {
		t.Errorf("%d MiB are held for %d slow clients, want %d at most", held>>20, len(flood), mostBytes>>20)
	} else {
		t.Logf("%d MiB are held for %d slow clients: %+v", held>>20, len(flood), a.handler.Load())
	}
}

// heldBytes is what is in use and not garbage.
func heldBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// TestEverythingSlowEndsWhenTheServerDoes stops a server that has requests of each
// kind under way, as a node does: it drains, waits a while, and closes the rest.
func TestEverythingSlowEndsWhenTheServerDoes(t *testing.T) {
	a := newAPI(t, nil)
	for i := range 3 {
		a.put(fmt.Sprint("k", i), strings.Repeat("\x01", config.MaxValueBytes))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httpapi.NewServer(a.handler, nil)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(httpapi.NewConnections(1000).Listen(server, l)) }()
	for name, text := range slowly {
		c := dial(t, l.Addr().String())
		if err := c.Conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(name, err)
		}
		go func() { _, _ = c.Write([]byte(text)) }() // which the server may refuse to read
	}
	tag := a.do(request{method: "GET", target: "/v1/render/pay?prefix=none"}).header.Get("ETag")
	waiting := dial(t, l.Addr().String())
	waiting.say(t, "GET /v1/render/pay?prefix=none&wait=10m HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: "+tag+"\r\n\r\n")
	waitFor(t, "requests", func() bool { l := a.handler.Load(); return l.Streams == 1 && l.Waiting == 2 })
	a.handler.Drain()
	waiting.answer(t).want(t, 304, "") // soon, and in good order
	draining, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := server.Shutdown(draining); err != nil {
		server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	waitFor(t, "the end of all requests", func() bool {
		l := a.handler.Load()
		return l.Requests == 0 && l.Streams == 0 && l.Waiting == 0
	})
}
