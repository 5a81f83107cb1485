package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// receiveSnapshot serves one snapshot and tells the sender what became of it.
func (t *Transport) receiveSnapshot(s *session, p *peer) error {
	s.stream.readTimeout = t.options.SnapshotTimeout
	err := t.storeSnapshot(s, p)
	result := wire.SnapshotResult{Stored: err == nil}
	if err != nil {
		result.Problem = err.Error()
		err = fmt.Errorf("receive snapshot: %w", err)
	} else {
		p.snapshotsReceived.Add(1)
	}
	if sendErr := s.send(func(w *wire.Writer) error { return w.WriteSnapshotResult(result) }); sendErr != nil {
		return errors.Join(err, sendErr)
	}
	// The sender closes the connection once it has the result. Closing it
	// here, with chunks unread, would destroy the result on its way.
	s.stream.readTimeout = 0
	if err := s.stream.SetReadDeadline(time.Now().Add(time.Second)); err == nil {
		_, _ = io.Copy(io.Discard, s.stream)
	}
	return err
}

// storeSnapshot has the snapshot stored, then delivers its announcement.
func (t *Transport) storeSnapshot(s *session, p *peer) error {
	f, err := s.reader.Next()
	if err != nil {
		return err
	}
	m, err := t.decodeMessage(&f, p)
	if err != nil {
		return err
	}
	if m.Kind != raft.KindInstallSnapshot || m.Snapshot == nil {
		return fmt.Errorf("%w: message of kind %d before a snapshot", ErrProtocol, m.Kind)
	}
	// The member may have lost its connection and be back before the remains
	// of its first attempt are cleared away.
	patience, cancel := context.WithTimeout(t.ctx, t.options.HandshakeTimeout)
	defer cancel()
	select {
	case t.receiveSlot <- struct{}{}:
		defer func() { <-t.receiveSlot }()
	case <-patience.Done():
		return fmt.Errorf("%w: another snapshot is being received", ErrBusy)
	}
	chunks := &chunkReader{session: s, limit: uint64(t.options.MaxSnapshotBytes)}
	if err := t.options.ReceiveSnapshot(t.ctx, *m.Snapshot, chunks); err != nil {
		return err
	}
	if err := chunks.expectEnd(); err != nil {
		return err
	}
	p.received.Add(1)
	t.options.Receive(m)
	return nil
}

// chunkReader reads a snapshot's chunks as one stream. Only io.EOF means that
// the snapshot is whole.
type chunkReader struct {
	session *session
	limit   uint64
	rest    []byte
	offset  uint64
	err     error
}

func (c *chunkReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(c.rest) == 0 {
		if c.err == nil {
			c.rest, c.err = c.next()
		}
		if c.err != nil {
			return 0, c.err
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// next returns the data of the next chunk, or io.EOF after the last one.
func (c *chunkReader) next() ([]byte, error) {
	f, err := c.session.reader.Next()
	if err == io.EOF {
		return nil, fmt.Errorf("snapshot broken off at byte %d: %w", c.offset, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, fmt.Errorf("snapshot broken off at byte %d: %w", c.offset, err)
	}
	if f.Kind == wire.KindSnapshotEnd {
		bytes, err := f.SnapshotEnd()
		if err != nil {
			return nil, err
		}
		if bytes != c.offset {
			return nil, fmt.Errorf("%w: snapshot ends after %d bytes, %d arrived", ErrProtocol, bytes, c.offset)
		}
		return nil, io.EOF
	}
	offset, data, err := f.SnapshotChunk()
	if err != nil {
		return nil, err
	}
	if offset != c.offset {
		return nil, fmt.Errorf("%w: chunk of a snapshot for byte %d, expected %d", ErrProtocol, offset, c.offset)
	}
	c.offset += uint64(len(data))
	if c.offset > c.limit {
		return nil, fmt.Errorf("%w: snapshot exceeds %d bytes", wire.ErrTooLarge, c.limit)
	}
	return data, nil
}

// expectEnd fails unless everything was read: storing less than the whole is
// not storing it.
func (c *chunkReader) expectEnd() error {
	if n, err := c.Read(make([]byte, 1)); err != io.EOF {
		if err == nil {
			err = fmt.Errorf("stored before its end, at byte %d of at least %d", c.offset-uint64(len(c.rest))-uint64(n), c.offset)
		}
		return err
	}
	return nil
}
