package history

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Kind tells writes from reads.
type Kind string

// The two kinds of operations.
const (
	Put Kind = "put"
	Get Kind = "get"
)

// Outcome is what the client learned of an operation.
type Outcome string

const (
	// Done: it was acknowledged, or the read was answered.
	Done Outcome = "done"
	// Rejected: it was certainly not applied. A failed read is Rejected too.
	Rejected Outcome = "rejected"
	// Unknown: the write may have been applied, or may still be.
	Unknown Outcome = "unknown"
)

// Operation is one write or read of one key.
type Operation struct {
	// Worker is the one that did it. A worker does one thing at a time.
	Worker int    `json:"worker"`
	Kind   Kind   `json:"kind"`
	Key    string `json:"key"`
	// Value is what was written, or read. No two writes of a history write the
	// same one.
	Value string `json:"value,omitempty"`
	// Revision is that of the write, or the one that last wrote what was read.
	// It is 0 for a key that was read and is absent.
	Revision uint64 `json:"revision,omitempty"`
	// Start and End are nanoseconds of the recorder's monotonic clock since the
	// history began: just before the request and just after the answer.
	Start time.Duration `json:"start"`
	End   time.Duration `json:"end"`
	// Outcome is what came of it, and Error what the client said if that isn't
	// Done.
	Outcome Outcome `json:"outcome"`
	Error   string  `json:"error,omitempty"`
}

// acknowledged reports whether o is a write that the store has confirmed.
func (o Operation) acknowledged() bool { return o.Kind == Put && o.Outcome == Done }

// String tells the operation in one line.
func (o Operation) String() string {
	text := fmt.Sprintf("%v-%v worker %d: %s %s %q: %s", o.Start.Round(time.Microsecond), o.End.Round(time.Microsecond),
		o.Worker, o.Kind, o.Key, o.Value, o.Outcome)
	if o.Outcome == Done {
		return fmt.Sprintf("%s at revision %d", text, o.Revision)
	}
	return text + ": " + o.Error
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

// Count counts the writes that ended at or after a moment.
func (h *History) Count(from time.Duration) Count {
	var count Count
	for _, o := range h.Operations {
		switch {
		case o.Kind != Put || o.End < from:
		case o.Outcome == Done:
			count.Acknowledged++
		case o.Outcome == Rejected:
			count.Rejected++
		default:
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
		if o.acknowledged() && o.End >= last && o.End < to {
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
