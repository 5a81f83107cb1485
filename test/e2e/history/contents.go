package history

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
)

// version is what a change made of a key.
type version struct {
	revision uint64
	exists   bool
	value    string
}

// contents is what a history tells of what the store held, revision by revision:
// all changes whose revisions are known. It judges what was read as of a revision,
// of several keys or at any level, without a search: each key must be as the last
// change up to there made it. That the revisions are in the order of time is the
// matter of checkOrder, and both together mean that all happened as if one after
// the other.
type contents struct {
	versions map[string][]version
	// open holds the writes of unknown outcome, which may have changed a key at any
	// revision.
	open map[string][]Operation
}

// contentsOf gathers the changes of resolved operations.
func contentsOf(operations []Operation) *contents {
	c := &contents{map[string][]version{}, map[string][]Operation{}}
	for _, o := range parts(operations) {
		switch {
		case o.Acknowledged() && o.Revision != 0:
			c.versions[o.Key] = append(c.versions[o.Key], version{o.Revision, !o.deletes(), o.Value})
		case o.Outcome == Unknown && o.Kind != Get:
			c.open[o.Key] = append(c.open[o.Key], o)
		}
	}
	for _, versions := range c.versions {
		slices.SortStableFunc(versions, func(a, b version) int { return cmp.Compare(a.revision, b.revision) })
	}
	return c
}

// at returns what a key was made by the last known change up to a revision.
func (c *contents) at(key string, revision uint64) version {
	versions := c.versions[key]
	after := sort.Search(len(versions), func(i int) bool { return versions[i].revision > revision })
	if after == 0 {
		return version{}
	}
	return versions[after-1]
}

// mayHave reports whether a write of unknown outcome that was under way before o
// ended, or a delete of that kind, may have changed a key.
func (c *contents) mayHave(key string, o Operation, deletesOnly bool) bool {
	return slices.ContainsFunc(c.open[key], func(w Operation) bool { return w.Start <= o.End && (!deletesOnly || w.deletes()) })
}

// check judges all that was read as of a known revision, and all transactions.
func (c *contents) check(operations []Operation) []error {
	var problems []error
	for _, o := range parts(operations) {
		if !o.answered() || o.Standing == 0 {
			continue
		}
		if problem := c.checkSight(o); problem != "" {
			problems = append(problems, fmt.Errorf("%s:\n%v", problem, o))
		}
	}
	for _, o := range operations {
		if o.Kind != Txn {
			continue
		}
		if problem := c.checkConditions(o); problem != "" {
			problems = append(problems, fmt.Errorf("%s:\n%v", problem, o))
		}
	}
	return problems
}

// checkSight judges what a read saw.
func (c *contents) checkSight(o Operation) (problem string) {
	want := c.at(o.Key, o.Standing)
	switch {
	case o.absent() && want.exists && !c.mayHave(o.Key, o, true):
		return fmt.Sprintf("a read misses what revision %d wrote", want.revision)
	case !o.absent() && (!want.exists || want.revision != o.Revision || want.value != o.Value):
		return fmt.Sprintf("a read sees what was not there: last is known %+v", want)
	}
	return ""
}

// checkConditions judges which branch a transaction took.
func (c *contents) checkConditions(o Operation) (problem string) {
	before := o.Standing
	if o.Revision != 0 {
		before = o.Revision - 1
	}
	if o.Outcome != Done && o.Outcome != Conflict || before == 0 && o.Revision == 0 {
		return ""
	}
	certain := true // that all conditions hold
	for _, condition := range o.Txn.If {
		found := c.at(condition.Key, before)
		holds, mayHold := !found.exists, c.mayHave(condition.Key, o, true)
		if condition.Revision != 0 {
			holds = found.exists && found.revision == condition.Revision
			mayHold = found.revision < condition.Revision && c.mayHave(condition.Key, o, false)
		}
		if o.Outcome == Done && o.Txn.Succeeded && !holds && !mayHold {
			return fmt.Sprintf("a transaction succeeds although %s is %+v", condition.Key, found)
		}
		certain = certain && holds && !c.mayHave(condition.Key, o, false)
	}
	if certain && (o.Outcome == Conflict || !o.Txn.Succeeded) {
		return "a transaction fails although all its conditions hold"
	}
	return ""
}
