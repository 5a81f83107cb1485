package config_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// recording is a replicator that keeps its log.
type recording struct {
	*fakeReplicator
	random *rand.Rand
	turns  []turn
}

func (r *recording) Propose(_ context.Context, command []byte, _ bool) (config.Result, error) {
	one := turn{config.Stamp{ElapsedMillis: r.random.Uint64N(2 * window / 50)}, command}
	r.turns = append(r.turns, one)
	r.index++
	result := r.state.Apply(r.index, one.stamp, config.Origin{}, command)
	r.state.Publish()
	return result, nil
}

// write makes a random write of any kind and returns its error.
func (r *recording) write(ctx context.Context, store *config.Store) error {
	namespace, key := fmt.Sprint("n", r.random.IntN(3)), fmt.Sprintf("%d/%d", r.random.IntN(3), r.random.IntN(3))
	prefix := []string{"", "0/", "1/", "1/1"}[r.random.IntN(4)]
	value := []string{"{}", `{"port": 1}`, `{"port": "x"}`, "[]", "no JSON"}[r.random.IntN(5)] + strings.Repeat(" ", r.random.IntN(400))
	idempotency := ""
	if r.random.IntN(2) == 0 {
		idempotency = fmt.Sprint(r.random.IntN(30))
	}
	var err error
	switch r.random.IntN(16) {
	case 0:
		document := []string{anObject, aPort, "true"}[r.random.IntN(3)]
		_, err = store.AttachSchema(ctx, config.AttachSchema{Namespace: namespace, Prefix: prefix, Document: []byte(document), Idempotency: idempotency})
	case 1:
		_, err = store.DetachSchema(ctx, config.DetachSchema{Namespace: namespace, Prefix: prefix, Idempotency: idempotency})
	case 2:
		_, err = store.PutNamespaceSettings(ctx, *quota(namespace, int64(r.random.IntN(3))*2000))
	case 3:
		_, err = store.PutSettings(ctx, config.PutSettings{Settings: config.Settings{
			HistoryRevisions: 1 + r.random.Uint64N(200), HistoryAgeMillis: 1, IdempotencyWindowMillis: window + r.random.Uint64N(window),
		}})
	case 4, 5:
		_, err = store.Delete(ctx, config.Delete{Namespace: namespace, Key: key, Idempotency: idempotency})
	case 6:
		_, err = store.Rollback(ctx, config.Rollback{Namespace: namespace, Prefix: prefix, To: r.random.Uint64N(store.Revision() + 1), Idempotency: idempotency})
	case 7, 8:
		_, _, err = store.Txn(ctx, config.Txn{
			Namespace: namespace, If: []config.Condition{{Key: key, Is: config.IfExists()}}, Then: []config.Operation{getOp(key)},
			Else:        []config.Operation{{Kind: config.OperationPut, Key: key, Value: []byte(value), MediaType: "application/json"}},
			Idempotency: idempotency,
		})
	default:
		_, err = store.Put(ctx, config.Put{Namespace: namespace, Key: key, Value: []byte(value), MediaType: "application/json", Idempotency: idempotency})
	}
	return err
}

// TestEveryLiveValueSatisfiesItsSchemasAndOneLogGivesOneState makes random writes
// of all kinds, and carries their log out again, now and then from a snapshot.
func TestEveryLiveValueSatisfiesItsSchemasAndOneLogGivesOneState(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	r := &recording{fakeReplicator: &fakeReplicator{log: *newLog(t)}, random: random}
	store, err := config.NewStore(r.state, r, config.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	met := map[error]int{}
	for range 6000 {
		err := r.write(t.Context(), store)
		for _, known := range []error{
			config.ErrSchema, config.ErrQuota, config.ErrIdempotencyReused, config.ErrNotFound, config.ErrPruned, config.ErrConflict,
		} {
			if errors.Is(err, known) {
				met[known]++
				err = nil
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if random.IntN(20) == 0 {
			checkValues(t, r.state.View())
		}
	}
	for _, want := range []error{config.ErrSchema, config.ErrQuota, config.ErrIdempotencyReused, config.ErrNotFound, config.ErrPruned} {
		if met[want] < 20 {
			t.Errorf("%q was met %d times: the test should see many of each", want, met[want])
		}
	}
	again, restored := config.NewState(), config.NewState()
	for i, one := range r.turns {
		a := again.Apply(uint64(i+1), one.stamp, config.Origin{}, bytes.Clone(one.command))
		b := restored.Apply(uint64(i+1), one.stamp, config.Origin{}, bytes.Clone(one.command))
		if a.Outcome != b.Outcome || a.Revision != b.Revision {
			t.Fatalf("index %d: %+v, and %+v after a restore", i+1, a, b)
		}
		if random.IntN(100) == 0 {
			fresh := config.NewState()
			if err := fresh.Restore(bytes.NewReader(snapshot(t, restored))); err != nil {
				t.Fatal(err)
			}
			restored = fresh
		}
	}
	want := snapshot(t, r.state)
	if !bytes.Equal(snapshot(t, again), want) || !bytes.Equal(snapshot(t, restored), want) {
		t.Error("the same log gave other snapshot bytes")
	}
}

// checkValues holds all live values to the schemas.
func checkValues(t *testing.T, v *config.View) {
	t.Helper()
	for n := range v.Namespaces() {
		for _, attached := range v.Schemas(n.Name) {
			schema, err := config.CompileSchema(attached.Document)
			if err != nil {
				t.Fatal(err)
			}
			entries, err := v.Scan(n.Name, attached.Prefix, v.Revision)
			if err != nil {
				t.Fatal(err)
			}
			for e := range entries {
				if err := schema.Validate(e.Value, e.MediaType); err != nil {
					t.Fatalf("at revision %d %s/%s doesn't satisfy the schema of prefix %q: %v", v.Revision, n.Name, e.Key, attached.Prefix, err)
				}
			}
		}
	}
}
