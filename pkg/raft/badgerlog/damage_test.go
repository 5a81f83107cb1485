package badgerlog_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/badgerlog"
)

// mark is data that can be found again in the files.
var mark = []byte("a command that is easy to find")

// markedLog returns the directory of a log whose entry 50 of 100 holds the
// mark, closed, so that its entries lie in a table of Badger.
func markedLog(t *testing.T) string {
	t.Helper()
	dir := formatted(t)
	l := openLog(t, dir)
	entries := payload(1, 100)
	entries[49].Data = mark
	if err := l.Save(&raft.Write{HardState: raft.HardState{Term: 1}, Entries: entries}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// flip changes one bit of the first place in dir's files with the given suffix
// that holds what. Files are changed in place, as a failing disk does.
func flip(t *testing.T, dir, suffix string, what []byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(data, what)
		if at < 0 {
			continue
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt([]byte{data[at] ^ 4}, int64(at))
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("no file %s/*%s holds %q", dir, suffix, what)
}

func TestAFlippedBitInAnEntryIsFoundWhenItIsRead(t *testing.T) {
	dir := markedLog(t)
	l := openLog(t, dir)
	flip(t, filepath.Join(dir, "log"), ".sst", mark)
	if entries, err := l.Entries(1, 50, 1<<20); err != nil || len(entries) != 49 {
		t.Fatalf("%d sound entries came, error %v", len(entries), err)
	}
	_, err := l.Entries(50, 51, 1<<20)
	if !errors.Is(err, badgerlog.ErrDamaged) || !strings.Contains(err.Error(), "entry 50") {
		t.Fatalf("the damaged entry gave %v", err)
	}
}

// Badger leaves a damaged table out and goes on; badgerlog doesn't.
func TestAFlippedBitInATableMakesAFaultyMember(t *testing.T) {
	dir := markedLog(t)
	flip(t, filepath.Join(dir, "log"), ".sst", mark)
	l := openLog(t, dir)
	expectLost(t, l, 0, 100)
	if _, err := os.Stat(filepath.Join(dir, "log.damaged-1", "MANIFEST")); err != nil {
		t.Errorf("the damaged log is not there: %v", err)
	}
	// The rest of the log comes back, and the member is whole.
	if err := l.Save(&raft.Write{HardState: raft.HardState{Term: 1}, Entries: payload(1, 100)}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if state := openLog(t, dir).State(); state.Faulty || state.Last != 100 {
		t.Errorf("faulty %t, the log ends with entry %d", state.Faulty, state.Last)
	}
}

// A process that dies while Badger writes a table leaves a part of it, which no
// manifest names.
func TestATableThatWasBeingWrittenIsNoDamage(t *testing.T) {
	dir := markedLog(t)
	names, err := filepath.Glob(filepath.Join(dir, "log", "*.sst"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	data, err := os.ReadFile(names[0])
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "log", "000099.sst"), data[:len(data)/2], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	l := openLog(t, dir)
	if state := l.State(); state.Faulty || state.Last != 100 || len(l.SetAside()) > 0 {
		t.Errorf("faulty %t, the log ends with entry %d, set aside: %q", state.Faulty, state.Last, l.SetAside())
	}
}

// The value of a dead entry is never read, but what damaged it may have hit
// anything beside it.
func TestAFlippedBitInADeadEntryMakesAFaultyMember(t *testing.T) {
	dir := markedLog(t)
	l := openLog(t, dir)
	if err := l.Save(&raft.Write{HardState: raft.HardState{Term: 1}, TruncateFrom: 40}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	flip(t, filepath.Join(dir, "log"), ".sst", mark)
	expectLost(t, openLog(t, dir), 0, 39)
}

func TestLogsThatWereSetAsideAreKeptInNumber(t *testing.T) {
	dir := markedLog(t)
	for range 4 {
		flip(t, filepath.Join(dir, "log"), ".sst", mark)
		l := openLog(t, dir)
		entries := payload(1, 100)
		entries[49].Data = mark
		if err := l.Save(&raft.Write{HardState: raft.HardState{Term: 1}, Entries: entries}); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	names, err := filepath.Glob(filepath.Join(dir, "log.damaged-*"))
	if err != nil || len(names) != 2 {
		t.Errorf("there are %q, error %v", names, err)
	}
	if told := openLog(t, dir).SetAside(); !slices.Equal(told, []string{"log.damaged-3", "log.damaged-4"}) {
		t.Errorf("the log tells of %q", told)
	}
}

// expectLost expects a faulty member whose log ends with an entry and had ended
// with a later one, of term 1.
func expectLost(t *testing.T, l *badgerlog.Log, last, had raft.Index) {
	t.Helper()
	state := l.State()
	if !state.Faulty || state.Last != last || state.Watermark != (raft.LogPosition{Index: had, Term: 1}) {
		t.Errorf("faulty %t, the log ends with entry %d, the watermark is %+v; expected entry %d and index %d",
			state.Faulty, state.Last, state.Watermark, last, had)
	}
	if state.HardState.Term != 1 {
		t.Errorf("the term is %d", state.HardState.Term)
	}
}

// snapshots of these contents make the log of 100 entries begin after 40.
var contents = map[raft.Index]string{40: "the state at forty", 80: "the state at eighty"}

func snapshotLog(t *testing.T) string {
	t.Helper()
	dir := markedLog(t)
	l := openLog(t, dir)
	for _, at := range []raft.Index{40, 80} {
		if _, err := l.SaveSnapshot(raft.SnapshotMeta{Index: at, Term: 1}, writing(contents[at])); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestADamagedNewestSnapshotIsReplacedByTheOneBefore(t *testing.T) {
	for what, harm := range map[string]func(dir string){
		"a bit in the data":   func(dir string) { flip(t, dir, ".snap", []byte(contents[80])) },
		"a bit in the header": func(dir string) { flip(t, dir, "80.snap", []byte("cluster")) },
		"a missing file":      func(dir string) { change(t, dir, func(path string) error { return os.Remove(path) }) },
		"a missing trailer":   func(dir string) { change(t, dir, cut(20)) },
		"a torn trailer":      func(dir string) { change(t, dir, cut(1)) },
		"a torn chunk":        func(dir string) { change(t, dir, cut(25)) },
		"an empty file":       func(dir string) { change(t, dir, func(path string) error { return os.Truncate(path, 0) }) },
		"bytes behind the end": func(dir string) {
			change(t, dir, func(path string) error {
				data, err := os.ReadFile(path)
				return errors.Join(err, os.WriteFile(path, append(data, 0), 0o600))
			})
		},
	} {
		dir := snapshotLog(t)
		harm(filepath.Join(dir, "snapshots"))
		l := openLog(t, dir)
		if state := l.State(); state.Snapshot.Index != 40 || state.Base != 40 || state.Last != 100 {
			t.Errorf("%s: the snapshot is at %d, the log from %d to %d", what, state.Snapshot.Index, state.Base, state.Last)
		}
		if got := readSnapshot(t, l); got != contents[40] {
			t.Errorf("%s: the snapshot holds %q", what, got)
		}
		if entries, err := l.Entries(41, 101, 1<<20); err != nil || len(entries) != 60 {
			t.Errorf("%s: %d entries came, error %v", what, len(entries), err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestALogWithoutAUsableSnapshotMakesAFaultyMember(t *testing.T) {
	dir := snapshotLog(t)
	flip(t, filepath.Join(dir, "snapshots"), ".snap", []byte(contents[80]))
	flip(t, filepath.Join(dir, "snapshots"), ".snap", []byte(contents[40]))
	expectLost(t, openLog(t, dir), 0, 100)
}

func TestACompleteLogDoesWithoutASnapshot(t *testing.T) {
	dir := markedLog(t)
	l := openLog(t, dir)
	if _, err := l.SaveSnapshot(raft.SnapshotMeta{Index: 40, Term: 1}, writing(contents[40])); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	flip(t, filepath.Join(dir, "snapshots"), ".snap", []byte(contents[40]))
	if state := openLog(t, dir).State(); state.Snapshot.Index != 0 || state.Base != 0 || state.Last != 100 {
		t.Fatalf("the snapshot is at %d, the log from %d to %d", state.Snapshot.Index, state.Base, state.Last)
	}
}

// What is left when the log can't be used begins at a snapshot that the member
// is known to have had; one that it only received doesn't count.
func TestALogThatCannotBeUsedBeginsAgainAtASnapshot(t *testing.T) {
	dir := snapshotLog(t)
	foreign := filepath.Join(dir, "snapshots", "00000000000000000001-00000000000000000200.snap")
	data, err := os.ReadFile(filepath.Join(dir, "snapshots", "00000000000000000001-00000000000000000080.snap"))
	if err := errors.Join(err, os.WriteFile(foreign, data, 0o600), os.Remove(filepath.Join(dir, "log", "MANIFEST"))); err != nil {
		t.Fatal(err)
	}
	l := openLog(t, dir)
	expectLost(t, l, 80, 100)
	if state := l.State(); state.Base != 80 || state.Snapshot.Index != 80 {
		t.Errorf("the log begins after entry %d, the snapshot is at %d", state.Base, state.Snapshot.Index)
	}
	if got := readSnapshot(t, l); got != contents[80] {
		t.Errorf("the snapshot holds %q", got)
	}
	if err := l.Save(&raft.Write{HardState: raft.HardState{Term: 2}, HardStateChanged: true,
		Entries: []raft.Entry{{Index: 81, Term: 2, Kind: raft.EntryNoOp}}}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if state := openLog(t, dir).State(); state.Faulty || state.Last != 81 {
		t.Errorf("with an entry of a later term: faulty %t, the log ends with entry %d", state.Faulty, state.Last)
	}
}

func TestASnapshotThatIsDamagedAfterOpeningIsNotGivenOut(t *testing.T) {
	dir := snapshotLog(t)
	l := openLog(t, dir)
	flip(t, filepath.Join(dir, "snapshots"), ".snap", []byte(contents[80]))
	_, r, err := l.OpenSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got bytes.Buffer
	if _, err := got.ReadFrom(r); !errors.Is(err, badgerlog.ErrDamaged) || got.Len() > 0 {
		t.Fatalf("reading gave %q and %v", got.String(), err)
	}
}

// change does something to the file of the snapshot at 80.
func change(t *testing.T, dir string, do func(path string) error) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*80.snap"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := do(files[0]); err != nil {
		t.Fatal(err)
	}
}

// cut removes bytes from the end of a file.
func cut(n int64) func(path string) error {
	return func(path string) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		return os.Truncate(path, info.Size()-n)
	}
}
