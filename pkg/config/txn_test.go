package config_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

func putOp(key, value string) config.Operation {
	return config.Operation{Kind: config.OperationPut, Key: key, Value: []byte(value), MediaType: "text/plain"}
}

func delOp(key string) config.Operation {
	return config.Operation{Kind: config.OperationDelete, Key: key}
}

func getOp(key string) config.Operation {
	return config.Operation{Kind: config.OperationGet, Key: key}
}

func TestATransactionIsOneRevision(t *testing.T) {
	l := newLog(t)
	l.apply(put("a", "1"), put("b", "1"), put("c", "1"))
	got := l.apply(&config.Txn{
		Namespace: "pay", If: []config.Condition{{Key: "a", Is: config.IfRevision(1)}, {Key: "x", Is: config.IfAbsent()}, {Key: "b", Is: config.IfVersion(1)}},
		Then: []config.Operation{putOp("a", "2"), delOp("b"), getOp("c"), putOp("x", ""), delOp("none"), getOp("nil")},
	})
	want := config.Result{Outcome: config.OutcomeApplied, Changes: 3, Revision: 4, Txn: &config.TxnResult{Succeeded: true, Operations: []config.OperationResult{
		{Revision: 4, CreateRevision: 1, Version: 2}, {}, {Revision: 3, CreateRevision: 3, Version: 1}, {Revision: 4, CreateRevision: 4, Version: 1}, {}, {},
	}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v with %+v, want %+v", got, got.Txn, want.Txn)
	}
	v := l.state.View()
	changed := ""
	for _, c := range v.RevisionAt(4).Changes {
		changed += fmt.Sprintf("%s %v ", c.Entry.Key, c.Entry.Deleted())
	}
	if changed != "a false b true x false " || v.Keys != 3 || v.Get("pay", "b") != nil {
		t.Errorf("the revision changed %q and %d keys are left", changed, v.Keys)
	}
}

func TestAFailedConditionRunsElseOrRefuses(t *testing.T) {
	l := newLog(t)
	l.apply(put("a", "1"), put("a", "2"), put("b", "1"))
	failing := []config.Condition{{Key: "b", Is: config.IfExists()}, {Key: "a", Is: config.IfVersion(1)}, {Key: "b", Is: config.IfAbsent()}}
	txn := config.Txn{Namespace: "pay", If: failing, Then: []config.Operation{putOp("c", "then")}, Else: []config.Operation{putOp("c", "else")}}
	got := l.apply(&txn)
	if got.Outcome != config.OutcomeApplied || got.Revision != 4 || got.Txn.Succeeded || got.Txn.Failed != 1 || string(l.state.View().Get("pay", "c").Value) != "else" {
		t.Errorf("with else: %+v, %+v", got, got.Txn)
	}
	txn.Else = nil
	got = l.apply(&txn)
	var conflict *config.ConflictError
	if got.Outcome != config.OutcomeConflict || got.Revision != 4 || got.Txn.Failed != 1 || got.Changes != 0 ||
		!errors.As(got.Err(), &conflict) || *conflict != (config.ConflictError{Current: 2, Revision: 4}) {
		t.Errorf("without else: %+v, %+v, %v", got, got.Txn, got.Err())
	}
}

func TestATransactionThatChangesNothingTakesNoRevision(t *testing.T) {
	l := newLog(t)
	l.apply(put("a", "1"))
	got := l.apply(&config.Txn{Namespace: "pay", Then: []config.Operation{getOp("a"), delOp("none")}})
	if got.Outcome != config.OutcomeApplied || got.Revision != 1 || got.Changes != 0 || got.Txn.Operations[0].Revision != 1 {
		t.Errorf("%+v, %+v", got, got.Txn)
	}
	got = l.apply(&config.Txn{Namespace: "empty", Then: []config.Operation{getOp("a"), delOp("none")}})
	if got.Outcome != config.OutcomeApplied || got.Revision != 1 {
		t.Errorf("in an empty namespace: %+v", got)
	}
}

func TestATransactionIsNeverPartial(t *testing.T) {
	l := &log{t: t, state: config.NewStateWithQuota(4096)}
	l.apply(put("a", strings.Repeat("v", 1000)))
	before := l.state.View()
	got := l.apply(&config.Txn{Namespace: "pay", Then: []config.Operation{putOp("b", "1"), putOp("c", strings.Repeat("v", 4000)), delOp("none")}})
	if after := l.state.View(); got.Outcome != config.OutcomeQuota || got.Txn != nil || after.LiveBytes != before.LiveBytes || after.Keys != 1 || after.Revision != 1 {
		t.Errorf("beyond the quota: %+v, %d bytes", got, after.LiveBytes)
	}
	// What it frees counts for it.
	got = l.apply(&config.Txn{Namespace: "pay", Then: []config.Operation{putOp("b", strings.Repeat("v", 2000)), delOp("a")}})
	if got.Outcome != config.OutcomeApplied {
		t.Errorf("within the quota: %+v", got)
	}
}

func TestTransactionsThatCannotSucceedAreNotMade(t *testing.T) {
	many := make([]config.Operation, config.MaxTxnOperations/2+1)
	for i := range many {
		many[i] = getOp(fmt.Sprint("k", i))
	}
	conditions := make([]config.Condition, config.MaxTxnOperations+1)
	for i := range conditions {
		conditions[i] = config.Condition{Key: "a", Is: config.IfExists()}
	}
	one := []config.Operation{getOp("a")}
	for says, txn := range map[string]config.Txn{
		"invalid namespace":                        {Namespace: "P", Then: one},
		"it has 0 operations":                      {Namespace: "pay", If: conditions[:1]},
		"it has 130 operations":                    {Namespace: "pay", Then: many, Else: many},
		"it has 129 conditions":                    {Namespace: "pay", If: conditions, Then: one},
		"invalid key":                              {Namespace: "pay", Then: []config.Operation{getOp("a//b")}},
		"invalid condition":                        {Namespace: "pay", If: []config.Condition{{Key: "a"}}, Then: one},
		`key "a" stands in more than one`:          {Namespace: "pay", Then: []config.Operation{getOp("a"), delOp("a")}},
		`only a put of key "a" could have a value`: {Namespace: "pay", Else: []config.Operation{{Kind: config.OperationDelete, Key: "a", Value: []byte("v")}}},
		`kind 9 of key "a" is unknown`:             {Namespace: "pay", Then: []config.Operation{{Kind: 9, Key: "a"}}},
		"invalid media type":                       {Namespace: "pay", Then: []config.Operation{{Kind: config.OperationPut, Key: "a", MediaType: "text"}}},
	} {
		if command, err := txn.Encode(); command != nil || !errors.Is(err, config.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("Encode = %v, want an error that says %q", err, says)
		}
	}
	large := config.Txn{Namespace: "pay", Then: []config.Operation{
		putOp("a", strings.Repeat("v", config.MaxValueBytes)), putOp("b", strings.Repeat("v", config.MaxValueBytes)),
	}}
	if _, err := large.Encode(); !errors.Is(err, config.ErrTooLarge) {
		t.Errorf("two of the largest values: %v", err)
	}
	if _, err := (&config.Put{Namespace: "pay", Key: "a", If: config.IfVersion(1)}).Encode(); !errors.Is(err, config.ErrInvalid) {
		t.Errorf("a put with a condition of transactions: %v", err)
	}
}

// TestATransactionWithMoreThanItShouldHaveIsMalformed hides an element in an inner
// array, which a decoder may pass over.
func TestATransactionWithMoreThanItShouldHaveIsMalformed(t *testing.T) {
	txn := config.Txn{Namespace: "pay", If: []config.Condition{{Key: "a", Is: config.IfAbsent()}}, Then: []config.Operation{putOp("a", "")}}
	command := encode(t, &txn)
	condition := []byte{0x93, 0xa1, 'a', 1, 0}
	at := bytes.Index(command, condition)
	if at < 0 {
		t.Fatalf("%x has no condition %x", command, condition)
	}
	longer := bytes.Clone(command[:at])
	longer = append(append(longer, 0x94, 0xa1, 'a', 1, 0, 0), command[at+len(condition):]...)
	l := newLog(t)
	if got := l.state.Apply(1, config.Stamp{}, config.Origin{}, longer); got.Outcome != config.OutcomeMalformed {
		t.Errorf("%+v", got)
	}
	if got := l.state.Apply(2, config.Stamp{}, config.Origin{}, command); got.Outcome != config.OutcomeApplied {
		t.Errorf("as it should be: %+v", got)
	}
	for i := range command {
		command[i] = 0xee
	}
	l.state.Publish()
	if e := l.state.View().Get("pay", "a"); e == nil || e.MediaType != "text/plain" {
		t.Errorf("the state holds on to the command: %+v", e)
	}
}

func TestAStoreAnswersATransactionWithWhatItReadAndWrote(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{})
	fake.apply(put("a", "1"), put("b", "1"))
	result, entries, err := store.Txn(t.Context(), config.Txn{Namespace: "pay", Then: []config.Operation{getOp("a"), putOp("c", "2"), delOp("b"), getOp("none")}})
	if err != nil || result.Revision != 3 || len(entries) != 4 || string(entries[0].Value) != "1" || string(entries[1].Value) != "2" || entries[2] != nil || entries[3] != nil {
		t.Errorf("%+v, %+v, %v", result, entries, err)
	}
	_, _, err = store.Txn(t.Context(), config.Txn{Namespace: "pay", If: []config.Condition{{Key: "c", Is: config.IfAbsent()}}, Then: []config.Operation{delOp("a")}})
	if !errors.Is(err, config.ErrConflict) || !strings.Contains(err.Error(), "transaction in pay") {
		t.Errorf("a condition that fails: %v", err)
	}
	fake.full = true
	if _, _, err = store.Txn(t.Context(), config.Txn{Namespace: "pay", Then: []config.Operation{delOp("a")}}); err != nil {
		t.Errorf("a transaction that deletes, on a full disk: %v", err)
	}
	if _, _, err = store.Txn(t.Context(), config.Txn{Namespace: "pay", Then: []config.Operation{delOp("a")}, Else: []config.Operation{putOp("a", "")}}); !errors.Is(err, config.ErrDiskFull) {
		t.Errorf("a transaction that may put, on a full disk: %v", err)
	}
}

