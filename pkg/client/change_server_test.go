package client_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/conclave-dev/conclave/pkg/client"
)

func TestARealServerPatchesAValue(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	now, err := c.Put(ctx, "pay", "app", []byte(`{"a":1,"b":{"c":2}}`), client.PutOptions{Type: "application/json"})
	if err != nil {
		t.Fatal(err)
	}
	on := func(revision uint64) client.PatchOptions { return client.PatchOptions{IfRevision: revision} }
	dry := client.PatchOptions{IfExists: true, DryRun: true}
	if revision, err := c.Patch(ctx, "pay", "app", []byte(`{"a":null}`), dry); err != nil || revision != now {
		t.Errorf("a dry run: revision %d, %v, want the store's, %d", revision, err, now)
	}
	named := client.PatchOptions{IfRevision: now, IdempotencyKey: client.NewIdempotencyKey()}
	for range 2 { // the second is the first again
		if revision, err := c.Patch(ctx, "pay", "app", []byte(`{"b":{"d":3}}`), named); err != nil || revision != now+1 {
			t.Fatalf("Patch = %d, %v, want revision %d", revision, err, now+1)
		}
	}
	if _, err := c.Patch(ctx, "pay", "app", []byte(`{"a":9}`), on(now)); !errors.Is(err, client.ErrChanged) {
		t.Errorf("a patch of an older value: %v", err)
	}
	if _, err := c.Patch(ctx, "pay", "app", []byte(`{"a":null}`), client.PatchOptions{IfExists: true}); err != nil {
		t.Errorf("a patch of whatever is there: %v", err)
	}
	if entry, err := c.Get(ctx, "pay", "app", client.ReadOptions{}); err != nil || string(entry.Value) != `{"b":{"c":2,"d":3}}` || entry.Type != "application/json" {
		t.Errorf("Get = %+v, %v, want both patches", entry, err)
	}

	if _, err := c.Put(ctx, "pay", "text", []byte("x"), client.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, refused := range map[string]struct {
		key, patch string
		options    client.PatchOptions
		is         error
	}{
		"no such key":         {"none", "{}", client.PatchOptions{IfExists: true}, client.ErrChanged},
		"no JSON there":       {"text", "{}", client.PatchOptions{IfExists: true}, client.CodeNotPatchable},
		"no JSON here":        {"app", "{", client.PatchOptions{IfExists: true}, client.CodeInvalid},
		"named and unguarded": {"app", "{}", client.PatchOptions{IfExists: true, IdempotencyKey: "k"}, client.CodeUnsupported},
	} {
		if _, err := c.Patch(ctx, "pay", refused.key, []byte(refused.patch), refused.options); !errors.Is(err, refused.is) {
			t.Errorf("%s: %v, want %v", name, err, refused.is)
		}
	}
	var asked *client.Error
	if _, err := c.Patch(ctx, "pay", "app", []byte("{}"), client.PatchOptions{}); err == nil || errors.As(err, &asked) {
		t.Errorf("a patch of nothing in particular: %v, want that nobody is asked", err)
	}
}

func TestARealServerWritesOnlyWhatExistsWhenThatIsWanted(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	exists := client.PutOptions{IfExists: true}
	if _, err := c.Put(ctx, "pay", "k", []byte("v"), exists); !errors.Is(err, client.ErrChanged) {
		t.Errorf("put of what is absent: %v", err)
	}
	if _, err := c.Delete(ctx, "pay", "k", client.DeleteOptions{IfExists: true}); !errors.Is(err, client.ErrChanged) {
		t.Errorf("delete of what is absent: %v", err)
	}
	if _, err := c.Put(ctx, "pay", "k", []byte("v"), client.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if revision, err := c.Put(ctx, "pay", "k", []byte("w"), exists); err != nil || revision != 2 {
		t.Errorf("put of what exists: revision %d, %v", revision, err)
	}
	if revision, err := c.Delete(ctx, "pay", "k", client.DeleteOptions{IfExists: true}); err != nil || revision != 3 {
		t.Errorf("delete of what exists: revision %d, %v", revision, err)
	}
	for _, both := range []client.PutOptions{
		{IfRevision: 1, IfAbsent: true}, {IfRevision: 1, IfExists: true}, {IfAbsent: true, IfExists: true},
	} {
		var asked *client.Error
		if _, err := c.Put(ctx, "pay", "k", nil, both); err == nil || errors.As(err, &asked) {
			t.Errorf("%+v: %v, want that nobody is asked", both, err)
		}
	}
}

func TestARealServerHoldsValuesToSchemas(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	const schema = `{"required":["port"],"properties":{"port":{"type":"integer"}}}`
	if _, err := c.Schema(ctx, "pay", "db/", client.ReadOptions{}); !errors.Is(err, client.ErrNotFound) || !errors.Is(err, client.CodeNoSchema) {
		t.Errorf("a schema of nothing: %v", err)
	}
	attach := client.SchemaOptions{IfAbsent: true, IdempotencyKey: client.NewIdempotencyKey()}
	for range 2 { // the second is the first again
		if revision, err := c.AttachSchema(ctx, "pay", "db/", []byte(schema), attach); err != nil || revision != 1 {
			t.Fatalf("AttachSchema = %d, %v, want revision 1", revision, err)
		}
	}
	got, err := c.Schema(ctx, "pay", "db/", client.ReadOptions{})
	want := &client.Schema{Prefix: "db/", Revision: 1, Bytes: len(schema), Document: []byte(schema)}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Schema = %+v, %v, want %+v", got, err, want)
	}

	_, err = c.Put(ctx, "pay", "db/main", []byte(`{"port":"x"}`), client.PutOptions{Type: "application/json"})
	var refusal *client.Error
	place := []client.Violation{{Pointer: "/port", SchemaPointer: "/properties/port/type", Message: "is of type string and must be integer"}}
	if !errors.Is(err, client.CodeSchema) || !errors.As(err, &refusal) || !reflect.DeepEqual(refusal.Violations, place) {
		t.Errorf("a bad value: %v with %+v, want %+v", err, refusal, place)
	}
	if _, err := c.Put(ctx, "pay", "other", []byte("text"), client.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = c.AttachSchema(ctx, "pay", "", []byte(schema), client.SchemaOptions{})
	if !errors.Is(err, client.CodeSchema) || !errors.As(err, &refusal) || len(refusal.Violations) != 1 || refusal.Violations[0].Key != "other" {
		t.Errorf("a schema that a value doesn't satisfy: %v with %+v", err, refusal.Violations)
	}
	if _, err := c.AttachSchema(ctx, "pay", "x", []byte(`{"type":7}`), client.SchemaOptions{}); !errors.Is(err, client.CodeInvalid) {
		t.Errorf("no schema: %v", err)
	}

	if _, err := c.Delete(ctx, "pay", "other", client.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AttachSchema(ctx, "pay", "", []byte("true"), client.SchemaOptions{}); err != nil {
		t.Fatal(err)
	}
	list, err := c.Schemas(ctx, "pay", client.ReadOptions{Consistency: client.Local})
	if err != nil || len(list) != 2 || list[0].Prefix != "" || list[1].Prefix != "db/" || list[1].Bytes != len(schema) || list[0].Time.IsZero() {
		t.Errorf("Schemas = %+v, %v, want those of all keys and of db/", list, err)
	}
	if _, err := c.DetachSchema(ctx, "pay", "db/", client.SchemaOptions{IfRevision: 9}); !errors.Is(err, client.ErrChanged) {
		t.Errorf("a schema of another revision: %v", err)
	}
	if _, err := c.DetachSchema(ctx, "pay", "db/", client.SchemaOptions{IfRevision: 1}); err != nil {
		t.Error(err)
	}
	if _, err := c.DetachSchema(ctx, "pay", "db/", client.SchemaOptions{}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("the second time: %v", err)
	}
	var asked *client.Error
	for _, prefix := range []string{"a//b", "../b", "a/..", "/"} {
		if _, err := c.Schema(ctx, "pay", prefix, client.ReadOptions{}); err == nil || errors.As(err, &asked) {
			t.Errorf("prefix %q: %v, want that nobody is asked", prefix, err)
		}
	}
}

func TestARealServerKeepsToSettings(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	first, err := c.Settings(ctx, client.ReadOptions{})
	if err != nil || first.Revision != 0 || first.QuotaBytes != 256<<20 {
		t.Fatalf("Settings = %+v, %v, want the defaults", first, err)
	}
	changed := *first
	changed.HistoryRevisions = 50
	if revision, err := c.PutSettings(ctx, changed, client.SettingsOptions{IfUnset: true}); err != nil || revision != 1 {
		t.Fatalf("PutSettings = %d, %v, want revision 1", revision, err)
	}
	if _, err := c.PutSettings(ctx, changed, client.SettingsOptions{IfUnset: true}); !errors.Is(err, client.ErrChanged) {
		t.Errorf("settings that somebody has set: %v", err)
	}
	changed.Revision = 1
	if got, err := c.Settings(ctx, client.ReadOptions{}); err != nil || *got != changed {
		t.Errorf("Settings = %+v, %v, want %+v", got, err, changed)
	}
	if revision, err := c.PutSettings(ctx, changed, client.SettingsOptions{IfRevision: 1}); err != nil || revision != 2 {
		t.Errorf("what was read, sent back: revision %d, %v", revision, err)
	}
	if _, err := c.PutSettings(ctx, client.Settings{QuotaBytes: 1}, client.SettingsOptions{}); !errors.Is(err, client.CodeInvalid) {
		t.Errorf("a quota of a byte: %v", err)
	}
	if revision, err := c.ResetSettings(ctx, client.SettingsOptions{IfRevision: 2}); err != nil || revision != 3 {
		t.Errorf("ResetSettings = %d, %v, want revision 3", revision, err)
	}
	first.Revision = 3
	if got, err := c.Settings(ctx, client.ReadOptions{}); err != nil || *got != *first {
		t.Errorf("Settings = %+v, %v, want %+v", got, err, first)
	}
}

func TestARealServerKeepsANamespaceToItsQuota(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	if _, err := c.NamespaceSettings(ctx, "pay", client.ReadOptions{}); !errors.Is(err, client.ErrNotFound) || !errors.Is(err, client.CodeNoSettings) {
		t.Errorf("settings of nothing: %v", err)
	}
	quota := client.NamespaceSettings{QuotaBytes: 4096}
	if revision, err := c.PutNamespaceSettings(ctx, "pay", quota, client.SettingsOptions{IfUnset: true}); err != nil || revision != 1 {
		t.Fatalf("PutNamespaceSettings = %d, %v, want revision 1", revision, err)
	}
	quota.Revision = 1
	if got, err := c.NamespaceSettings(ctx, "pay", client.ReadOptions{}); err != nil || *got != quota {
		t.Errorf("NamespaceSettings = %+v, %v, want %+v", got, err, quota)
	}
	if _, err := c.Put(ctx, "pay", "k", make([]byte, 4096), client.PutOptions{}); !errors.Is(err, client.CodeQuota) {
		t.Errorf("a value beyond the quota: %v", err)
	}
	if _, err := c.Put(ctx, "pay", "k", make([]byte, 100), client.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	usage, err := c.NamespaceUsage(ctx, "pay", client.ReadOptions{})
	if err != nil || usage.Namespace != "pay" || usage.Keys != 1 || usage.Bytes <= 100 || usage.QuotaBytes != 4096 {
		t.Errorf("NamespaceUsage = %+v, %v, want one key beside the quota", usage, err)
	}
	whole, err := c.Usage(ctx, client.ReadOptions{Consistency: client.Local})
	if err != nil || whole.Keys != 1 || whole.Bytes != usage.Bytes || whole.QuotaBytes != 256<<20 {
		t.Errorf("Usage = %+v, %v, want as much as the namespace has", whole, err)
	}
	if _, err := c.DeleteNamespaceSettings(ctx, "pay", client.SettingsOptions{IfRevision: 1}); err != nil {
		t.Error(err)
	}
	if _, err := c.DeleteNamespaceSettings(ctx, "pay", client.SettingsOptions{}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("the second time: %v", err)
	}
	for name, call := range map[string]func() error{
		"NamespaceSettings": func() error { _, err := c.NamespaceSettings(ctx, "", client.ReadOptions{}); return err },
		"PutNamespaceSettings": func() error {
			_, err := c.PutNamespaceSettings(ctx, "", quota, client.SettingsOptions{})
			return err
		},
		"DeleteNamespaceSettings": func() error {
			_, err := c.DeleteNamespaceSettings(ctx, "", client.SettingsOptions{})
			return err
		},
		"NamespaceUsage": func() error { _, err := c.NamespaceUsage(ctx, "", client.ReadOptions{}); return err },
		"Schemas":        func() error { _, err := c.Schemas(ctx, "", client.ReadOptions{}); return err },
		"Schema":         func() error { _, err := c.Schema(ctx, "", "", client.ReadOptions{}); return err },
	} {
		if call() == nil {
			t.Errorf("%s takes an empty namespace", name)
		}
	}
}
