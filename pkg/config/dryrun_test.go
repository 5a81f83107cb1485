package config_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// TestATrialTellsWhatThePutThenDoes tries each put of a random run before it is
// made, in a store that is mostly full.
func TestATrialTellsWhatThePutThenDoes(t *testing.T) {
	fake := &fakeReplicator{log: log{t: t, state: config.NewStateWithQuota(12_000)}}
	store, err := config.NewStore(fake.state, fake, config.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	outcomes := map[string]int{}
	for range 3000 {
		p := config.Put{
			Namespace: fmt.Sprint("n", random.IntN(3)), Key: fmt.Sprint("k", random.IntN(12)), Value: make([]byte, random.IntN(900)),
		}
		switch revision := store.Revision(); random.IntN(5) {
		case 0:
			p.If = config.IfAbsent()
		case 1:
			p.If = config.IfExists()
		case 2:
			p.If = config.IfRevision(revision - random.Uint64N(min(revision, 8)+1))
		}
		before := fake.state.View()
		index := fake.index
		trial, trialErr := store.TryPut(t.Context(), p)
		if after := fake.state.View(); after != before || fake.index != index {
			t.Fatal("a trial changed something")
		}
		result, err := store.Put(t.Context(), p)
		if fmt.Sprint(errors.Unwrap(trialErr)) != fmt.Sprint(errors.Unwrap(err)) || (trialErr == nil) != (err == nil) {
			t.Fatalf("%s/%s: tried %v, made %v", p.Namespace, p.Key, trialErr, err)
		}
		if err == nil {
			trial.Revision++ // a trial makes none
		}
		if trial != result {
			t.Fatalf("%s/%s: tried %+v, made %+v", p.Namespace, p.Key, trial, result)
		}
		outcomes[fmt.Sprint(result.Outcome, result.Created())]++
		if random.IntN(3) == 0 {
			_, _ = store.Delete(t.Context(), config.Delete{Namespace: p.Namespace, Key: p.Key})
		}
	}
	for _, want := range []string{
		fmt.Sprint(config.OutcomeApplied, true), fmt.Sprint(config.OutcomeApplied, false),
		fmt.Sprint(config.OutcomeConflict, false), fmt.Sprint(config.OutcomeQuota, false),
	} {
		if outcomes[want] < 50 {
			t.Errorf("outcomes %v: too few of %s", outcomes, want)
		}
	}
}

func TestATrialNeedsAFreshViewAndAPutThatCanBe(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{})
	if _, err := store.TryPut(t.Context(), config.Put{Namespace: "pay", Key: "a//b"}); !errors.Is(err, config.ErrInvalid) {
		t.Errorf("a key that can't be: %v", err)
	}
	if _, err := store.TryPut(t.Context(), config.Put{Namespace: "pay", Key: "a", Value: make([]byte, config.MaxValueBytes+1)}); !errors.Is(err, config.ErrTooLarge) {
		t.Errorf("a value too large: %v", err)
	}
	fake.leaderless = true
	for range 2 {
		_, err := store.TryPut(t.Context(), config.Put{Namespace: "pay", Key: "a"})
		if (fake.barrier != nil) != errors.Is(err, config.ErrNoLeader) {
			t.Errorf("with barrier %v: %v", fake.barrier != nil, err)
		}
		fake.barrier = noLeader
	}
}

func noLeader(context.Context) error { return config.ErrNoLeader }

// TestATrialTellsWhatTheRollbackThenDoes tries each rollback of a random run before
// it is made, in a store whose schemas and quotas change.
func TestATrialTellsWhatTheRollbackThenDoes(t *testing.T) {
	fake := &fakeReplicator{log: log{t: t, state: config.NewStateWithQuota(4_000)}}
	store, err := config.NewStore(fake.state, fake, config.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	met := map[string]int{}
	for range 3000 {
		key := fmt.Sprint([]string{"a/", "b/"}[random.IntN(2)], random.IntN(5))
		switch random.IntN(6) {
		case 0:
			_, _ = store.Delete(t.Context(), config.Delete{Namespace: "n", Key: key})
		case 1:
			schema := config.AttachSchema{Namespace: "n", Prefix: "a/", Document: []byte(fmt.Sprintf(`{"maxLength":%d}`, random.IntN(300)))}
			_, _ = store.AttachSchema(t.Context(), schema)
		case 2:
			_, _ = store.DetachSchema(t.Context(), config.DetachSchema{Namespace: "n", Prefix: "a/"})
		default:
			value := `"` + strings.Repeat("v", random.IntN(400)) + `"`
			_, _ = store.Put(t.Context(), config.Put{Namespace: "n", Key: key, Value: []byte(value), MediaType: "application/json"})
		}
		revision := store.Revision()
		r := config.Rollback{Namespace: "n", Prefix: []string{"", "a/", "b/"}[random.IntN(3)], To: revision + 1 - random.Uint64N(min(revision, 20)+2)}
		before := fake.state.View()
		view, standing, trial, trialErr := store.TryRollback(t.Context(), r)
		if fake.state.View() != before {
			t.Fatal("a trial changed something")
		}
		result, err := store.Rollback(t.Context(), r)
		for _, kind := range []error{nil, config.ErrFutureRevision, config.ErrSchema, config.ErrQuota} {
			if errors.Is(trialErr, kind) != errors.Is(err, kind) {
				t.Fatalf("%+v: tried %v, made %v", r, trialErr, err)
			}
			if errors.Is(err, kind) {
				met[fmt.Sprint(kind)]++
			}
		}
		if err != nil {
			continue
		}
		if view != before || standing.Revision != before.Revision || trial.Changes != result.Changes {
			t.Fatalf("%+v: tried %+v, made %+v", r, trial, result)
		}
	}
	for _, kind := range []error{nil, config.ErrFutureRevision, config.ErrSchema, config.ErrQuota} {
		if met[fmt.Sprint(kind)] < 20 {
			t.Errorf("%v was met %d times", kind, met[fmt.Sprint(kind)])
		}
	}
}
