package transport_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/transport"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// warehouse is a receiver of snapshots.
type warehouse struct {
	stored  chan []byte
	failed  chan error
	refusal error
}

func newWarehouse() *warehouse {
	return &warehouse{stored: make(chan []byte, 10), failed: make(chan error, 10)}
}

func (w *warehouse) options(o *transport.Options) { o.ReceiveSnapshot = w.receive }

func (w *warehouse) receive(_ context.Context, _ raft.SnapshotMeta, r io.Reader) error {
	if w.refusal != nil {
		return w.refusal
	}
	data, err := io.ReadAll(r)
	if err != nil {
		w.failed <- err
		return err
	}
	w.stored <- data
	return nil
}

// shipment is a snapshot on its way.
type shipment struct {
	message raft.Message
	meta    raft.SnapshotMeta
	done    chan error
	closed  atomic.Int64
}

// ship sends r from one node to another as the snapshot at index 70.
func ship(from, to *node, r io.Reader) *shipment {
	s := &shipment{done: make(chan error, 10)}
	s.message = raft.Message{Kind: raft.KindInstallSnapshot, From: from.id, To: to.id, Term: 3, Snapshot: &raft.SnapshotMeta{Index: 50, Term: 2}}
	s.meta = raft.SnapshotMeta{Index: 70, Term: 3, ChainHash: 99, Membership: raft.Membership{Voters: []raft.MemberID{1, 2}}}
	from.SendSnapshot(s.message, func() (raft.SnapshotMeta, io.ReadCloser, error) {
		return s.meta, closer{r, func() { s.closed.Add(1) }}, nil
	}, func(err error) { s.done <- err })
	return s
}

// await returns what comes by a channel, within the patience of tests.
func await[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("not reached")
	}
}

// content returns n bytes that repeat themselves nowhere near a chunk's length.
func content(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i * 7 / 5)
	}
	return data
}

func TestSnapshotIsStoredThenAnnouncedThenReported(t *testing.T) {
	d := newDirectory()
	w := newWarehouse()
	a, b := start(t, d, 1, nil), start(t, d, 2, w.options)
	for _, size := range []int{0, 1, 256 << 10, 3<<20 + 17} {
		data := content(size)
		s := ship(a, b, bytes.NewReader(data))
		if err := await(t, s.done); err != nil {
			t.Fatal(err)
		}
		// Both came before the sender was told.
		if len(w.stored) != 1 || len(b.inbox) != 1 {
			t.Fatalf("%d stored, %d announced", len(w.stored), len(b.inbox))
		}
		if !bytes.Equal(<-w.stored, data) {
			t.Error("other bytes arrived than were sent")
		}
		want := s.message
		want.Snapshot = &s.meta
		if got := b.next(t); !reflect.DeepEqual(got, want) {
			t.Errorf("announced %+v, want %+v", got, want)
		}
		if n := s.closed.Load(); n != 1 {
			t.Errorf("the snapshot was closed %d times", n)
		}
	}
	if sent, received := a.peer(2).SnapshotsSent, b.peer(1).SnapshotsReceived; sent != 4 || received != 4 {
		t.Errorf("%d sent and %d received, want 4 and 4", sent, received)
	}
}

func TestDamagedChunkIsNoticed(t *testing.T) {
	d := newDirectory()
	w := newWarehouse()
	a, b := start(t, d, 1, nil), start(t, d, 2, w.options)
	var passed int
	evil := startProxy(t, b.Address().String(), func(p []byte) []byte {
		// One byte, well within the second chunk, is changed.
		const at = 400 << 10
		if passed <= at && at < passed+len(p) {
			p[at-passed] ^= 0x10
		}
		passed += len(p)
		return p
	})
	d.set(2, evil.address())
	s := ship(a, b, bytes.NewReader(content(1<<20)))
	if err := await(t, s.done); !errors.Is(err, transport.ErrSnapshotRefused) {
		t.Errorf("the sender was told %v, want ErrSnapshotRefused", err)
	}
	if err := await(t, w.failed); !errors.Is(err, wire.ErrChecksum) {
		t.Errorf("the receiver saw %v, want ErrChecksum", err)
	}
	checkNothingArrived(t, b, w)
}

func checkNothingArrived(t *testing.T, b *node, w *warehouse) {
	t.Helper()
	if len(b.inbox) > 0 || len(w.stored) > 0 {
		t.Errorf("%d snapshots were announced and %d stored, want none", len(b.inbox), len(w.stored))
	}
}

