package opsapi_test

import (
	"net/http/httptest"
	"testing"
)

func TestProfilesAreForThisMachineOnly(t *testing.T) {
	handler := port(t, options(t, &fakeNode{}))
	for _, c := range []struct {
		remote, host string
		status       int
	}{
		{"127.0.0.1:9", "127.0.0.1:8402", 200},
		{"127.8.8.8:9", "localhost", 200},
		{"[::1]:9", "[::1]:8402", 200},
		{"[::1]:9", "[::1]", 200},
		{"[::ffff:127.0.0.1]:9", "localhost:8402", 200},
		{"10.1.2.3:9", "127.0.0.1:8402", 403},
		{"[fd00::1]:9", "localhost", 403},
		{"", "localhost", 403},
		{"127.0.0.1:9", "rebound.example.org:8402", 403},
		{"127.0.0.1:9", "10.1.2.3:8402", 403},
	} {
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline"} {
			request := httptest.NewRequest("GET", path, nil)
			request.RemoteAddr, request.Host = c.remote, c.host
			request.Header.Set("X-Forwarded-For", "127.0.0.1")
			response, body := send(handler, request)
			if response.StatusCode != c.status {
				t.Errorf("%s from %q for host %q = %d, want %d", path, c.remote, c.host, response.StatusCode, c.status)
			}
			if c.status == 403 && problem(t, response, body).Code != "loopback_only" {
				t.Errorf("%s from %q: %s", path, c.remote, body)
			}
		}
	}
}
