//go:build linux

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/test/e2e/history"
)

var powerCuts = flag.Int("power-cuts", 0, "how often each TestPowerCutLosesNothing cuts the power (default 3)")

// forgetfulNode doesn't sync what it writes. It is what the tests of power cuts
// are tried on: they prove nothing if they don't find it out.
var forgetfulNode = &alteration{
	name: "node-forgetful",
	edits: []edit{{
		dir: inLog, function: "badgerOptions", line: "o = o.WithSyncWrites(true)", instead: "o = o.WithSyncWrites(false)",
	}},
}

func TestPowerCutOnXFSLosesNothing(t *testing.T)   { testPowerCuts(t, "xfs") }
func TestPowerCutOnBtrfsLosesNothing(t *testing.T) { testPowerCuts(t, "btrfs") }

func testPowerCuts(t *testing.T, outer string) {
	rounds := *powerCuts
	if rounds == 0 {
		rounds = 3
		if testing.Short() {
			t.Skip("makes disks and cuts their power; runs without -short, or with -power-cuts")
		}
	}
	if !insideOwnMounts(t, diskPrograms(outer)) {
		return
	}
	d := newDisks(t, outer, 3)
	p := startCutting(t, newClusterOn(t, d, "--snapshot-entries", "500"), d)
	for range rounds {
		if err := p.cut(t); err != nil {
			t.Fatal(err)
		}
	}
	p.load.finish(t)
	t.Logf("EVIDENCE power cuts, ext4 on %s: %d cuts of all three members at one instant, %d of %d counted writes lost that were "+
		"acknowledged before; clones took at most %v; %s", outer, rounds, p.lost, p.counted, p.longest, p.load.record.figures())
}

func TestPowerCutFindsANodeThatDoesNotSync(t *testing.T) {
	if testing.Short() && *powerCuts == 0 {
		t.Skip("builds a node that doesn't sync, and cuts its power; runs without -short, or with -power-cuts")
	}
	if !insideOwnMounts(t, diskPrograms("xfs"), forgetfulNode) {
		return
	}
	d := newDisks(t, "xfs", 3)
	c := newClusterOn(t, d)
	for _, n := range c.nodes {
		n.program = alteredNode(t, forgetfulNode)
	}
	p := startCutting(t, c, d)
	const tries = 5
	for try := range tries {
		if err := p.cut(t); err != nil {
			t.Logf("EVIDENCE power cuts, control without syncs: found at cut %d: %v", try+1, err)
			return
		}
	}
	t.Errorf("a node that doesn't sync went through %d power cuts without a loss: these tests prove nothing", tries)
}

// A powerCutter cuts the power of a whole cluster, time after time.
type powerCutter struct {
	disks *disks
	load  *load
	// lost counts writes of the ledgers that were acknowledged before a cut and not
	// there after it, of those counted; longest is how long a clone took at most.
	lost, counted int
	longest       time.Duration
}

// startCutting starts a cluster on disks, and a load.
func startCutting(t *testing.T, c *cluster, d *disks) *powerCutter {
	t.Helper()
	c.start()
	c.awaitReady()
	return &powerCutter{disks: d, load: startLoad(t, c, requestTimeout)}
}

// cut cuts the power and starts all members again with what was on their disks at
// that instant. The error says what is wrong with the cluster then.
func (p *powerCutter) cut(t *testing.T) error {
	t.Helper()
	l := p.load
	c, book := l.cluster, startLedger(l)
	l.awaitWrites(100)
	time.Sleep(rand.N(100 * time.Millisecond)) // Any moment will do.
	moment := l.record.now()
	p.disks.clone()
	p.longest = max(p.longest, l.record.now()-moment)
	each(c.nodes, (*node).kill)
	l.end()
	book.end()
	l.record.forgetSince(moment)
	p.disks.useClone()
	c.start()
	if err := c.comesBack(); err != nil {
		return err
	}
	lost, counted := book.lost(t, c.random(), moment)
	p.lost, p.counted = p.lost+lost, p.counted+counted
	if lost > 0 {
		return fmt.Errorf("%d of %d writes are lost that were acknowledged before the power was cut", lost, counted)
	}
	p.load = l.again()
	return nil
}

// comesBack waits until all members are ready, or one of them can't be.
func (c *cluster) comesBack() (err error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(pollPause) {
		err = nil
		lossy := 0
		for _, n := range c.nodes {
			if ended := n.alive(); ended != nil {
				return ended
			}
			if status, text := n.health("/readyz"); status != 200 {
				err = errors.Join(err, fmt.Errorf("node %s isn't ready: %s", n.name, text))
				lossy += strings.Count(text, "the disk lost")
			}
		}
		if err == nil || lossy == len(c.nodes) { // Nobody has what all have lost.
			return err
		}
	}
	return err
}

// forgetSince makes the history one of clients whose power went off with that of
// the cluster at a moment: of what they did since nothing is known, and what they
// learned is gone.
func (r *record) forgetSince(moment time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.history.Operations[:0]
	for _, o := range r.history.Operations {
		switch {
		case o.End < moment:
		case o.Outcome == history.Done && o.Kind != history.Get:
			o.Outcome, o.Revision = history.Unknown, 0
		case o.Outcome != history.Unknown:
			continue
		}
		kept = append(kept, o)
	}
	r.history.Operations = kept
}

func TestAHistoryThatEndsWithThePowerIsJudgedUpToThere(t *testing.T) {
	op := func(kind history.Kind, value string, revision uint64, start, end time.Duration) history.Operation {
		return history.Operation{Kind: kind, Key: "k", Value: value, Revision: revision, Start: start, End: end, Outcome: history.Done}
	}
	for name, c := range map[string]struct {
		later history.Operation // after a cut at 10
		lost  bool
	}{
		"the write before the cut":            {op(history.Get, "before", 1, 20, 21), false},
		"the write at the cut":                {op(history.Get, "at", 2, 20, 21), false},
		"another write at the same revision":  {op(history.Put, "after", 2, 20, 21), false},
		"nothing":                             {op(history.Get, "", 0, 20, 21), true},
		"another write at a revision of then": {op(history.Put, "after", 1, 20, 21), true},
	} {
		r := newRecord()
		r.history.Operations = []history.Operation{
			op(history.Put, "before", 1, 1, 2), op(history.Put, "at", 2, 8, 11), op(history.Get, "at", 2, 11, 12),
		}
		r.forgetSince(10)
		r.history.Operations = append(r.history.Operations, c.later)
		if err := r.history.Check(); (err != nil) != c.lost {
			t.Errorf("%s: %v", name, err)
		}
	}
}