func TestSnapshotWithMissingOrRepeatedPiecesIsNotStored(t *testing.T) {
	const chunk = "0123456789"
	for name, write := range map[string]func(*wire.Writer) error{
		"a chunk is missing": func(w *wire.Writer) error {
			return errors.Join(w.WriteSnapshotChunk(0, []byte(chunk)), w.WriteSnapshotChunk(20, []byte(chunk)), w.WriteSnapshotEnd(30))
		},
		"a chunk is repeated": func(w *wire.Writer) error {
			return errors.Join(w.WriteSnapshotChunk(0, []byte(chunk)), w.WriteSnapshotChunk(0, []byte(chunk)), w.WriteSnapshotEnd(20))
		},
		"it ends too early": func(w *wire.Writer) error {
			return errors.Join(w.WriteSnapshotChunk(0, []byte(chunk)), w.WriteSnapshotEnd(20))
		},
		"something else comes": func(w *wire.Writer) error {
			return errors.Join(w.WriteSnapshotChunk(0, []byte(chunk)), w.WritePing())
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWarehouse()
			b := start(t, newDirectory(), 2, w.options)
			h := hello
			h.Purpose = wire.PurposeSnapshot
			conn, _ := shake(t, b, h)
			m := raft.Message{Kind: raft.KindInstallSnapshot, From: 1, To: 2, Snapshot: &raft.SnapshotMeta{Index: 70}}
			out := wire.NewWriter(conn)
			if err := errors.Join(out.WriteMessage(&m, nil), write(out)); err != nil {
				t.Fatal(err)
			}
			f, err := wire.NewReader(conn, wire.MaxHelloBytes).Next()
			if err != nil {
				t.Fatal(err)
			}
			if result, err := f.SnapshotResult(); err != nil || result.Stored || result.Problem == "" {
				t.Errorf("result %+v, %v", result, err)
			}
			checkNothingArrived(t, b, w)
		})
	}
}

func TestBrokenOffSnapshotIsNotStored(t *testing.T) {
	d := newDirectory()
	w := newWarehouse()
	a, b := start(t, d, 1, nil), start(t, d, 2, w.options)
	var passed int
	fragile := startProxy(t, b.Address().String(), func(p []byte) []byte {
		if passed += len(p); passed > 500<<10 {
			return nil
		}
		return p
	})
	d.set(2, fragile.address())
	s := ship(a, b, bytes.NewReader(content(4<<20)))
	if err := await(t, s.done); err == nil {
		t.Error("the sender was told that it was stored")
	}
	if err := await(t, w.failed); err == nil || err == io.EOF {
		t.Errorf("the receiver saw %v", err)
	}
	checkNothingArrived(t, b, w)
}

func TestSnapshotThatCannotBeReadIsNotSent(t *testing.T) {
	d := newDirectory()
	w := newWarehouse()
	a, b := start(t, d, 1, nil), start(t, d, 2, w.options)
	cause := errors.New("bad sector")
	s := ship(a, b, io.MultiReader(bytes.NewReader(content(600<<10)), iotest.ErrReader(cause)))
	if err := await(t, s.done); !errors.Is(err, cause) {
		t.Errorf("got %v, want the reader's error", err)
	}
	await(t, w.failed)
	checkNothingArrived(t, b, w)
	done := make(chan error, 1)
	a.SendSnapshot(s.message, func() (raft.SnapshotMeta, io.ReadCloser, error) {
		return raft.SnapshotMeta{}, nil, cause
	}, func(err error) { done <- err })
	if err := await(t, done); !errors.Is(err, cause) {
		t.Errorf("got %v, want the error of opening it", err)
	}
}

func TestReceiversReasonReachesTheSender(t *testing.T) {
	d := newDirectory()
	w := newWarehouse()
	w.refusal = errors.New("disk is full")
	a, b := start(t, d, 1, nil), start(t, d, 2, w.options)
	s := ship(a, b, bytes.NewReader(content(8<<20)))
	err := await(t, s.done)
	if !errors.Is(err, transport.ErrSnapshotRefused) || !bytes.Contains([]byte(err.Error()), []byte("disk is full")) {
		t.Errorf("got %v, want ErrSnapshotRefused with the reason", err)
	}
	checkNothingArrived(t, b, w)
}

