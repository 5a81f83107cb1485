package history

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// txn makes a transaction that takes from start to end, succeeds and changes
// something at a revision.
func txn(start, end time.Duration, revision uint64, t Transaction) Operation {
	t.Succeeded = true
	return Operation{Kind: Txn, Start: start, End: end, Revision: revision, Outcome: Done, Txn: &t}
}

// elsewise makes a transaction that fails and reads as of a revision.
func elsewise(start, end time.Duration, standing uint64, t Transaction) Operation {
	return Operation{Kind: Txn, Start: start, End: end, Standing: standing, Outcome: Done, Txn: &t}
}

// Steps and conditions in few words.
func puts(key, value string) Step              { return Step{Put, key, value} }
func gets(key string) Step                     { return Step{Get, key, ""} }
func dels(key string) Step                     { return Step{Delete, key, ""} }
func steps(all ...Step) []Step                 { return all }
func saw(all ...Sight) []Sight                 { return all }
func is(key string, revision uint64) Condition { return Condition{key, revision} }
func when(all ...Condition) []Condition        { return all }

// at makes a read one of another level, of the store as of a revision.
func at(level Level, standing uint64, o Operation) Operation {
	o.Level, o.Standing, o.Age = level, standing, -1
	return o
}

// aged is a read that says how old it is.
func aged(age time.Duration, o Operation) Operation {
	o.Age = age
	return o
}

// within is a bounded read as of a revision.
func within(bound time.Duration, standing uint64, o Operation) Operation {
	o = at(Bounded, standing, o)
	o.Bound = bound
	return o
}

// demanding is a session read that demands a revision.
func demanding(revision uint64, o Operation) Operation {
	o.Demand = revision
	return o
}

