package replica

import (
	"io"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// Event is something that happened. The types below are all there are.
type Event interface{ event() }

// Tick tells that one tick of time has passed.
type Tick struct{}

// TimeIs tells what time it is, for the stamps on a leader's entries: the wall
// clock in milliseconds since 1970, and the milliseconds of a clock that never
// goes back while the process runs. Nothing else follows from it.
type TimeIs struct{ WallMillis, MonotonicMillis uint64 }

// Received is a message from another member.
type Received struct{ Message raft.Message }

// Proposed is a caller's command. It is answered by an Answer with its ID.
type Proposed struct {
	ID   raft.RequestID
	Data []byte
	// FreesSpace marks a command that adds no bytes to the state.
	FreesSpace bool
}

// ReadAsked is a caller's wish for a read barrier. It is answered by an Answer
// with its ID.
type ReadAsked struct{ ID raft.RequestID }

// ChangeAsked is a caller's wish to change the membership; this member must lead.
// It is answered by an Answer with its ID when the change is complete.
type ChangeAsked struct {
	ID     raft.RequestID
	Change raft.Change
}

// TransferAsked is a caller's wish that this leader hands over, to a member or
// with raft.NoMember to the best prepared. It is answered by an Answer with its
// ID.
type TransferAsked struct {
	ID raft.RequestID
	To raft.MemberID
}

// SnapshotAsked is a caller's wish for a snapshot of what is applied by now. It
// is answered by an Answer with its ID and the index of a snapshot on disk that
// holds all of that.
type SnapshotAsked struct{ ID raft.RequestID }

// Cancelled tells that the caller of a request waits no longer. The request is
// answered at once.
type Cancelled struct{ ID raft.RequestID }

// Saved tells that a Write and all before it are durable.
type Saved struct{ ID raft.WriteID }

// SpaceMeasured tells how much room the disk has left.
type SpaceMeasured struct{ Space raft.Space }

// Applied tells that a piece of ApplyWork was done. Results holds one result for
// each of its entries, Hashes and Stuck are what the state machine said of itself
// after it.
type Applied struct {
	Work    ApplyWork
	Results []any
	Hashes  []raft.StateHash
	Stuck   bool
}

// Viewed brings the frozen view of the state machine that TakeSnapshot asked
// for, taken after applying Index.
type Viewed struct {
	Index raft.Index
	Write func(io.Writer) error
}

// SnapshotSaved tells how SaveSnapshot ended: with the log beginning after Base
// and a snapshot of SizeBytes, or with an error.
type SnapshotSaved struct {
	Meta      raft.SnapshotMeta
	Base      raft.Index
	SizeBytes int64
	Err       error
}

// SnapshotSent tells how the streaming of a snapshot to a member ended.
type SnapshotSent struct {
	To  raft.MemberID
	Err error
}

func (Tick) event()          {}
func (TimeIs) event()        {}
func (Received) event()      {}
func (Proposed) event()      {}
func (ReadAsked) event()     {}
func (ChangeAsked) event()   {}
func (TransferAsked) event() {}
func (SnapshotAsked) event() {}
func (Cancelled) event()     {}
func (Saved) event()         {}
func (SpaceMeasured) event() {}
func (Applied) event()       {}
func (Viewed) event()        {}
func (SnapshotSaved) event() {}
func (SnapshotSent) event()  {}

// Effects is what has to be done after events. Fields are listed in the order
// in which they are to be carried out.
type Effects struct {
	// Send holds messages for other members, Stream the InstallSnapshot ones,
	// which go together with the newest snapshot's file.
	Send   []raft.Message
	Stream []raft.Message
	// Write, unless nil, goes to the storage. There is at most one under way.
	Write *raft.Write
	// Apply goes to the state machine, in order, as does TakeSnapshot after it:
	// a frozen view is to be taken and brought back by Viewed.
	Apply        []ApplyWork
	TakeSnapshot bool
	// SaveSnapshot, unless nil, goes to the storage beside the Writes.
	SaveSnapshot *SaveSnapshot
	// Answers go to the callers.
	Answers []Answer
}

// ApplyWork is one step of the state machine: to restore a snapshot or, when
// Restore is nil, to apply entries.
type ApplyWork struct {
	Restore *raft.SnapshotMeta
	Entries []raft.Entry
}

// SaveSnapshot asks the storage to keep a view of the state machine.
type SaveSnapshot struct {
	Meta  raft.SnapshotMeta
	Write func(io.Writer) error
}

// Answer is the end of a request: the state machine's result for a proposal,
// the applied index for a read, or an error of this package.
type Answer struct {
	ID     raft.RequestID
	Index  raft.Index
	Result any
	Err    error
	// ifParked is the error that takes the place of what comes from the state, should the
	// member park before the answer is handed out.
	ifParked error
}
