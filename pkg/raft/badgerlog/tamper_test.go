package badgerlog

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// Each case leaves records that are sound by themselves, as when Badger loses
// some or brings old ones back, and what opening the log must say then. The
// log holds ten entries of term 3, each in one record.
func TestRecordsThatDoNotFitTogetherAreFoundWhenTheLogIsOpened(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(l *Log, txn *badger.Txn) error
		says string
	}{
		{"a lost entry", func(_ *Log, txn *badger.Txn) error {
			return txn.Delete(entryKey(5, 0))
		}, "entry 5 is missing: the next record is of entry 6"},
		{"a lost last entry", func(_ *Log, txn *badger.Txn) error {
			return txn.Delete(entryKey(10, 0))
		}, "entry 10 is missing; the log should end with entry 10"},
		{"another entry of the same term", func(l *Log, txn *badger.Txn) error {
			return replaceEntry(txn, raft.Entry{Index: 5, Term: 3, Kind: raft.EntryCommand, Data: []byte("other")}, l.chainOf(5))
		}, "entry 6 follows another log"},
		{"another last entry", func(l *Log, txn *badger.Txn) error {
			return replaceEntry(txn, raft.Entry{Index: 10, Term: 3, Kind: raft.EntryCommand, Data: []byte("other")}, l.chainOf(10))
		}, "its chain hash differs"},
		{"an entry that was overwritten", func(_ *Log, txn *badger.Txn) error {
			return replaceEntry(txn, raft.Entry{Index: 5, Term: 2, Kind: raft.EntryCommand}, 1234)
		}, "entry 5 follows another log"},
		{"a falling term", func(l *Log, txn *badger.Txn) error {
			return replaceEntry(txn, raft.Entry{Index: 5, Term: 2, Kind: raft.EntryCommand}, l.chainOf(5))
		}, "entry 5 of term 2 follows one of term 3"},
		{"an entry in another's place", func(_ *Log, txn *badger.Txn) error {
			value, err := readRecord(txn, entryKey(4, 0))
			return errors.Join(err, txn.Set(entryKey(5, 0), value))
		}, "entry 4 is stored in the place of entry 5"},
		{"a part too many", func(_ *Log, txn *badger.Txn) error {
			return txn.Set(entryKey(5, 1), []byte("part"))
		}, "the next record is of entry 5"},
		{"an unknown membership", func(l *Log, txn *badger.Txn) error {
			e := raft.Entry{Index: 5, Term: 3, Kind: raft.EntryMembership}
			return txn.Set(entryKey(5, 0), appendRecords(nil, &e, []byte("?"), l.chainOf(5))[0].value)
		}, "entry 5: membership"},
		{"a lost head", func(_ *Log, txn *badger.Txn) error {
			return txn.Delete(headKey)
		}, "no head record"},
		{"a lost base", func(_ *Log, txn *badger.Txn) error {
			return errors.Join(txn.Delete(entryKey(1, 0)), txn.Delete(baseKey))
		}, "entry 1 is missing"},
		{"a damaged head", func(_ *Log, txn *badger.Txn) error {
			return txn.Set(headKey, []byte("head"))
		}, "head record has a wrong checksum"},
		{"a damaged base", func(_ *Log, txn *badger.Txn) error {
			return txn.Set(baseKey, []byte("base record"))
		}, "base record has a wrong checksum"},
		{"an unknown key", func(_ *Log, txn *badger.Txn) error {
			return txn.Set([]byte("east"), []byte("?"))
		}, "unknown key 65617374"},
	} {
		l := openSmall(t, Options{})
		save(t, l, raft.Write{HardState: raft.HardState{Term: 3}, Entries: commands(3, 1, 10, 50)})
		err := l.db.Update(func(txn *badger.Txn) error { return c.do(l, txn) })
		if err := errors.Join(err, l.Close()); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		_, err = open(l.dir, l.options, smallTables)
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: opening gave %v", c.what, err)
		}
	}
}

// chainOf returns the hash of the log before an entry.
func (l *Log) chainOf(i raft.Index) uint64 {
	chain, _ := l.chainAt(i - 1)
	return chain
}

func replaceEntry(txn *badger.Txn, e raft.Entry, chain uint64) error {
	return txn.Set(entryKey(e.Index, 0), appendRecords(nil, &e, e.Data, chain)[0].value)
}

func TestAnEntryThatIsBackFromATruncationIsNotGivenOut(t *testing.T) {
	l := openSmall(t, Options{})
	save(t, l, raft.Write{HardState: raft.HardState{Term: 3}, Entries: commands(3, 1, 10, 50)})
	if err := l.db.Update(func(txn *badger.Txn) error {
		return replaceEntry(txn, raft.Entry{Index: 5, Term: 2, Kind: raft.EntryCommand}, 1234)
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Entries(5, 6, 1); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "entry 5 is of term 2 and was written in term 3") {
		t.Errorf("reading gave %v", err)
	}
}

func TestAnErrorThatBadgerPrintsWhileOpeningIsNotPassedOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := Format(dir, Identity{Member: 1, ClusterID: "cluster", Name: "node-0"}); err != nil {
		t.Fatal(err)
	}
	told := false
	options := Options{Logger: slog.New(slog.DiscardHandler), OnFailure: func(error) { told = true }}
	_, err := open(dir, options, func(dir string, logger badger.Logger) badger.Options {
		logger.Errorf("Ignoring table %s", "000007.sst")
		return smallTables(dir, logger)
	})
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "Ignoring table 000007.sst") {
		t.Errorf("opening gave %v", err)
	}
	if told {
		t.Error("OnFailure was called for a log that was never open")
	}
}
