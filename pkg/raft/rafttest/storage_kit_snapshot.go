package rafttest

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing/iotest"

	"github.com/conclave-dev/conclave/pkg/raft"
)

var snapshotTests = []storageTest{
	{"the log is kept back to the older of two snapshots", testCompaction},
	{"a large snapshot comes back as it was", func(k *storageKit) {
		k.append(1, 1, 3)
		data := string(pattern(3<<20 + 17))
		k.snapshot(snapshotAt(2, 1), data)
		k.newest(2, data)
		k.reopen()
		k.newest(2, data)
	}},
	{"an empty snapshot is one", func(k *storageKit) {
		k.append(1, 1, 3)
		k.snapshot(snapshotAt(3, 1), "")
		k.reopen()
		k.newest(3, "")
	}},
	{"a snapshot of another state than the log's is refused", func(k *storageKit) {
		k.append(2, 1, 10)
		k.snapshot(snapshotAt(5, 2), "at 5")
		for _, meta := range []raft.SnapshotMeta{snapshotAt(4, 2), snapshotAt(5, 2), snapshotAt(11, 2), snapshotAt(7, 1)} {
			if _, err := k.SaveSnapshot(meta, func(io.Writer) error { return nil }); err == nil {
				k.t.Fatalf("a snapshot at %d of term %d was accepted", meta.Index, meta.Term)
			}
		}
		k.newest(5, "at 5")
		k.append(2, 11, 12)
	}},
	{"a snapshot that can't be written changes nothing", func(k *storageKit) {
		k.append(1, 1, 10)
		k.snapshot(snapshotAt(5, 1), "at 5")
		broken := errors.New("the state machine can't be read")
		_, err := k.SaveSnapshot(snapshotAt(8, 1), func(w io.Writer) error {
			_, err := w.Write(pattern(1 << 20))
			return errors.Join(err, broken)
		})
		if !errors.Is(err, broken) {
			k.t.Fatalf("the error is %v", err)
		}
		k.newest(5, "at 5")
		k.append(1, 11, 11)
		k.snapshot(snapshotAt(9, 1), "at 9")
		k.reopen()
		k.newest(9, "at 9")
		k.holds(commands(1, 6, 11)...)
	}},
	{"a received snapshot waits for its install, whatever was received before and after", func(k *storageKit) {
		k.append(1, 1, 10)
		for _, meta := range []raft.SnapshotMeta{snapshotAt(100, 5), snapshotAt(110, 5), snapshotAt(95, 4)} {
			k.receive(meta, "left over")
		}
		meta := snapshotAt(50, 3)
		k.receive(meta, "at 50")
		for _, later := range []raft.SnapshotMeta{snapshotAt(120, 5), snapshotAt(130, 6), snapshotAt(140, 6)} {
			k.receive(later, "later")
		}
		k.save(raft.Write{HardState: raft.HardState{Term: 6}, HardStateChanged: true, Snapshot: &meta})
		k.newest(50, "at 50")
		k.receive(snapshotAt(150, 6), "after it")
		k.newest(50, "at 50")
	}},
	{"two snapshots are never taken at once", func(k *storageKit) {
		k.append(1, 1, 10)
		_, err := k.SaveSnapshot(snapshotAt(5, 1), func(w io.Writer) error {
			if _, err := k.SaveSnapshot(snapshotAt(6, 1), func(io.Writer) error { return nil }); err == nil {
				k.t.Error("a second snapshot was taken beside the first")
			}
			return nil
		})
		k.must(err, "save snapshot")
		k.newest(5, "")
	}},
	{"an open snapshot outlives later ones", func(k *storageKit) {
		k.append(1, 1, 100)
		k.snapshot(snapshotAt(10, 1), "at 10")
		_, old, err := k.OpenSnapshot()
		k.must(err, "open snapshot")
		for i := raft.Index(20); i <= 100; i += 10 {
			k.snapshot(snapshotAt(i, 1), "later")
		}
		data, err := io.ReadAll(old)
		k.must(errors.Join(err, old.Close()), "read the old snapshot")
		if string(data) != "at 10" {
			k.t.Fatalf("the old snapshot holds %q", data)
		}
	}},
	{"a received snapshot replaces the log when it is installed", testInstall},
	{"a received snapshot is adopted by a log that holds it, and the log after it stays", testAdoption},
	{"a received snapshot of another log is not adopted", func(k *storageKit) {
		k.append(1, 1, 10)
		for _, meta := range []raft.SnapshotMeta{snapshotAt(7, 1), snapshotAt(11, 1)} {
			k.receive(meta, "of another log")
			if k.trySave(raft.Write{Snapshot: &meta, KeepLog: true}) == nil {
				k.t.Fatalf("a snapshot at %d was adopted", meta.Index)
			}
			_ = k.Close()
			k.open()
			k.holds(commands(1, 1, 10)...)
		}
	}},
	{"a snapshot that was begun before another was adopted is dropped", func(k *storageKit) {
		k.append(1, 1, 10)
		k.snapshot(snapshotAt(6, 1), "wrong at 6")
		meta := k.newest(6, "wrong at 6")
		_, err := k.SaveSnapshot(snapshotAt(8, 1), func(w io.Writer) error {
			k.receive(meta, "right at 6")
			k.save(raft.Write{Snapshot: &meta, KeepLog: true})
			_, err := w.Write([]byte("wrong at 8"))
			return err
		})
		k.must(err, "save snapshot")
		k.newest(6, "right at 6")
		k.reopen()
		k.newest(6, "right at 6")
		k.holds(commands(1, 7, 10)...)
	}},
	{"a received snapshot counts for nothing before", func(k *storageKit) {
		k.append(1, 1, 10)
		k.snapshot(snapshotAt(5, 1), "at 5")
		k.receive(snapshotAt(50, 2), "at 50")
		k.newest(5, "at 5")
		k.reopen()
		k.newest(5, "at 5")
		k.holds(commands(1, 1, 10)...)
		if k.trySave(raft.Write{Snapshot: &raft.SnapshotMeta{Index: 50, Term: 2}}) == nil {
			k.t.Fatal("it was installed after the storage was opened again")
		}
		_ = k.Close()
		k.open()
		k.holds(commands(1, 1, 10)...)
	}},
	{"a snapshot is installed though the next has been received", func(k *storageKit) {
		k.receive(snapshotAt(50, 2), "at 50")
		k.receive(snapshotAt(60, 2), "at 60")
		k.hard.Term = 2
		k.save(raft.Write{HardStateChanged: true, Snapshot: &raft.SnapshotMeta{Index: 50, Term: 2}})
		k.newest(50, "at 50")
		k.save(raft.Write{Snapshot: &raft.SnapshotMeta{Index: 60, Term: 2}})
		k.reopen()
		k.newest(60, "at 60")
	}},
	{"a stream that breaks off leaves nothing", func(k *storageKit) {
		k.append(1, 1, 10)
		broken := errors.New("connection reset")
		stream := io.MultiReader(strings.NewReader("at"), iotest.ErrReader(broken))
		if err := k.ReceiveSnapshot(context.Background(), snapshotAt(50, 2), stream); !errors.Is(err, broken) {
			k.t.Fatalf("the error is %v", err)
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(broken)
		if err := k.ReceiveSnapshot(ctx, snapshotAt(50, 2), strings.NewReader("at 50")); !errors.Is(err, broken) {
			k.t.Fatalf("the error is %v", err)
		}
		if k.trySave(raft.Write{Snapshot: &raft.SnapshotMeta{Index: 50, Term: 2}}) == nil {
			k.t.Fatal("it was installed")
		}
		_ = k.Close()
		k.open()
		k.holds(commands(1, 1, 10)...)
	}},
	{"a snapshot that an installed one overtakes is dropped", func(k *storageKit) {
		k.append(1, 1, 10)
		k.receive(snapshotAt(20, 2), "at 20")
		first, err := k.SaveSnapshot(snapshotAt(8, 1), func(io.Writer) error {
			k.hard.Term = 2
			k.save(raft.Write{HardStateChanged: true, Snapshot: &raft.SnapshotMeta{Index: 20, Term: 2}})
			return nil
		})
		if err != nil || first != 21 {
			k.t.Fatalf("the first index is %d, error %v", first, err)
		}
		k.reopen()
		k.newest(20, "at 20")
		k.found(raft.State{HardState: k.hard, Snapshot: snapshotAt(20, 2), Base: 20, Last: 20,
			Terms: []raft.TermRun{{Term: 2, First: 20}}, Memberships: []raft.MembershipAt{{Index: 1, Membership: voters(1, 2, 3)}}})
	}},
	{"equal logs have equal chain hashes", testChainHash},
}

// snapshotAt describes a snapshot whose configuration is that of entry 1.
func snapshotAt(i raft.Index, term raft.Term) raft.SnapshotMeta {
	return raft.SnapshotMeta{Index: i, Term: term, Membership: voters(1, 2, 3), MembershipIndex: 1}
}

func (k *storageKit) receive(meta raft.SnapshotMeta, data string) {
	k.t.Helper()
	k.must(k.ReceiveSnapshot(context.Background(), meta, strings.NewReader(data)), "receive snapshot")
}

func testCompaction(k *storageKit) {
	k.append(1, 1, 100)
	k.save(raft.Write{Entries: []raft.Entry{configuration(101, 2, voters(4, 5, 6))}})
	k.append(2, 102, 150)
	want := append(commands(1, 1, 100), configuration(101, 2, voters(4, 5, 6)))
	want = append(want, commands(2, 102, 150)...)

	if first := k.snapshot(snapshotAt(60, 1), "at 60"); first != 1 {
		k.t.Fatalf("after the first snapshot the log begins at %d, expected all of it", first)
	}
	k.holds(want...)
	if first := k.snapshot(snapshotAt(90, 1), "at 90"); first != 61 {
		k.t.Fatalf("after the second snapshot the log begins at %d, expected 61", first)
	}
	later := raft.SnapshotMeta{Index: 120, Term: 2, Membership: voters(4, 5, 6), MembershipIndex: 101}
	if first := k.snapshot(later, "at 120"); first != 91 {
		k.t.Fatalf("after the third snapshot the log begins at %d, expected 91", first)
	}
	check := func() {
		k.t.Helper()
		k.newest(120, "at 120")
		k.holds(want[90:]...)
		if _, err := k.Entries(90, 95, 1000); !errors.Is(err, raft.ErrCompacted) {
			k.t.Fatalf("a compacted entry: error %v, expected ErrCompacted", err)
		}
	}
	check()
	k.reopen()
	check()
	k.found(raft.State{HardState: k.hard, Snapshot: later, Base: 90, Last: 150,
		Terms: []raft.TermRun{{Term: 1, First: 90}, {Term: 2, First: 101}},
		Memberships: []raft.MembershipAt{
			{Index: 1, Membership: voters(1, 2, 3)}, {Index: 101, Membership: voters(4, 5, 6)},
		}})
	k.snapshot(raft.SnapshotMeta{Index: 150, Term: 2, Membership: voters(4, 5, 6), MembershipIndex: 101}, "at 150")
	k.save(raft.Write{TruncateFrom: 149, Entries: commands(3, 149, 149)})
	k.reopen()
	k.holds(append(want[120:148:148], commands(3, 149, 149)...)...)
}

func testInstall(k *storageKit) {
	k.append(1, 1, 100)
	k.snapshot(snapshotAt(30, 1), "at 30")
	k.snapshot(snapshotAt(60, 1), "at 60")
	for _, at := range []raft.Index{80, 5000} {
		k.hard = raft.HardState{Term: raft.Term(at), Commit: at}
		k.receive(snapshotAt(at, 2), "from the leader")
		k.save(raft.Write{HardStateChanged: true, Snapshot: &raft.SnapshotMeta{Index: at, Term: 2}})
		k.newest(at, "from the leader")
		if _, err := k.Entries(at, at+1, 1000); err == nil {
			k.t.Fatal("an entry came from an empty log")
		}
		want := raft.State{HardState: k.hard, Snapshot: snapshotAt(at, 2), Base: at, Last: at,
			Terms: []raft.TermRun{{Term: 2, First: at}}, Memberships: []raft.MembershipAt{{Index: 1, Membership: voters(1, 2, 3)}}}
		k.reopen()
		k.found(want)
		k.append(3, at+1, at+50)
		k.holds(commands(3, at+1, at+50)...)
		if first := k.snapshot(snapshotAt(at+10, 3), "own"); first != at+1 {
			k.t.Fatalf("after a snapshot of its own the log begins at %d, expected %d", first, at+1)
		}
		k.reopen()
		k.newest(at+10, "own")
		k.holds(commands(3, at+1, at+50)...)
	}
}

func testAdoption(k *storageKit) {
	k.append(1, 1, 100)
	k.snapshot(snapshotAt(60, 1), "wrong at 60")
	right := k.newest(60, "wrong at 60")
	k.snapshot(snapshotAt(80, 1), "wrong at 80")
	k.hard.Parked = true
	k.save(raft.Write{HardStateChanged: true})
	k.reopen()
	if !k.State.HardState.Parked {
		k.t.Fatal("the mark of a parked member is lost")
	}
	k.receive(right, "right at 60")
	k.append(1, 101, 110)
	k.hard.Parked = false
	k.save(raft.Write{HardStateChanged: true, Snapshot: &right, KeepLog: true})
	k.newest(60, "right at 60")
	k.append(1, 111, 120)
	k.holds(commands(1, 61, 120)...)
	want := raft.State{HardState: k.hard, Snapshot: right, Base: 60, Last: 120,
		Terms: []raft.TermRun{{Term: 1, First: 60}}, Memberships: []raft.MembershipAt{{Index: 1, Membership: voters(1, 2, 3)}}}
	k.crash()
	k.found(want)
	k.newest(60, "right at 60")
	k.holds(commands(1, 61, 120)...)
	k.snapshot(snapshotAt(90, 1), "right at 90")
	k.reopen()
	k.newest(90, "right at 90")
}

func testChainHash(k *storageKit) {
	hash := func(entries []raft.Entry, reopen bool) uint64 {
		k.t.Helper()
		k.save(raft.Write{TruncateFrom: k.end() + 1, Entries: entries})
		if reopen {
			k.reopen()
		}
		at := entries[len(entries)-1]
		k.snapshot(snapshotAt(at.Index, at.Term), "")
		return k.newest(at.Index, "").ChainHash
	}
	one := hash(commands(1, 1, 5), false)
	two := hash(commands(1, 6, 10), false)
	if one == 0 || one == two {
		k.t.Fatalf("the chain hashes at 5 and 10 are %x and %x", one, two)
	}
	// A member that got the log up to 5 as a snapshot and the rest as entries
	// has the same hash at 10, one with another entry has not, whatever it is in
	// which the entry differs.
	for n, change := range []func(*raft.Entry){
		nil,
		func(e *raft.Entry) { e.Data = append(e.Data, '!') },
		func(e *raft.Entry) { e.TimeMillis++ },
		func(e *raft.Entry) { e.ElapsedMillis++ },
		func(e *raft.Entry) { e.Origin.Member++ },
		func(e *raft.Entry) { e.Origin.Boot++ },
		func(e *raft.Entry) { e.Origin.Sequence++ },
		func(e *raft.Entry) { e.Origin.Answered++ },
	} {
		meta := snapshotAt(5, 1)
		meta.ChainHash = one
		k.receive(meta, "")
		k.save(raft.Write{Snapshot: &meta})
		entries := commands(1, 6, 10)
		if change != nil {
			change(&entries[2])
		}
		if got := hash(entries, true); (got == two) != (change == nil) {
			k.t.Fatalf("log %d: the chain hash at 10 is %x, that of log 0 is %x", n, got, two)
		}
	}
}

// end returns the last index of the log.
func (k *storageKit) end() raft.Index {
	k.t.Helper()
	k.reopen()
	return k.State.Last
}
