package transport

import (
	"context"
	"fmt"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// Announce tells the node of that name, at that address, about this one and
// returns what it answers. The name only matters with TLS, over which a node speaks
// for nobody else. It makes one short connection, bounded by ctx and the handshake
// timeout. The error tells why a node refused: it belongs to another cluster
// (ErrClusterMismatch, with both IDs), it is this node itself or its certificate
// or its answer names another (ErrWrongMember), or it doesn't serve such connections
// (ErrNotServed).
func (t *Transport) Announce(ctx context.Context, name, address string, b wire.Bootstrap) (wire.Bootstrap, error) {
	answer, err := t.announce(ctx, destination{name: name, address: address}, b)
	if err != nil {
		return wire.Bootstrap{}, fmt.Errorf("announce to %s: %w", address, err)
	}
	return answer, nil
}

func (t *Transport) announce(ctx context.Context, to destination, b wire.Bootstrap) (wire.Bootstrap, error) {
	s, welcome, err := t.dial(ctx, to, wire.PurposeBootstrap)
	if err != nil {
		return wire.Bootstrap{}, err
	}
	defer s.close()
	stop := context.AfterFunc(ctx, s.close)
	defer stop()
	p := t.peer(welcome.Member)
	if p == nil {
		return wire.Bootstrap{}, fmt.Errorf("%w: the node calls itself member %v", ErrWrongMember, welcome.Member)
	}
	if err := s.admit(&p.traffic, wire.MaxBootstrapBytes, t.options.HandshakeTimeout, t.options.HandshakeTimeout); err != nil {
		return wire.Bootstrap{}, explain(ctx, err)
	}
	if err := s.send(func(w *wire.Writer) error { return w.WriteBootstrap(&b) }); err != nil {
		return wire.Bootstrap{}, explain(ctx, err)
	}
	f, err := s.reader.Next()
	if err != nil {
		return wire.Bootstrap{}, explain(ctx, err)
	}
	answer, err := f.Bootstrap()
	if err != nil {
		return wire.Bootstrap{}, err
	}
	if answer.MemberID != welcome.Member {
		return wire.Bootstrap{}, fmt.Errorf("%w: member %v speaks for %v", ErrProtocol, welcome.Member, answer.MemberID)
	}
	if err := t.judgeSpeaker(to.name, &answer); err != nil {
		return wire.Bootstrap{}, err
	}
	return answer, nil
}

// answerBootstrap serves one exchange with the node of that name.
func (t *Transport) answerBootstrap(s *session, p *peer, name string) error {
	ctx, cancel := context.WithTimeout(t.ctx, t.options.HandshakeTimeout)
	defer cancel()
	s.reader.SetLimit(wire.MaxBootstrapBytes)
	s.stream.readTimeout, s.stream.writeTimeout = 0, 0
	if err := s.stream.SetDeadline(time.Now().Add(t.options.HandshakeTimeout)); err != nil {
		return err
	}
	f, err := s.reader.Next()
	if err != nil {
		return err
	}
	b, err := f.Bootstrap()
	if err != nil {
		return err
	}
	if b.MemberID != p.id {
		return fmt.Errorf("%w: member %v speaks for %v", ErrProtocol, p.id, b.MemberID)
	}
	if err := t.judgeSpeaker(name, &b); err != nil {
		return err
	}
	answer := t.options.Bootstrap(ctx, b)
	return s.send(func(w *wire.Writer) error { return w.WriteBootstrap(&answer) })
}
