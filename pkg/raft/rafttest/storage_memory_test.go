package rafttest_test

import (
	"errors"
	"io"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/rafttest"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

func TestMemoryStorageIsAStorage(t *testing.T) {
	rafttest.TestStorage(t, func(*testing.T) rafttest.StorageDisk { return rafttest.NewMemoryDisk() })
}

// The two declarations of the interface stay the same.
var (
	_ replica.Storage  = rafttest.Storage(nil)
	_ rafttest.Storage = replica.Storage(nil)
)

func openMemory(t *testing.T, disk *rafttest.MemoryDisk) rafttest.OpenedStorage {
	t.Helper()
	s, err := disk.Open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func entry(i raft.Index) *raft.Write {
	return &raft.Write{HardState: raft.HardState{Term: 1}, Entries: []raft.Entry{{Index: i, Term: 1, Kind: raft.EntryCommand}}}
}

func writeNothing(io.Writer) error { return nil }

func TestAFailedSaveFailsEverySaveAfterIt(t *testing.T) {
	broken := errors.New("input/output error")
	for _, stored := range []bool{false, true} {
		disk := rafttest.NewMemoryDisk()
		s := openMemory(t, disk)
		if stored {
			disk.SetFaults(rafttest.StorageFaults{AfterSave: rafttest.FailSave(1, broken)})
		} else {
			disk.SetFaults(rafttest.StorageFaults{BeforeSave: rafttest.FailSave(1, broken)})
		}
		if err := s.Save(entry(1)); err != nil {
			t.Fatal(err)
		}
		if err := s.Save(entry(2)); !errors.Is(err, broken) {
			t.Fatalf("the second write gave %v", err)
		}
		disk.SetFaults(rafttest.StorageFaults{})
		if err := s.Save(entry(3)); !errors.Is(err, broken) {
			t.Fatalf("the third write gave %v", err)
		}
		if err := disk.Crash(); err != nil {
			t.Fatal(err)
		}
		want := raft.Index(1)
		if stored {
			want = 2
		}
		if last := openMemory(t, disk).State.Last; last != want {
			t.Errorf("stored %t: the log ends at %d, expected %d", stored, last, want)
		}
	}
}

func TestACrashLosesAStalledWrite(t *testing.T) {
	disk := rafttest.NewMemoryDisk()
	s := openMemory(t, disk)
	stalled := make(chan struct{})
	hang, release := rafttest.StallSave()
	disk.SetFaults(rafttest.StorageFaults{BeforeSave: func(w *raft.Write) error {
		close(stalled)
		return hang(w)
	}})
	done := make(chan error)
	go func() { done <- s.Save(entry(1)) }()
	<-stalled
	if err := disk.Crash(); err != nil {
		t.Fatal(err)
	}
	release()
	if err := <-done; !errors.Is(err, rafttest.ErrCrashed) {
		t.Fatalf("the stalled write gave %v", err)
	}
	if last := openMemory(t, disk).State.Last; last != 0 {
		t.Fatalf("the log ends at %d, expected none", last)
	}
}

func TestACrashOfALazyDiskLosesWhatWasNotSynced(t *testing.T) {
	disk := rafttest.NewMemoryDisk()
	s := openMemory(t, disk)
	disk.SetLazy(true)
	for i := raft.Index(1); i <= 5; i++ {
		if err := s.Save(entry(i)); err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			disk.Sync()
		}
	}
	if err := disk.Crash(); err != nil {
		t.Fatal(err)
	}
	if last := openMemory(t, disk).State.Last; last != 3 {
		t.Fatalf("the log ends at %d, expected 3", last)
	}
}

func TestADamagedEntryIsAnErrorWhenReadAndWhenOpened(t *testing.T) {
	disk := rafttest.NewMemoryDisk()
	s := openMemory(t, disk)
	for i := raft.Index(1); i <= 5; i++ {
		if err := s.Save(entry(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := disk.Damage(4); err != nil {
		t.Fatal(err)
	}
	if entries, err := s.Entries(1, 4, 1000); err != nil || len(entries) != 3 {
		t.Fatalf("%d sound entries came, error %v", len(entries), err)
	}
	if _, err := s.Entries(3, 6, 1000); !errors.Is(err, rafttest.ErrDamagedEntry) {
		t.Fatalf("reading the damaged entry gave %v", err)
	}
	if err := disk.Crash(); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Open(); !errors.Is(err, rafttest.ErrDamagedEntry) {
		t.Fatalf("opening the damaged log gave %v", err)
	}
}

func TestASnapshotThatNothingNamesCountsForNothing(t *testing.T) {
	disk := rafttest.NewMemoryDisk()
	s := openMemory(t, disk)
	if err := s.Save(entry(1)); err != nil {
		t.Fatal(err)
	}
	disk.SetFaults(rafttest.StorageFaults{BeforeSnapshotCounts: func(*raft.SnapshotMeta) error { return disk.Crash() }})
	if _, err := s.SaveSnapshot(raft.SnapshotMeta{Index: 1, Term: 1}, writeNothing); !errors.Is(err, rafttest.ErrCrashed) {
		t.Fatalf("the snapshot gave %v", err)
	}
	if at := openMemory(t, disk).State.Snapshot.Index; at != 0 {
		t.Fatalf("there is a snapshot at %d", at)
	}
}
