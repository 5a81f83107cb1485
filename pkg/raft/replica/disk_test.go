package replica_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/rafttest"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// gauged is a storage that tells how much room its disk has.
type gauged struct {
	rafttest.Storage
	space atomic.Uint32
	// late counts the Writes with entries since the disk was full.
	late atomic.Uint32
}

// Space implements replica.SpaceGauge.
func (g *gauged) Space() raft.Space { return raft.Space(g.space.Load()) }

func (g *gauged) set(space raft.Space) {
	g.late.Store(0)
	g.space.Store(uint32(space))
}

// needsRoom tells whether a Write holds what a full disk doesn't take: any entry but
// the no-ops that open terms.
func needsRoom(w *raft.Write) bool {
	return slices.ContainsFunc(w.Entries, func(e raft.Entry) bool { return e.Kind != raft.EntryNoOp })
}

// startGauged starts a cluster whose disks have gauges. On a full one no entry may
// be saved but those of the Write that finds it full, and those that open a term.
func startGauged(t *testing.T, size int) (*running, []*gauged) {
	t.Helper()
	var gauges []*gauged
	c := startCluster(t, size, func(o *replica.Options) {
		g := &gauged{Storage: o.Storage}
		gauges = append(gauges, g)
		o.Storage = g
	})
	for i, g := range gauges {
		c.disks[i].SetFaults(rafttest.StorageFaults{BeforeSave: func(w *raft.Write) error {
			if needsRoom(w) && g.Space() == raft.SpaceFull && g.late.Add(1) > 1 {
				t.Errorf("%d more entries are saved on the full disk of replica %d", len(w.Entries), i)
			}
			return nil
		}})
	}
	return c, gauges
}

// soon is longer than the interval at which the storage is asked for its space.
const soon = 250 * time.Millisecond

func TestLowSpaceRefusesWhatAddsBytesAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, gauges := startGauged(t, 3)
		leader := c.leader()
		follower := c.replicas[(leader+1)%3]
		gauges[leader].set(raft.SpaceLow)
		time.Sleep(soon)
		for _, r := range []*replica.Replica{c.replicas[leader], follower} {
			if _, _, err := r.Propose(t.Context(), []byte("more")); !errors.Is(err, replica.ErrDiskFull) {
				t.Errorf("Propose: %v, want %v", err, replica.ErrDiskFull)
			}
			if _, _, err := r.ProposeFreeing(t.Context(), []byte("less")); err != nil {
				t.Errorf("ProposeFreeing: %v", err)
			}
			if _, err := r.ReadBarrier(t.Context()); err != nil {
				t.Errorf("ReadBarrier: %v", err)
			}
		}
		gauges[leader].set(raft.SpacePlenty)
		time.Sleep(soon)
		if _, _, err := follower.Propose(t.Context(), []byte("more")); err != nil {
			t.Errorf("Propose when there is room again: %v", err)
		}
		c.close()
	})
}

func TestAFullDiskIsReadFromAndNotWrittenTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, gauges := startGauged(t, 1)
		c.leader()
		r := c.replicas[0]
		if _, _, err := r.Propose(t.Context(), []byte("before")); err != nil {
			t.Fatal(err)
		}
		gauges[0].set(raft.SpaceFull)
		time.Sleep(soon)
		if _, _, err := r.ProposeFreeing(t.Context(), []byte("x")); !errors.Is(err, replica.ErrDiskFull) {
			t.Errorf("ProposeFreeing: %v, want %v", err, replica.ErrDiskFull)
		}
		if _, err := r.ReadBarrier(t.Context()); err != nil {
			t.Errorf("ReadBarrier: %v", err)
		}
		if _, err := r.TakeSnapshot(t.Context()); !errors.Is(err, replica.ErrDiskFull) {
			t.Errorf("TakeSnapshot: %v, want %v", err, replica.ErrDiskFull)
		}
		s, err := r.Status(t.Context())
		must(t, err)
		if s.Space != raft.SpaceFull {
			t.Errorf("the status tells of %s space", s.Space)
		}
		c.close()
	})
}

