package client_test

import (
	"errors"
	"testing"

	"github.com/conclave-dev/conclave/pkg/client"
)

func TestARealServerChangesKeysTogether(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	no := false
	txn := client.Txn{
		Namespace:      "pay",
		If:             []client.Condition{{Key: "a", Exists: &no}},
		Then:           []client.Operation{{Op: client.OpPut, Key: "a", Value: []byte("\xff"), Type: "text/x"}, {Op: client.OpPut, Key: "b"}},
		Else:           []client.Operation{{Op: client.OpGet, Key: "a"}, {Op: client.OpGet, Key: "none"}},
		IdempotencyKey: client.NewIdempotencyKey(),
	}
	for range 2 { // the second is the first again
		got, err := c.Txn(ctx, txn)
		if err != nil || !got.Succeeded || got.Revision != 1 || len(got.Results) != 2 || got.Results[1].Revision != 1 {
			t.Fatalf("Txn = %+v, %v, want a and b written at revision 1", got, err)
		}
	}
	txn.IdempotencyKey = ""
	got, err := c.Txn(ctx, txn)
	if err != nil || got.Succeeded || string(got.Results[0].Entry.Value) != "\xff" || got.Results[0].Entry.Type != "text/x" || got.Results[1].Entry != nil {
		t.Errorf("Txn = %+v, %v, want a as it was written, and none absent", got, err)
	}
	txn.Else = nil
	if _, err := c.Txn(ctx, txn); !errors.Is(err, client.ErrChanged) {
		t.Errorf("a transaction whose condition doesn't hold: %v", err)
	}
	if _, err := c.Txn(ctx, client.Txn{Namespace: "pay"}); !errors.Is(err, client.CodeInvalid) {
		t.Errorf("a transaction of nothing: %v", err)
	}
	if _, err := c.Txn(ctx, client.Txn{}); err == nil {
		t.Error("an empty namespace was accepted")
	}
}

func TestARealServerGoesBack(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	for _, key := range []string{"a/1", "a/2", "b"} {
		if _, err := c.Put(ctx, "pay", key, []byte("v"), client.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	back := client.Rollback{To: 1, Prefix: "a/", Reason: "try"}
	if revision, err := c.TryRollback(ctx, "pay", back); err != nil || revision != 3 {
		t.Errorf("TryRollback = %d, %v, want revision 3", revision, err)
	}
	if _, err := c.Get(ctx, "pay", "a/2", client.ReadOptions{}); err != nil {
		t.Errorf("a dry run changed something: %v", err)
	}
	back.IdempotencyKey = client.NewIdempotencyKey()
	for range 2 { // the second is the first again
		if got, err := c.Rollback(ctx, "pay", back); err != nil || *got != (client.RollbackResult{To: 1, Revision: 4, Changed: 1}) {
			t.Errorf("Rollback = %+v, %v, want one key changed at revision 4", got, err)
		}
	}
	for key, want := range map[string]error{"a/1": nil, "a/2": client.ErrNotFound, "b": nil} {
		if _, err := c.Get(ctx, "pay", key, client.ReadOptions{}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", key, err, want)
		}
	}
	if _, err := c.Rollback(ctx, "pay", client.Rollback{To: 99}); !errors.Is(err, client.CodeNotReached) {
		t.Errorf("a revision that is to come: %v", err)
	}
	if _, err := c.Rollback(ctx, "", back); err == nil {
		t.Error("an empty namespace was accepted")
	}
}
