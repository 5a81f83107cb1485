package config_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

var steps = flag.Int("steps", 20_000, "commands of the model test; a million takes some minutes")

// model is the store as one would explain it: a map, the whole map again as it
// was at each revision, and a few counters.
type model struct {
	keys     modelMap
	revision uint64
	quota    int64
	// past holds the revisions from the store's oldest on.
	past map[uint64]modelRevision
	// age is the sum of what has elapsed.
	age uint64
	// outcomes counts what came of the commands.
	outcomes map[config.Outcome]int
}

// modelMap maps "namespace/key" to what is live.
type modelMap map[string]modelEntry

type modelEntry struct {
	value, mediaType           string
	created, modified, version uint64
	time                       uint64
}

// modelRevision is a revision: the map after it, what it changed and when.
type modelRevision struct {
	keys    modelMap
	changed []string
	time    uint64
	reason  string
	age     uint64
}

// charge is what the model's keys count against the quota.
func (m *model) charge() (bytes int64) {
	namespaces := map[string]bool{}
	for path, e := range m.keys {
		namespace, key, _ := strings.Cut(path, "/")
		namespaces[namespace] = true
		bytes += int64(len(key)+len(e.value)+len(e.mediaType)) + 128
	}
	return bytes + 1024*int64(len(namespaces))
}

// modelChange writes an entry's value and type to a path, or deletes it.
type modelChange struct {
	path string
	next *modelEntry
}

// commit makes one revision of changes, unless the quota is exceeded.
func (m *model) commit(time uint64, reason string, changes ...modelChange) config.Outcome {
	if len(changes) == 0 {
		return config.OutcomeApplied
	}
	before, old := m.charge(), m.keys
	m.keys = maps.Clone(old)
	var changed []string
	for _, c := range changes {
		changed = append(changed, c.path)
		if c.next == nil {
			delete(m.keys, c.path)
			continue
		}
		e := *c.next
		e.created, e.modified, e.version, e.time = m.revision+1, m.revision+1, 1, time
		if was, exists := old[c.path]; exists {
			e.created, e.version = was.created, was.version+1
		}
		m.keys[c.path] = e
	}
	if after := m.charge(); after > before && after > m.quota {
		m.keys = old
		return config.OutcomeQuota
	}
	m.revision++
	m.past[m.revision] = modelRevision{m.keys, changed, time, reason, m.age}
	return config.OutcomeApplied
}

// apply does to the model what a put or delete should do to a state, and returns
// the outcome.
func (m *model) apply(path string, next *modelEntry, time uint64, holds func(current uint64) bool) config.Outcome {
	old, exists := m.keys[path]
	switch {
	case !holds(old.modified):
		return config.OutcomeConflict
	case next == nil && !exists:
		return config.OutcomeNotFound
	}
	return m.commit(time, "", modelChange{path, next})
}

// turn is one index of a log.
type turn struct {
	stamp   config.Stamp
	command []byte
}

// step draws one command, applies it to both and compares what they say.
func (m *model) step(t *testing.T, random *rand.Rand, l *log) turn {
	// Wall clocks go astray; time that passes doesn't.
	one := turn{stamp: config.Stamp{TimeMillis: random.Uint64N(1000), ElapsedMillis: random.Uint64N(100)}}
	m.age += one.stamp.ElapsedMillis
	l.index++
	if random.IntN(50) == 0 {
		l.state.Apply(l.index, one.stamp, config.Origin{}, nil)
		return one
	}
	if random.IntN(2000) == 0 {
		return m.recover(t, l, one)
	}
	switch random.IntN(10) {
	case 0:
		return m.txn(t, random, l, one)
	case 1:
		return m.rollback(t, random, l, one)
	}
	namespace, key := fmt.Sprintf("n%d", random.IntN(3)), fmt.Sprintf("k%d/%d", random.IntN(3), random.IntN(8))
	path := namespace + "/" + key
	condition, holds := config.Precondition{}, func(uint64) bool { return true }
	switch random.IntN(6) {
	case 0:
		condition, holds = config.IfAbsent(), func(c uint64) bool { return c == 0 }
	case 1:
		condition, holds = config.IfExists(), func(c uint64) bool { return c != 0 }
	case 2:
		at := m.keys[path].modified + uint64(random.IntN(2))
		condition, holds = config.IfRevision(at), func(c uint64) bool { return c == at }
	}
	var want config.Outcome
	if random.IntN(3) == 0 {
		one.command = encode(t, &config.Delete{Namespace: namespace, Key: key, If: condition})
		want = m.apply(path, nil, one.stamp.TimeMillis, holds)
	} else {
		value := strings.Repeat("v", random.IntN(300))
		one.command = encode(t, &config.Put{Namespace: namespace, Key: key, Value: []byte(value), MediaType: "text/plain", If: condition})
		want = m.apply(path, &modelEntry{value: value, mediaType: "text/plain"}, one.stamp.TimeMillis, holds)
	}
	m.outcomes[want]++
	if got := l.state.Apply(l.index, one.stamp, config.Origin{}, one.command); got.Outcome != want || got.Revision != m.revision {
		t.Fatalf("index %d: %+v, want outcome %d at revision %d", l.index, got, want, m.revision)
	}
	return one
}

