package config_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// model is the store as one would explain it: a map, and a few counters.
type model struct {
	keys     map[string]modelEntry // "namespace/key"
	revision uint64
	quota    int64
	// outcomes counts what came of the commands.
	outcomes map[config.Outcome]int
}

type modelEntry struct {
	value, mediaType           string
	created, modified, version uint64
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

// apply does to the model what a command should do to a state, and returns the
// outcome.
func (m *model) apply(path string, next *modelEntry, holds func(current uint64) bool) config.Outcome {
	old, exists := m.keys[path]
	switch {
	case !holds(old.modified):
		return config.OutcomeConflict
	case next == nil && !exists:
		return config.OutcomeNotFound
	case next == nil:
		delete(m.keys, path)
	default:
		before := m.charge()
		e := *next
		e.created, e.modified, e.version = m.revision+1, m.revision+1, old.version+1
		if exists {
			e.created = old.created
		}
		m.keys[path] = e
		if after := m.charge(); after > before && after > m.quota {
			delete(m.keys, path)
			if exists {
				m.keys[path] = old
			}
			return config.OutcomeQuota
		}
	}
	m.revision++
	return config.OutcomeApplied
}

// step draws one command, applies it to both and compares what they say.
func (m *model) step(t *testing.T, random *rand.Rand, l *log) (command []byte) {
	if random.IntN(50) == 0 {
		l.index++
		l.state.Apply(l.index, config.Origin{}, nil)
		return nil
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
		command = encode(t, &config.Delete{Namespace: namespace, Key: key, If: condition})
		want = m.apply(path, nil, holds)
	} else {
		value := strings.Repeat("v", random.IntN(300))
		command = encode(t, &config.Put{Namespace: namespace, Key: key, Value: []byte(value), MediaType: "text/plain", If: condition})
		want = m.apply(path, &modelEntry{value: value, mediaType: "text/plain"}, holds)
	}
	m.outcomes[want]++
	l.index++
	if got := l.state.Apply(l.index, config.Origin{}, command); got.Outcome != want || got.Revision != m.revision {
		t.Fatalf("index %d: %+v, want outcome %d at revision %d", l.index, got, want, m.revision)
	}
	return command
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
		e := v.Get(namespace, key)
		if e == nil {
			t.Fatalf("index %d: %s is absent", v.Index, path)
		}
		got := modelEntry{string(e.Value), e.MediaType, e.CreateRevision, e.ModRevision, e.Version}
		if got != want || e.Key != key {
			t.Fatalf("index %d: %s is %+v, want %+v", v.Index, path, got, want)
		}
	}
}

// modelQuota holds about half of the keys that the model test draws.
const modelQuota = 12_000

// TestRandomCommandsDoWhatTheModelDoes drives a long log, sometimes from a
// restored snapshot, and then drives it again.
func TestRandomCommandsDoWhatTheModelDoes(t *testing.T) {
	const steps = 120_000
	random := rand.New(rand.NewPCG(1, 2))
	l := &log{t: t, state: config.NewStateWithQuota(modelQuota)}
	m := &model{keys: map[string]modelEntry{}, quota: modelQuota, outcomes: map[config.Outcome]int{}}
	var commands [][]byte
	for range steps {
		commands = append(commands, m.step(t, random, l))
		if random.IntN(20) != 0 {
			continue
		}
		l.state.Publish()
		m.compare(t, l.state.View())
		if random.IntN(40) == 0 {
			fresh := config.NewState()
			if err := fresh.Restore(bytes.NewReader(snapshot(t, l.state))); err != nil {
				t.Fatal(err)
			}
			l.state = fresh
			m.compare(t, l.state.View())
		}
	}
	for _, outcome := range []config.Outcome{config.OutcomeApplied, config.OutcomeConflict, config.OutcomeNotFound, config.OutcomeQuota} {
		if m.outcomes[outcome] < steps/100 {
			t.Errorf("outcomes %v: the test should see many of each", m.outcomes)
		}
	}

	again := config.NewStateWithQuota(modelQuota)
	for i, command := range commands {
		again.Apply(uint64(i+1), config.Origin{}, slices.Clone(command))
	}
	if !bytes.Equal(snapshot(t, l.state), snapshot(t, again)) {
		t.Error("the same log gave other snapshot bytes")
	}
	if l.state.View().Hash != again.View().Hash {
		t.Error("the same log gave another hash")
	}
}
