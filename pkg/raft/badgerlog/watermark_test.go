package badgerlog

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// memorySlots is a disk that knows what of it is durable, and can fail.
type memorySlots struct {
	data, durable []byte
	syncs         int
	fail          error
}

func (m *memorySlots) WriteAt(p []byte, at int64) (int, error) {
	if m.fail != nil {
		return 0, m.fail
	}
	return copy(m.data[at:], p), nil
}

func (m *memorySlots) Sync() error {
	if m.fail != nil {
		return m.fail
	}
	m.syncs++
	m.durable = bytes.Clone(m.data)
	return nil
}

func (m *memorySlots) Close() error { return m.fail }

var owner = Identity{Member: 7, ClusterID: "cluster", Name: "node-0"}

// memoryWatermark returns a fresh watermark in memory.
func memoryWatermark() (*watermarkFile, *memorySlots) {
	m := &memorySlots{data: make([]byte, 2*slotSpacing)}
	copy(m.data, encodeSlot(owner, 1, watermark{}))
	copy(m.data[slotSpacing:], encodeSlot(owner, 2, watermark{}))
	m.durable = bytes.Clone(m.data)
	return &watermarkFile{owner: owner, slots: m, sequence: 2, synced: 1}, m
}

// markAt is a watermark that is easy to tell from others.
func markAt(n uint64) watermark {
	return watermark{end: position{index: raft.Index(n), term: raft.Term(n / 3), chain: n * 7}, term: raft.Term(n / 2), vote: raft.MemberID(n)}
}

// A power cut leaves each slot as it was when it was last synced, as it is now,
// or torn. Whatever comes together, the watermark that is read is one that was
// written, and not an earlier one than the last that was synced.
func TestAPowerCutLeavesTheLastSyncedWatermark(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		f, disk := memoryWatermark()
		written, synced := uint64(0), uint64(0)
		for range 1 + random.IntN(8) {
			if random.IntN(3) == 0 {
				if err := f.sync(); err != nil {
					t.Fatal(err)
				}
				synced = written
				continue
			}
			written++
			if err := f.write(markAt(written)); err != nil {
				t.Fatal(err)
			}
		}
		left := bytes.Clone(disk.durable)
		for n := range 2 {
			slot := func(of []byte) []byte { return of[n*slotSpacing : n*slotSpacing+slotBytes] }
			if bytes.Equal(slot(left), slot(disk.data)) {
				continue
			}
			copy(slot(left), slot(disk.data)[:random.IntN(slotBytes+1)])
		}
		again := &watermarkFile{owner: owner}
		if _, err := again.read(bytes.NewReader(left)); err != nil {
			t.Fatalf("after %d writes, %d of them synced: %v", written, synced, err)
		}
		found := uint64(again.now.end.index)
		if found < synced || found > written || found > 0 && again.now != markAt(found) {
			t.Fatalf("after %d writes, %d of them synced, the watermark is %+v", written, synced, again.now)
		}
	}
}

func TestAnUnchangedWatermarkIsNotWrittenAgain(t *testing.T) {
	f, disk := memoryWatermark()
	for range 3 {
		if err := errors.Join(f.write(markAt(1)), f.sync()); err != nil {
			t.Fatal(err)
		}
	}
	if f.sequence != 3 || disk.syncs != 1 {
		t.Errorf("the sequence number is %d after %d syncs", f.sequence, disk.syncs)
	}
}

// Every byte of a slot matters: with one flipped the other slot is taken.
func TestAFlippedBitInASlotIsPassedOver(t *testing.T) {
	f, disk := memoryWatermark()
	for n := range uint64(2) {
		if err := errors.Join(f.write(markAt(n+1)), f.sync()); err != nil {
			t.Fatal(err)
		}
	}
	for n, left := range []uint64{2, 1} {
		for at := range slotBytes {
			harmed := bytes.Clone(disk.data)
			harmed[n*slotSpacing+at] ^= 16
			again := &watermarkFile{owner: owner}
			warning, err := again.read(bytes.NewReader(harmed))
			if err != nil || !errors.Is(warning, ErrDamaged) || again.now != markAt(left) {
				t.Fatalf("byte %d of slot %d: the watermark is %+v, warning %v, error %v", at, n, again.now, warning, err)
			}
			// The next write must not go to the slot that is left.
			again.slots = &memorySlots{data: harmed}
			again.dirty = true
			if err := errors.Join(again.sync(), again.write(markAt(9))); err != nil {
				t.Fatal(err)
			}
			if warning, err := again.read(bytes.NewReader(harmed)); warning != nil || err != nil {
				t.Fatalf("byte %d of slot %d: after the next write: %v, %v", at, n, warning, err)
			}
		}
	}
}

