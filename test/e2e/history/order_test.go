package history

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// invent makes up what clients of one key see that overlap much, and how things
// really went: in the order in which it returns them. Each operation happens at its
// number, begins up to so much before and ends up to so much after.
func invent(r *rand.Rand, operations, overlap int) []Operation {
	var all []Operation
	var now held // what the key holds
	for i := range operations {
		o := Operation{Kind: Put, Key: "k", Value: fmt.Sprint("v", i), Outcome: Done}
		at := time.Duration(10 * i)
		o.Start, o.End = at-time.Duration(r.IntN(10*overlap)), at+time.Duration(r.IntN(10*overlap))
		switch r.IntN(6) {
		case 0, 1:
			o.Kind = Get
			o.Value, o.Revision = now.value, now.revision
			if !now.exists {
				o.Value, o.Revision, o.Outcome = "", 0, Absent
			}
		case 2:
			o.Kind, o.Value = Delete, ""
			if !now.exists {
				o.Outcome = Absent
			}
		case 3:
			o.Kind = Swap
			if now.exists {
				o.Demand, o.Demanded = now.revision, now.value
			}
			if r.IntN(2) == 0 { // It comes too late, or too early.
				o.Demand, o.Demanded = o.Demand+1, "other"
				o.Outcome, o.Revision = Conflict, 0
				if now.exists {
					o.Revision = now.revision
				}
			}
		}
		if o.Acknowledged() {
			o.Revision = uint64(100 + 10*i)
			now = held{exists: o.Kind != Delete, value: o.Value, revision: o.Revision}
		}
		all = append(all, o)
	}
	return all
}

// forget makes writes of unknown outcome of some.
func forget(r *rand.Rand, all []Operation) {
	for i := range all {
		if all[i].Acknowledged() && r.IntN(3) == 0 {
			all[i] = lost(all[i])
		}
	}
}

// spoil changes what somebody says.
func spoil(r *rand.Rand, all []Operation) {
	o, other := &all[r.IntN(len(all))], &all[r.IntN(len(all))]
	switch r.IntN(5) {
	case 0: // They saw each other's.
		o.Revision, other.Revision = other.Revision, o.Revision
		if o.Kind == Get && other.Kind == Get {
			o.Value, other.Value = other.Value, o.Value
			o.Outcome, other.Outcome = other.Outcome, o.Outcome
		}
	case 1: // It happened elsewhere.
		o.Start, o.End = other.Start, other.End
	case 2: // It began after it had happened.
		o.Start = o.End
	case 3: // It did not happen.
		o.Outcome, o.Revision = Rejected, 0
	default: // It found nothing.
		if o.Kind == Get || o.Kind == Delete {
			o.Outcome, o.Revision, o.Value = Absent, 0, ""
		}
	}
}

func TestOrderOfRevisionsAgreesWithSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var proven, searched, refused int
	for round := range 10_000 {
		all := invent(r, 2+r.IntN(9), 1+r.IntN(5))
		if round%3 == 1 {
			forget(r, all)
		}
		for range r.IntN(3) {
			spoil(r, all)
		}
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		order, ok := ordered(calls(all))
		ok = ok && follows(order)
		found := porcupine.CheckOperations(model, calls(all))
		switch {
		case ok && !found:
			t.Fatalf("an order proves what no search finds:\n%s", list(all))
		case !ok && found && !slices.ContainsFunc(calls(all), unplaced):
			t.Fatalf("a search finds an order, and every revision is known:\n%s", list(all))
		case ok:
			proven++
		case found:
			searched++
		default:
			refused++
		}
		if got := judge(all, checkTimeout); (got == porcupine.Ok) != found {
			t.Fatalf("judged %v, and a search finds %t:\n%s", got, found, list(all))
		}
	}
	t.Logf("%d proven by their revisions, %d by a search only, %d refused", proven, searched, refused)
	for _, n := range []int{proven, searched, refused} {
		if n < 300 {
			t.Errorf("%d histories of one kind show little", n)
		}
	}
}

func TestOrderOfRevisionsProvesWhatHappened(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		all := invent(r, 2+r.IntN(60), 1+r.IntN(50))
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if order, ok := ordered(calls(all)); !ok || !follows(order) {
			t.Fatalf("not proven:\n%s", list(all))
		}
	}
}

func TestOrderIsNoProofWhen(t *testing.T) {
	for name, order := range map[string][]Operation{
		"a read is stale":                    {put("a", 0, 1, 1), get("a", 4, 5, 1), put("b", 2, 3, 2)},
		"a write is lost":                    {put("a", 0, 1, 1), put("b", 2, 3, 2), get("a", 4, 5, 1)},
		"a write happens twice":              {put("a", 0, 1, 1), put("b", 0, 9, 2), get("b", 2, 3, 2), put("a", 0, 1, 1), get("a", 4, 5, 1)},
		"writes are in another order":        {put("b", 2, 3, 2), put("a", 0, 1, 1)},
		"revisions are in another order":     {put("b", 0, 9, 2), put("a", 0, 9, 1)},
		"a read comes before its write":      {get("a", 0, 9, 1), put("a", 0, 9, 1)},
		"a read ended before its write":      {put("a", 2, 3, 1), get("a", 0, 1, 1)},
		"an operation ends before it begins": {put("a", 2, 1, 1)},
	} {
		var all []porcupine.Operation
		for _, o := range order {
			all = append(all, porcupine.Operation{Input: o, Call: int64(o.Start), Return: int64(o.End)})
		}
		if follows(all) {
			t.Errorf("%s, and it is", name)
		}
	}
}

// crowd is many writes under way all at the same time, as they are after a long
// cut, in no order, and reads of some.
func crowd() []Operation {
	const writes = 70
	var all []Operation
	for i := range writes {
		number := i * 29 % writes
		all = append(all, put(fmt.Sprint("v", number), time.Duration(i), time.Duration(1000+number), uint64(1+number)))
	}
	for number := 0; number < writes; number += 5 {
		all = append(all, get(fmt.Sprint("v", number), time.Duration(500+number), time.Duration(999+number), uint64(1+number)))
	}
	return all
}

func TestACrowdOfWritesIsDecidedWithoutASearch(t *testing.T) {
	const limit = time.Millisecond // A search among them would not end.
	all := crowd()
	if got := judge(all, limit); got != porcupine.Ok {
		t.Errorf("a good history: %v", got)
	}
	all = append(all, get("v68", 2000, 2001, 69))
	if got := judge(all, limit); got != porcupine.Illegal {
		t.Errorf("a stale read at its end: %v", got)
	}
	all[len(all)-1] = get("v69", 2000, 2001, 70)
	all = append(all, lost(del(0, 2002, 0)), lost(put("x", 0, 2003, 0)), lost(swap(put("y", 0, 2004, 0), "v3", 4)))
	if got := judge(all, limit); got != porcupine.Ok {
		t.Errorf("a good history with unknown writes that nobody saw: %v", got)
	}
}

func TestASearchThatIsTooLongIsNoFault(t *testing.T) {
	all := append(crowd(), lost(put("x", 0, 2001, 0)), met(swap(put("y", 2002, 2003, 0), "v3", 4), 99))
	if err := (&History{Operations: all}).checkWithin(time.Millisecond); !errors.Is(err, ErrUndecided) {
		t.Errorf("a conflict with a write of unknown outcome, after a crowd: got %v, want %v", err, ErrUndecided)
	}
}
