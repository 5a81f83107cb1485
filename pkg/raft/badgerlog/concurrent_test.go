package badgerlog

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// Readers run beside a writer that appends, truncates, compacts and installs.
// They ask for what is stable: entries after the base that no write will touch.
func TestReadersAreNotDisturbedByWrites(t *testing.T) {
	l := openSmall(t, Options{})
	var stable atomic.Uint64 // The last index that is never truncated.
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for seed := range uint64(3) {
		readers.Go(func() {
			random := rand.New(rand.NewPCG(seed, 1))
			for {
				select {
				case <-stop:
					return
				default:
					readStable(t, l, random, raft.Index(stable.Load()))
				}
			}
		})
	}
	w := concurrentWriter{t: t, l: l, stable: &stable}
	for range 60 {
		w.step()
	}
	close(stop)
	readers.Wait()
}

// readStable reads a random stretch. Only when the base has moved meanwhile may
// it fail, and never as if something were damaged.
func readStable(t *testing.T, l *Log, random *rand.Rand, last raft.Index) {
	base := l.view.Load().base
	if last <= base {
		return
	}
	lo := base + 1 + raft.Index(random.Uint64N(uint64(last-base)))
	entries, err := l.Entries(lo, last+1, 64<<10)
	if errors.Is(err, ErrDamaged) || err != nil && l.view.Load().base == base {
		t.Errorf("entries %d to %d after %d: %v", lo, last, base, err)
	}
	for n := range entries {
		if i := lo + raft.Index(n); entries[n].Index != i || entries[n].Data[0] != byte(i) {
			t.Errorf("entry %d came in the place of entry %d", entries[n].Index, i)
		}
	}
	if _, r, err := l.OpenSnapshot(); err == nil {
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Errorf("read snapshot: %v", err)
		}
		_ = r.Close()
	}
	if _, err := l.Stats(); err != nil {
		t.Error(err)
	}
}

type concurrentWriter struct {
	t      *testing.T
	l      *Log
	stable *atomic.Uint64
	steps  int
}

func (w *concurrentWriter) step() {
	w.t.Helper()
	w.steps++
	hard := raft.HardState{Term: raft.Term(w.steps)}
	last := raft.Index(w.stable.Load())
	save(w.t, w.l, raft.Write{HardState: hard, Entries: commands(hard.Term, last+1, last+300, 200)})
	save(w.t, w.l, raft.Write{HardState: hard, TruncateFrom: last + 101, Entries: commands(hard.Term, last+101, last+150, 100)})
	save(w.t, w.l, raft.Write{HardState: hard, TruncateFrom: last + 101})
	last += 100
	w.stable.Store(uint64(last))
	meta := raft.SnapshotMeta{Index: last, Term: hard.Term}
	if w.steps%10 == 0 {
		meta.Index += 1000
		if err := w.l.ReceiveSnapshot(w.t.Context(), meta, strings.NewReader("state")); err != nil {
			w.t.Error(err)
		}
		save(w.t, w.l, raft.Write{HardState: hard, Snapshot: &meta})
		w.stable.Store(uint64(meta.Index))
	} else if _, err := w.l.SaveSnapshot(meta, func(out io.Writer) error {
		_, err := out.Write(make([]byte, 1000))
		return err
	}); err != nil {
		w.t.Error(err)
	}
}

func TestStatsTellWhatWasDone(t *testing.T) {
	var reports []SaveReport
	l := openSmall(t, Options{OnSave: func(r SaveReport) { reports = append(reports, r) }})
	save(t, l, raft.Write{HardStateChanged: true, HardState: raft.HardState{Term: 1}})
	save(t, l, raft.Write{HardState: raft.HardState{Term: 1}, Entries: commands(1, 1, 100, 1000)})
	save(t, l, raft.Write{HardState: raft.HardState{Term: 1}})
	for _, at := range []raft.Index{30, 60} {
		if _, err := l.SaveSnapshot(raft.SnapshotMeta{Index: at, Term: 1}, func(w io.Writer) error {
			_, err := w.Write(make([]byte, 400_000))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.ReceiveSnapshot(t.Context(), raft.SnapshotMeta{Index: 500, Term: 1}, strings.NewReader("state")); err != nil {
		t.Fatal(err)
	}
	s, err := l.Stats()
	if err != nil {
		t.Fatal(err)
	}
	var sync time.Duration
	for _, r := range reports {
		sync += r.Sync
	}
	if len(reports) != 2 || reports[1].Entries != 100 || reports[1].Bytes < 100_000 {
		t.Errorf("the reports are %+v", reports)
	}
	if s.Saves != 2 || s.Entries != 100 || s.Bytes != uint64(reports[1].Bytes) || s.SyncTime != sync || sync <= 0 {
		t.Errorf("the writes are counted as %+v", s)
	}
	if s.First != 31 || s.Last != 100 || s.Dead != 0 || s.LogBytes < 100_000 {
		t.Errorf("the log is told as %+v", s)
	}
	if s.SnapshotIndex != 60 || s.Snapshots != 2 || s.Received != 1 || s.SnapshotBytes < 400_000 ||
		s.SnapshotsBytes < 800_000 || s.SnapshotTime <= 0 {
		t.Errorf("the snapshots are told as %+v", s)
	}
}
