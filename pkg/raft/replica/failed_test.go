package replica_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/rafttest"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// TestFailedSnapshotIsTriedAgain has the storage fail to write a snapshot, when the
// last one was as large as what had been applied since. Nothing is proposed afterwards.
func TestFailedSnapshotIsTriedAgain(t *testing.T) {
	first := raft.NewMembership(raft.Member{ID: 1, Name: "a", Address: "a:1"})
	disk := rafttest.NewMemoryDisk()
	seedDisk(t, disk, &first)
	opened, err := disk.Open()
	must(t, err)
	loop, err := replica.NewLoop(replica.LoopOptions{
		Core:  raft.Config{ID: 1, Random: rand.New(rand.NewPCG(1, 1)), Log: opened.Storage},
		State: opened.State, Boot: 1, SnapshotEntries: 12,
	})
	must(t, err)
	taken := 0
	var failure error
	tick := func(ticks int) {
		t.Helper()
		for range ticks {
			loop.Handle(replica.Tick{})
			for idle := false; !idle; {
				e, err := loop.Effects()
				must(t, err)
				idle = true
				if e.Write != nil {
					must(t, opened.Save(e.Write))
					loop.Handle(replica.Saved{ID: e.Write.ID})
					idle = false
				}
				for _, work := range e.Apply {
					loop.Handle(replica.Applied{Work: work, Results: make([]any, len(work.Entries))})
					idle = false
				}
				if e.TakeSnapshot {
					loop.Handle(replica.Viewed{Index: loop.Applied(), Write: func(io.Writer) error { return nil }})
					idle = false
				}
				if s := e.SaveSnapshot; s != nil {
					taken++
					loop.Handle(replica.SnapshotSaved{Meta: s.Meta, SizeBytes: 12 * 1000, Err: failure})
					idle = false
				}
			}
		}
	}
	tick(100)
	propose := func(from uint64) {
		t.Helper()
		for i := range uint64(12) {
			loop.Handle(replica.Proposed{ID: raft.RequestID{Boot: 1, Sequence: 1<<63 + from + i}, Data: make([]byte, 1000)})
		}
		tick(1)
	}
	propose(0)
	failure = errors.New("the disk has no room for it")
	propose(100)
	if taken != 2 {
		t.Fatalf("after twice 12 entries %d snapshots were begun, want two", taken)
	}
	failure = nil
	if tick(500); taken != 2 {
		t.Errorf("5 s after the second one failed %d were begun, want no other yet", taken)
	}
	if tick(600); taken != 3 {
		t.Errorf("11 s after the second one failed %d were begun, want three", taken)
	}
	if tick(2000); taken != 3 {
		t.Errorf("20 s after the third one %d were begun, want no other", taken)
	}
}