func TestAWriteThatFindsTheDiskFullIsTheLastOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, gauges := startGauged(t, 1)
		c.leader()
		r := c.replicas[0]
		time.Sleep(soon)
		// Between two looks at the gauge: the core still believes in plenty.
		gauges[0].set(raft.SpaceFull)
		if _, _, err := r.Propose(t.Context(), []byte("x")); err != nil {
			t.Errorf("Propose before the full disk was noticed: %v", err)
		}
		if _, _, err := r.Propose(t.Context(), []byte("y")); !errors.Is(err, replica.ErrDiskFull) {
			t.Errorf("Propose after it: %v, want %v", err, replica.ErrDiskFull)
		}
		if _, err := r.ReadBarrier(t.Context()); err != nil {
			t.Errorf("ReadBarrier: %v", err)
		}
		gauges[0].set(raft.SpacePlenty)
		time.Sleep(soon)
		if _, _, err := r.Propose(t.Context(), []byte("z")); err != nil {
			t.Errorf("Propose when there is room again: %v", err)
		}
		c.close()
	})
}

func TestALeaderWithAFullDiskHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, gauges := startGauged(t, 3)
		was := c.leader()
		if _, _, err := c.replicas[was].Propose(t.Context(), []byte("before")); err != nil {
			t.Fatal(err)
		}
		gauges[was].set(raft.SpaceFull)
		time.Sleep(time.Second)
		is := c.leader()
		if is == was {
			t.Fatalf("replica %d leads with a full disk", is)
		}
		if _, _, err := c.replicas[is].Propose(t.Context(), []byte("x")); err != nil {
			t.Errorf("Propose at the new leader: %v", err)
		}
		gauges[was].set(raft.SpacePlenty)
		if _, err := c.replicas[was].ReadBarrier(t.Context()); err != nil {
			t.Errorf("ReadBarrier at the old leader when it has room again: %v", err)
		}
		c.close()
	})
}

func TestReadsGoOnWhenALeaderIsElectedOnFullDisks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, gauges := startGauged(t, 3)
		was := c.leader()
		if _, _, err := c.replicas[was].Propose(t.Context(), []byte("before")); err != nil {
			t.Fatal(err)
		}
		// A follower whose disk has no room for what its leader has can't take what the next leader begins with.
		time.Sleep(soon)
		for _, g := range gauges {
			g.set(raft.SpaceFull)
		}
		time.Sleep(soon)
		c.network.setLose(func(m *raft.Message) bool { return m.From == raft.MemberID(was+1) || m.To == raft.MemberID(was+1) })
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		for i, r := range c.replicas {
			if i == was {
				continue
			}
			if _, err := r.ReadBarrier(ctx); err != nil {
				t.Errorf("ReadBarrier at replica %d: %v", i, err)
			}
			if _, _, err := r.Propose(ctx, []byte("x")); !errors.Is(err, replica.ErrDiskFull) {
				t.Errorf("Propose at replica %d: %v, want %v", i, err, replica.ErrDiskFull)
			}
		}
		c.close()
	})
}

// On virtual time: the budget is 500 ms, and the rest is generous.
func TestALeaderWhoseDiskHangsHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3, nil)
		was := c.leader()
		stall, release := rafttest.StallSave()
		c.disks[was].SetFaults(rafttest.StorageFaults{BeforeSave: stall})
		if _, _, err := c.replicas[was].Propose(t.Context(), []byte("committed by the others")); err != nil {
			t.Errorf("Propose at a leader whose disk has just begun to hang: %v", err)
		}
		time.Sleep(450 * time.Millisecond)
		if l := c.replicas[was].Leader(); l != raft.MemberID(was+1) {
			t.Errorf("within the budget it already follows %s", l)
		}
		time.Sleep(time.Second)
		is := c.leader()
		if is == was {
			t.Fatalf("replica %d still leads, though its disk hangs", is)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := c.replicas[is].Propose(ctx, []byte("x")); err != nil {
			t.Errorf("Propose at the new leader: %v", err)
		}
		release()
		if _, _, err := c.replicas[was].Propose(t.Context(), []byte("y")); err != nil {
			t.Errorf("Propose at the old leader when its disk goes on: %v", err)
		}
		c.close()
	})
}
