package config_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

const (
	anObject = `{"type": "object"}`
	aPort    = `{"required": ["port"], "properties": {"port": {"type": "integer"}}}`
)

func attach(prefix, document string) *config.AttachSchema {
	return &config.AttachSchema{Namespace: "pay", Prefix: prefix, Document: []byte(document)}
}

func detach(prefix string) *config.DetachSchema {
	return &config.DetachSchema{Namespace: "pay", Prefix: prefix}
}

// putJSON returns a put of a JSON value.
func putJSON(key, value string) *config.Put {
	p := put(key, value)
	p.MediaType = "application/json"
	return p
}

// racing is a replicator before whose proposals others come.
type racing struct {
	*fakeReplicator
	// before returns the commands that come before the next proposal.
	before func() []interface{ Encode() ([]byte, error) }
}

func (r *racing) Propose(ctx context.Context, command []byte, freesSpace bool) (config.Result, error) {
	for _, c := range r.before() {
		r.apply(c)
	}
	return r.fakeReplicator.Propose(ctx, command, freesSpace)
}

// newRacingStore returns a store whose writes others race.
func newRacingStore(t testing.TB) (*config.Store, *racing) {
	t.Helper()
	fake := &racing{
		fakeReplicator: &fakeReplicator{log: *newLog(t)}, before: func() []interface{ Encode() ([]byte, error) } { return nil },
	}
	store, err := config.NewStore(fake.state, fake, config.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return store, fake
}

// next lets commands come before the next proposal alone.
func (r *racing) next(commands ...interface{ Encode() ([]byte, error) }) {
	r.before = func() []interface{ Encode() ([]byte, error) } {
		once := commands
		commands = nil
		return once
	}
}

func TestAllSchemasOfAKeysPrefixesHold(t *testing.T) {
	store, _ := newStore(t, config.StoreOptions{})
	for _, a := range []*config.AttachSchema{attach("", anObject), attach("app/", aPort)} {
		if _, err := store.AttachSchema(t.Context(), *a); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		key, value string
		says       string
	}{
		{"app/a", `{"port": 1}`, ""},
		{"app/a", `{"port": "x"}`, `by the schema of prefix "app/"`},
		{"app/a", `[]`, `by the schema of prefix ""`},
		{"other", `{"port": "x"}`, ""},
		{"other", `1`, `by the schema of prefix ""`},
	} {
		for name, err := range map[string]error{
			"put":   second(store.Put(t.Context(), *putJSON(c.key, c.value))),
			"trial": second(store.TryPut(t.Context(), *putJSON(c.key, c.value))),
			"transaction": third(store.Txn(t.Context(), config.Txn{
				Namespace: "pay", If: []config.Condition{{Key: "none", Is: config.IfExists()}}, Then: []config.Operation{getOp("none")},
				Else: []config.Operation{{Kind: config.OperationPut, Key: c.key, Value: []byte(c.value), MediaType: "application/json"}},
			})),
		} {
			if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, config.ErrSchema) || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%s of %s to %s: %v, want %q", name, c.value, c.key, err, c.says)
			}
		}
	}
	// Another namespace has no schemas, and a delete needs none.
	elsewhere := put("app/a", "no JSON")
	elsewhere.Namespace = "other"
	if err := errors.Join(second(store.Put(t.Context(), *elsewhere)), second(store.Delete(t.Context(), *del("app/a")))); err != nil {
		t.Error(err)
	}
	// Of the two, each can go.
	if _, err := store.DetachSchema(t.Context(), *detach("")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(second(store.Put(t.Context(), *put("other", "no JSON"))), second(store.Put(t.Context(), *putJSON("app/a", `{"port": 2}`)))); err != nil {
		t.Error(err)
	}
	if _, err := store.DetachSchema(t.Context(), *detach("")); !errors.Is(err, config.ErrNotFound) {
		t.Errorf("one that isn't there: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func third[T, U any](_ T, _ U, err error) error { return err }

func TestASchemaIsNotAttachedToValuesThatDontSatisfyIt(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{})
	var want []string
	for i := range 25 {
		fake.apply(putJSON(fmt.Sprintf("a/%02d", i), "1"), putJSON(fmt.Sprintf("a/%02d-good", i), "{}"), putJSON(fmt.Sprintf("b/%02d", i), "1"))
		want = append(want, fmt.Sprintf("a/%02d", i))
	}
	before := fake.state.View().Revision
	_, err := store.AttachSchema(t.Context(), *attach("a/", anObject))
	var offending *config.OffendingError
	if !errors.As(err, &offending) || !errors.Is(err, config.ErrSchema) {
		t.Fatal(err)
	}
	var got []string
	for _, k := range offending.Keys {
		got = append(got, k.Key)
		if k.Message == "" {
			t.Errorf("%s: nothing is said to be wrong", k.Key)
		}
	}
	if !slices.Equal(got, want[:20]) || !offending.More {
		t.Errorf("%v and more %v, want the first 20 of %v", got, offending.More, want)
	}
	if v := fake.state.View(); v.Revision != before || len(v.Schemas("pay")) != 0 {
		t.Error("it was attached")
	}
	for _, key := range want {
		fake.apply(del(key))
	}
	if _, err := store.AttachSchema(t.Context(), *attach("a/", anObject)); err != nil {
		t.Errorf("without them: %v", err)
	}
	for says, document := range map[string]string{"invalid schema": `{"type": 5}`, "remote": `{"$ref": "https://example.org/schema"}`, "1 to 262144": ""} {
		if _, err := store.AttachSchema(t.Context(), *attach("b/", document)); !errors.Is(err, config.ErrInvalid) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

func TestSchemasHaveRevisions(t *testing.T) {
	l := newLog(t)
	with := func(i config.Precondition, a *config.AttachSchema) *config.AttachSchema {
		a.If = i
		return a
	}
	for i, step := range []struct {
		command interface{ Encode() ([]byte, error) }
		outcome config.Outcome
		current uint64
	}{
		{detach("a/"), config.OutcomeNotFound, 0},
		{with(config.IfExists(), attach("a/", anObject)), config.OutcomeConflict, 0},
		{with(config.IfAbsent(), attach("a/", anObject)), config.OutcomeApplied, 0}, // Revision 1.
		{attach("", anObject), config.OutcomeApplied, 0},                            // 2
		{with(config.IfRevision(1), attach("a/", aPort)), config.OutcomeApplied, 1}, // 3
		{with(config.IfRevision(1), attach("a/", aPort)), config.OutcomeConflict, 3},
		{&config.DetachSchema{Namespace: "pay", If: config.IfRevision(1)}, config.OutcomeConflict, 2},
		{&config.DetachSchema{Namespace: "pay", If: config.IfRevision(2)}, config.OutcomeApplied, 2}, // 4
	} {
		if got := l.apply(step.command); got.Outcome != step.outcome || got.Current != step.current {
			t.Errorf("step %d: %+v, want outcome %d and %d", i, got, step.outcome, step.current)
		}
	}
	v := l.state.View()
	if got := v.Schemas("pay"); v.Revision != 4 || len(got) != 1 || got[0].Revision != 3 || string(got[0].Document) != aPort || v.Schema("pay", "a/") != got[0] || v.Schema("pay", "a") != nil {
		t.Errorf("at revision %d: %+v", v.Revision, got)
	}
}

// TestAPutThatASchemaOvertakesIsValidatedAgain and finds the new schema.
func TestAPutThatASchemaOvertakesIsValidatedAgain(t *testing.T) {
	store, fake := newRacingStore(t)
	fake.next(attach("a/", anObject))
	if _, err := store.Put(t.Context(), *putJSON("a/1", "1")); !errors.Is(err, config.ErrSchema) {
		t.Errorf("a bad value: %v", err)
	}
	fake.next(attach("b/", aPort))
	if _, err := store.Put(t.Context(), *putJSON("a/1", "{}")); err != nil {
		t.Errorf("a good value: %v", err)
	}
	fake.next(detach("a/"), detach("b/"))
	if _, err := store.Put(t.Context(), *putJSON("a/1", "{}")); err != nil {
		t.Errorf("a good value: %v", err)
	}
	// One that changes again and again wins, and the put certainly fails.
	proposals := 0
	fake.before = func() []interface{ Encode() ([]byte, error) } {
		proposals++
		return []interface{ Encode() ([]byte, error) }{attach("z/", anObject)}
	}
	before := fake.state.View().Get("pay", "a/1").Version
	if _, err := store.Put(t.Context(), *putJSON("a/1", "{}")); !errors.Is(err, config.ErrSchemaRace) || proposals != 5 {
		t.Errorf("after %d proposals: %v", proposals, err)
	}
	if fake.state.View().Get("pay", "a/1").Version != before {
		t.Error("it was carried out")
	}
}

// TestASchemaThatAPutOvertakesIsValidatedAgain against what was written since.
func TestASchemaThatAPutOvertakesIsValidatedAgain(t *testing.T) {
	store, fake := newRacingStore(t)
	fake.apply(putJSON("a/1", "{}"), put("b", "no JSON"))
	fake.next(putJSON("a/2", "2"), putJSON("a/3", "{}"), putJSON("a/4", "4"), del("a/4"))
	_, err := store.AttachSchema(t.Context(), *attach("a/", anObject))
	var offending *config.OffendingError
	if !errors.As(err, &offending) || len(offending.Keys) != 1 || offending.Keys[0].Key != "a/2" {
		t.Errorf("a bad value: %v", err)
	}
	fake.next(putJSON("a/2", "{}"))
	fake.apply(del("a/2"))
	if _, err := store.AttachSchema(t.Context(), *attach("a/", anObject)); err != nil {
		t.Errorf("good values: %v", err)
	}
	// What is elsewhere, or only deleted, is no reason to look again.
	proposals := 0
	fake.before = func() []interface{ Encode() ([]byte, error) } {
		proposals++
		other := put("c/1", "1")
		other.Namespace = "other"
		return []interface{ Encode() ([]byte, error) }{put("b", fmt.Sprint(proposals)), other, del("c/0")}
	}
	fake.apply(putJSON("c/0", "{}"))
	if _, err := store.AttachSchema(t.Context(), config.AttachSchema{Namespace: "other", Prefix: "d/", Document: []byte(anObject)}); err != nil || proposals != 1 {
		t.Errorf("after %d proposals: %v", proposals, err)
	}
	// A recovery ends history, so all is looked at again.
	fake.apply(detach("a/"), detach("z/"))
	fake.next(&config.Recover{TimeMicros: 1})
	if _, err := store.AttachSchema(t.Context(), *attach("a/", anObject)); err != nil {
		t.Errorf("across a recovery: %v", err)
	}
}

// TestACommandThatNobodyValidatedIsRefusedWhereSchemasAre is about the state
// alone: it must not matter who proposed.
func TestACommandThatNobodyValidatedIsRefusedWhereSchemasAre(t *testing.T) {
	l := newLog(t)
	l.apply(put("b", "1"), put("b", "now"), attach("a/", anObject))
	before := l.state.View().Revision
	for name, c := range map[string]interface{ Encode() ([]byte, error) }{
		"put": putJSON("a/1", "{}"), "put elsewhere": put("b", "2"),
		"transaction": &config.Txn{Namespace: "pay", Then: []config.Operation{putOp("b", "2")}},
		"rollback":    &config.Rollback{Namespace: "pay", To: 1},
		"idempotent":  keyed("k", "b", "2"),
		"attach":      attach("b", anObject),
	} {
		if got := l.apply(c); got.Outcome != config.OutcomeSchemaRace || got.Revision != before {
			t.Errorf("%s: %+v, want outcome %d", name, got, config.OutcomeSchemaRace)
		}
	}
	if kept := l.state.View().KeptResults; kept != 0 {
		t.Errorf("%d results are kept of what can be sent again", kept)
	}
	if got := l.apply(&config.Txn{Namespace: "pay", Then: []config.Operation{getOp("b")}}, del("b")); got.Outcome != config.OutcomeApplied {
		t.Errorf("what writes no value: %+v", got)
	}
}

func TestARollbackIsValidatedByTheSchemasOfNow(t *testing.T) {
	store, fake := newRacingStore(t)
	fake.apply(putJSON("a/1", "1"), putJSON("a/2", "{}"), putJSON("b", "1"), putJSON("a/1", `{"now": "good"}`), putJSON("b", "2"))
	if _, err := store.AttachSchema(t.Context(), *attach("a/", anObject)); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Rollback(t.Context(), config.Rollback{Namespace: "pay", To: 3}); !errors.Is(err, config.ErrSchema) || !strings.Contains(err.Error(), `"a/1"`) {
		t.Errorf("to a value that doesn't satisfy it: %v", err)
	}
	if _, err := store.Rollback(t.Context(), config.Rollback{Namespace: "pay", Prefix: "b", To: 3}); err != nil {
		t.Errorf("under another prefix: %v", err)
	}
	if got := string(fake.state.View().Get("pay", "b").Value); got != "1" {
		t.Errorf("b is %s, want 1", got)
	}
	// What others write meanwhile satisfies the schema, and so does what it was.
	fake.next(del("a/2"))
	if _, err := store.Rollback(t.Context(), config.Rollback{Namespace: "pay", Prefix: "a/2", To: 5}); err != nil {
		t.Errorf("of what was deleted meanwhile: %v", err)
	}
	if fake.state.View().Get("pay", "a/2") == nil {
		t.Error("it wasn't put back")
	}
}

// TestAWriteThatIsSentAgainReturnsItsFirstResultUnderNewSchemas that it doesn't
// satisfy, and one that was never carried out is told so.
func TestAWriteThatIsSentAgainReturnsItsFirstResultUnderNewSchemas(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{})
	first, err := store.Put(t.Context(), *keyed("k", "a/1", "no JSON"))
	if err != nil {
		t.Fatal(err)
	}
	fake.apply(del("a/1"))
	a := attach("a/", anObject)
	a.Idempotency = "attach"
	attached, err := store.AttachSchema(t.Context(), *a)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := store.Put(t.Context(), *keyed("k", "a/1", "no JSON")); err != nil || !reflect.DeepEqual(again, first) {
		t.Errorf("again: %+v, %v, want %+v", again, err, first)
	}
	if _, err := store.Put(t.Context(), *keyed("new", "a/1", "no JSON")); !errors.Is(err, config.ErrSchema) {
		t.Errorf("a new one: %v", err)
	}
	// The values validated are others now, and it is the same request still.
	if _, err := store.Put(t.Context(), *putJSON("a/1", "{}")); err != nil {
		t.Fatal(err)
	}
	if again, err := store.AttachSchema(t.Context(), *a); err != nil || !reflect.DeepEqual(again, attached) {
		t.Errorf("the schema again: %+v, %v, want %+v", again, err, attached)
	}
}

func TestANamespaceHasOnlySoManySchemas(t *testing.T) {
	l := newLog(t)
	for i := range config.MaxSchemas {
		if got := l.apply(attach(fmt.Sprint(i), anObject)); got.Outcome != config.OutcomeApplied {
			t.Fatalf("schema %d: %+v", i, got)
		}
	}
	restored := &log{t: t, state: config.NewState(), index: l.index}
	if err := restored.state.Restore(bytes.NewReader(snapshot(t, l.state))); err != nil {
		t.Fatal(err)
	}
	for _, l := range []*log{l, restored} {
		if got := l.apply(attach("more", anObject)); got.Outcome != config.OutcomeTooMany {
			t.Errorf("one too many: %+v", got)
		}
		if got := l.apply(attach("7", aPort), detach("8"), attach("more", anObject)); got.Outcome != config.OutcomeApplied {
			t.Errorf("in the place of another: %+v", got)
		}
	}
	if !bytes.Equal(snapshot(t, l.state), snapshot(t, restored.state)) {
		t.Error("the same log gave other snapshot bytes")
	}
}

// TestSchemasThatContradictThemselvesAreRefused in a snapshot.
func TestSchemasThatContradictThemselvesAreRefused(t *testing.T) {
	l := schemas(t)
	data := snapshot(t, l.state)
	all := payloads(data)
	if kinds := kindsOf(all); kinds != "HGNCCERRRZ" || !bytes.Equal(frame(all), data) {
		t.Fatalf("the snapshot holds frames %s, or other bytes when framed again", kinds)
	}
	refuseRearranged(t, all)
	for name, damage := range map[string]func(schema []byte) []byte{
		"a prefix that can't be":     func(s []byte) []byte { return bytes.Replace(s, []byte("b/"), []byte("//"), 1) },
		"a prefix out of order":      func(s []byte) []byte { return bytes.Replace(s, []byte("b/"), []byte("a/"), 1) },
		"no document":                func(s []byte) []byte { return append(bytes.Clone(s[:5]), 0xc4, 0, 3, 0) },
		"a revision from the future": func(s []byte) []byte { return append(bytes.Clone(s[:len(s)-2]), 4, 0) },
		"no revision":                func(s []byte) []byte { return append(bytes.Clone(s[:len(s)-2]), 0, 0) },
	} {
		damaged := damage(bytes.Clone(all[4]))
		if bytes.Equal(damaged, all[4]) {
			t.Errorf("%s: %x holds nothing of the kind", name, all[4])
		}
		if err := config.NewState().Restore(bytes.NewReader(frame(slices.Replace(slices.Clone(all), 4, 5, damaged)))); !errors.Is(err, config.ErrBadSnapshot) {
			t.Errorf("%s: %v, want ErrBadSnapshot", name, err)
		}
	}
}

// schemas returns a state with two schemas.
func schemas(t testing.TB) *log {
	l := newLog(t)
	l.apply(put("k", "v"), attach("a/", anObject), attach("b/", aPort))
	return l
}

// TestAllSchemasTogetherHaveALimit in bytes, also after a restore.
func TestAllSchemasTogetherHaveALimit(t *testing.T) {
	l := newLog(t)
	large := attach("", `{"description": "`+strings.Repeat("d", config.MaxSchemaBytes-500)+`"}`)
	put := func(l *log, n int) config.Result {
		large.Namespace = fmt.Sprint("n", n)
		return l.apply(large)
	}
	attached := 0
	for put(l, attached).Outcome == config.OutcomeApplied {
		attached++
	}
	if attached != 256 {
		t.Errorf("%d schemas of 256 KiB were attached, want 64 MiB of them", attached)
	}
	restored := &log{t: t, state: config.NewState(), index: l.index}
	if err := restored.state.Restore(bytes.NewReader(snapshot(t, l.state))); err != nil {
		t.Fatal(err)
	}
	for _, l := range []*log{l, restored} {
		if got := put(l, attached); got.Outcome != config.OutcomeTooMany {
			t.Errorf("one too many: %+v", got)
		}
		if got := put(l, 7); got.Outcome != config.OutcomeApplied {
			t.Errorf("in the place of another: %+v", got)
		}
		l.apply(&config.DetachSchema{Namespace: "n8"})
		if got := put(l, attached); got.Outcome != config.OutcomeApplied {
			t.Errorf("when there is room: %+v", got)
		}
	}
}

func TestAViewHoldsItsSchemas(t *testing.T) {
	l := schemas(t)
	view := l.state.View()
	before := slices.Clone(view.Schemas("pay"))
	l.apply(attach("a/", "true"), detach("b/"), attach("0/", "true"))
	if !slices.Equal(view.Schemas("pay"), before) {
		t.Error("a view changes with the state")
	}
}

// TestASchemaIsValidatedAgainWhenHistoryLacksWhatHappened has a value written, and
// its revision pruned, while a schema is on its way.
func TestASchemaIsValidatedAgainWhenHistoryLacksWhatHappened(t *testing.T) {
	store, fake := newRacingStore(t)
	fake.apply(putJSON("a/1", "{}"), &config.PutSettings{Settings: config.Settings{HistoryAgeMillis: 1, HistoryRevisions: 1}})
	fake.before = func() []interface{ Encode() ([]byte, error) } {
		fake.before = func() []interface{ Encode() ([]byte, error) } { return nil }
		fake.apply(putJSON("a/2", "2"), put("b", "1"), put("b", "2"))
		fake.idle(3, config.Stamp{ElapsedMillis: 10})
		return nil
	}
	_, err := store.AttachSchema(t.Context(), *attach("a/", anObject))
	var offending *config.OffendingError
	if !errors.As(err, &offending) || len(offending.Keys) != 1 || offending.Keys[0].Key != "a/2" {
		t.Errorf("%v, want the value that was written meanwhile", err)
	}
	if oldest := fake.state.View().Oldest(); oldest < 4 {
		t.Errorf("history reaches back to %d", oldest)
	}
}
