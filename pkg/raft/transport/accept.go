package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// accept admits peers until the transport is closed.
func (t *Transport) accept() {
	stop := context.AfterFunc(t.ctx, func() { _ = t.listener.Close() })
	defer stop()
	for {
		conn, err := t.listener.Accept()
		if t.ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return
		}
		if err != nil {
			// Out of file descriptors, most likely: it passes, or nothing that
			// could be done here helps.
			t.logger().Error("can't accept peers", "error", err)
			_ = sleepUntil(t.ctx, time.Now().Add(t.options.BackoffMax))
			continue
		}
		t.take(conn)
	}
}

// take serves a connection in a goroutine of its own, unless there are too
// many. Those in their handshake have a limit of their own, so that strangers
// can't take the places of peers.
func (t *Transport) take(conn net.Conn) {
	most := int64(t.options.MaxConnections)
	if t.connections.Load() >= most || t.handshaking.Load() >= most/2 {
		t.turnedAway.Add(1)
		_ = conn.Close()
		if suppressed, ok := t.refusalLines.allow(); ok {
			t.logger().Warn("connection turned away, too many", "from", conn.RemoteAddr(), "connections", t.connections.Load(),
				"handshaking", t.handshaking.Load(), "suppressed", suppressed)
		}
		return
	}
	t.connections.Add(1)
	t.handshaking.Add(1)
	started := t.start(func() {
		defer t.connections.Add(-1)
		t.serve(conn)
	})
	if !started {
		_ = conn.Close()
		t.connections.Add(-1)
		t.handshaking.Add(-1)
	}
}

// serve does what a connection is for, until it ends.
func (t *Transport) serve(conn net.Conn) {
	s, hello, err := t.greet(conn)
	t.handshaking.Add(-1)
	if err != nil {
		t.refused.Add(1)
		if suppressed, ok := t.refusalLines.allow(); ok && t.ctx.Err() == nil {
			t.logger().Warn("connection refused", "from", conn.RemoteAddr(), "error", err, "suppressed", suppressed)
		}
		return
	}
	defer s.close()
	p, err := t.register(s, &hello)
	if err != nil {
		t.logger().Warn("connection refused", "from", conn.RemoteAddr(), "peer", hello.Name, "member", hello.From, "error", err)
		return
	}
	defer t.unregister(s, p, hello.Purpose)
	switch hello.Purpose {
	case wire.PurposeSnapshot:
		err = t.receiveSnapshot(s, p)
	case wire.PurposeBootstrap:
		err = t.answerBootstrap(s, p, hello.Name)
	default:
		err = t.receiveMessages(s, p)
	}
	if err != nil && t.ctx.Err() == nil {
		t.logger().Info("connection from peer ended", "peer", hello.Name, "member", hello.From,
			"connection", hello.Purpose, "from", conn.RemoteAddr(), "error", err)
	}
}

// greet does the accepting side's half of the handshake. It closes conn unless
// it admits the peer. The whole of it has one deadline, which a peer can't put
// off by sending slowly.
func (t *Transport) greet(conn net.Conn) (*session, wire.Hello, error) {
	if err := conn.SetDeadline(time.Now().Add(t.options.HandshakeTimeout)); err != nil {
		_ = conn.Close()
		return nil, wire.Hello{}, err
	}
	var secured *tls.Conn
	if t.options.ServerTLS != nil {
		secured = tls.Server(conn, t.options.ServerTLS)
		conn = secured
	}
	s := newSession(t.ctx, conn)
	hello, err := t.answerHello(s, secured)
	if err != nil {
		s.close()
		return nil, wire.Hello{}, err
	}
	return s, hello, nil
}

func (t *Transport) answerHello(s *session, secured *tls.Conn) (wire.Hello, error) {
	f, err := s.reader.Next()
	if err != nil {
		if secured != nil {
			err = explainTLS(err)
		}
		return wire.Hello{}, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	hello, err := f.Hello()
	if err != nil {
		return wire.Hello{}, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if secured != nil {
		if err := t.authenticate(secured, hello.Name); err != nil {
			return wire.Hello{}, err
		}
		if err := t.judgeName(&hello); err != nil {
			return wire.Hello{}, err
		}
	}
	welcome := wire.Welcome{
		Refusal:   t.judge(&hello),
		ClusterID: t.options.ClusterID,
		Member:    t.options.Member,
		Boot:      t.options.Boot,
		Name:      t.options.Name,
	}
	if welcome.Refusal == wire.NotRefused {
		welcome.Protocol = min(hello.MaxProtocol, wire.MaxProtocol)
	}
	if err := s.send(func(w *wire.Writer) error { return w.WriteWelcome(&welcome) }); err != nil {
		return wire.Hello{}, err
	}
	if welcome.Refusal != wire.NotRefused {
		return wire.Hello{}, fmt.Errorf("peer %q (%v): %w", hello.Name, hello.From, refusalError(&hello, &welcome))
	}
	return hello, nil
}

// judge decides whether a peer is admitted.
func (t *Transport) judge(h *wire.Hello) wire.Refusal {
	switch {
	case h.MinProtocol > wire.MaxProtocol || h.MaxProtocol < wire.MinProtocol:
		return wire.RefusedVersion
	case h.ClusterID != t.options.ClusterID:
		return wire.RefusedCluster
	case h.From == raft.NoMember || h.From == t.options.Member:
		return wire.RefusedMember
	case h.To != t.options.Member && (h.To != raft.NoMember || h.Purpose != wire.PurposeBootstrap):
		return wire.RefusedMember
	}
	switch h.Purpose {
	case wire.PurposeControl, wire.PurposeLog:
		return wire.NotRefused
	case wire.PurposeSnapshot:
		if t.options.ReceiveSnapshot != nil {
			return wire.NotRefused
		}
	case wire.PurposeBootstrap:
		if t.options.Bootstrap != nil {
			return wire.NotRefused
		}
	}
	return wire.RefusedPurpose
}

// register files an admitted session under its member. A session of the same
// member and purpose gives way: the member has opened a new one because the
// old one is of no use, even if this side hasn't noticed yet.
func (t *Transport) register(s *session, h *wire.Hello) (*peer, error) {
	t.mu.Lock()
	p := t.peerLocked(h.From)
	var old *session
	if p != nil {
		old = p.accepted[h.Purpose]
		p.accepted[h.Purpose] = s
	}
	t.mu.Unlock()
	if p == nil {
		return nil, fmt.Errorf("%w: %d peers are known", ErrBusy, maxPeers)
	}
	if old != nil {
		old.close()
	}
	if h.Address != "" && h.Name != "" {
		p.introduced.Store(&raft.Member{ID: h.From, Name: h.Name, Address: h.Address})
	}
	p.control.nudge()
	p.log.nudge()
	if err := s.admit(&p.traffic, wire.MaxFrameBytes, 2*t.options.IdleTimeout, t.options.WriteTimeout); err != nil {
		t.unregister(s, p, h.Purpose)
		return nil, err
	}
	return p, nil
}

func (t *Transport) unregister(s *session, p *peer, purpose wire.Purpose) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.accepted[purpose] == s {
		delete(p.accepted, purpose)
	}
}
