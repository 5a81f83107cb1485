package history

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Kind is what an operation does to a key.
type Kind string

// The kinds.
const (
	Get Kind = "get"
	Put Kind = "put"
	// Swap is a put that demands a revision, or that there is no such key.
	Swap   Kind = "swap"
	Delete Kind = "delete"
	// Txn is a transaction, of several keys.
	Txn Kind = "txn"
	// remove is a delete within a transaction, to which it is all the same whether
	// there is such a key.
	remove Kind = "remove"
)

// Level is how fresh a read was asked to be. The zero value is a linear read.
type Level string

// The levels besides.
const (
	Session Level = "session"
	Bounded Level = "bounded"
	Local   Level = "local"
)

// Outcome is what the client learned of an operation.
type Outcome string

const (
	// Done: it took effect and was acknowledged, or the read was answered. A read
	// that is Done at revision 0 found no such key, like an Absent one.
	Done Outcome = "done"
	// Absent: a read or a delete found no such key.
	Absent Outcome = "absent"
	// Conflict: a swap found the key otherwise than it demands, or a transaction one
	// of its keys.
	Conflict Outcome = "conflict"
	// Rejected: it was certainly not applied. A failed read is Rejected too.
	Rejected Outcome = "rejected"
	// Unknown: the write may have taken effect, or may do so at any later time.
	Unknown Outcome = "unknown"
)

// Operation is one use of one key, or a transaction.
type Operation struct {
	// Worker is the one that did it. A worker does one thing at a time.
	Worker int    `json:"worker"`
	Kind   Kind   `json:"kind"`
	Key    string `json:"key"`
	// Value is what was written, or read. No two writes of a history write the
	// same one.
	Value string `json:"value,omitempty"`
	// Txn is what a transaction was and did; it has no Key, Value and Demand.
	Txn *Transaction `json:"txn,omitempty"`
	// Demand is the revision that a swap demands, 0 for no such key, and Demanded
	// is the value that the worker had seen with it. A session read demands that the
	// store has reached the revision.
	Demand   uint64 `json:"demand,omitempty"`
	Demanded string `json:"demanded,omitempty"`
	// Revision is that of the write, or of what was read, or what a conflict met;
	// 0 stands for no such key. A transaction that changed nothing has none.
	Revision uint64 `json:"revision,omitempty"`
	// Standing is the revision of the whole store that a read is from, or a
	// transaction that changed nothing; 0 when the recorder doesn't know it.
	Standing uint64 `json:"standing,omitempty"`
	// Level is what a read was asked for, and Bound the age that a bounded one may
	// have. Age is what the answer of any but a linear one says of its age, negative
	// when that is unknown.
	Level Level         `json:"level,omitempty"`
	Bound time.Duration `json:"bound,omitempty"`
	Age   time.Duration `json:"age,omitempty"`
	// Start and End are nanoseconds of the recorder's monotonic clock since the
	// history began: just before the request and just after the answer.
	Start time.Duration `json:"start"`
	End   time.Duration `json:"end"`
	// Outcome is what came of it, and Error what the client said if that is
	// Rejected or Unknown.
	Outcome Outcome `json:"outcome"`
	Error   string  `json:"error,omitempty"`
}

// Acknowledged reports whether o is a write that the worker was told has happened.
func (o Operation) Acknowledged() bool {
	return o.Kind != Get && o.Outcome == Done && (o.Kind != Txn || o.Revision != 0)
}

// absent reports whether o is a read or a delete that found no such key.
func (o Operation) absent() bool {
	return o.Outcome == Absent || o.Kind == Get && o.Outcome == Done && o.Revision == 0
}

// answered reports whether o is a read that got an answer.
func (o Operation) answered() bool {
	return o.Kind == Get && (o.Outcome == Done || o.Outcome == Absent)
}

// deletes reports whether there is no such key after o.
func (o Operation) deletes() bool { return o.Kind == Delete || o.Kind == remove }

// String tells the operation in one line.
func (o Operation) String() string {
	text := fmt.Sprintf("%12v %12v worker %2d  ", o.Start, o.End, o.Worker)
	switch o.Kind {
	case Txn:
		text += o.Txn.String()
	case Put, Swap:
		text += fmt.Sprintf("%s %s %q", o.Kind, o.Key, o.Value)
	default:
		text += fmt.Sprintf("%s %s", o.Kind, o.Key)
	}
	if o.Kind == Swap {
		text += fmt.Sprintf(" in place of %q at %d", o.Demanded, o.Demand)
	}
	switch o.Level {
	case Session:
		text += fmt.Sprintf(" (session, from %d on)", o.Demand)
	case Bounded:
		text += fmt.Sprintf(" (bounded by %v, of age %v)", o.Bound, o.Age)
	case Local:
		text += fmt.Sprintf(" (local, of age %v)", o.Age)
	}
	switch text += ": " + string(o.Outcome); {
	case o.Error != "":
		return text + ": " + o.Error
	case o.Kind == Get:
		return text + fmt.Sprintf(" at %d: %q of %d", o.Revision, o.Value, o.Standing)
	case o.Kind == Txn && o.Revision == 0:
		return text + fmt.Sprintf(" of %d", o.Standing)
	default:
		return text + fmt.Sprintf(" at %d", o.Revision)
	}
}

// Mark names a moment, by the recorder's clock.
type Mark struct {
	Name string        `json:"name"`
	At   time.Duration `json:"at"`
}

// History is all that a recorder saw, operations in the order in which they
// ended.
type History struct {
	Operations []Operation `json:"operations"`
	Marks      []Mark      `json:"marks"`
}

// Count is how many writes of a history had which outcome.
type Count struct{ Acknowledged, Rejected, Unknown int }

// String tells the count in words.
func (c Count) String() string {
	return fmt.Sprintf("%d writes acknowledged, %d rejected, %d of unknown outcome", c.Acknowledged, c.Rejected, c.Unknown)
}

// Count counts the writes that ended at or after a moment. One that met a
// conflict or nothing to delete is none of the three.
func (h *History) Count(from time.Duration) Count {
	var count Count
	for _, o := range h.Operations {
		switch {
		case o.Kind == Get || o.End < from:
		case o.Acknowledged():
			count.Acknowledged++
		case o.Outcome == Rejected:
			count.Rejected++
		case o.Outcome == Unknown:
			count.Unknown++
		}
	}
	return count
}

// At returns the moment of a mark. It panics when there is no such mark: whoever
// asks has set it.
func (h *History) At(name string) time.Duration {
	for _, mark := range h.Marks {
		if mark.Name == name {
			return mark.At
		}
	}
	panic(fmt.Sprintf("history: no mark %q", name))
}

// Pause is a time during which no write was acknowledged, between two that were.
type Pause struct{ From, To time.Duration }

// Length of the pause.
func (p Pause) Length() time.Duration { return p.To - p.From }

// Pauses are the times between two acknowledgements of writes next to each other
// that ended within a span: for as long, nobody's writes went through. The span
// begins and ends like an acknowledgement, so a pause may touch its ends.
func (h *History) Pauses(from, to time.Duration) []Pause {
	var pauses []Pause
	last := from
	for _, o := range h.Operations {
		if o.Acknowledged() && o.End >= last && o.End < to {
			pauses = append(pauses, Pause{last, o.End})
			last = o.End
		}
	}
	return append(pauses, Pause{last, to})
}

// LongestPause is the longest of Pauses.
func (h *History) LongestPause(from, to time.Duration) Pause {
	return slices.MaxFunc(h.Pauses(from, to), func(a, b Pause) int { return cmp.Compare(a.Length(), b.Length()) })
}
