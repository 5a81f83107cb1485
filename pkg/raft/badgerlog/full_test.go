package badgerlog

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// The marks are at 1000 bytes, and at 1500 bytes and the size of a snapshot.
func TestSpaceFollowsTheMarks(t *testing.T) {
	var free int64
	var failed error
	l := openSmall(t, Options{SpaceReserveBytes: 1000, SpaceMarginBytes: 500,
		freeBytes: func(string) (int64, error) { return free, failed }})
	for _, step := range []struct {
		free int64
		want raft.Space
	}{
		{1500, raft.SpacePlenty}, {1499, raft.SpaceLow},
		// What was stopped goes on a little above the mark only.
		{1500, raft.SpaceLow}, {1593, raft.SpacePlenty}, {1500, raft.SpacePlenty},
		{999, raft.SpaceFull}, {1000, raft.SpaceFull}, {1061, raft.SpaceFull}, {1062, raft.SpaceLow},
		{0, raft.SpaceFull}, {1 << 40, raft.SpacePlenty},
	} {
		free = step.free
		if got := l.Space(); got != step.want {
			t.Errorf("with %d bytes free the space is %s, expected %s", free, got, step.want)
		}
	}
	free = 1400
	if got := l.Space(); got != raft.SpaceLow {
		t.Errorf("the space is %s", got)
	}
	free, failed = 1<<40, errors.New("no such device")
	if got := l.Space(); got != raft.SpaceLow {
		t.Errorf("where the free space can't be told the space is %s", got)
	}
}

func TestASnapshotRaisesTheUpperMark(t *testing.T) {
	free := int64(1 << 40)
	l := openSmall(t, Options{SpaceReserveBytes: 1000, SpaceMarginBytes: 500,
		freeBytes: func(string) (int64, error) { return free, nil }})
	save(t, l, raft.Write{Entries: commands(0, 1, 10, 10)})
	if _, err := l.SaveSnapshot(raft.SnapshotMeta{Index: 5}, func(w io.Writer) error {
		_, err := w.Write(make([]byte, 10_000))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if free = 11_000; l.Space() != raft.SpaceLow {
			t.Errorf("with %d bytes free the space is %s", free, l.Space())
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		var err error
		if l, err = open(l.dir, l.options, smallTables); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.Close()
}

func TestASnapshotIsGivenUpWhenTheDiskIsFull(t *testing.T) {
	free := int64(1 << 40)
	l := openSmall(t, Options{freeBytes: func(string) (int64, error) { return free, nil }})
	save(t, l, raft.Write{Entries: commands(0, 1, 10, 10)})
	_, err := l.SaveSnapshot(raft.SnapshotMeta{Index: 5}, func(w io.Writer) error {
		// It fills up while the snapshot is written.
		_, err := w.Write(make([]byte, 8<<20))
		free = 0
		_, err2 := w.Write(make([]byte, 8<<20))
		return errors.Join(err, err2)
	})
	if !errors.Is(err, ErrDiskFull) {
		t.Errorf("the snapshot gave %v", err)
	}
	err = l.ReceiveSnapshot(t.Context(), raft.SnapshotMeta{Index: 50, Term: 1}, io.LimitReader(zeros{}, 100))
	if !errors.Is(err, ErrDiskFull) {
		t.Errorf("receiving a snapshot gave %v", err)
	}
	left, err := os.ReadDir(filepath.Join(l.dir, snapshotDirectory))
	if err != nil || len(left) != 0 {
		t.Errorf("%d files are left, error %v", len(left), err)
	}
	free = 1 << 40
	if _, err := l.SaveSnapshot(raft.SnapshotMeta{Index: 5}, func(io.Writer) error { return nil }); err != nil {
		t.Errorf("with room again the snapshot gave %v", err)
	}
}

// smallDisk mounts a disk of so many bytes, which the test must be allowed to do.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting the small disk: %v", err)
		}
	})
	return dir
}

// A disk fills up to the marks, in the log and beside it. The log writes what
// was let through, flushes and merges behind the gate, serves reads, takes votes,
// survives being closed and opened, and goes on when there is room again.
func TestAFullDiskIsNotTheEnd(t *testing.T) {
	disk := smallDisk(t, "192m")
	dir := filepath.Join(disk, "data")
	if err := Format(dir, owner1); err != nil {
		t.Fatal(err)
	}
	options := Options{SpaceReserveBytes: 64 << 20, SpaceMarginBytes: 8 << 20}
	l, err := open(dir, options, smallTables)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	last, term := raft.Index(0), raft.Term(1)
	fill := func(until raft.Space) {
		t.Helper()
		for range 1000 {
			if l.Space() >= until {
				return
			}
			save(t, l, raft.Write{HardState: raft.HardState{Term: term}, Entries: commands(term, last+1, last+10, 50<<10)})
			last += 10
		}
		t.Fatalf("the disk never was %s", until)
	}
	works := func() {
		t.Helper()
		if entries, err := l.Entries(last-9, last+1, 1<<20); err != nil || len(entries) != 10 {
			t.Fatalf("%d entries came, error %v", len(entries), err)
		}
		term++
		save(t, l, raft.Write{HardState: raft.HardState{Term: term}, HardStateChanged: true})
	}
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 60<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	fill(raft.SpaceLow)
	works()
	fill(raft.SpaceFull)
	works()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = open(dir, options, smallTables); err != nil {
		t.Fatal(err)
	}
	if state := l.State(); state.Faulty || state.Last != last || state.HardState.Term != term {
		t.Fatalf("after opening the log ends with entry %d in term %d, faulty: %t", state.Last, state.HardState.Term, state.Faulty)
	}
	works()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if space := l.Space(); space != raft.SpacePlenty {
		t.Errorf("with room again the space is %s", space)
	}
	fill(raft.SpaceLow)
	works()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// What an election writes must not end the program when others have taken the last
// byte: the file that Badger maps into memory has its room before.
func TestTermsAndVotesAreWrittenOnADiskWithoutAByte(t *testing.T) {
	disk := smallDisk(t, "192m")
	dir := filepath.Join(disk, "data")
	if err := Format(dir, owner1); err != nil {
		t.Fatal(err)
	}
	l, err := open(dir, Options{SpaceReserveBytes: 64 << 20, SpaceMarginBytes: 8 << 20}, smallTables)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	// Enough for Badger to have begun another table than that of the start.
	last := raft.Index(0)
	for range 30 {
		save(t, l, raft.Write{Entries: commands(0, last+1, last+10, 50<<10)})
		last += 10
		if space := l.Space(); space != raft.SpacePlenty {
			t.Fatalf("the space is %s", space)
		}
	}
	// A table that is being flushed needs room that nobody can take before.
	for tables := []string(nil); len(tables) != 1; time.Sleep(time.Millisecond) {
		if tables, err = namesIn(filepath.Join(dir, logDirectory), "*.mem"); err != nil || t.Context().Err() != nil {
			t.Fatalf("tables in memory %v, error %v", tables, err)
		}
	}
	ballast, err := os.Create(filepath.Join(disk, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer ballast.Close()
	for page := make([]byte, 4<<10); err == nil; {
		_, err = ballast.Write(page)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	for term := raft.Term(1); term <= 1000; term++ {
		save(t, l, raft.Write{HardState: raft.HardState{Term: term, Vote: 1}, HardStateChanged: true})
	}
	if err := ballast.Truncate(0); err != nil {
		t.Fatal(err)
	}
}