// withTicks returns a log whose watermark is synced at ticks, and its disk.
func withTicks(t *testing.T, options Options) (*Log, chan<- time.Time, *watchedSlots) {
	t.Helper()
	ticks := make(chan time.Time)
	options.watermarkTicks = ticks
	l := openSmall(t, options)
	watched := &watchedSlots{slots: l.mark.slots, synced: make(chan error, 100)}
	l.mark.mu.Lock()
	l.mark.slots = watched
	l.mark.mu.Unlock()
	return l, ticks, watched
}

// watchedSlots tells of syncs, and can make them fail.
type watchedSlots struct {
	slots
	fail   error
	synced chan error
}

func (w *watchedSlots) Sync() error {
	err := w.fail
	if err == nil {
		err = w.slots.Sync()
	}
	w.synced <- err
	return err
}

// wasSynced tells whether there was a sync since it was asked last.
func (w *watchedSlots) wasSynced() bool {
	n := len(w.synced)
	for range n {
		<-w.synced
	}
	return n > 0
}

func TestTheWatermarkIsSyncedWithTermAndVoteAndElseInTheBackground(t *testing.T) {
	l, ticks, disk := withTicks(t, Options{})
	for _, step := range []struct {
		what  string
		write raft.Write
		want  bool
	}{
		{"entries", raft.Write{Entries: commands(0, 1, 5, 10)}, false},
		{"a term", raft.Write{HardState: raft.HardState{Term: 1}, HardStateChanged: true}, true},
		{"a vote", raft.Write{HardState: raft.HardState{Term: 1, Vote: 3}, HardStateChanged: true}, true},
		{"more entries", raft.Write{HardState: raft.HardState{Term: 1, Vote: 3}, Entries: commands(1, 6, 9, 10)}, false},
		{"a truncation", raft.Write{HardState: raft.HardState{Term: 1, Vote: 3}, TruncateFrom: 8, Entries: commands(1, 8, 10, 10)}, true},
	} {
		save(t, l, step.write)
		if got := disk.wasSynced(); got != step.want {
			t.Errorf("%s: the watermark was synced: %t", step.what, got)
		}
		if now := l.mark.get(); now.end != l.head.end || now.term != l.head.hard.Term || now.vote != l.head.hard.Vote {
			t.Errorf("%s: the watermark is %+v, the head %+v", step.what, now, l.head)
		}
	}
	ticks <- time.Time{}
	if err := <-disk.synced; err != nil {
		t.Fatal(err)
	}
	// Nothing was written since, so the next tick needs no disk.
	ticks <- time.Time{}
	ticks <- time.Time{}
	if disk.wasSynced() {
		t.Error("the watermark was synced twice")
	}
}

func TestAWatermarkThatCannotBeSyncedEndsTheLog(t *testing.T) {
	failed := errors.New("input/output error")
	told := make(chan error, 1)
	l, ticks, disk := withTicks(t, Options{OnFailure: func(err error) { told <- err }})
	save(t, l, raft.Write{Entries: commands(0, 1, 5, 10)})
	disk.fail = failed
	ticks <- time.Time{}
	if err := <-told; !errors.Is(err, failed) || !strings.Contains(err.Error(), "sync watermark") {
		t.Errorf("OnFailure was told %v", err)
	}
	if err := l.Save(&raft.Write{Entries: commands(0, 6, 6, 10)}); !errors.Is(err, failed) {
		t.Errorf("the next write gave %v", err)
	}
}

