package history

import (
	"fmt"
	"slices"
	"strings"
)

// Transaction changes several keys at one revision, or reads them as of one: what
// Then says if all conditions hold, and otherwise what Else says. A key stands in
// one operation of a branch at most.
type Transaction struct {
	If   []Condition `json:"if"`
	Then []Step      `json:"then"`
	Else []Step      `json:"else,omitempty"`
	// Succeeded tells that all conditions held.
	Succeeded bool `json:"succeeded,omitempty"`
	// Saw is what each step of the branch that was carried out found: of a get the
	// value and its revision, nothing of others. It is empty when nobody was told.
	Saw []Sight `json:"saw,omitempty"`
}

// Condition demands that a key is of a revision, or with 0 that there is no such
// key.
type Condition struct {
	Key      string `json:"key"`
	Revision uint64 `json:"revision,omitempty"`
}

// Step is one operation of a transaction: a Get, Put or Delete. A delete does
// nothing when there is no such key.
type Step struct {
	Kind  Kind   `json:"kind"`
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
}

// Sight is what was found at a key; revision 0 stands for no such key.
type Sight struct {
	Revision uint64 `json:"revision,omitempty"`
	Value    string `json:"value,omitempty"`
}

// Branch returns the steps that were carried out.
func (t *Transaction) Branch() []Step {
	if t.Succeeded {
		return t.Then
	}
	return t.Else
}

// String tells the transaction in one line.
func (t *Transaction) String() string {
	var text strings.Builder
	text.WriteString("txn if")
	for _, c := range t.If {
		fmt.Fprintf(&text, " %s=%d", c.Key, c.Revision)
	}
	text.WriteString(" then" + stepsText(t.Then) + " else" + stepsText(t.Else))
	if len(t.Saw) > 0 {
		fmt.Fprintf(&text, " (succeeded: %t, saw %v)", t.Succeeded, t.Saw)
	}
	return text.String()
}

func stepsText(steps []Step) (text string) {
	for _, s := range steps {
		text += fmt.Sprintf(" %s %s %q", s.Kind, s.Key, s.Value)
	}
	return text
}

// parts returns what the operation does to each of its keys: itself, unless it is a
// transaction. Conditions are no parts: see contents.
func (o Operation) parts() []Operation {
	if o.Kind != Txn {
		return []Operation{o}
	}
	steps, saw := o.Txn.Branch(), o.Txn.Saw
	switch o.Outcome {
	case Done:
	case Unknown:
		steps, saw = slices.Concat(o.Txn.Then, o.Txn.Else), nil
	default:
		return nil
	}
	var parts []Operation
	for i, s := range steps {
		part := o
		part.Txn, part.Kind, part.Key, part.Value = nil, s.Kind, s.Key, s.Value
		switch {
		case s.Kind == Delete:
			part.Kind = remove
		case s.Kind == Get && saw == nil:
			continue
		case s.Kind == Get:
			part.Revision, part.Value, part.Standing = saw[i].Revision, saw[i].Value, o.standing()
		}
		if s.Kind == Get || o.Outcome == Unknown || o.Revision != 0 {
			parts = append(parts, part)
		}
	}
	return parts
}

// standing returns the revision as of which the operation read, 0 when it isn't
// known. A transaction reads no key that it changes.
func (o Operation) standing() uint64 {
	if o.Kind == Txn && o.Revision != 0 {
		return o.Revision
	}
	return o.Standing
}

// parts returns the parts of all operations.
func parts(operations []Operation) []Operation {
	var all []Operation
	for _, o := range operations {
		all = append(all, o.parts()...)
	}
	return all
}

// values returns what the operation writes, or may have written.
func (o Operation) values() (values []string) {
	switch o.Kind {
	case Put, Swap:
		return []string{o.Value}
	case Txn:
		for _, s := range slices.Concat(o.Txn.Then, o.Txn.Else) {
			if s.Kind == Put {
				values = append(values, s.Value)
			}
		}
	}
	return values
}

// wroteElse reports whether a value is of the transaction's second branch.
func (t *Transaction) wroteElse(value string) bool {
	return slices.ContainsFunc(t.Else, func(s Step) bool { return s.Kind == Put && s.Value == value })
}

// resolve returns the operations with what readers tell of writes of unknown
// outcome: one whose value was read happened, at the revision that the reader saw,
// and before the reader had it.
func resolve(operations []Operation) []Operation {
	first := make(map[string]Operation) // the read of each value that ended first
	for _, o := range parts(operations) {
		if o.Kind != Get || o.Outcome != Done || o.Revision == 0 {
			continue
		}
		if other, ok := first[o.Value]; !ok || o.End < other.End {
			first[o.Value] = o
		}
	}
	resolved := slices.Clone(operations)
	for i := range resolved {
		o := &resolved[i]
		if o.Outcome != Unknown {
			continue
		}
		for _, value := range o.values() {
			read, ok := first[value]
			if !ok {
				continue
			}
			o.Outcome, o.Revision, o.End = Done, read.Revision, max(read.End, o.Start)
			if o.Kind == Txn {
				t := *o.Txn
				t.Succeeded, t.Saw = !t.wroteElse(value), nil
				o.Txn = &t
			}
			break
		}
	}
	return resolved
}