// recover applies a recovery, before which history must end.
func (m *model) recover(t *testing.T, l *log, one turn) turn {
	one.command = encode(t, &config.Recover{TimeMicros: 1})
	m.revision = l.state.Apply(l.index, one.stamp, config.Origin{}, one.command).Revision
	clear(m.past)
	m.past[m.revision] = modelRevision{keys: m.keys, age: m.age}
	return one
}

// compare holds the published view to the model.
func (m *model) compare(t *testing.T, v *config.View) {
	t.Helper()
	if v.Keys != len(m.keys) || v.Revision != m.revision || v.LiveBytes != m.charge() {
		t.Fatalf("index %d: %d keys, revision %d, %d bytes; want %d, %d, %d",
			v.Index, v.Keys, v.Revision, v.LiveBytes, len(m.keys), m.revision, m.charge())
	}
	for path, want := range m.keys {
		namespace, key, _ := strings.Cut(path, "/")
		if e := v.Get(namespace, key); e == nil || plain(e) != want || e.Key != key {
			t.Fatalf("index %d: %s is %+v, want %+v", v.Index, path, e, want)
		}
	}
}

func plain(e *config.Entry) modelEntry {
	return modelEntry{string(e.Value), e.MediaType, e.CreateRevision, e.ModRevision, e.Version, e.TimeMillis}
}

// forget drops what the view has pruned from the model, once it has seen that the
// view may do so: it keeps both so many revisions and so much time.
func (m *model) forget(t *testing.T, v *config.View) {
	t.Helper()
	kept := 0
	for number := range m.past {
		if number > v.Oldest() {
			kept++
		}
	}
	for number, r := range m.past {
		if number > v.Oldest() {
			continue
		}
		if r.changed != nil && (kept < modelRevisions || m.age-r.age <= modelAgeMillis) {
			t.Fatalf("index %d: revision %d of age %d is pruned at %d, with %d left", v.Index, number, r.age, m.age, kept)
		}
		if number < v.Oldest() {
			delete(m.past, number)
		}
	}
	if oldest := m.past[v.Oldest()+1]; kept > modelRevisions && m.age-oldest.age > modelAgeMillis {
		t.Fatalf("index %d: revision %d of age %d is kept at %d, beside %d others", v.Index, v.Oldest()+1, oldest.age, m.age, kept)
	}
}

// comparePast holds what the view says of an earlier revision to the model.
func (m *model) comparePast(t *testing.T, random *rand.Rand, v *config.View) {
	t.Helper()
	at := v.Oldest() + random.Uint64N(v.Revision-v.Oldest()+1)
	want := m.past[at].keys
	found := modelMap{}
	for n := range 3 {
		namespace := fmt.Sprintf("n%d", n)
		entries, err := v.Scan(namespace, "k", at)
		if err != nil {
			t.Fatal(err)
		}
		last := ""
		for e := range entries {
			found[namespace+"/"+e.Key] = plain(e)
			if e.Key <= last {
				t.Fatalf("revision %d: key %q follows %q", at, e.Key, last)
			}
			last = e.Key
		}
		for k := range 24 {
			key := fmt.Sprintf("k%d/%d", k/8, k%8)
			e, err := v.GetAt(namespace, key, at)
			expect, exists := want[namespace+"/"+key]
			if err != nil || (e != nil) != exists || exists && plain(e) != expect {
				t.Fatalf("%s/%s at revision %d: %+v, %v, want %+v", namespace, key, at, e, err, expect)
			}
		}
	}
	if !maps.Equal(found, want) {
		t.Fatalf("at revision %d: %+v, want %+v", at, found, want)
	}
	m.compareRevisions(t, v, at)
	m.compareHistory(t, v, fmt.Sprintf("n%d", random.IntN(3)), fmt.Sprintf("k%d/%d", random.IntN(3), random.IntN(8)))
}

