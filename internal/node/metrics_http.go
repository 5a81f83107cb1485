package node

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// measured observes how long each request of a client takes.
func (m *metrics) measured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		m.requests.WithLabelValues(routeOf(r), methodOf(r), strconv.Itoa(seen.status)).Observe(time.Since(begun).Seconds())
	})
}

// routeOf names the kind of thing that a request is about. Those that wait for a
// change are apart, since their time says nothing about the node.
func routeOf(r *http.Request) string {
	waits := strings.Contains(r.URL.RawQuery, "wait=") || strings.Contains(r.Header.Get("Prefer"), "wait")
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/v1/kv/") && waits:
		return "kv_wait"
	case strings.HasPrefix(path, "/v1/kv/"):
		return "kv"
	case strings.HasPrefix(path, "/v1/keys/"):
		return "keys"
	case strings.HasPrefix(path, "/v1/watch/"):
		return "watch"
	case path == "/v1/cluster":
		return "cluster"
	default:
		return "other"
	}
}

// methodOf is the request's method, if the port serves it anywhere.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPost:
		return r.Method
	default:
		return "other"
	}
}

// statusWriter notes the status of a reply.
type statusWriter struct {
	http.ResponseWriter
	status  int
	written bool
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if !w.written && status >= http.StatusOK { // not an informational one
		w.status, w.written = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the writer behind.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
