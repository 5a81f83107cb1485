package badgerlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// tampering leaves records that are sound by themselves, as when Badger loses
// some or brings old ones back, in a log of ten entries of term 3, each in one
// record.
type tampering struct {
	what string
	do   func(l *Log, txn *badger.Txn) error
	says string
	// kept is the last entry that is left, aside whether none could be used.
	kept  raft.Index
	aside bool
}

var tamperings = []tampering{
	{"a lost entry", func(_ *Log, txn *badger.Txn) error {
		return txn.Delete(entryKey(5, 0))
	}, "entry 5 is missing: the next record is of entry 6", 3, false},
	{"a lost first entry", func(_ *Log, txn *badger.Txn) error {
		return txn.Delete(entryKey(1, 0))
	}, "entry 1 is missing: the next record is of entry 2", 0, false},
	{"a lost last entry", func(_ *Log, txn *badger.Txn) error {
		return txn.Delete(entryKey(10, 0))
	}, "entry 10 is missing; the log should end with entry 10", 8, false},
	{"a damaged entry", func(l *Log, txn *badger.Txn) error {
		value, err := readRecord(txn, entryKey(5, 0))
		value[len(value)-1] ^= 1
		return errors.Join(err, txn.Set(entryKey(5, 0), value))
	}, "entry 5: wrong checksum", 3, false},
	{"another entry of the same term", func(l *Log, txn *badger.Txn) error {
		return replaceEntry(txn, raft.Entry{Index: 5, Term: 3, Kind: raft.EntryCommand, Data: []byte("other")}, l.chainOf(5))
	}, "entry 6 follows another log", 4, false},
	{"another last entry", func(l *Log, txn *badger.Txn) error {
		return replaceEntry(txn, raft.Entry{Index: 10, Term: 3, Kind: raft.EntryCommand, Data: []byte("other")}, l.chainOf(10))
	}, "its chain hash or its term differs", 9, false},
	{"an entry that was overwritten", func(_ *Log, txn *badger.Txn) error {
		return replaceEntry(txn, raft.Entry{Index: 5, Term: 2, Kind: raft.EntryCommand}, 1234)
	}, "entry 5 follows another log", 3, false},
	{"a falling term", func(l *Log, txn *badger.Txn) error {
		return replaceEntry(txn, raft.Entry{Index: 5, Term: 2, Kind: raft.EntryCommand}, l.chainOf(5))
	}, "entry 5 of term 2 follows one of term 3", 3, false},
	{"an entry in another's place", func(_ *Log, txn *badger.Txn) error {
		value, err := readRecord(txn, entryKey(4, 0))
		return errors.Join(err, txn.Set(entryKey(5, 0), value))
	}, "entry 4 is stored in the place of entry 5", 3, false},
	{"a part too many", func(_ *Log, txn *badger.Txn) error {
		return txn.Set(entryKey(5, 1), []byte("part"))
	}, "the next record is of entry 5", 4, false},
	{"an unknown membership", func(l *Log, txn *badger.Txn) error {
		e := raft.Entry{Index: 5, Term: 3, Kind: raft.EntryMembership}
		return txn.Set(entryKey(5, 0), appendRecords(nil, &e, []byte("?"), l.chainOf(5))[0].value)
	}, "entry 5: membership", 3, false},
	{"a lost head", func(_ *Log, txn *badger.Txn) error {
		return txn.Delete(headKey)
	}, "no head record", 0, true},
	{"a damaged head", func(_ *Log, txn *badger.Txn) error {
		return txn.Set(headKey, []byte("head"))
	}, "head record has a wrong checksum", 0, true},
	{"a damaged base", func(_ *Log, txn *badger.Txn) error {
		return txn.Set(baseKey, []byte("base record"))
	}, "base record has a wrong checksum", 0, true},
	{"a base above the end", func(_ *Log, txn *badger.Txn) error {
		value, err := base{at: raft.SnapshotMeta{Index: 20, Term: 3}}.encode()
		return errors.Join(err, txn.Set(baseKey, value))
	}, "the log ends with entry 10 and begins after entry 20", 0, true},
	{"an unknown key", func(_ *Log, txn *badger.Txn) error {
		return txn.Set([]byte("east"), []byte("?"))
	}, "unknown key 65617374", 0, true},
}

