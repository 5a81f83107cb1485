//go:build linux

package e2e

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// checkTimeout bounds the search for an order of one history's operations.
const checkTimeout = 60 * time.Second

// problemsShown bounds how many problems besides that of the order a test shows.
const problemsShown = 10

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
func (s held) satisfies(o operation) bool {
	if o.demand == 0 {
		return !s.exists
	}
	return s.isAt(o.demand) && s.value == o.demanded
}

// keyModel is what one key of a store with one copy would answer.
var keyModel = porcupine.Model{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, one := range all {
			key := one.Input.(operation).key
			byKey[key] = append(byKey[key], one)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init:              func() any { return held{} },
	Step:              func(state, input, _ any) (bool, any) { return step(state.(held), input.(operation)) },
	DescribeOperation: func(input, _ any) string { return input.(operation).String() },
}

// step tells whether an operation can have gone as it did on a key that holds s,
// and what the key holds then.
func step(s held, o operation) (bool, any) {
	switch {
	case o.effect == effectUnknown:
		return stepUnknown(s, o)
	case o.effect == effectAbsent:
		return !s.exists, s
	case o.effect == effectConflict && o.revision == 0:
		return !s.exists && o.demand != 0, s
	case o.effect == effectConflict && o.revision == o.demand:
		return false, s
	case o.effect == effectConflict:
		return s.seenAt(o.revision)
	case o.verb == verbGet:
		if s.value != o.value {
			return false, s
		}
		return s.seenAt(o.revision)
	case o.verb == verbDelete && !s.exists, o.verb == verbSwap && !s.satisfies(o):
		return false, s
	default:
		return s.changed(o.verb != verbDelete, o.value, o.revision)
	}
}

// stepUnknown does what a write does that nobody told the outcome of. If it never
// happened, its place is after everything else.
func stepUnknown(s held, o operation) (bool, any) {
	if o.verb == verbDelete && !s.exists || o.verb == verbSwap && !s.satisfies(o) {
		return true, s
	}
	if o.verb == verbSwap && o.demand != 0 {
		s.revision, s.exact = o.demand, true
	}
	return s.changed(o.verb != verbDelete, o.value, o.revision)
}

// calls returns the operations in porcupine's form.
func (r *record) calls() []porcupine.Operation {
	// A value that was read was written: at the revision that the reader saw, and
	// before the reader had it.
	type sight struct {
		revision uint64
		end      time.Duration
	}
	seen := map[string]sight{}
	for _, o := range r.operations {
		if o.verb == verbGet && o.effect == effectDone {
			if first, ok := seen[o.value]; !ok || o.end < first.end {
				seen[o.value] = sight{o.revision, o.end}
			}
		}
	}
	calls := make([]porcupine.Operation, 0, len(r.operations))
	for _, o := range r.operations {
		end := int64(o.end)
		if o.effect == effectUnknown {
			end = math.MaxInt64
			if first, ok := seen[o.value]; ok && o.verb != verbDelete {
				o.effect, o.revision, end = effectDone, first.revision, max(int64(first.end), int64(o.call))
			}
		}
		calls = append(calls, porcupine.Operation{ClientId: o.client, Input: o, Call: int64(o.call), Return: end})
	}
	return calls
}

// check fails the test unless a store with one copy could have given the history.
func (r *record) check(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, problem := range slices.Concat(r.faults, revisionProblems(r.operations)) {
		if i == problemsShown {
			t.Error("and more of the kind")
			break
		}
		t.Error(problem)
	}
	result, info := porcupine.CheckOperationsVerbose(keyModel, r.calls(), checkTimeout)
	switch result {
	case porcupine.Illegal:
		t.Error("the history is not linearizable")
	case porcupine.Unknown:
		t.Errorf("the history could not be judged within %v", checkTimeout)
	}
	if t.Failed() {
		r.keep(t, info)
	}
}

// keep writes the history into files that outlive the test, and tells where.
func (r *record) keep(t *testing.T, info porcupine.LinearizationInfo) {
	dir, err := os.MkdirTemp(os.Getenv("CONCLAVE_E2E_ARTIFACTS"), strings.ReplaceAll(t.Name(), "/", "-")+"-")
	if err != nil {
		t.Errorf("keep the history: %v", err)
		return
	}
	text, picture := filepath.Join(dir, "history.txt"), filepath.Join(dir, "history.html")
	if err := os.WriteFile(text, []byte(r.dump()), 0o600); err != nil {
		t.Errorf("keep the history: %v", err)
	}
	if err := porcupine.VisualizePath(keyModel, info, picture); err != nil {
		t.Errorf("draw the history: %v", err)
	}
	t.Logf("the history: %s\nto look at:  %s", text, picture)
}

// revisionProblems compares revisions with the order in time, over all keys: each
// is given to one write, a write's is above everything that was known to anyone
// before the write began, and a read is of a revision at least as high as that.
func revisionProblems(operations []operation) []string {
	var problems []string
	byRevision := map[uint64]operation{}
	var timed []operation
	for _, o := range operations {
		if o.acknowledged() {
			if other, twice := byRevision[o.revision]; twice {
				problems = append(problems, fmt.Sprintf("two writes have one revision:\n%v\n%v", other, o))
			}
			byRevision[o.revision] = o
		}
		if o.verb == verbGet && o.revision > o.standing {
			problems = append(problems, fmt.Sprintf("a read of the future: %v", o))
		}
		if o.acknowledged() || o.verb == verbGet {
			timed = append(timed, o)
		}
	}
	ended := slices.SortedFunc(slices.Values(timed), func(a, b operation) int { return cmp.Compare(a.end, b.end) })
	slices.SortFunc(timed, func(a, b operation) int { return cmp.Compare(a.call, b.call) })
	var newest operation
	for _, o := range timed {
		for len(ended) > 0 && ended[0].end < o.call {
			if ended[0].proves() > newest.proves() {
				newest = ended[0]
			}
			ended = ended[1:]
		}
		if floor := newest.proves(); o.verb == verbGet && o.standing < floor || o.verb != verbGet && o.revision <= floor {
			problems = append(problems, fmt.Sprintf("revisions go back:\n%v\n%v", newest, o))
		}
	}
	return problems
}

// proves returns the revision that the store certainly had reached when the
// operation ended.
func (o operation) proves() uint64 {
	if o.verb == verbGet {
		return o.standing
	}
	return o.revision
}
