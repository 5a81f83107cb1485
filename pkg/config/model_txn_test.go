package config_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// condition draws a condition and tells whether it holds in the model.
func (m *model) condition(random *rand.Rand, path, key string) (config.Condition, bool) {
	e, exists := m.keys[path]
	switch random.IntN(4) {
	case 0:
		at := e.modified + uint64(random.IntN(8)/7)
		return config.Condition{Key: key, Is: config.IfRevision(at)}, e.modified == at
	case 1:
		version := e.version + uint64(random.IntN(8)/7)
		return config.Condition{Key: key, Is: config.IfVersion(version)}, e.version == version
	case 2:
		return config.Condition{Key: key, Is: config.IfExists()}, exists
	default:
		return config.Condition{Key: key, Is: config.IfAbsent()}, !exists
	}
}

// operations draws a branch of a transaction, with what it should change and
// which paths it names.
func (m *model) operations(random *rand.Rand, namespace string, most int) (operations []config.Operation, changes []modelChange, paths []string) {
	for _, n := range random.Perm(24)[:random.IntN(most)] {
		key := fmt.Sprintf("k%d/%d", n/8, n%8)
		path := namespace + "/" + key
		paths = append(paths, path)
		switch random.IntN(3) {
		case 0:
			value := strings.Repeat("t", random.IntN(300))
			operations = append(operations, putOp(key, value))
			changes = append(changes, modelChange{path, &modelEntry{value: value, mediaType: "text/plain"}})
		case 1:
			operations = append(operations, delOp(key))
			if _, exists := m.keys[path]; exists {
				changes = append(changes, modelChange{path, nil})
			}
		default:
			operations = append(operations, getOp(key))
		}
	}
	return operations, changes, paths
}

// txn draws a transaction, applies it to both and compares what they say.
func (m *model) txn(t *testing.T, random *rand.Rand, l *log, one turn) turn {
	namespace := fmt.Sprintf("n%d", random.IntN(3))
	txn := config.Txn{Namespace: namespace}
	failed := -1
	for i := range random.IntN(3) {
		key := fmt.Sprintf("k%d/%d", random.IntN(3), random.IntN(8))
		c, holds := m.condition(random, namespace+"/"+key, key)
		txn.If = append(txn.If, c)
		if !holds && failed < 0 {
			failed = i
		}
	}
	var changes, otherwise []modelChange
	var paths, others []string
	txn.Then, changes, paths = m.operations(random, namespace, 12)
	txn.Else, otherwise, others = m.operations(random, namespace, 3)
	if len(txn.Then)+len(txn.Else) == 0 {
		txn.Then = []config.Operation{getOp("k0/0")}
		paths = []string{namespace + "/k0/0"}
	}
	one.command = encode(t, &txn)
	want := config.OutcomeConflict
	if failed >= 0 {
		changes, paths = otherwise, others
	}
	if failed < 0 || len(txn.Else) > 0 {
		want = m.commit(one.stamp.TimeMillis, "", changes...)
	}
	got := l.state.Apply(l.index, one.stamp, config.Origin{}, one.command)
	if got.Outcome != want || got.Revision != m.revision || want == config.OutcomeApplied && int(got.Changes) != len(changes) {
		t.Fatalf("index %d: %+v, want outcome %d at revision %d with %d changes", l.index, got, want, m.revision, len(changes))
	}
	m.outcomes[want]++
	if want == config.OutcomeQuota {
		return one
	}
	if got.Txn.Succeeded != (failed < 0) || got.Txn.Failed != max(failed, 0) {
		t.Fatalf("index %d: %+v, want condition %d to fail first", l.index, got.Txn, failed)
	}
	if want == config.OutcomeConflict {
		return one
	}
	for i, path := range paths {
		e := m.keys[path]
		if got.Txn.Operations[i] != (config.OperationResult{Revision: e.modified, CreateRevision: e.created, Version: e.version}) {
			t.Fatalf("index %d: operation %d on %s did %+v, want %+v", l.index, i, path, got.Txn.Operations[i], e)
		}
	}
	return one
}

// rollback draws a rollback, applies it to both and compares what they say.
func (m *model) rollback(t *testing.T, random *rand.Rand, l *log, one turn) turn {
	// Mostly a short way back, as in life, and sometimes too far.
	r := config.Rollback{Namespace: fmt.Sprintf("n%d", random.IntN(3)), Prefix: fmt.Sprintf("k%d", random.IntN(3)), Reason: "drawn"}
	r.To = m.revision - min(m.revision, uint64(random.IntN(40)))
	if random.IntN(20) == 0 {
		r.To = m.revision - min(m.revision, uint64(random.IntN(1000)))
	}
	one.command = encode(t, &r)
	before := m.revision
	target, known := m.past[r.To]
	got := l.state.Apply(l.index, one.stamp, config.Origin{}, one.command)
	if got.Outcome == config.OutcomePruned {
		if r.To >= got.Current || known && r.To+modelRevisions/2 > before {
			t.Fatalf("index %d: %+v of revision %d at revision %d", l.index, got, r.To, before)
		}
		return one
	}
	var changes []modelChange
	prefix := r.Namespace + "/" + r.Prefix
	everything := maps.Clone(m.keys)
	maps.Copy(everything, target.keys)
	for _, path := range slices.Sorted(maps.Keys(everything)) {
		now, exists := m.keys[path]
		then, existed := target.keys[path]
		if !strings.HasPrefix(path, prefix) || exists == existed && now.value == then.value && now.mediaType == then.mediaType {
			continue
		}
		if existed {
			changes = append(changes, modelChange{path, &then})
		} else {
			changes = append(changes, modelChange{path, nil})
		}
	}
	want := m.commit(one.stamp.TimeMillis, r.Reason, changes...)
	if !known || got.Outcome != want || got.Revision != m.revision || want == config.OutcomeApplied && int(got.Changes) != len(changes) {
		t.Fatalf("index %d: %+v, want outcome %d at revision %d with %d changes", l.index, got, want, m.revision, len(changes))
	}
	m.outcomes[want]++
	return one
}
