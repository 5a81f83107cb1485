package badgerlog_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/badgerlog"
)

// writerDirectory, when set, makes the test binary a process that writes to a
// log until it is killed, and says on standard output what it has saved.
const writerDirectory = "BADGERLOG_WRITER_DIRECTORY"

// killRounds is how many times the writer is killed. Each round goes on with
// the directory that the one before left.
const killRounds = 10

func TestWhatWasSavedOutlivesKill(t *testing.T) {
	dir := formatted(t)
	for round := range killRounds {
		saved := killWriter(t, dir)
		l, err := badgerlog.Open(dir, badgerlog.Options{Logger: quiet()})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		state := l.State()
		t.Logf("round %d: saved %+v, found entries %d to %d, snapshot at %d", round, saved, state.Base+1, state.Last, state.Snapshot.Index)
		switch {
		case state.Faulty:
			t.Fatalf("round %d: the log ends at %d and is faulty, its watermark is %+v", round, state.Last, state.Watermark)
		case state.HardState.Term < saved.term:
			t.Fatalf("round %d: the term is %d, and %d was saved", round, state.HardState.Term, saved.term)
		case state.HardState.Term == saved.term && state.Last < saved.last:
			t.Fatalf("round %d: the log ends at %d, and %d was saved", round, state.Last, saved.last)
		case state.Snapshot.Index < saved.snapshot:
			t.Fatalf("round %d: the snapshot is at %d, and one at %d was saved", round, state.Snapshot.Index, saved.snapshot)
		}
		for lo := state.Base + 1; lo <= state.Last; lo++ {
			e, err := l.Entries(lo, lo+1, 1)
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			if !bytes.Equal(e[0].Data, writerData(lo, e[0].Term)) {
				t.Fatalf("round %d: entry %d is not what was saved", round, lo)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// progress is what a writer has reported.
type progress struct {
	term     raft.Term
	last     raft.Index
	snapshot raft.Index
}

// killWriter runs a writer, kills it after it has reported a random number of
// operations, and returns the last report that it finished.
func killWriter(t *testing.T, dir string) progress {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), writerDirectory+"="+dir)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var p progress
	reports := bufio.NewScanner(out)
	for n := 1 + rand.IntN(60); n > 0 && reports.Scan(); n-- {
		p.read(t, reports.Text())
	}
	_ = cmd.Process.Kill()
	// What it reported until the signal came counts too. Kill may have cut the
	// last line.
	rest, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	for lines := bytes.SplitAfter(rest, []byte("\n")); len(lines) > 0; lines = lines[1:] {
		if bytes.HasSuffix(lines[0], []byte("\n")) {
			p.read(t, string(lines[0]))
		}
	}
	_ = cmd.Wait()
	if complaints.Len() > 0 {
		t.Fatalf("the writer failed: %s", complaints.String())
	}
	if p.term == 0 {
		t.Fatal("the writer reported nothing")
	}
	return p
}

func (p *progress) read(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Sscanf(line, "%d %d %d", &p.term, &p.last, &p.snapshot); err != nil {
		t.Fatalf("report %q: %v", line, err)
	}
}

// writerData is the command that a writer puts at a place of the log.
func writerData(i raft.Index, term raft.Term) []byte {
	size := 100
	if i%50 == 0 {
		size = 1200 << 10 // Three records.
	}
	return bytes.Repeat(fmt.Appendf(nil, "%016d%08d", i, term), size/24)
}

// runWriter is the process that is killed.
func runWriter(dir string) int {
	l, err := badgerlog.Open(dir, badgerlog.Options{Logger: quiet()})
	if err == nil {
		err = write(l)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// write appends, truncates, changes term and takes snapshots, one operation
// after another, and reports each once it is done.
func write(l *badgerlog.Log) error {
	state := l.State()
	p := progress{term: state.HardState.Term, last: state.Last, snapshot: state.Snapshot.Index}
	for {
		w := raft.Write{}
		if rand.IntN(8) == 0 || p.term == 0 {
			p.term++
			w.HardStateChanged = true
			// A new term may cut off what is not in a snapshot.
			if p.last > p.snapshot+1 {
				p.last -= raft.Index(rand.Uint64N(uint64(p.last - p.snapshot)))
				w.TruncateFrom = p.last + 1
			}
		}
		w.HardState = raft.HardState{Term: p.term, Vote: 7}
		for range 1 + rand.IntN(30) {
			p.last++
			w.Entries = append(w.Entries, raft.Entry{
				Index: p.last, Term: p.term, Kind: raft.EntryCommand, Data: writerData(p.last, p.term),
			})
		}
		if err := l.Save(&w); err != nil {
			return err
		}
		if p.last > p.snapshot+200 {
			p.snapshot = p.last
			_, err := l.SaveSnapshot(raft.SnapshotMeta{Index: p.last, Term: p.term}, func(out io.Writer) error {
				_, err := out.Write(make([]byte, 300<<10))
				return err
			})
			if err != nil {
				return err
			}
		}
		if _, err := fmt.Println(uint64(p.term), uint64(p.last), uint64(p.snapshot)); err != nil {
			return err
		}
	}
}
