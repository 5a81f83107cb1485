package replica

import (
	"context"
	"io"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// Storage is the durable side of a member. Save is called by one goroutine, in
// the order of write IDs; the other methods may run beside it. Any error of
// Save is final: the replica stops and never calls it again.
type Storage interface {
	// Save makes one write durable, atomically: after a crash either all of
	// it is there or nothing. It returns only when the disk has it.
	Save(w *raft.Write) error
	// Entries returns the durable entries from lo up to, not including, hi:
	// at least the first, then more while their sizes together stay within
	// maxBytes. Damaged entries are an error, never returned; the error for
	// entries that SaveSnapshot has cut off wraps raft.ErrCompacted.
	Entries(lo, hi raft.Index, maxBytes int) ([]raft.Entry, error)
	// SaveSnapshot stores what write produces as the snapshot described by
	// meta, then compacts the log. It returns the first index that the log
	// still holds. meta.ChainHash is filled in by the storage.
	SaveSnapshot(meta raft.SnapshotMeta, write func(io.Writer) error) (first raft.Index, err error)
	// OpenSnapshot opens the newest snapshot. Closing the reader releases it;
	// a later snapshot doesn't disturb it.
	OpenSnapshot() (raft.SnapshotMeta, io.ReadCloser, error)
	// ReceiveSnapshot stores a snapshot that a leader streams, verified and
	// aside, until Save installs it by a Write with the same index and term.
	ReceiveSnapshot(ctx context.Context, meta raft.SnapshotMeta, r io.Reader) error
}

// SpaceGauge is what a Storage implements beside Storage when it can tell how much
// room its disk has left. Space is called often, by the goroutine that calls Save,
// and must cost no more than a system call.
type SpaceGauge interface {
	Space() raft.Space
}

// Sender carries messages to other members. Both methods return at once; what
// can't be carried is dropped. Messages may be lost, repeated and reordered.
type Sender interface {
	// Send queues messages for their receivers.
	Send(messages []raft.Message)
	// SendSnapshot streams the newest snapshot to m.To, then delivers m there.
	// done is called exactly once, on another goroutine, with nil when the
	// receiver has stored it.
	SendSnapshot(m raft.Message, open func() (raft.SnapshotMeta, io.ReadCloser, error), done func(error))
}

// StateMachine is what the log drives. Its methods are called by one goroutine.
type StateMachine interface {
	// Apply applies committed entries in order and returns one result for
	// each. No-op and membership entries are passed too, so that the state
	// sees every index.
	Apply(entries []raft.Entry) []any
	// Snapshot returns a frozen view of the state that is written later, on
	// another goroutine, while Apply goes on.
	Snapshot() (write func(io.Writer) error)
	// Restore replaces the state by what Snapshot wrote.
	Restore(r io.Reader) error
}

// SelfCheck is what a StateMachine implements beside StateMachine when members are to
// find out whether their states are the same. Check is called after each Apply.
type SelfCheck interface {
	// Check returns the hashes at those indexes of the last Apply at which all members
	// take one, in order, and whether the state can't follow the log any further.
	Check() (hashes []raft.StateHash, stuck bool)
}
