package config_test

import (
	"context"
	"errors"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// behind applies a command that the state's readers don't see before the next
// read barrier or proposal, as at a member that lags.
func (f *fakeReplicator) behind(c interface{ Encode() ([]byte, error) }) {
	f.t.Helper()
	f.index++
	if result := f.state.Apply(f.index, config.Stamp{}, config.Origin{}, encode(f.t, c)); result.Err() != nil {
		f.t.Fatal(result.Err())
	}
	f.barrier = func(context.Context) error {
		f.state.Publish()
		return nil
	}
}

// TestAWriteIsRefusedBySchemasOfNowOnly and not by those of a member that lags.
func TestAWriteIsRefusedBySchemasOfNowOnly(t *testing.T) {
	for _, key := range []string{"", "k"} {
		store, fake := newStore(t, config.StoreOptions{})
		fake.apply(attach("", anObject))
		fake.behind(detach(""))
		if _, err := store.Put(t.Context(), *keyed(key, "a", "no JSON")); err != nil {
			t.Errorf("key %q: a put after the schema was detached: %v", key, err)
		}
		store, fake = newStore(t, config.StoreOptions{})
		fake.apply(put("a", "no JSON"))
		fake.behind(del("a"))
		a := attach("", anObject)
		a.Idempotency = key
		if _, err := store.AttachSchema(t.Context(), *a); err != nil {
			t.Errorf("key %q: a schema after the value was deleted: %v", key, err)
		}
	}
}

// TestAWriteThatSchemasRefuseDoesNothing, with and without an idempotency key.
func TestAWriteThatSchemasRefuseDoesNothing(t *testing.T) {
	for _, key := range []string{"", "k"} {
		store, fake := newStore(t, config.StoreOptions{})
		if err := errors.Join(second(store.AttachSchema(t.Context(), *attach("", anObject))), second(store.Put(t.Context(), *putJSON("a", "{}")))); err != nil {
			t.Fatal(err)
		}
		bad := config.Operation{Kind: config.OperationPut, Key: "b", Value: []byte("[]"), MediaType: "application/json"}
		for name, txn := range map[string]config.Txn{
			"deletes":  {Namespace: "pay", Idempotency: key, Then: []config.Operation{delOp("a")}, Else: []config.Operation{bad}},
			"conflict": {Namespace: "pay", Idempotency: key, If: []config.Condition{{Key: "a", Is: config.IfAbsent()}}, Then: []config.Operation{bad}},
		} {
			if _, _, err := store.Txn(t.Context(), txn); !errors.Is(err, config.ErrSchema) {
				t.Errorf("key %q, %s: %v, want ErrSchema", key, name, err)
			}
			if fake.state.View().Get("pay", "a") == nil {
				t.Errorf("key %q, %s: it was carried out", key, name)
			}
		}
	}
}