func TestAVoteWhoseWatermarkCannotBeSyncedIsNotSaved(t *testing.T) {
	l, _, disk := withTicks(t, Options{})
	disk.fail = errors.New("input/output error")
	err := l.Save(&raft.Write{HardState: raft.HardState{Term: 1, Vote: 3}, HardStateChanged: true})
	if !errors.Is(err, disk.fail) {
		t.Errorf("the write gave %v", err)
	}
}

// rewind makes the watermark of a closed log another one, as if that had been
// written last.
func rewind(t *testing.T, dir string, w watermark) {
	t.Helper()
	f, _, err := openWatermark(dir, owner1)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.write(w), f.sync(), f.close()); err != nil {
		t.Fatal(err)
	}
}

// owner1 is whose logs openSmall opens.
var owner1 = Identity{Member: 1, ClusterID: "cluster", Name: "node-0"}

// The log of each case ends with entry 10 of term 3, in term 5, with a vote for
// member 9. The watermark says something else, or the same.
func TestTheLogIsComparedWithTheWatermark(t *testing.T) {
	same := func(chain uint64) position { return position{index: 10, term: 3, chain: chain} }
	for _, c := range []struct {
		what string
		mark func(chain uint64) watermark
		// hard is what must come of both.
		hard   raft.HardState
		faulty bool
		aside  bool
	}{
		{"the same", func(h uint64) watermark { return watermark{end: same(h), term: 5, vote: 9} },
			raft.HardState{Term: 5, Vote: 9}, false, false},
		{"an earlier term", func(h uint64) watermark { return watermark{end: same(h), term: 4, vote: 8} },
			raft.HardState{Term: 5, Vote: 9}, false, false},
		{"a later term", func(h uint64) watermark { return watermark{end: same(h), term: 6, vote: 8} },
			raft.HardState{Term: 6, Vote: 8}, false, false},
		{"a later term without a vote", func(h uint64) watermark { return watermark{end: same(h), term: 6} },
			raft.HardState{Term: 6}, false, false},
		{"no vote", func(h uint64) watermark { return watermark{end: same(h), term: 5} },
			raft.HardState{Term: 5, Vote: 9}, false, false},
		{"another vote", func(h uint64) watermark { return watermark{end: same(h), term: 5, vote: 8} },
			raft.HardState{Term: 5, Vote: 1}, true, false},
		{"a shorter log", func(uint64) watermark { return watermark{end: position{index: 4, term: 2}, term: 5, vote: 9} },
			raft.HardState{Term: 5, Vote: 9}, false, false},
		{"a longer log", func(uint64) watermark { return watermark{end: position{index: 11, term: 3}, term: 5, vote: 9} },
			raft.HardState{Term: 5, Vote: 9}, true, false},
		{"a shorter log of a later term", func(uint64) watermark { return watermark{end: position{index: 9, term: 4}, term: 5, vote: 9} },
			raft.HardState{Term: 5, Vote: 9}, true, false},
		{"a longer log of an earlier term", func(uint64) watermark { return watermark{end: position{index: 11, term: 2}, term: 5, vote: 9} },
			raft.HardState{Term: 5, Vote: 9}, false, false},
		{"another log of the same length", func(h uint64) watermark { return watermark{end: same(h + 1), term: 5, vote: 9} },
			raft.HardState{Term: 5, Vote: 9}, true, true},
		{"another log that ends within this one", func(h uint64) watermark {
			return watermark{end: position{index: 6, term: 3, chain: h}, term: 5, vote: 9}
		}, raft.HardState{Term: 5, Vote: 9}, true, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			l := openSmall(t, Options{})
			save(t, l, raft.Write{HardState: raft.HardState{Term: 5, Vote: 9}, HardStateChanged: true, Entries: commands(3, 1, 10, 50)})
			mark := c.mark(l.head.end.chain)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			rewind(t, l.dir, mark)
			// What was settled at the first opening is found by the second one.
			for range 2 {
				l, _ = reopenSmall(t, l.dir)
				state := l.State()
				if state.HardState != c.hard {
					t.Errorf("the hard state is %+v, expected %+v", state.HardState, c.hard)
				}
				if state.Faulty != c.faulty {
					t.Errorf("faulty: %t", state.Faulty)
				}
				if c.faulty && !state.Watermark.UpToDate(mark.end.seen()) {
					t.Errorf("the watermark is %+v", state.Watermark)
				}
				if _, err := os.Stat(l.asidePath(1)); (err == nil) != c.aside {
					t.Errorf("looking for a log that was set aside gave %v", err)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				c.faulty = c.faulty && c.hard.Vote == 9 // The two votes are settled.
			}
		})
	}
}