func TestCheckAcceptsWhatTransactionsMayAnswer(t *testing.T) {
	both := Transaction{Then: steps(puts("k", "a"), puts("l", "b"))}
	for name, operations := range map[string][]Operation{
		"two keys at once":             {txn(1, 2, 5, both), get("a", 3, 4, 5), on("l", get("b", 3, 4, 5))},
		"a put and a delete":           {put("x", 0, 1, 1), txn(2, 3, 2, Transaction{Then: steps(dels("k"), puts("l", "b"))}), absent(Get, 4, 5), on("l", get("b", 4, 5, 2))},
		"a delete of nothing":          {txn(2, 3, 2, Transaction{Then: steps(dels("k"), puts("l", "b"))}), absent(Get, 4, 5), put("c", 6, 7, 3)},
		"conditions that hold":         {put("x", 0, 1, 1), txn(2, 3, 2, Transaction{If: when(is("k", 1), is("l", 0)), Then: steps(puts("k", "a"))})},
		"one that fails":               {put("x", 0, 1, 1), elsewise(2, 3, 1, Transaction{If: when(is("k", 0)), Then: steps(puts("k", "a")), Else: steps(gets("k")), Saw: saw(Sight{1, "x"})})},
		"one that reads":               {put("x", 0, 1, 1), txn(2, 3, 7, Transaction{Then: steps(gets("k"), gets("m"), puts("l", "a")), Saw: saw(Sight{1, "x"}, Sight{}, Sight{})})},
		"one that is refused":          {put("x", 0, 1, 1), of(1, failed(txn(2, 3, 0, Transaction{If: when(is("k", 0)), Then: steps(puts("k", "a"))}), Conflict))},
		"one never heard of":           {put("x", 0, 1, 1), lost(txn(2, 3, 0, both)), get("x", 4, 5, 1)},
		"one that shows late":          {put("x", 0, 1, 1), lost(txn(2, 3, 0, both)), of(1, get("x", 4, 5, 1)), of(2, get("a", 6, 7, 2)), of(2, on("l", get("b", 6, 7, 2)))},
		"one that may have deleted":    {put("x", 0, 1, 1), lost(txn(2, 3, 0, Transaction{Then: steps(dels("k"), puts("l", "b"))})), of(2, absent(Get, 4, 5))},
		"one of which else happened":   {lost(txn(1, 2, 0, Transaction{If: when(is("k", 9)), Then: steps(puts("k", "a")), Else: steps(puts("k", "b"), puts("l", "c"))})), of(3, get("b", 4, 5, 3)), of(3, on("l", get("c", 4, 5, 3)))},
		"old reads that don't deny it": {put("x", 0, 1, 1), put("y", 2, 3, 2), at(Local, 1, get("x", 4, 5, 1)), at(Session, 1, get("x", 4, 5, 1)), within(4, 1, get("x", 5, 6, 1)), aged(4, at(Local, 1, get("x", 5, 6, 1)))},
		"a session that goes on":       {put("x", 0, 1, 1), put("y", 2, 3, 2), demanding(2, at(Session, 2, get("y", 4, 5, 2)))},
		"an old read of what is gone":  {put("x", 0, 1, 1), del(2, 3, 2), at(Local, 1, get("x", 4, 5, 1)), at(Local, 2, absent(Get, 6, 7))},
	} {
		if err := (&History{Operations: operations}).Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckFindsEveryFaultOfTransactionsAndLevels(t *testing.T) {
	both := Transaction{Then: steps(puts("k", "a"), puts("l", "b"))}
	const missed, never, back = "a read misses", "a read sees what was not there", "revisions go back"
	for name, c := range map[string]struct {
		operations []Operation
		want       string
	}{
		"half of it is lost":              {[]Operation{txn(1, 2, 5, both), of(5, get("a", 3, 4, 5)), of(5, on("l", absent(Get, 3, 4)))}, missed},
		"half of one that shows is lost":  {[]Operation{lost(txn(1, 2, 0, both)), of(5, get("a", 3, 4, 5)), of(5, on("l", absent(Get, 3, 4)))}, missed},
		"halves at two revisions":         {[]Operation{lost(txn(1, 2, 0, both)), of(6, get("a", 3, 4, 5)), of(6, on("l", get("b", 3, 4, 6)))}, never},
		"both branches":                   {[]Operation{lost(txn(1, 2, 0, Transaction{If: when(is("m", 9)), Then: steps(puts("k", "a")), Else: steps(puts("l", "b"))})), of(5, get("a", 3, 4, 5)), of(5, on("l", get("b", 3, 4, 5)))}, never},
		"a condition that doesn't hold":   {[]Operation{put("x", 0, 1, 1), txn(2, 3, 2, Transaction{If: when(is("k", 0)), Then: steps(puts("l", "a"))})}, "succeeds although"},
		"an old condition":                {[]Operation{put("x", 0, 1, 1), put("y", 2, 3, 2), txn(4, 5, 3, Transaction{If: when(is("k", 1)), Then: steps(puts("l", "a"))})}, "succeeds although"},
		"another came between":            {[]Operation{put("x", 0, 1, 1), put("y", 2, 9, 2), txn(2, 9, 3, Transaction{If: when(is("k", 1)), Then: steps(puts("l", "a"))})}, "succeeds although"},
		"a failure without a cause":       {[]Operation{put("x", 0, 1, 1), elsewise(2, 3, 1, Transaction{If: when(is("k", 1)), Then: steps(puts("l", "a")), Else: steps(gets("k")), Saw: saw(Sight{1, "x"})})}, "fails although"},
		"a refusal without a cause":       {[]Operation{put("x", 0, 1, 1), of(1, failed(txn(2, 3, 0, Transaction{If: when(is("k", 1)), Then: steps(puts("l", "a"))}), Conflict))}, "fails although"},
		"a get of before":                 {[]Operation{put("x", 0, 1, 1), put("y", 2, 9, 2), txn(2, 9, 3, Transaction{Then: steps(gets("k"), puts("l", "a")), Saw: saw(Sight{1, "x"}, Sight{})})}, never},
		"a transaction that reads of old": {[]Operation{put("x", 0, 1, 1), put("y", 2, 3, 2), elsewise(4, 5, 1, Transaction{If: when(is("k", 0)), Then: steps(puts("l", "a")), Else: steps(gets("k")), Saw: saw(Sight{1, "x"})})}, back},
		"one revision for two":            {[]Operation{put("x", 0, 9, 1), txn(0, 9, 1, Transaction{Then: steps(puts("l", "a"))})}, "two writes have one revision"},
		"a value of two transactions":     {[]Operation{txn(0, 1, 1, both), txn(2, 3, 2, both)}, "two writes of one value"},
		"a transaction that is lost":      {[]Operation{txn(1, 2, 5, both), get("", 3, 4, 0)}, "key k: no store"},

		"a session that goes back":               {[]Operation{put("x", 0, 1, 1), put("y", 2, 3, 2), demanding(2, at(Session, 1, get("x", 4, 5, 1)))}, "a session goes back"},
		"a session that sees what never was":     {[]Operation{put("x", 0, 1, 1), put("y", 2, 3, 2), at(Session, 2, get("x", 4, 5, 1))}, never},
		"a local read of two revisions":          {[]Operation{put("x", 0, 1, 1), on("l", put("y", 2, 3, 2)), at(Local, 2, absent(Get, 4, 5))}, missed},
		"a local read that sees what is deleted": {[]Operation{put("x", 0, 1, 1), del(2, 3, 2), at(Local, 2, get("x", 4, 5, 1))}, never},
		"an age that is understated":             {[]Operation{put("x", 0, 1, 1), put("y", 2, 3, 2), aged(1, at(Local, 1, get("x", 5, 6, 1)))}, back},
		"an age of zero that is understated":     {[]Operation{put("x", 0, 1, 1), put("y", 2, 3, 2), aged(0, at(Session, 1, get("x", 5, 6, 1)))}, back},
		"a bound that is passed":                 {[]Operation{put("x", 0, 1, 1), put("y", 2, 3, 2), within(1, 1, get("x", 5, 6, 1))}, back},
		"a bounded read of a smaller age":        {[]Operation{put("x", 0, 1, 1), put("y", 2, 3, 2), aged(1, within(9, 1, get("x", 5, 6, 1)))}, back},
		"a linear read after a local one":        {[]Operation{put("x", 0, 1, 1), put("y", 2, 9, 2), at(Local, 2, get("y", 3, 4, 2)), of(1, get("x", 5, 6, 1))}, back},
	} {
		err := (&History{Operations: c.operations}).Check()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want it to mention %q", name, err, c.want)
		}
	}
}

// together makes up what clients of some keys see that use transactions too, and
// reads of all levels, and forgets the outcomes of some.
func together(r *rand.Rand, operations int) []Operation {
	keys := []string{"k", "l", "m"}
	states := []map[string]Sight{{}}
	var all []Operation
	for i := range operations {
		now := states[len(states)-1]
		next := map[string]Sight{}
		for key, sight := range now {
			next[key] = sight
		}
		key, other := keys[r.IntN(3)], keys[r.IntN(3)]
		revision := uint64(len(states))
		moment := time.Duration(10 * i)
		o := Operation{Worker: i, Kind: Get, Key: key, Start: moment - 1, End: moment + 1, Outcome: Done}
		switch r.IntN(6) {
		case 0:
			o.Kind, o.Value, o.Revision = Put, fmt.Sprint("v", i), revision
			next[key] = Sight{revision, o.Value}
		case 1, 2:
			t := Transaction{If: when(is(key, now[key].Revision)), Then: steps(puts(key, fmt.Sprint("v", i))), Else: steps(gets(key))}
			if other != key {
				t.If, t.Then = append(t.If, is(other, now[other].Revision)), append(t.Then, dels(other))
			}
			o.Key, o.Kind, o.Txn = "", Txn, &t
			if t.Succeeded = r.IntN(3) > 0; t.Succeeded {
				o.Revision = revision
				next[key] = Sight{revision, t.Then[0].Value}
				if other != key {
					delete(next, other)
				}
			} else {
				t.If[0].Revision += 1000
				t.Saw, o.Standing = saw(now[key]), revision-1
			}
		case 3:
			standing := r.IntN(len(states))
			o = at(Local, uint64(standing), o)
			o.Revision, o.Value = states[standing][key].Revision, states[standing][key].Value
		default:
			o.Revision, o.Value, o.Standing = now[key].Revision, now[key].Value, revision-1
		}
		if o.Acknowledged() {
			states = append(states, next)
			if r.IntN(4) == 0 {
				o = lost(o)
			}
		}
		all = append(all, o)
	}
	return all
}

func TestCheckAcceptsRandomTransactionsAndFindsTheirSpoiledReads(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	spoiled := 0
	for range 500 {
		all := together(r, 40)
		if err := (&History{Operations: all}).Check(); err != nil {
			t.Fatalf("a good history: %v\n%s", err, list(all))
		}
		// What an acknowledged write made has no other revision.
		known := map[uint64]bool{}
		for _, o := range all {
			known[o.Revision] = known[o.Revision] || o.Acknowledged()
		}
		for i, o := range all {
			if o.Kind == Get && known[o.Revision] {
				all[i].Revision++
				if err := (&History{Operations: all}).Check(); err == nil {
					t.Fatalf("a read of another revision passes: %v\n%s", all[i], list(all))
				}
				spoiled++
				break
			}
		}
	}
	if spoiled < 400 {
		t.Errorf("only %d histories were spoiled", spoiled)
	}
}
