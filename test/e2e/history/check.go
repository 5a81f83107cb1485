package history

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// checkTimeout bounds the search for an order of one key's operations. Where
// every write has a revision there is no search; one that is long takes gigabytes
// a minute.
const checkTimeout = 30 * time.Second

// ErrUndecided says that the search for an order took too long. It is no fault,
// and no proof that there is none.
var ErrUndecided = errors.New("not decided in time, nor is any key after it")

// maxShown bounds how many operations a complaint lists, and how many complaints
// Check makes.
const maxShown = 20

// Check reports every key whose operations no store with one copy could have
// answered, and everything whose revision doesn't fit the order in time. The
// history must be whole: a value that was read and that nobody in it wrote is a
// fault. Judging ends at the first key that can't be decided in time; when nothing
// else is wrong, the error is ErrUndecided. A key all of whose writes have a
// revision is always decided.
//
// To prove that nothing acknowledged was lost, append a read of every key that
// was made after all the rest.
func (h *History) Check() error { return h.checkWithin(checkTimeout) }

// checkWithin is Check with another limit for each key's search.
func (h *History) checkWithin(limit time.Duration) error {
	operations := resolve(h.Operations)
	problems := slices.Concat(repeatedValues(operations), checkOrder(operations), contentsOf(operations).check(operations))
	var undecided error
	byKey := h.byKey()
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		result := judge(byKey[key], limit)
		if result == porcupine.Ok {
			continue
		}
		if result == porcupine.Unknown {
			undecided = fmt.Errorf("key %s: %w", key, ErrUndecided)
			break
		}
		problems = append(problems, fmt.Errorf("key %s: no store with one copy answers like this:\n%s", key, list(byKey[key])))
	}
	if len(problems) == 0 {
		return undecided
	}
	if more := len(problems) - maxShown; more > 0 {
		problems = append(problems[:maxShown], fmt.Errorf("and %d more", more))
	}
	return errors.Join(problems...)
}

// byKey returns what was done to each key, other reads than linear ones left out:
// those are free to see what was.
func (h *History) byKey() map[string][]Operation {
	byKey := make(map[string][]Operation)
	for _, o := range parts(resolve(h.Operations)) {
		if o.Level == "" {
			byKey[o.Key] = append(byKey[o.Key], o)
		}
	}
	return byKey
}

// repeatedValues complains of two writes with one value. They prove nothing: a
// reader can't tell them apart.
func repeatedValues(operations []Operation) []error {
	var problems []error
	values := make(map[string]Operation)
	for _, o := range operations {
		for _, value := range o.values() {
			if before, twice := values[value]; twice {
				problems = append(problems, fmt.Errorf("two writes of one value prove nothing:\n%v\n%v", before, o))
			}
			values[value] = o
		}
	}
	return problems
}

// checkOrder compares revisions with the order in time, over all keys: each is
// given to one write, a write's is above everything that was known to anyone
// before the write began, and a read is of a revision at least as high as what was
// known to anyone by the moment that it answers for.
func checkOrder(operations []Operation) []error {
	var problems []error
	byRevision := make(map[uint64]Operation)
	var timed []Operation
	for _, o := range operations {
		if o.Acknowledged() {
			if other, twice := byRevision[o.Revision]; twice {
				problems = append(problems, fmt.Errorf("two writes have one revision:\n%v\n%v", other, o))
			}
			byRevision[o.Revision] = o
		}
		if o.Kind == Get && o.Standing != 0 && o.Revision > o.Standing {
			problems = append(problems, fmt.Errorf("a read of the future:\n%v", o))
		}
		if o.Level == Session && o.answered() && o.Standing < o.Demand {
			problems = append(problems, fmt.Errorf("a session goes back:\n%v", o))
		}
		if o.proves() != 0 {
			timed = append(timed, o)
		}
	}
	ended := slices.SortedFunc(slices.Values(timed), func(a, b Operation) int { return cmp.Compare(a.End, b.End) })
	slices.SortFunc(timed, func(a, b Operation) int { return cmp.Compare(a.answersFor(), b.answersFor()) })
	var newest Operation // of those that had ended
	for _, o := range timed {
		for len(ended) > 0 && ended[0].End < o.answersFor() {
			if ended[0].proves() > newest.proves() {
				newest = ended[0]
			}
			ended = ended[1:]
		}
		floor := newest.proves()
		if !o.Acknowledged() && o.Standing != 0 && o.Standing < floor || o.Acknowledged() && o.Revision <= floor {
			problems = append(problems, fmt.Errorf("revisions go back:\n%v\n%v", newest, o))
		}
	}
	return problems
}

// proves returns the revision that the store certainly had reached when the
// operation ended, 0 when it says nothing of that.
func (o Operation) proves() uint64 {
	switch {
	case o.answered():
		return max(o.Standing, o.Revision)
	case o.Acknowledged():
		return o.Revision
	case o.Kind == Txn && o.Outcome == Done:
		return o.Standing
	default:
		return 0
	}
}

// answersFor returns the moment up to which the operation has to know everything
// that anybody knew: its beginning, or as long before it as a read may be old, and
// says that it is. A read that says nothing of its age need know nothing.
func (o Operation) answersFor() time.Duration {
	switch {
	case o.Level == Bounded && (o.Age < 0 || o.Bound < o.Age):
		return o.Start - o.Bound
	case o.Level != "" && o.Age < 0:
		return math.MinInt64
	default:
		return o.Start - o.Age
	}
}

// calls returns one key's operations in porcupine's form.
func calls(operations []Operation) []porcupine.Operation {
	operations = resolve(operations)
	// written and read, and nothing else
	plain := !slices.ContainsFunc(operations, func(o Operation) bool { return o.Kind != Put && o.Kind != Get })
	var all []porcupine.Operation
	for _, o := range operations {
		end := int64(o.End)
		switch {
		case o.Outcome == Rejected:
			continue
		case o.Outcome == Unknown && plain:
			continue // Nobody can have noticed whether it happened, and many of them cost a long search.
		case o.Outcome == Unknown:
			end = math.MaxInt64
		}
		all = append(all, porcupine.Operation{ClientId: o.Worker, Input: o, Call: int64(o.Start), Return: end})
	}
	return all
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

// Keep writes the history into a directory: history.txt lists the operations in
// the order in which they began, and history.html shows what was found of an
// order of the operations of each key.
func (h *History) Keep(dir string) error {
	ordered := slices.SortedFunc(slices.Values(h.Operations), func(a, b Operation) int { return cmp.Compare(a.Start, b.Start) })
	var text strings.Builder
	for _, o := range ordered {
		fmt.Fprintln(&text, o)
	}
	if err := os.WriteFile(filepath.Join(dir, "history.txt"), []byte(text.String()), 0o600); err != nil {
		return err
	}
	whole := model
	whole.Partition = partition
	var all []porcupine.Operation
	for _, operations := range h.byKey() {
		all = append(all, calls(operations)...)
	}
	_, info := porcupine.CheckOperationsVerbose(whole, all, checkTimeout)
	return porcupine.VisualizePath(whole, info, filepath.Join(dir, "history.html"))
}

// partition splits operations by key.
func partition(all []porcupine.Operation) [][]porcupine.Operation {
	byKey := make(map[string][]porcupine.Operation)
	for _, one := range all {
		key := one.Input.(Operation).Key
		byKey[key] = append(byKey[key], one)
	}
	return slices.Collect(maps.Values(byKey))
}
