package httpapi_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/internal/httpapi"
)

// boundedServer serves a handler to at most limit connections at a time.
func boundedServer(t *testing.T, handler http.Handler, limit int) (address string, bounds *httpapi.Connections) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httpapi.NewServer(handler, nil)
	bounds = httpapi.NewConnections(limit)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(bounds.Listen(server, l)) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String(), bounds
}

// client is a connection that a test reads from.
type client struct {
	net.Conn
	*bufio.Reader
}

func (c client) Read(b []byte) (int, error) { return c.Reader.Read(b) }

func dial(t *testing.T, address string) client {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	// Whatever a test waits for has come long before, or never will.
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return client{conn, bufio.NewReader(conn)}
}

// say sends text.
func (c client) say(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		t.Fatal(err)
	}
}

// answer reads one reply to a GET, and answerTo to any method.
func (c client) answer(t *testing.T) reply { return c.answerTo(t, http.MethodGet) }

func (c client) answerTo(t *testing.T, method string) reply {
	t.Helper()
	response, err := http.ReadResponse(c.Reader, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(body)}
}

const aGet = "GET /v1/kv/pay/a HTTP/1.1\r\nHost: localhost\r\n\r\n"

// isClosed waits until the other side has closed the connection.
func (c client) isClosed(t *testing.T) {
	t.Helper()
	if n, err := io.Copy(io.Discard, c.Reader); n != 0 || isTimeout(err) {
		t.Fatalf("the connection gave %d bytes, %v, and should be closed", n, err)
	}
}

func isTimeout(err error) bool {
	timeout := net.Error(nil)
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestConnectionsNobodyUsesMakeRoomForOthers(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "1")
	address, bounds := boundedServer(t, a.handler, 3)
	// get makes a request and waits until the server is done with it, which is a
	// moment after the reply.
	get := func(c client) {
		t.Helper()
		before := bounds.Idle()
		c.say(t, aGet)
		c.answer(t).want(t, 200, "1")
		waitFor(t, "the end of a request", func() bool { return bounds.Idle() == before })
	}
	used, slow, silent := dial(t, address), dial(t, address), dial(t, address)
	waitFor(t, "three connections", func() bool { return bounds.Idle() == 3 })
	for _, c := range []client{slow, silent, used} { // in this order they stand idle
		get(c)
	}
	slow.say(t, aGet[:20]) // a head that doesn't end is no request
	for i := range 5 {
		get(used)
		next := dial(t, address)
		waitFor(t, "the next connection", func() bool { _, displaced := bounds.Open(); return displaced == uint64(i+1) })
		get(next)
	}
	slow.isClosed(t)
	silent.isClosed(t)
	get(used)
	if open, displaced := bounds.Open(); open != 3 || displaced != 5 {
		t.Errorf("%d connections are open and %d were displaced, want 3 and 5", open, displaced)
	}
}

func TestConnectionsWithARequestAreNeverDisplaced(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "1")
	address, bounds := boundedServer(t, a.handler, 2)
	watching, waiting := dial(t, address), dial(t, address)
	watching.say(t, "GET /v1/watch/pay HTTP/1.1\r\nHost: localhost\r\n\r\n")
	waiting.say(t, "GET /v1/kv/pay/a?wait=10m HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \"1\"\r\n\r\n")
	waitFor(t, "both to wait", func() bool { return a.store.Watching() == 2 })
	next := dial(t, address)
	next.say(t, aGet)
	a.put("a", "2")
	waiting.answer(t).want(t, 200, "2")
	// Now it has no request any more, and its place is taken.
	next.answer(t).want(t, 200, "2")
	waiting.isClosed(t)
	a.put("a", "3")
	response, err := http.ReadResponse(watching.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { watching.Close(); response.Body.Close() }() // in this order, or it would be read to its end
	for lines := bufio.NewScanner(response.Body); ; {
		if !lines.Scan() {
			t.Fatalf("the watch ended: %v", lines.Err())
		}
		if strings.Contains(lines.Text(), `"text":"3"`) {
			break
		}
	}
	if open, displaced := bounds.Open(); open != 2 || displaced != 1 {
		t.Errorf("%d connections are open and %d were displaced, want 2 and 1", open, displaced)
	}
}

// pipeListener hands out ends of pipes, and the other ends to a test.
type pipeListener struct{ others chan net.Conn }

func (l *pipeListener) Accept() (net.Conn, error) {
	here, there := net.Pipe()
	l.others <- there
	return here, nil
}

func (l *pipeListener) Close() error   { return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func TestAListenerIsClosedWhileAConnectionWaitsForAPlace(t *testing.T) {
	pipes, server := &pipeListener{others: make(chan net.Conn, 2)}, &http.Server{}
	bounds := httpapi.NewConnections(1)
	limited := bounds.Listen(server, pipes)
	first, err := limited.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server.ConnState(first, http.StateActive)
	second := make(chan error, 1)
	go func() {
		_, err := limited.Accept()
		second <- err
	}()
	<-pipes.others
	waiting := <-pipes.others
	limited.Close()
	if err := <-second; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept on a closed listener = %v", err)
	}
	if _, err := waiting.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection that waited reads %v", err)
	}
	first.Close()
	first.Close() // which gives one place back, not two
	if open, _ := bounds.Open(); open != 0 {
		t.Errorf("%d connections are open", open)
	}
}

// waitFor waits for something that must come, a minute at most.
func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}
