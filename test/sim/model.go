package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/conclave-dev/conclave/pkg/config"
	"github.com/conclave-dev/conclave/test/e2e/history"
)

// model is the store as the contract has it, told by what clients meant to do and
// not by their commands. It does what comes first in the log, and each result and
// all that a watch tells is compared with it.
type model struct {
	revision uint64
	// keys holds what each key was made, in the order of revisions.
	keys map[string][]change
	// revisions holds the changes of each revision, by its number less one.
	revisions [][]change
	// kept holds the writes that had an idempotency key and were carried out. No run
	// is as long as they are kept at least.
	kept map[string]*request
	// configured is the revision of the settings.
	configured uint64
}

// change is what a revision made of a key. Version 0 stands for no such key.
type change struct {
	key                       string
	value                     string
	revision, create, version uint64
}

func newModel() model { return model{keys: map[string][]change{}, kept: map[string]*request{}} }

// at returns what a key was at a revision.
func (m *model) at(key string, revision uint64) change {
	all := m.keys[key]
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].revision <= revision {
			return all[i]
		}
	}
	return change{}
}

// found returns what a key is, with revision 0 if there is no such key.
func (m *model) found(key string) change {
	now := m.at(key, m.revision)
	if now.version == 0 {
		return change{}
	}
	return now
}

// put returns what a write makes of a key with the next revision.
func (m *model) put(key, value string) change {
	next := change{key: key, value: value, revision: m.revision + 1, create: m.revision + 1, version: 1}
	if now := m.found(key); now.version > 0 {
		next.create, next.version = now.create, now.version+1
	}
	return next
}

// commit makes changes of the next revision.
func (m *model) commit(changes ...change) {
	m.revision++
	m.revisions = append(m.revisions, changes)
	for _, c := range changes {
		m.keys[c.key] = append(m.keys[c.key], c)
	}
}

// apply carries out what a client asked for and returns what comes of it.
func (m *model) apply(r *request) config.Result {
	if r.idempotency == "" {
		return m.execute(r)
	}
	first := m.kept[r.idempotency]
	switch {
	case first == nil:
		r.first = m.execute(r)
		m.kept[r.idempotency] = r
		return r.first
	case first != r:
		return config.Result{Outcome: config.OutcomeIdempotencyReused, Revision: m.revision}
	default:
		return r.first
	}
}

func (m *model) execute(r *request) config.Result {
	if r.Kind == history.Txn {
		return m.txn(r.Txn)
	}
	now := m.found(r.Key)
	result := config.Result{Outcome: config.OutcomeApplied, Revision: m.revision + 1, Changes: 1, Current: now.revision}
	switch {
	case r.Kind == kindSettings:
		m.commit()
		result.Changes, result.Current, m.configured = 0, m.configured, m.revision
	case r.Kind == history.Swap && r.Demand != now.revision:
		return config.Result{Outcome: config.OutcomeConflict, Revision: m.revision, Current: now.revision}
	case r.Kind == history.Delete && now.version == 0:
		return config.Result{Outcome: config.OutcomeNotFound, Revision: m.revision}
	case r.Kind == history.Delete:
		m.commit(change{key: r.Key, revision: m.revision + 1})
	default:
		next := m.put(r.Key, r.Value)
		m.commit(next)
		result.CreateRevision, result.Version = next.create, next.version
	}
	return result
}

// txn carries out one branch as a whole.
func (m *model) txn(t *history.Transaction) config.Result {
	failed := slices.IndexFunc(t.If, func(c history.Condition) bool { return m.found(c.Key).revision != c.Revision })
	done := &config.TxnResult{Succeeded: failed < 0, Failed: max(failed, 0)}
	result := config.Result{Outcome: config.OutcomeApplied, Revision: m.revision, Txn: done}
	steps := t.Then
	if failed >= 0 {
		steps = t.Else
	}
	if len(steps) == 0 {
		result.Outcome, result.Current = config.OutcomeConflict, m.found(t.If[failed].Key).revision
		return result
	}
	var changes []change
	for _, s := range steps {
		now := m.found(s.Key)
		switch {
		case s.Kind == history.Put:
			now = m.put(s.Key, s.Value)
			changes = append(changes, now)
		case s.Kind == history.Delete && now.version > 0:
			changes = append(changes, change{key: s.Key, revision: m.revision + 1})
			now = change{}
		}
		done.Operations = append(done.Operations, config.OperationResult{Revision: now.revision, CreateRevision: now.create, Version: now.version})
	}
	if len(changes) > 0 {
		m.commit(changes...)
		result.Revision, result.Changes = m.revision, uint32(len(changes))
	}
	return result
}

// next returns the first revision after another, and up to a last one, that
// changes anything under a prefix, and what it changes there; 0 when there is none.
func (m *model) next(prefix string, after, last uint64) (revision uint64, changes []change) {
	for revision = after + 1; revision <= min(last, m.revision); revision++ {
		all := m.revisions[revision-1]
		inside := 0
		for i := range all {
			if strings.HasPrefix(all[i].key, prefix) {
				inside++
			}
		}
		switch {
		case inside == 0:
		case inside == len(all):
			return revision, all
		default:
			return revision, slices.DeleteFunc(slices.Clone(all), func(c change) bool { return !strings.HasPrefix(c.key, prefix) })
		}
	}
	return 0, nil
}

// is tells whether an entry is what a change made.
func (c *change) is(e *config.Entry) bool {
	return e.Key == c.key && e.ModRevision == c.revision && e.CreateRevision == c.create && e.Version == c.version && string(e.Value) == c.value
}

// sameResult compares what two members, or a member and the model, say of a command.
func sameResult(a, b config.Result) bool {
	x, y := a.Txn, b.Txn
	a.Txn, b.Txn = nil, nil
	if a != b || (x == nil) != (y == nil) {
		return false
	}
	return x == nil || x.Succeeded == y.Succeeded && x.Failed == y.Failed && slices.Equal(x.Operations, y.Operations)
}

// resultText tells a result in one line.
func resultText(r config.Result) string {
	txn := r.Txn
	r.Txn = nil
	text := fmt.Sprintf("%+v", r)
	if txn != nil {
		text += fmt.Sprintf(" of a transaction: %+v", *txn)
	}
	return text
}
