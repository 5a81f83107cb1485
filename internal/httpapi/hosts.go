package httpapi

import (
	"net"
	"net/netip"
	"strings"
)

// hosts are the names by which a server may be called. They are compared
// without case, port and final dot.
type hosts struct {
	names map[string]bool
	// beginnings end with a dot.
	beginnings []string
}

// newHosts takes patterns as in Options.Hosts.
func newHosts(patterns []string) hosts {
	h := hosts{names: map[string]bool{"localhost": true}}
	for _, pattern := range patterns {
		pattern = strings.ToLower(pattern)
		if beginning, ok := strings.CutSuffix(pattern, "*"); ok {
			h.beginnings = append(h.beginnings, beginning)
		} else {
			h.names[strings.TrimSuffix(pattern, ".")] = true
		}
	}
	return h
}

// allow tells whether a Host header names this server. Addresses always do: a
// name that an attacker controls is what must not.
func (h hosts) allow(host string) bool {
	name := host
	if strings.LastIndexByte(host, ':') >= 0 {
		if without, _, err := net.SplitHostPort(host); err == nil {
			name = without
		}
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if h.names[name] {
		return true
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if h.names[name] {
		return true
	}
	for _, beginning := range h.beginnings {
		if strings.HasPrefix(name, beginning) && len(name) > len(beginning) {
			return true
		}
	}
	return false
}
