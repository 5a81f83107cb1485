package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// destination is where a connection goes.
type destination struct {
	// member is whom it must reach, or NoMember when only the address is known.
	member  raft.MemberID
	address string
	// name is the node's whose certificate it must show.
	name string
}

// dial connects to a peer and introduces this node. All connections that this
// side opens begin here.
func (t *Transport) dial(ctx context.Context, to destination, purpose wire.Purpose) (*session, wire.Welcome, error) {
	deadline := time.Now().Add(t.options.HandshakeTimeout)
	ctx, cancel := context.WithDeadlineCause(ctx, deadline, fmt.Errorf("no answer within %v", t.options.HandshakeTimeout))
	defer cancel()
	conn, err := t.options.Dial(ctx, "tcp", to.address)
	if err != nil {
		return nil, wire.Welcome{}, explain(ctx, err)
	}
	// Until the handshake is over, the caller's patience bounds it too.
	release := context.AfterFunc(ctx, func() { _ = conn.Close() })
	s, welcome, err := t.introduce(ctx, conn, to, purpose)
	if !release() && err == nil {
		s.close()
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close()
		return nil, wire.Welcome{}, fmt.Errorf("handshake with %s: %w", to.address, explain(ctx, err))
	}
	return s, welcome, nil
}

// introduce does the dialling side's half of the handshake.
func (t *Transport) introduce(ctx context.Context, conn net.Conn, to destination, purpose wire.Purpose) (*session, wire.Welcome, error) {
	if t.options.ClientTLS != nil {
		secured := tls.Client(conn, t.options.ClientTLS)
		if err := secured.HandshakeContext(ctx); err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("the peer ended the handshake; does it speak TLS? %w", err)
			}
			return nil, wire.Welcome{}, explainTLS(err)
		}
		if err := t.authenticate(secured, to.name); err != nil {
			return nil, wire.Welcome{}, err
		}
		conn = secured
	}
	s := newSession(t.ctx, conn)
	welcome, err := t.exchangeHello(s, to, purpose)
	if err != nil {
		s.close()
		if t.options.ClientTLS != nil {
			err = explainTLS(err)
		}
		return nil, wire.Welcome{}, err
	}
	return s, welcome, nil
}

func (t *Transport) exchangeHello(s *session, to destination, purpose wire.Purpose) (wire.Welcome, error) {
	hello := wire.Hello{
		MinProtocol: wire.MinProtocol,
		MaxProtocol: wire.MaxProtocol,
		ClusterID:   t.options.ClusterID,
		Purpose:     purpose,
		From:        t.options.Member,
		To:          to.member,
		Boot:        t.options.Boot,
		Name:        t.options.Name,
		Address:     t.options.Address,
	}
	if err := s.send(func(w *wire.Writer) error { return w.WriteHello(&hello) }); err != nil {
		return wire.Welcome{}, err
	}
	f, err := s.reader.Next()
	if err != nil {
		return wire.Welcome{}, err
	}
	welcome, err := f.Welcome()
	if err != nil {
		return wire.Welcome{}, err
	}
	if welcome.Refusal != wire.NotRefused {
		return wire.Welcome{}, refusalError(&hello, &welcome)
	}
	if welcome.Protocol < wire.MinProtocol || welcome.Protocol > wire.MaxProtocol {
		return wire.Welcome{}, fmt.Errorf("%w: the peer chose version %d", ErrVersion, welcome.Protocol)
	}
	return welcome, nil
}

// refusalError says why hello was refused. The accepting side uses it as well,
// so that both sides tell the same story.
func refusalError(hello *wire.Hello, welcome *wire.Welcome) error {
	switch welcome.Refusal {
	case wire.RefusedVersion:
		return fmt.Errorf("%w: the dialling side speaks %d to %d", ErrVersion, hello.MinProtocol, hello.MaxProtocol)
	case wire.RefusedCluster:
		return fmt.Errorf("%w: the dialling side's is %q, that of %q is %q", ErrClusterMismatch, hello.ClusterID, welcome.Name, welcome.ClusterID)
	case wire.RefusedMember:
		if hello.From == welcome.Member {
			return fmt.Errorf("%w: both sides are %v", ErrWrongMember, hello.From)
		}
		return fmt.Errorf("%w: %v (%q) dialled %v but reached %v (%q)",
			ErrWrongMember, hello.From, hello.Name, hello.To, welcome.Member, welcome.Name)
	case wire.RefusedBusy:
		return ErrBusy
	case wire.RefusedPurpose:
		return fmt.Errorf("%w: connection for %v", ErrNotServed, hello.Purpose)
	default:
		return fmt.Errorf("%w: refused for the unknown reason %d", ErrProtocol, welcome.Refusal)
	}
}
