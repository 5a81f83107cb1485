package node

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/conclave-dev/conclave/internal/httpapi"
)

var (
	connectionsSample = gauge("conclave_http_connections", "Open connections to a port.", "port")
	displacedSample   = counter("conclave_http_connections_displaced_total", "Connections without a request that were closed to make room for others.", "port")
	servingSample     = gauge("conclave_http_requests", "Requests being served, without those that wait or stream.")
	httpWaitingSample = gauge("conclave_http_watches", "Watches, and requests that wait for a change.")
	streamsSample     = gauge("conclave_http_streams", "Listings being streamed.")
	encodedSample     = gauge("conclave_http_encoded_bytes", "What the encoded revisions take that watches share.")
	encodingsSample   = counter("conclave_http_encodings_total", "Revisions encoded for watches to share.")
	renderedSample    = gauge("conclave_http_rendered_bytes", "What rendered prefixes take that are kept or being sent.")
)

// collectHTTP reads what the ports have on their hands.
func (n *node) collectHTTP(ch chan<- prometheus.Metric) {
	for port, bounds := range map[string]*httpapi.Connections{"client": n.clientConnections, "ops": n.opsConnections} {
		open, displaced := bounds.Open()
		connectionsSample.emit(ch, float64(open), port)
		displacedSample.emit(ch, float64(displaced), port)
	}
	load := n.clients.Load()
	servingSample.emit(ch, float64(load.Requests))
	httpWaitingSample.emit(ch, float64(load.Waiting))
	streamsSample.emit(ch, float64(load.Streams))
	encodedSample.emit(ch, float64(load.EncodedBytes))
	encodingsSample.emit(ch, float64(load.Encodings))
	renderedSample.emit(ch, float64(load.RenderedBytes))
}

// measured observes how long each request of a client takes.
func (m *metrics) measured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		m.requests.WithLabelValues(routeOf(r), methodOf(r), strconv.Itoa(seen.status)).Observe(time.Since(begun).Seconds())
	})
}

// routes are what requests are about: the part of the path after "/v1/".
var routes = []string{
	"kv", "keys", "batch", "txn", "watch", "history", "diff", "rollback", "render", "schemas", "settings", "usage", "cluster",
}

// routeOf names the kind of thing that a request is about. Those that wait for a
// change are apart, since their time says nothing about the node.
func routeOf(r *http.Request) string {
	route, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	route, _, _ = strings.Cut(route, "/")
	if !ok || !slices.Contains(routes, route) {
		return "other"
	}
	waits := strings.Contains(r.URL.RawQuery, "wait=") || strings.Contains(r.Header.Get("Prefer"), "wait")
	if waits && (route == "kv" || route == "render") {
		return route + "_wait"
	}
	return route
}

// methodOf is the request's method, if the port serves it anywhere.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodPost:
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
