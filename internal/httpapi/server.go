package httpapi

import (
	"log/slog"
	"net/http"
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
