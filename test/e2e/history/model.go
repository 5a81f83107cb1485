package history

import (
	"github.com/anishathalye/porcupine"
)

// held is what a key holds after some of its operations.
type held struct {
	exists bool
	value  string
	// revision is that of the last change. After a write of unknown outcome it is
	// not exact but a bound: the change is above it.
	revision uint64
	exact    bool
}

// changed returns what the key holds after a change at a revision, 0 when the
// revision isn't known. Revisions only grow.
func (s held) changed(exists bool, value string, revision uint64) (bool, any) {
	next := held{exists: exists, value: value, revision: s.revision}
	if revision == 0 {
		return true, next
	}
	next.revision, next.exact = revision, true
	return revision > s.revision, next
}

// isAt tells whether the key may exist at a revision.
func (s held) isAt(revision uint64) bool {
	return s.exists && (revision == s.revision || !s.exact && revision > s.revision)
}

// seenAt returns what is known of the key once it was seen to exist at a
// revision.
func (s held) seenAt(revision uint64) (bool, any) {
	next := s
	next.revision, next.exact = revision, true
	return s.isAt(revision), next
}

// satisfies tells whether a swap finds what it demands. No value is written
// twice, so the value that was seen with the demanded revision decides it even
// where the revision is not exact.
func (s held) satisfies(o Operation) bool {
	if o.Demand == 0 {
		return !s.exists
	}
	return s.isAt(o.Demand) && s.value == o.Demanded
}

// model is what one key of a store with one copy would answer.
var model = porcupine.Model{
	Init:              func() any { return held{} },
	Step:              func(state, input, _ any) (bool, any) { return step(state.(held), input.(Operation)) },
	DescribeOperation: func(input, _ any) string { return input.(Operation).String() },
}

// step tells whether an operation can have gone as it did on a key that holds s,
// and what the key holds then.
func step(s held, o Operation) (bool, any) {
	switch {
	case o.Outcome == Unknown:
		return stepUnknown(s, o)
	case o.absent():
		return !s.exists, s
	case o.Outcome == Conflict && o.Revision == 0:
		return !s.exists && o.Demand != 0, s
	case o.Outcome == Conflict && o.Revision == o.Demand:
		return false, s
	case o.Outcome == Conflict:
		return s.seenAt(o.Revision)
	case o.Kind == Get:
		if s.value != o.Value {
			return false, s
		}
		return s.seenAt(o.Revision)
	case o.Kind == Delete && !s.exists, o.Kind == Swap && !s.satisfies(o):
		return false, s
	default:
		return s.changed(!o.deletes(), o.Value, o.Revision)
	}
}

// stepUnknown does what a write does that nobody told the outcome of. If it never
// happened, its place is after everything else.
func stepUnknown(s held, o Operation) (bool, any) {
	if o.deletes() && !s.exists || o.Kind == Swap && !s.satisfies(o) {
		return true, s
	}
	if o.Kind == Swap && o.Demand != 0 {
		s.revision, s.exact = o.Demand, true
	}
	return s.changed(!o.deletes(), o.Value, o.Revision)
}
