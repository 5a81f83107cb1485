package badgerlog

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/conclave-dev/conclave/pkg/raft"
)

func TestVerifyReadsTheLogAndItsSnapshot(t *testing.T) {
	l := openSmall(t, Options{})
	if v, err := l.Verify(t.Context()); err != nil || v != (Verification{First: 1}) {
		t.Errorf("Verify of an empty log = %+v, %v", v, err)
	}
	save(t, l, raft.Write{HardState: raft.HardState{Term: 3}, Entries: commands(3, 1, 30, 50)})
	for _, at := range []raft.Index{10, 20} {
		meta := raft.SnapshotMeta{Index: at, Term: 3, Membership: raft.NewMembership(raft.Member{ID: 1, Name: "a"}), MembershipIndex: 1}
		if _, err := l.SaveSnapshot(meta, func(w io.Writer) error {
			_, err := w.Write(make([]byte, 3*chunkBytes))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	v, err := l.Verify(t.Context())
	if err != nil || v.First != 11 || v.Last != 30 || v.Bytes < 20*50 || v.SnapshotIndex != 20 || v.SnapshotBytes != 3*chunkBytes {
		t.Errorf("Verify = %+v, %v; want entries 11 to 30 and the snapshot at 20", v, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify that nobody waits for = %v", err)
	}

	path := l.snapshotPath(raft.SnapshotMeta{Index: 20, Term: 3}, snapshotSuffix)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Verify(t.Context()); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "snapshot at 20") {
		t.Errorf("Verify with a flipped bit in the snapshot = %v", err)
	}
}

func TestVerifyFindsRecordsThatAreNotWhatWasWritten(t *testing.T) {
	for says, do := range map[string]func(l *Log, txn *badger.Txn) error{
		"entry 5 is missing": func(_ *Log, txn *badger.Txn) error { return txn.Delete(entryKey(5, 0)) },
		"should end with entry 10": func(_ *Log, txn *badger.Txn) error {
			return txn.Delete(entryKey(10, 0))
		},
		"entry 6 follows another log": func(l *Log, txn *badger.Txn) error {
			return replaceEntry(txn, raft.Entry{Index: 5, Term: 3, Kind: raft.EntryCommand, Data: []byte("other")}, l.chainOf(5))
		},
		"its chain hash differs": func(l *Log, txn *badger.Txn) error {
			return replaceEntry(txn, raft.Entry{Index: 10, Term: 3, Kind: raft.EntryCommand, Data: []byte("other")}, l.chainOf(10))
		},
		"entry 5 of term 2 follows one of term 3": func(l *Log, txn *badger.Txn) error {
			return replaceEntry(txn, raft.Entry{Index: 5, Term: 2, Kind: raft.EntryCommand}, l.chainOf(5))
		},
		"entry 5: wrong checksum": func(_ *Log, txn *badger.Txn) error { return txn.Set(entryKey(5, 0), make([]byte, 90)) },
		"no head record":          func(_ *Log, txn *badger.Txn) error { return txn.Delete(headKey) },
		"head record has a wrong": func(_ *Log, txn *badger.Txn) error { return txn.Set(headKey, []byte("head")) },
		"base record has a wrong": func(_ *Log, txn *badger.Txn) error { return txn.Set(baseKey, []byte("base record")) },
	} {
		l := openSmall(t, Options{})
		save(t, l, raft.Write{HardState: raft.HardState{Term: 3}, Entries: commands(3, 1, 10, 50)})
		if _, err := l.Verify(t.Context()); err != nil {
			t.Fatalf("before: %v", err)
		}
		if err := l.db.Update(func(txn *badger.Txn) error { return do(l, txn) }); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Verify(t.Context()); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), says) {
			t.Errorf("Verify = %v, want it to say %q", err, says)
		}
	}
}

func TestVerifyEndsWhenTheLogIsClosedBesideIt(t *testing.T) {
	for range 20 {
		l := openSmall(t, Options{})
		save(t, l, raft.Write{HardState: raft.HardState{Term: 3}, Entries: commands(3, 1, 30, 50)})
		if _, err := l.SaveSnapshot(raft.SnapshotMeta{Index: 10, Term: 3}, func(io.Writer) error { return nil }); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			for {
				if _, err := l.Verify(t.Context()); err != nil {
					ended <- err
					return
				}
			}
		}()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("Verify ended with %v, want %v", err, ErrClosed)
		}
	}
}
