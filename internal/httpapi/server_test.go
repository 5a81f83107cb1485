package httpapi_test

import (
	"errors"
	"net"
	"testing"

	"github.com/conclave-dev/conclave/internal/httpapi"
)

// pipeListener hands out one end of a pipe for each token.
type pipeListener struct {
	accepted chan net.Conn
	closed   chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.accepted <- there:
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { close(l.closed); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func TestConnectionsBeyondTheLimitWaitForAPlace(t *testing.T) {
	inner := &pipeListener{accepted: make(chan net.Conn, 10), closed: make(chan struct{})}
	limited := httpapi.LimitConnections(inner, 2)
	first, err := limited.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := limited.Accept(); err != nil {
		t.Fatal(err)
	}
	third := make(chan error, 1)
	go func() {
		_, err := limited.Accept()
		third <- err
	}()
	// Closing twice gives one place back, not two.
	first.Close()
	first.Close()
	if err := <-third; err != nil {
		t.Fatal(err)
	}
	fourth := make(chan error, 1)
	go func() {
		_, err := limited.Accept()
		fourth <- err
	}()
	if len(inner.accepted) != 3 {
		t.Errorf("%d connections were accepted, want 3", len(inner.accepted))
	}
	limited.Close()
	if err := <-fourth; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept on a closed listener = %v", err)
	}
}
