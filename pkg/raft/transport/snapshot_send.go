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

// chunkBytes is the data of one chunk of a snapshot.
const chunkBytes = 256 << 10

// errUnreadable marks an error of this side's storage, in which the receiver
// has no part.
var errUnreadable = errors.New("can't read snapshot")

// SendSnapshot streams the snapshot that open returns to m.To, then delivers m
// there, with the description of that very snapshot in place of its own. It
// returns at once. done is called exactly once, on another goroutine, with nil
// when the receiver has stored the snapshot; it must return quickly. Only one
// snapshot at a time goes to a member: another one is refused with ErrBusy.
func (t *Transport) SendSnapshot(m raft.Message, open func() (raft.SnapshotMeta, io.ReadCloser, error), done func(error)) {
	started := t.start(func() { done(t.sendSnapshot(m, open)) })
	if !started {
		// Close is over or about to be, so nobody waits for this one; still the
		// caller, which may be the one that done reports to, must not wait.
		go done(ErrClosed)
	}
}

func (t *Transport) sendSnapshot(m raft.Message, open func() (raft.SnapshotMeta, io.ReadCloser, error)) error {
	p := t.peer(m.To)
	if p == nil {
		return fmt.Errorf("send snapshot to %v: %w", m.To, ErrUnknownMember)
	}
	if !p.sending.CompareAndSwap(false, true) {
		return fmt.Errorf("send snapshot to %v: %w: one is under way", m.To, ErrBusy)
	}
	defer p.sending.Store(false)
	select {
	case t.sendSlots <- struct{}{}:
		defer func() { <-t.sendSlots }()
	case <-t.ctx.Done():
		return fmt.Errorf("send snapshot to %v: %w", m.To, context.Cause(t.ctx))
	}
	begin := time.Now()
	logger := t.logger().With("member", p.id)
	bytes, err := t.streamSnapshot(p, m, open)
	if err != nil {
		err = fmt.Errorf("send snapshot to %v: %w", m.To, explain(t.ctx, err))
		logger.Warn("snapshot not sent", "bytes", bytes, "error", err)
		return err
	}
	p.snapshotsSent.Add(1)
	logger.Info("snapshot sent", "bytes", bytes, "duration", time.Since(begin))
	return nil
}

// streamSnapshot connects, streams and waits for the result. It returns how
// many bytes of the snapshot were written.
func (t *Transport) streamSnapshot(p *peer, m raft.Message, open func() (raft.SnapshotMeta, io.ReadCloser, error)) (uint64, error) {
	to, err := t.destination(p)
	if err != nil {
		return 0, err
	}
	s, _, err := t.dial(t.ctx, to, wire.PurposeSnapshot)
	if err != nil {
		return 0, err
	}
	defer s.close()
	if err := s.admit(&p.traffic, wire.MaxHelloBytes, 0, t.options.SnapshotTimeout); err != nil {
		return 0, err
	}
	meta, r, err := open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	m.Snapshot = &meta
	if err := s.send(func(w *wire.Writer) error { return w.WriteMessage(&m, nil) }); err != nil {
		return 0, err
	}
	// The receiver may give up before the end. Its reason is worth more than
	// the broken connection that follows, so it is awaited from the start.
	result := make(chan error, 1)
	if !t.start(func() { result <- readResult(s) }) {
		return 0, ErrClosed
	}
	written, err := t.streamChunks(s, r, result)
	if err == nil {
		err = s.stream.SetReadDeadline(time.Now().Add(t.options.SnapshotTimeout))
	}
	if errors.Is(err, errUnreadable) {
		return written, err
	}
	if err != nil {
		if refused := lateResult(result); refused != nil {
			err = refused
		}
		return written, err
	}
	return written, <-result
}

// streamChunks writes the snapshot until it ends or a result comes too early.
func (t *Transport) streamChunks(s *session, r io.Reader, result chan error) (written uint64, err error) {
	buffer := make([]byte, chunkBytes)
	for {
		n, readErr := io.ReadFull(r, buffer)
		if readErr != nil && readErr != io.EOF && readErr != io.ErrUnexpectedEOF {
			return written, fmt.Errorf("%w: %w", errUnreadable, readErr)
		}
		if n > 0 {
			if err := t.pace.wait(t.ctx, n); err != nil {
				return written, err
			}
			if err := s.send(func(w *wire.Writer) error { return w.WriteSnapshotChunk(written, buffer[:n]) }); err != nil {
				return written, err
			}
			written += uint64(n)
		}
		if readErr != nil {
			return written, s.send(func(w *wire.Writer) error { return w.WriteSnapshotEnd(written) })
		}
		if len(result) > 0 {
			return written, fmt.Errorf("%w: a result before the end", ErrProtocol)
		}
	}
}

// readResult returns nil if the receiver says that it stored the snapshot.
func readResult(s *session) error {
	f, err := s.reader.Next()
	if err != nil {
		return fmt.Errorf("await result: %w", err)
	}
	result, err := f.SnapshotResult()
	if err != nil {
		return err
	}
	if !result.Stored {
		return fmt.Errorf("%w: %s", ErrSnapshotRefused, result.Problem)
	}
	return nil
}

// lateResult returns the receiver's refusal if there is one, giving it a
// moment to arrive.
func lateResult(result chan error) error {
	select {
	case err := <-result:
		if errors.Is(err, ErrSnapshotRefused) {
			return err
		}
	case <-time.After(time.Second):
	}
	return nil
}
