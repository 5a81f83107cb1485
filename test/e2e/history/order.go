package history

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// judge tells whether a store with one copy could have given one key's answers.
//
// The revisions mostly tell the order in which things happened, and an order is a
// proof, however it was come by: it only has to be gone through. Where it is none,
// and the revision of some write isn't known, another may be, and porcupine
// searches for it. Porcupine learns of revisions only by trying: among dozens of
// writes that overlap, as clients leave them behind that give up on a node that is
// cut off, it has every subset to try, and would not come to an end.
func judge(operations []Operation, limit time.Duration) porcupine.CheckResult {
	all := calls(operations)
	switch order, ok := ordered(all); {
	case ok && follows(order):
		return porcupine.Ok
	case !slices.ContainsFunc(all, unplaced):
		return porcupine.Illegal // There is no other order: see ordered.
	default:
		return porcupine.CheckOperationsTimeout(model, all, limit)
	}
}

// unplaced reports whether a call is a write that has no revision.
func unplaced(one porcupine.Operation) bool {
	o := one.Input.(Operation)
	return o.Outcome == Unknown || o.Acknowledged() && o.Revision == 0
}

// follows reports whether an order is a proof: each call can have gone as it did
// after those before it, and none had ended when one before it began.
func follows(order []porcupine.Operation) bool {
	state, latest := model.Init(), int64(math.MinInt64)
	for _, one := range order {
		latest = max(latest, one.Call)
		ok, next := model.Step(state, one.Input, nil)
		if !ok || one.Return < latest {
			return false
		}
		state = next
	}
	return true
}

// ordered returns one key's calls in the order that their revisions tell: the
// writes by revision, and each of the others right after the write that it saw.
// Who found nothing comes as early as it may, once the key doesn't exist. Writes of
// unknown outcome are at the end, as if they had never happened. It is not ok when
// there is no such place.
//
// If every write has a revision, then the calls have no other order unless they
// have this one. Writes and those who saw them have no choice, and wherever
// somebody who found nothing may be, being there earlier forbids nobody anything.
func ordered(all []porcupine.Operation) (order []porcupine.Operation, ok bool) {
	type placed struct {
		porcupine.Operation
		place int
	}
	began := make([]*placed, len(all))
	for i, one := range all {
		began[i] = &placed{Operation: one}
	}
	slices.SortStableFunc(began, func(a, b *placed) int { return cmp.Compare(a.Call, b.Call) })
	ended := slices.SortedFunc(slices.Values(began), func(a, b *placed) int { return cmp.Compare(a.Return, b.Return) })
	changes := changesOf(all)
	earliest := 0
	for _, one := range began {
		for ; len(ended) > 0 && ended[0].Return < one.Call; ended = ended[1:] {
			earliest = max(earliest, ended[0].place)
		}
		if one.place, ok = changes.place(one.Input.(Operation), earliest); !ok {
			return nil, false
		}
	}
	slices.SortStableFunc(began, func(a, b *placed) int { return cmp.Compare(a.place, b.place) })
	for _, one := range began {
		order = append(order, one.Operation)
	}
	return order, true
}

// changes are the writes of one key whose revisions are known, by revision. The
// place of the n-th is 2n-1, the place of what comes between it and the next is
// 2n, and 0 is the place before all of them.
type changes []Operation

func changesOf(all []porcupine.Operation) changes {
	var writes changes
	for _, one := range all {
		if o := one.Input.(Operation); o.Acknowledged() {
			writes = append(writes, o)
		}
	}
	slices.SortStableFunc(writes, compareRevisions)
	return writes
}

func compareRevisions(a, b Operation) int { return cmp.Compare(a.Revision, b.Revision) }

// place returns where an operation belongs that may not come before the earliest
// place.
func (c changes) place(o Operation, earliest int) (place int, ok bool) {
	switch {
	case o.Outcome == Unknown:
		return 2*len(c) + 1, true
	case o.absent(), o.Outcome == Conflict && o.Revision == 0:
		for n := (earliest + 1) / 2; n <= len(c); n++ {
			if n == 0 || c[n-1].deletes() {
				return 2 * n, true
			}
		}
		return 0, false
	}
	before, ok := slices.BinarySearchFunc(c, o, compareRevisions)
	if o.Acknowledged() {
		return 2*before + 1, ok
	}
	return 2*before + 2, ok
}
