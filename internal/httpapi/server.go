package httpapi

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// readHeaderTimeout is how long a client may take to send a request's head.
	readHeaderTimeout = 10 * time.Second
	// readTimeout is how long it may take to send a request with its body. It
	// stops running when the body is here, so a write or a wait may be longer.
	readTimeout = 30 * time.Second
	// writeTimeout is how long a request may take from its head to the end of
	// its reply. One that waits for a change asks for more by itself.
	writeTimeout = time.Minute
	// idleTimeout is how long a connection may stand unused. It is longer than
	// the minute that proxies commonly have, so that it is they who close.
	idleTimeout = 2 * time.Minute
	// maxHeaderBytes bounds a request's head.
	maxHeaderBytes = 16 << 10
	// DefaultMaxConnections is how many clients may be connected to a server:
	// as many as may wait for a change, with room for others.
	DefaultMaxConnections = 24_000
)

// NewServer returns a server for the handler with bounds on time and size. Two
// of them are the handler's only guard against clients that send or read too
// slowly, so another server needs a ReadTimeout and a WriteTimeout too.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
	if logger != nil {
		// What net/http has to say is about clients' connections.
		server.ErrorLog = slog.NewLogLogger(logger.Handler(), slog.LevelDebug)
	}
	return server
}

// LimitConnections returns a listener that lets at most limit connections of
// l be open at a time. More wait in the operating system's queue until one is
// closed.
func LimitConnections(l net.Listener, limit int) net.Listener {
	return &limitedListener{Listener: l, places: make(chan struct{}, limit), closed: make(chan struct{})}
}

type limitedListener struct {
	net.Listener
	// places holds a token for each open connection.
	places chan struct{}

	closed    chan struct{}
	closeOnce sync.Once
}

// Accept waits for a place, then for a connection.
func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	connection, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &limitedConnection{Conn: connection, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

// Close closes the listener and wakes an Accept that waits for a place.
func (l *limitedListener) Close() error {
	l.closeOnce.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// limitedConnection gives its place back when it is closed.
type limitedConnection struct {
	net.Conn
	leave func()
}

// Close closes the connection; a second call does no harm.
func (c *limitedConnection) Close() error {
	err := c.Conn.Close()
	c.leave()
	return err
}
