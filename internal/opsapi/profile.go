package opsapi

import (
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"

	"github.com/conclave-dev/conclave/internal/admin"
)

// registerProfiles serves the profiles of net/http/pprof to this machine only:
// they show memory, so they may show values, and taking one costs time.
func registerProfiles(mux *http.ServeMux) {
	for path, profile := range map[string]http.HandlerFunc{
		"/debug/pprof/":        pprof.Index,
		"/debug/pprof/cmdline": pprof.Cmdline,
		"/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol":  pprof.Symbol,
		"/debug/pprof/trace":   pprof.Trace,
	} {
		mux.HandleFunc(path, fromLoopback(only(readMethods, profile)))
	}
}

// fromLoopback refuses requests of other machines. It refuses names other than
// localhost too, or a page in a browser on this machine could point a name of its
// own at loopback and read the answer.
func fromLoopback(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		remote, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !remote.Addr().Unmap().IsLoopback() || !loopbackHost(r.Host) {
			refuse(w, admin.Problem{
				Status: http.StatusForbidden,
				Code:   "loopback_only",
				Title:  "Profiles are served to the node's own machine only",
				Detail: "ask through 127.0.0.1 there, for example behind kubectl port-forward",
			})
			return
		}
		next(w, r)
	}
}

// loopbackHost reports whether a Host header means this machine without the help
// of DNS.
func loopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
