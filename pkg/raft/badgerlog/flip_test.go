package badgerlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// killed returns the directory of a member whose process has died: tables, a
// write-ahead log that no table holds yet, a base and two snapshots. The log
// ends with entry 60 of term 4, in term 5 with a vote for member 9.
func killed(t *testing.T) (dir string, end position) {
	t.Helper()
	l := openSmall(t, Options{})
	save(t, l, raft.Write{HardState: raft.HardState{Term: 3}, HardStateChanged: true, Entries: commands(3, 1, 40, 40)})
	for _, at := range []raft.Index{10, 20} {
		if _, err := l.SaveSnapshot(raft.SnapshotMeta{Index: at, Term: 3}, func(w io.Writer) error {
			_, err := w.Write([]byte("state"))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	// Closing makes a table of all this.
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, _ = reopenSmall(t, l.dir)
	hard := raft.HardState{Term: 4}
	save(t, l, raft.Write{HardState: hard, HardStateChanged: true, TruncateFrom: 36, Entries: commands(4, 36, 50, 40)})
	save(t, l, raft.Write{HardState: hard, Entries: commands(4, 51, 60, 40)})
	save(t, l, raft.Write{HardState: raft.HardState{Term: 5, Vote: 9, Commit: 55}, HardStateChanged: true})
	dir = filepath.Join(t.TempDir(), "data")
	copyFiles(t, l.dir, dir)
	end = l.head.end
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, end
}

// copyFiles copies a directory of this test, without the holes of its files.
func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err := errors.Join(err, os.MkdirAll(to, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		source, target := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if e.IsDir() {
			copyFiles(t, source, target)
			continue
		}
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		err = os.WriteFile(target, dataOf(t, source), 0o600)
		if err := errors.Join(err, os.Truncate(target, info.Size())); err != nil {
			t.Fatal(err)
		}
	}
}

// dataOf returns what a file holds before its final hole.
func dataOf(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var data []byte
	for at := int64(0); ; {
		first, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return data
		}
		end, err2 := unix.Seek(int(f.Fd()), first, unix.SEEK_HOLE)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		data = append(data, make([]byte, end-int64(len(data)))...)
		if _, err := f.ReadAt(data[first:end], first); err != nil {
			t.Fatal(err)
		}
		at = end
	}
}

// inMemory returns a directory that needs no disk, if there is one.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "badgerlog")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// A byte that flips anywhere in the log of a process that was killed leads to a
// faulty member with the right watermark, or to nothing lost; never to a shorter
// log that is taken for whole, nor to a forgotten vote.
func TestOneFlippedByteNeverShortensALogUnseen(t *testing.T) {
	dir, end := killed(t)
	step := 11 // All of them take minutes, and Badger leaks at each failure to open.
	if testing.Short() {
		step = 41
	}
	memory := inMemory(t)
	var paths []string
	for _, pattern := range []string{"log/*", "snapshots/*", "watermark"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, names...)
	}
	outcomes := map[string]int{}
	for _, path := range paths {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		data := dataOf(t, path)
		size := len(bytes.TrimRight(data, "\x00")) + 64
		for at := 0; at < min(size, len(data)); at += step {
			harmed := filepath.Join(memory, "harmed")
			copyFiles(t, dir, harmed)
			f, err := os.OpenFile(filepath.Join(harmed, name), os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt([]byte{data[at] ^ 0x55}, int64(at))
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
			outcomes[name+": "+openHarmed(t, harmed, fmt.Sprintf("%s byte %d", name, at), end)]++
			if err := os.RemoveAll(harmed); err != nil {
				t.Fatal(err)
			}
		}
	}
	var lines []string
	for outcome, n := range outcomes {
		lines = append(lines, fmt.Sprintf("%s: %d", outcome, n))
	}
	slices.Sort(lines)
	t.Log(strings.Join(lines, "\n"))
}

// openHarmed opens a log with one flipped byte and tells what came of it.
func openHarmed(t *testing.T, dir, what string, end position) string {
	l, said := reopenSmall(t, dir)
	defer l.Close()
	state := l.State()
	if hard := state.HardState; hard.Term != 5 || hard.Vote != 9 {
		t.Errorf("%s: the hard state is %+v: %s", what, hard, said)
	}
	if state.Faulty {
		if state.Watermark != end.seen() || state.Last >= end.index {
			t.Errorf("%s: the log ends with entry %d, the watermark is %+v: %s", what, state.Last, state.Watermark, said)
		}
	} else if l.head.end != end {
		t.Errorf("%s: the log ends with %+v, it had ended with %+v: %s", what, l.head.end, end, said)
	}
	entries, err := l.Entries(state.Base+1, state.Last+1, 1<<20)
	if state.Base < state.Last && (err != nil || len(entries) != int(state.Last-state.Base)) {
		t.Errorf("%s: %d entries came, error %v", what, len(entries), err)
	}
	for i := range entries {
		e := &entries[i]
		if want := commands(e.Term, e.Index, e.Index, 40)[0]; !bytes.Equal(e.Data, want.Data) || e.Term != 3 && e.Index < 36 {
			t.Errorf("%s: entry %d of term %d is not what was saved", what, e.Index, e.Term)
		}
	}
	_, err = os.Stat(l.asidePath(1))
	switch {
	case !state.Faulty:
		return "nothing lost"
	case err == nil:
		return "faulty, log set aside"
	default:
		return "faulty, beginning kept"
	}
}
