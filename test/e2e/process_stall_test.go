//go:build linux

package e2e

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/test/e2e/history"
)

// stallWrites is how many writes have to go through while a disk stands still:
// more than what was under way when it stopped.
const stallWrites = 200

func TestStalledDisksStopNoWrites(t *testing.T) {
	rounds := 3
	if testing.Short() {
		t.Skip("makes disks and freezes them; runs without -short")
	}
	programs := diskPrograms("xfs")
	programs["fsfreeze"] = "util-linux"
	if !insideOwnMounts(t, programs) {
		return
	}
	d := newDisks(t, "xfs", 3)
	c := newClusterOn(t, d)
	c.start()
	c.awaitReady()
	l := startLoad(t, c, requestTimeout)
	var leaders, followers []time.Duration // the longest pauses of writes
	var handovers []time.Duration
	for range rounds {
		for _, leads := range []bool{true, false} {
			l.era.Add(1)
			l.awaitWrites(20)
			victim := c.awaitLeader(c.nodes)
			if !leads {
				victim = c.without(victim.name)[0]
			}
			// Its own clients would only wait: it can't apply what it can't write.
			l.use(c.without(victim.name))
			thaw := d.freeze(slices.Index(c.nodes, victim))
			pause := l.goesOn()
			if leads {
				handovers = append(handovers, l.handsOver(victim))
			}
			thaw()
			l.use(c.nodes)
			if leads {
				leaders = append(leaders, pause)
			} else {
				followers = append(followers, pause)
			}
			c.awaitReady()
		}
	}
	l.awaitWrites(20)
	l.finish(t)
	t.Logf("EVIDENCE stalled disks: longest time without an acknowledged write, the leader's disk stalled: %v "+
		"(another led after %v more); a follower's: %v", leaders, handovers, followers)
}

// goesOn waits until enough writes have gone through. It returns the longest time
// without an acknowledged one since.
func (l *load) goesOn() time.Duration {
	l.t.Helper()
	moment := l.record.now()
	l.awaitWrites(stallWrites)
	return l.record.longestPause(moment)
}

// handsOver waits until another one leads than a leader that can't write. It
// returns how long that took.
func (l *load) handsOver(stalled *node) time.Duration {
	l.t.Helper()
	began := l.record.now()
	await(l.t, "another member leads", func() error {
		leader, err := l.cluster.leaderOf(l.cluster.nodes)
		if err == nil && leader == stalled {
			err = errors.New("the one with the stalled disk leads")
		}
		return err
	})
	return (l.record.now() - began).Round(time.Millisecond)
}

// longestPause returns the longest time since a moment in which no write was
// acknowledged.
func (r *record) longestPause(since time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	ended := history.History{Operations: slices.SortedStableFunc(slices.Values(r.history.Operations),
		func(a, b history.Operation) int { return cmp.Compare(a.End, b.End) })}
	return ended.LongestPause(since, r.now()).Length().Round(time.Millisecond)
}

// freeze stops all writes to a disk until thaw is called; whoever writes waits.
// Should this test be killed, the disk thaws by itself.
func (d *disks) freeze(disk int) (thaw func()) {
	d.t.Helper()
	// It holds the disk frozen for as long as its input is open.
	holder := exec.Command("sh", "-c", `fsfreeze -f "$1" && echo frozen && read -r _; fsfreeze -u "$1"`, "sh", d.mounts[disk])
	// A terminal's interrupt ends the test, and must not end this one first.
	holder.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := holder.StdinPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	output, err := holder.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		d.t.Fatal(err)
	}
	thawed := false
	thaw = func() {
		if thawed {
			return
		}
		thawed = true
		input.Close()
		_, _ = io.Copy(io.Discard, output)
		if err := holder.Wait(); err != nil {
			d.t.Errorf("thaw %s: %v", d.mounts[disk], err)
		}
	}
	d.t.Cleanup(thaw)
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "frozen\n" {
		d.t.Fatalf("freeze %s: %v %s", d.mounts[disk], err, line)
	}
	return thaw
}
