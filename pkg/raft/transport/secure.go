package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// authenticate holds the certificate of a peer, whose handshake is over, to the
// node's name.
func (t *Transport) authenticate(secured *tls.Conn, name string) error {
	shown := secured.ConnectionState().PeerCertificates
	if len(shown) == 0 {
		return fmt.Errorf("%w: the peer shows no certificate", ErrWrongMember)
	}
	if err := t.options.Authenticate(shown[0], name); err != nil {
		return fmt.Errorf("%w: %w", ErrWrongMember, err)
	}
	return nil
}

// judgeName refuses a peer that shows its own certificate and calls itself a member
// whom the membership knows by another name.
func (t *Transport) judgeName(h *wire.Hello) error {
	m, known := t.options.Resolve(h.From)
	if known && m.Name != h.Name {
		return fmt.Errorf("%w: node %q calls itself member %v, which is %q", ErrWrongMember, h.Name, h.From, m.Name)
	}
	return nil
}

// judgeSpeaker refuses a node that has shown the certificate of name and introduces
// itself under another one: whoever forms a cluster takes it for that one.
func (t *Transport) judgeSpeaker(name string, b *wire.Bootstrap) error {
	if t.options.ServerTLS != nil && b.Name != name {
		return fmt.Errorf("%w: node %q speaks for %q", ErrWrongMember, name, b.Name)
	}
	return nil
}

// explainTLS adds to an error of a connection over TLS what it means when the other
// side doesn't speak TLS, or refused this side's certificate. With TLS 1.3 the
// dialling side learns of a refusal only when it reads.
func explainTLS(err error) error {
	var header tls.RecordHeaderError
	var remote *net.OpError
	switch {
	case errors.As(err, &header):
		return fmt.Errorf("the peer doesn't speak TLS, and this node does: %w", err)
	case errors.As(err, &remote) && remote.Op == "remote error":
		return fmt.Errorf("the peer refuses this node's certificate: %w", err)
	}
	return err
}
