package transport

import (
	"fmt"
	"io"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// receiveMessages passes a peer's messages on, in order, and answers its
// pings, until the connection ends.
func (t *Transport) receiveMessages(s *session, p *peer) error {
	for {
		f, err := s.reader.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch f.Kind {
		case wire.KindPing:
			err = s.send((*wire.Writer).WritePong)
		case wire.KindMessage:
			err = t.receiveMessage(&f, p)
		default:
			err = fmt.Errorf("%w: frame of kind %d among messages", ErrProtocol, f.Kind)
		}
		if err != nil {
			return err
		}
	}
}

func (t *Transport) receiveMessage(f *wire.Frame, p *peer) error {
	m, err := t.decodeMessage(f, p)
	if err != nil {
		return err
	}
	if m.Kind == raft.KindInstallSnapshot {
		return fmt.Errorf("%w: a snapshot was announced without the snapshot", ErrProtocol)
	}
	p.received.Add(1)
	t.options.Receive(m)
	return nil
}

// decodeMessage returns a message that speaks of nobody but the connection's
// two ends.
func (t *Transport) decodeMessage(f *wire.Frame, p *peer) (raft.Message, error) {
	m, err := f.Message()
	if err != nil {
		return raft.Message{}, err
	}
	if m.From != p.id || m.To != t.options.Member {
		return raft.Message{}, fmt.Errorf("%w: message from %v to %v on the connection from %v to %v",
			ErrProtocol, m.From, m.To, p.id, t.options.Member)
	}
	return m, nil
}
