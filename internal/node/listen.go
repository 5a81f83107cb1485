package node

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Addresses are where a node listens; HTTP and HTTPS are empty when they aren't
// served.
type Addresses struct {
	HTTP  string
	HTTPS string
	Peer  string
	Ops   string
}

// ports are a node's listeners. All are opened before anything is served, so
// that a port in use is told at once.
type ports struct {
	http  net.Listener
	https net.Listener
	peer  net.Listener
	ops   net.Listener
}

func listen(o *Options) (*ports, error) {
	p := &ports{}
	for _, one := range []struct {
		flag, address string
		listener      *net.Listener
	}{{"http", o.HTTP, &p.http}, {"https", o.HTTPS, &p.https}, {"peer", o.Peer, &p.peer}, {"ops", o.Ops, &p.ops}} {
		if one.address == "" || one.address == Off {
			continue
		}
		l, err := net.Listen("tcp", one.address)
		if err != nil {
			p.close()
			hint := ""
			if errors.Is(err, syscall.EADDRINUSE) {
				hint = " (is a node from before still running?)"
			}
			return nil, fmt.Errorf("%s: can't listen at %s: %w%s", one.flag, one.address, errors.Unwrap(err), hint)
		}
		*one.listener = l
	}
	return p, nil
}

func (p *ports) addresses() Addresses {
	at := func(l net.Listener) string {
		if l == nil {
			return ""
		}
		return l.Addr().String()
	}
	return Addresses{HTTP: at(p.http), HTTPS: at(p.https), Peer: at(p.peer), Ops: at(p.ops)}
}

// close closes what is open. A listener that its server has closed already is
// no error.
func (p *ports) close() {
	for _, l := range []net.Listener{p.http, p.https, p.peer, p.ops} {
		if l != nil {
			_ = l.Close()
		}
	}
}