func TestAReceiverThatStopsEarlyHasNotStoredIt(t *testing.T) {
	d := newDirectory()
	a := start(t, d, 1, nil)
	b := start(t, d, 2, func(o *transport.Options) {
		o.ReceiveSnapshot = func(_ context.Context, _ raft.SnapshotMeta, r io.Reader) error {
			_, err := io.CopyN(io.Discard, r, 100)
			return err
		}
	})
	s := ship(a, b, bytes.NewReader(content(1000)))
	if err := await(t, s.done); !errors.Is(err, transport.ErrSnapshotRefused) {
		t.Errorf("got %v, want ErrSnapshotRefused", err)
	}
	if len(b.inbox) > 0 {
		t.Error("it was announced")
	}
}

func TestOversizeSnapshotIsRefused(t *testing.T) {
	d := newDirectory()
	w := newWarehouse()
	a := start(t, d, 1, nil)
	b := start(t, d, 2, func(o *transport.Options) { w.options(o); o.MaxSnapshotBytes = 1 << 20 })
	s := ship(a, b, bytes.NewReader(content(2<<20)))
	if err := await(t, s.done); !errors.Is(err, transport.ErrSnapshotRefused) {
		t.Errorf("got %v, want ErrSnapshotRefused", err)
	}
	if err := await(t, w.failed); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("the receiver saw %v, want ErrTooLarge", err)
	}
}

// gate is a reader that yields nothing until it is opened.
type gate struct {
	open    chan struct{}
	reached chan struct{}
}

func newGate() *gate { return &gate{open: make(chan struct{}), reached: make(chan struct{}, 100)} }

func (g *gate) Read([]byte) (int, error) {
	g.reached <- struct{}{}
	<-g.open
	return 0, io.EOF
}

func TestOneSnapshotAtATimeGoesToAMember(t *testing.T) {
	d := newDirectory()
	w := newWarehouse()
	a, b := start(t, d, 1, nil), start(t, d, 2, w.options)
	g := newGate()
	first := ship(a, b, g)
	<-g.reached
	second := ship(a, b, bytes.NewReader(nil))
	if err := await(t, second.done); !errors.Is(err, transport.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	close(g.open)
	if err := await(t, first.done); err != nil {
		t.Error(err)
	}
	third := ship(a, b, bytes.NewReader(nil))
	if err := await(t, third.done); err != nil {
		t.Errorf("after the first one: %v", err)
	}
}

func TestSnapshotDoesNotHoldUpMessages(t *testing.T) {
	d := newDirectory()
	w := newWarehouse()
	a, b := start(t, d, 1, nil), start(t, d, 2, w.options)
	g := newGate()
	s := ship(a, b, g)
	<-g.reached
	deliver(t, a, b)
	deliver(t, b, a)
	close(g.open)
	if err := await(t, s.done); err != nil {
		t.Error(err)
	}
}

func TestCloseEndsSnapshotsOnBothSides(t *testing.T) {
	d := newDirectory()
	w := newWarehouse()
	a, b := start(t, d, 1, nil), start(t, d, 2, w.options)
	endless := iotest.HalfReader(readerFunc(func(p []byte) (int, error) { return len(p), nil }))
	s := ship(a, b, endless)
	eventually(t, "it is under way", func() bool { return b.peer(1).BytesIn > 1<<20 })
	a.Close()
	if err := await(t, s.done); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if err := await(t, w.failed); err == io.EOF {
		t.Error("the receiver took it for whole")
	}
	late := ship(a, b, bytes.NewReader(nil))
	// Were done called by the caller, this unbuffered channel would be stuck.
	same := make(chan error)
	a.SendSnapshot(late.message, nil, func(err error) { same <- err })
	if err := await(t, same); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
	if err := await(t, late.done); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
	if len(s.done) > 0 || len(late.done) > 0 {
		t.Error("done was called twice")
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestSnapshotToAnUnknownMemberFails(t *testing.T) {
	d := newDirectory()
	a := start(t, d, 1, nil)
	for _, id := range []raft.MemberID{0, 1, 9} {
		s := ship(a, &node{id: id}, bytes.NewReader(nil))
		if err := await(t, s.done); !errors.Is(err, transport.ErrUnknownMember) {
			t.Errorf("to %v: %v, want ErrUnknownMember", id, err)
		}
	}
}