// compareRevisions holds the journal after a revision to the model.
func (m *model) compareRevisions(t *testing.T, v *config.View, after uint64) {
	t.Helper()
	revisions, err := v.Revisions(after)
	if err != nil {
		t.Fatal(err)
	}
	number := after
	for r := range revisions {
		number++
		want := m.past[number]
		var changed []string
		for _, c := range r.Changes {
			path := c.Namespace + "/" + c.Entry.Key
			changed = append(changed, path)
			if e, exists := want.keys[path]; exists == c.Entry.Deleted() || exists && e != plain(c.Entry) {
				t.Fatalf("revision %d made of %s %+v, want %+v", number, path, c.Entry, e)
			}
		}
		if r.Number != number || r.TimeMillis != want.time || r.Reason != want.reason || !slices.Equal(changed, want.changed) {
			t.Fatalf("revision %d is %+v, want %+v", number, r, want)
		}
	}
	if number != v.Revision {
		t.Fatalf("the revisions after %d end at %d, want %d", after, number, v.Revision)
	}
}

// compareHistory holds the history of a key to the model, newest first.
func (m *model) compareHistory(t *testing.T, v *config.View, namespace, key string) {
	t.Helper()
	at, path := v.Revision, namespace+"/"+key
	for e := range v.History(namespace, key, v.Revision) {
		for at > max(e.ModRevision, v.Oldest()) {
			if slices.Contains(m.past[at].changed, path) {
				t.Fatalf("the history of %s lacks revision %d", path, at)
			}
			at--
		}
		if was, exists := m.past[at].keys[path]; exists == e.Deleted() || exists && was != plain(e) {
			t.Fatalf("the history of %s says %+v of revision %d, want %+v", path, e, at, was)
		}
		at--
	}
	for ; at > v.Oldest(); at-- {
		if slices.Contains(m.past[at].changed, path) {
			t.Fatalf("the history of %s ends before revision %d", path, at)
		}
	}
}

const (
	// modelQuota holds about half of the keys that the model test draws.
	modelQuota = 12_000
	// The model's history: about as many revisions as are made in that time.
	modelAgeMillis = 20_000
	modelRevisions = 200
)

func newModelState() *config.State {
	return config.NewStateWithLimits(modelQuota, modelAgeMillis, modelRevisions, 1<<30)
}

// TestRandomCommandsDoWhatTheModelDoes drives a long log, sometimes from a
// restored snapshot, and then drives it again.
func TestRandomCommandsDoWhatTheModelDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	l := &log{t: t, state: newModelState()}
	m := &model{keys: modelMap{}, quota: modelQuota, past: map[uint64]modelRevision{0: {}}, outcomes: map[config.Outcome]int{}}
	again := newModelState()
	for range *steps {
		one := m.step(t, random, l)
		again.Apply(l.index, one.stamp, config.Origin{}, slices.Clone(one.command))
		if random.IntN(20) != 0 {
			continue
		}
		l.state.Publish()
		m.compare(t, l.state.View())
		m.forget(t, l.state.View())
		m.comparePast(t, random, l.state.View())
		if random.IntN(40) == 0 {
			fresh := config.NewState()
			if err := fresh.Restore(bytes.NewReader(snapshot(t, l.state))); err != nil {
				t.Fatal(err)
			}
			l.state = fresh
			m.compare(t, l.state.View())
			m.comparePast(t, random, l.state.View())
		}
	}
	for _, outcome := range []config.Outcome{config.OutcomeApplied, config.OutcomeConflict, config.OutcomeNotFound, config.OutcomeQuota} {
		if m.outcomes[outcome] < *steps/100 {
			t.Errorf("outcomes %v: the test should see many of each", m.outcomes)
		}
	}
	if !bytes.Equal(snapshot(t, l.state), snapshot(t, again)) {
		t.Error("the same log gave other snapshot bytes")
	}
	if l.state.View().Hash != again.View().Hash {
		t.Error("the same log gave another hash")
	}
}
