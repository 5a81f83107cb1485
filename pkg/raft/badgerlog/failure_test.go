package badgerlog

import (
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// smallTables makes Badger flush and compact after a tenth of the usual bytes.
func smallTables(dir string, logger badger.Logger) badger.Options {
	return badgerOptions(dir, logger).WithMemTableSize(8 << 20).WithBaseTableSize(1 << 20)
}

// openSmall opens a new log with small tables.
func openSmall(t *testing.T, options Options) *Log {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := Format(dir, Identity{Member: 1, ClusterID: "cluster", Name: "node-0"}); err != nil {
		t.Fatal(err)
	}
	options.Logger = slog.New(slog.DiscardHandler)
	l, err := open(dir, options, smallTables)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func commands(term raft.Term, first, last raft.Index, size int) []raft.Entry {
	var entries []raft.Entry
	for i := first; i <= last; i++ {
		data := make([]byte, size)
		for n := range data {
			data[n] = byte(uint64(i) + uint64(n)*31)
		}
		entries = append(entries, raft.Entry{Index: i, Term: term, Kind: raft.EntryCommand, Data: data})
	}
	return entries
}

func save(t *testing.T, l *Log, w raft.Write) {
	t.Helper()
	if err := l.Save(&w); err != nil {
		t.Fatal(err)
	}
}

// failingLog returns a log and what OnFailure was told.
func failingLog(t *testing.T) (*Log, *atomic.Int32, *atomic.Value) {
	t.Helper()
	var calls atomic.Int32
	var told atomic.Value
	l := openSmall(t, Options{OnFailure: func(err error) {
		calls.Add(1)
		told.Store(err)
	}})
	save(t, l, raft.Write{Entries: commands(0, 1, 10, 10)})
	return l, &calls, &told
}

func TestAnErrorThatBadgerPrintsEndsTheLog(t *testing.T) {
	l, calls, told := failingLog(t)
	badgerLogger{l.options.Logger, l.failure}.Warningf("a compaction took long")
	save(t, l, raft.Write{Entries: commands(0, 11, 11, 10)})
	for range 3 {
		badgerLogger{l.options.Logger, l.failure}.Errorf("Error while curlf sync: %v\n", io.ErrShortWrite)
	}
	const want = "badger: Error while curlf sync: short write"
	if err, _ := told.Load().(error); calls.Load() != 1 || err == nil || err.Error() != want {
		t.Errorf("OnFailure was called %d times, with %v", calls.Load(), err)
	}
	if err := l.Save(&raft.Write{Entries: commands(0, 12, 12, 10)}); err == nil || err.Error() != want {
		t.Errorf("a write gave %v", err)
	}
	if err := l.Save(&raft.Write{}); err == nil {
		t.Error("a write that needs no disk was accepted")
	}
	if _, err := l.SaveSnapshot(raft.SnapshotMeta{Index: 5}, func(io.Writer) error { return nil }); err == nil {
		t.Error("a snapshot was taken")
	}
	if entries, err := l.Entries(1, 12, 1<<20); err != nil || len(entries) != 11 {
		t.Errorf("%d entries came, error %v: what is durable stays readable", len(entries), err)
	}
	if err := l.Close(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("close gave %v", err)
	}
}

// hangingLogger keeps Badger from going on, once armed: Badger prints a line
// for debugging before it writes.
type hangingLogger struct {
	badger.Logger
	armed   *atomic.Bool
	hanging chan struct{}
	release chan struct{}
}

func (l hangingLogger) Debugf(string, ...any) {
	if l.armed.CompareAndSwap(true, false) {
		close(l.hanging)
		<-l.release
	}
}

func TestAWriteThatWaitsForAFailedDiskReturns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := Format(dir, Identity{Member: 1, ClusterID: "cluster", Name: "node-0"}); err != nil {
		t.Fatal(err)
	}
	hang := hangingLogger{armed: new(atomic.Bool), hanging: make(chan struct{}), release: make(chan struct{})}
	options := Options{Logger: slog.New(slog.DiscardHandler)}
	l, err := open(dir, options, func(dir string, logger badger.Logger) badger.Options {
		hang.Logger = logger
		return smallTables(dir, hang)
	})
	if err != nil {
		t.Fatal(err)
	}
	hang.armed.Store(true)
	done := make(chan error)
	go func() { done <- l.Save(&raft.Write{Entries: commands(0, 1, 1, 10)}) }()
	<-hang.hanging
	// Badger prints that a flush fails, and tries again forever.
	hang.Errorf("error flushing memtable to disk: %v, retrying", io.ErrShortWrite)
	if err := <-done; err == nil || !strings.Contains(err.Error(), "flushing memtable") {
		t.Errorf("the write gave %v", err)
	}
	close(hang.release)
	if err := l.Close(); err == nil || !strings.Contains(err.Error(), "flushing memtable") {
		t.Errorf("close gave %v", err)
	}
}

func TestARefusedWriteIsTheLast(t *testing.T) {
	l, calls, told := failingLog(t)
	gap := l.Save(&raft.Write{Entries: commands(0, 12, 12, 10)})
	if gap == nil || !strings.Contains(gap.Error(), "entry 12 of term 0 can't follow entry 10") {
		t.Fatalf("the write gave %v", gap)
	}
	if err := l.Save(&raft.Write{Entries: commands(0, 11, 11, 10)}); !errors.Is(err, gap) {
		t.Errorf("the next write gave %v", err)
	}
	if err, _ := told.Load().(error); calls.Load() != 1 || !errors.Is(err, gap) {
		t.Errorf("OnFailure was called %d times, with %v", calls.Load(), err)
	}
}

func TestAWriteBeyondOneTransactionIsRefused(t *testing.T) {
	l, _, _ := failingLog(t)
	err := l.Save(&raft.Write{Entries: commands(0, 11, 40, 100<<10)})
	if !errors.Is(err, badger.ErrTxnTooBig) || !strings.Contains(err.Error(), "bytes in 14 records, where one transaction holds fewer than") {
		t.Fatalf("the write gave %v", err)
	}
}

func TestAnEntryBeyondTheLimitIsRefused(t *testing.T) {
	l, _, _ := failingLog(t)
	err := l.Save(&raft.Write{Entries: commands(0, 11, 11, EntryBytesMax+1)})
	if err == nil || !strings.Contains(err.Error(), "entry 11 has") {
		t.Fatalf("the write gave %v", err)
	}
}

func TestAClosedLogRefusesEveryCall(t *testing.T) {
	l, calls, _ := failingLog(t)
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	_, entries := l.Entries(1, 2, 1)
	_, taken := l.SaveSnapshot(raft.SnapshotMeta{Index: 1}, nil)
	_, _, opened := l.OpenSnapshot()
	_, stats := l.Stats()
	for what, err := range map[string]error{
		"Save":            l.Save(&raft.Write{}),
		"Entries":         entries,
		"SaveSnapshot":    taken,
		"OpenSnapshot":    opened,
		"ReceiveSnapshot": l.ReceiveSnapshot(t.Context(), raft.SnapshotMeta{Index: 1}, strings.NewReader("")),
		"Stats":           stats,
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s gave %v", what, err)
		}
	}
	if calls.Load() != 0 {
		t.Errorf("OnFailure was called %d times", calls.Load())
	}
}
