package history

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// checkTimeout bounds the search for an order of one key's operations. Since
// operations carry revisions there is next to nothing to search for.
const checkTimeout = 30 * time.Second

// maxShown bounds how many operations a complaint lists, and how many complaints
// Check makes.
const maxShown = 20

// Check reports every key whose operations no store with one copy could have
// answered, and every acknowledged write whose revision isn't above those of the
// writes that had ended before it began. The history must be whole: a value that
// was read and that nobody in it wrote is a fault.
//
// To prove that nothing acknowledged was lost, append a read of every key that
// was made after all the rest.
func (h *History) Check() error {
	problems := h.checkOrder()
	byKey := make(map[string][]Operation)
	for _, o := range h.Operations {
		byKey[o.Key] = append(byKey[o.Key], o)
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		if err := checkKey(byKey[key]); err != nil {
			problems = append(problems, fmt.Errorf("key %s: %w", key, err))
		}
	}
	if more := len(problems) - maxShown; more > 0 {
		problems = append(problems[:maxShown], fmt.Errorf("and %d more", more))
	}
	return errors.Join(problems...)
}

// checkOrder compares revisions with the order in time, over all keys.
func (h *History) checkOrder() []error {
	var problems []error
	var writes []Operation
	values := make(map[string]Operation)
	for _, o := range h.Operations {
		if o.Kind != Put {
			continue
		}
		if before, twice := values[o.Value]; twice {
			problems = append(problems, fmt.Errorf("two writes of one value prove nothing: %v and %v", before, o))
		}
		values[o.Value] = o
		if o.acknowledged() {
			writes = append(writes, o)
		}
	}
	ended := slices.SortedFunc(slices.Values(writes), func(a, b Operation) int { return cmp.Compare(a.End, b.End) })
	slices.SortFunc(writes, func(a, b Operation) int { return cmp.Compare(a.Start, b.Start) })
	var highest Operation // of those that had ended
	for _, write := range writes {
		for len(ended) > 0 && ended[0].End < write.Start {
			if ended[0].Revision > highest.Revision {
				highest = ended[0]
			}
			ended = ended[1:]
		}
		if write.Revision <= highest.Revision {
			problems = append(problems, fmt.Errorf("revisions don't grow: %v, after %v", write, highest))
		}
	}
	return problems
}

// register is what a key holds.
type register struct {
	value    string
	revision uint64
}

// model is a key that is written and read. A write makes a revision above the
// one before; a read returns the last write.
var model = porcupine.Model{
	Init: func() any { return register{} },
	Step: func(state, input, _ any) (bool, any) {
		held, o := state.(register), input.(Operation)
		next := register{o.Value, o.Revision}
		if o.Kind == Get {
			return held == next, held
		}
		return o.Revision > held.revision, next
	},
}

// checkKey looks for an order of one key's operations that agrees with both the
// clock and the model.
func checkKey(operations []Operation) error {
	// A write of unknown outcome that was read has happened, at the revision that
	// the reader saw. One that nobody ever read makes no difference to anybody,
	// whether it happened or not, and is left out.
	seen := make(map[string]uint64)
	for _, o := range operations {
		if o.Kind == Get && o.Outcome == Done && o.Revision != 0 {
			seen[o.Value] = o.Revision
		}
	}
	var calls []porcupine.Operation
	for _, o := range operations {
		end := int64(o.End)
		switch o.Outcome {
		case Rejected:
			continue
		case Unknown:
			revision, happened := seen[o.Value]
			if !happened {
				continue
			}
			o.Revision, end = revision, math.MaxInt64
		}
		calls = append(calls, porcupine.Operation{ClientId: o.Worker, Input: o, Call: int64(o.Start), Return: end})
	}
	switch porcupine.CheckOperationsTimeout(model, calls, checkTimeout) {
	case porcupine.Ok:
		return nil
	case porcupine.Illegal:
		return fmt.Errorf("no store with one copy answers like this:\n%s", list(operations))
	default:
		return fmt.Errorf("not decided within %v:\n%s", checkTimeout, list(operations))
	}
}

// list shows the last operations, a line each: what is wrong with a long history
// is mostly that its end doesn't follow from the rest.
func list(operations []Operation) string {
	var text strings.Builder
	if more := len(operations) - maxShown; more > 0 {
		fmt.Fprintf(&text, "\t(%d earlier)\n", more)
		operations = operations[more:]
	}
	for _, o := range operations {
		fmt.Fprintf(&text, "\t%v\n", o)
	}
	return text.String()
}