// Opening must say what is wrong, keep what is certainly right, know that ten
// entries were acknowledged, and take back from a leader what is lost.
func TestRecordsThatDoNotFitTogetherMakeAFaultyMember(t *testing.T) {
	for _, c := range tamperings {
		t.Run(c.what, func(t *testing.T) {
			l := openSmall(t, Options{})
			save(t, l, raft.Write{HardState: raft.HardState{Term: 3, Vote: 9}, Entries: commands(3, 1, 10, 50)})
			err := l.db.Update(func(txn *badger.Txn) error { return c.do(l, txn) })
			if err := errors.Join(err, l.Close()); err != nil {
				t.Fatal(err)
			}
			l, said := reopenSmall(t, l.dir)
			if !strings.Contains(said, c.says) {
				t.Errorf("opening said %s", said)
			}
			if _, err := os.Stat(l.asidePath(1)); (err == nil) != c.aside {
				t.Errorf("looking for a log that was set aside gave %v", err)
			}
			expectFaulty(t, l, c.kept, position{index: 10, term: 3})
			if vote := l.State().HardState.Vote; vote != 9 {
				t.Errorf("the vote is for %s", vote)
			}
			save(t, l, raft.Write{HardState: raft.HardState{Term: 3, Vote: 9}, Entries: commands(3, c.kept+1, 10, 50)})
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l, _ = reopenSmall(t, l.dir)
			if state := l.State(); state.Faulty || state.Last != 10 {
				t.Errorf("with its entries back the member is faulty: %t, and the log ends with entry %d", state.Faulty, state.Last)
			}
		})
	}
}

// A record of a later version is sound, so nothing may be set aside for it.
func TestRecordsOfALaterVersionAreNoDamage(t *testing.T) {
	l := openSmall(t, Options{})
	save(t, l, raft.Write{HardState: raft.HardState{Term: 3}, Entries: commands(3, 1, 10, 50)})
	later := l.head.encode()
	binary.BigEndian.PutUint16(later[4:], recordFormat+1)
	err := l.db.Update(func(txn *badger.Txn) error { return txn.Set(headKey, seal(later)) })
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = open(l.dir, l.options, smallTables)
	if err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "run a newer version") {
		t.Errorf("opening gave %v", err)
	}
	if _, err := os.Stat(l.asidePath(1)); err == nil {
		t.Error("the log was set aside")
	}
}

// reopenSmall opens a log once more and returns what it said.
func reopenSmall(t *testing.T, dir string) (*Log, string) {
	t.Helper()
	var said bytes.Buffer
	l, err := open(dir, Options{Logger: slog.New(slog.NewTextHandler(&said, nil))}, smallTables)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, said.String()
}

// expectFaulty expects a faulty member whose log ends with an entry and whose
// watermark has the given index and term.
func expectFaulty(t *testing.T, l *Log, last raft.Index, mark position) {
	t.Helper()
	state := l.State()
	if !state.Faulty || state.Last != last || state.Watermark != mark.seen() {
		t.Errorf("faulty %t, the log ends with entry %d, the watermark is %+v; expected entry %d and %+v",
			state.Faulty, state.Last, state.Watermark, last, mark.seen())
	}
	if commit := state.HardState.Commit; commit > state.Last {
		t.Errorf("entry %d is committed and the log ends with %d", commit, state.Last)
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
	l := openSmall(t, Options{})
	save(t, l, raft.Write{HardState: raft.HardState{Term: 3}, Entries: commands(3, 1, 10, 50)})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	told, opened := false, 0
	l, err := open(l.dir, Options{Logger: slog.New(slog.DiscardHandler), OnFailure: func(error) { told = true }},
		func(dir string, logger badger.Logger) badger.Options {
			if opened++; opened == 1 {
				logger.Errorf("Ignoring table %s", "000007.sst")
			}
			return smallTables(dir, logger)
		})
	if err != nil {
		t.Fatal(err)
	}
	expectFaulty(t, l, 0, position{index: 10, term: 3})
	save(t, l, raft.Write{HardState: raft.HardState{Term: 3}, Entries: commands(3, 1, 10, 50)})
	if err := l.Close(); err != nil || told {
		t.Errorf("close gave %v; OnFailure was called: %t", err, told)
	}
}