// TestATransactionsResultIsKeptForItsCopies also after a restore.
func TestATransactionsResultIsKeptForItsCopies(t *testing.T) {
	l := newLog(t)
	from := config.Origin{Member: 7, Boot: 3, Sequence: 1}
	txn := config.Txn{Namespace: "pay", If: []config.Condition{{Key: "a", Is: config.IfAbsent()}}, Then: []config.Operation{putOp("a", "1"), getOp("b")}}
	first := l.applyFrom(from, &txn)
	from.Sequence = 2
	refused := l.applyFrom(from, &txn)
	if first.Outcome != config.OutcomeApplied || refused.Outcome != config.OutcomeConflict || refused.Txn == nil {
		t.Fatalf("%+v, then %+v", first, refused)
	}
	data := snapshot(t, l.state)
	if kinds := kindsOf(payloads(data)); kinds != "HGSTTNERZ" {
		t.Errorf("the snapshot holds frames %s", kinds)
	}
	refuseRearranged(t, payloads(data))
	if err := l.state.Restore(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	for sequence, want := range []config.Result{first, refused} {
		from.Sequence = uint64(sequence + 1)
		if again := l.applyFrom(from, &txn); !reflect.DeepEqual(again, want) {
			t.Errorf("a copy of %d returned %+v, want %+v", sequence+1, again, want)
		}
	}
}

// TestATransactionOfTheLargestValuesSaysThatItIsTooLarge and copies none of them
// to find out.
func TestATransactionOfTheLargestValuesSaysThatItIsTooLarge(t *testing.T) {
	txn := config.Txn{Namespace: "pay", Idempotency: "i"}
	for i := range config.MaxTxnOperations {
		txn.Then = append(txn.Then, config.Operation{Kind: config.OperationPut, Key: fmt.Sprint(i), Value: make([]byte, config.MaxValueBytes)})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := txn.Encode()
	runtime.ReadMemStats(&after)
	if !errors.Is(err, config.ErrTooLarge) || !strings.Contains(err.Error(), "and may have 4194304") {
		t.Errorf("Encode = %v", err)
	}
	if made := after.TotalAlloc - before.TotalAlloc; made > 1<<20 {
		t.Errorf("%d bytes are made of it", made)
	}
}

// TestATransactionOfCountlessElementsIsRefusedAtOnce feeds Apply what only a
// member that is not one of us can propose: arrays that are small as long as they
// are encoded. Nothing may be made of their elements.
func TestATransactionOfCountlessElementsIsRefusedAtOnce(t *testing.T) {
	const elements = config.MaxCommandBytes - 100
	header := binary.BigEndian.AppendUint32([]byte{0xdd}, elements)
	nils := append(header, bytes.Repeat([]byte{0xc0}, elements)...)
	pairs := append(binary.BigEndian.AppendUint32([]byte{0xdf}, elements/2), bytes.Repeat([]byte{0xa0, 0xc0}, elements/2)...)
	short := append([]byte{0xdc, 0, 129}, bytes.Repeat([]byte{0xc0}, 129)...)
	none, begin := []byte{0xc0}, []byte{4, 1, 0x94, 0xa1, 'n'}
	for name, parts := range map[string][][]byte{
		"conditions": {begin, nils, none, none}, "operations": {begin, none, nils, none}, "alternatives": {begin, none, none, nils},
		"a map": {begin, none, pairs, none}, "one too many": {begin, none, short, none}, "nils": {begin, none, {0x91, 0xc0}, none}, "nothing more": {begin, none, {0x91}},
	} {
		l := newLog(t)
		command := slices.Concat(parts...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := l.state.Apply(1, config.Stamp{}, config.Origin{}, command)
		runtime.ReadMemStats(&after)
		if got.Outcome != config.OutcomeMalformed {
			t.Errorf("%s: %+v", name, got)
		}
		if made := after.TotalAlloc - before.TotalAlloc; made > 1<<20 {
			t.Errorf("%s: %d bytes are made of a command of %d", name, made, len(command))
		}
	}
}