// The watermark of a faulty member stays where it is while its log grows below
// it, is cut, or is replaced by a snapshot that ends below it.
func TestTheWatermarkOfAFaultyMemberIsFrozen(t *testing.T) {
	l := openSmall(t, Options{})
	hard := raft.HardState{Term: 5}
	save(t, l, raft.Write{HardState: hard, HardStateChanged: true, Entries: commands(3, 1, 50, 50)})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	mark := position{index: 100, term: 4, chain: 12345}
	rewind(t, l.dir, watermark{end: mark, term: 5})
	reopen := func(last raft.Index) {
		t.Helper()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l, _ = reopenSmall(t, l.dir)
		expectFaulty(t, l, last, mark)
		if now := l.mark.get(); now.end != mark || now.term != hard.Term || now.vote != hard.Vote {
			t.Fatalf("the watermark is %+v, the hard state %+v", now, hard)
		}
	}
	reopen(50)
	save(t, l, raft.Write{HardState: hard, Entries: commands(3, 51, 60, 50)})
	reopen(60)
	hard.Term, hard.Vote = 6, 2
	save(t, l, raft.Write{HardState: hard, HardStateChanged: true, TruncateFrom: 40})
	reopen(39)
	meta := raft.SnapshotMeta{Index: 80, Term: 3}
	if err := l.ReceiveSnapshot(t.Context(), meta, strings.NewReader("state")); err != nil {
		t.Fatal(err)
	}
	save(t, l, raft.Write{HardState: hard, Snapshot: &meta})
	reopen(80)
	save(t, l, raft.Write{HardState: hard, Entries: commands(3, 81, 120, 50)})
	reopen(120)
	save(t, l, raft.Write{HardState: hard, Entries: commands(6, 121, 121, 50)})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, _ = reopenSmall(t, l.dir); l.State().Faulty || l.mark.get().end != l.head.end {
		t.Errorf("faulty %t; the watermark is %+v, the head %+v", l.State().Faulty, l.mark.get(), l.head)
	}
}

// A snapshot may replace a log that was longer. A crash at any step of that must
// not look like a loss.
func TestALogThatIsReplacedByAShorterOneIsNoLoss(t *testing.T) {
	for _, crash := range []string{"before the batch", "after the batch", "never"} {
		l := openSmall(t, Options{})
		save(t, l, raft.Write{HardState: raft.HardState{Term: 1}, Entries: commands(1, 1, 50, 50)})
		meta := raft.SnapshotMeta{Index: 20, Term: 2}
		if err := l.ReceiveSnapshot(t.Context(), meta, strings.NewReader("state")); err != nil {
			t.Fatal(err)
		}
		w := raft.Write{HardState: raft.HardState{Term: 2}, HardStateChanged: true, Snapshot: &meta}
		before := markOf(t, l)
		if crash == "before the batch" {
			if err := l.lowerWatermark(l.base.position()); err != nil {
				t.Fatal(err)
			}
		} else {
			save(t, l, w)
		}
		after := markOf(t, l)
		if bytes.Equal(before, after) {
			t.Fatal("the watermark has not changed")
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if crash == "after the batch" {
			rewind(t, l.dir, watermark{term: 1})
		}
		l, said := reopenSmall(t, l.dir)
		if state := l.State(); state.Faulty {
			t.Errorf("a crash %s: the log ends with entry %d and is faulty: %s", crash, state.Last, said)
		}
	}
}

// markOf returns the bytes of the watermark file.
func markOf(t *testing.T, l *Log) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(l.dir, watermarkName))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAWatermarkOfALaterVersionIsNoDamage(t *testing.T) {
	l := openSmall(t, Options{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(l.dir, watermarkName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[5]++
	seal(data[:slotBytes])
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = open(l.dir, Options{Logger: slog.New(slog.DiscardHandler)}, smallTables)
	if err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "run a newer version") {
		t.Errorf("opening gave %v", err)
	}
}
