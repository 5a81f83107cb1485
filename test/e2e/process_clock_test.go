//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"
)

// clockEnv names the file that holds by how many seconds a stepped node's wall
// clock is off.
const clockEnv = "CONCLAVE_CLOCK_FILE"

// steppedNode sees another wall clock than the machine has: time.Now of Go itself
// is altered, for all that is linked into the program. Its monotonic clock is the
// machine's, as it would be if somebody had set the machine's clock.
var steppedNode = &alteration{
	name:  "node-stepped",
	edits: []edit{{dir: "std:time", function: "Now", line: "sec, nsec, mono := runtimeNow()", after: "; sec += wallStep.Load()"}},
	common: `
import (
	"sync/atomic"
	"syscall"
)

var wallStep atomic.Int64

func init() {
	if path, ok := syscall.Getenv("` + clockEnv + `"); ok {
		go followStep(path)
	}
}

// followStep sets wallStep to what the file says, for ever.
func followStep(path string) {
	for ; ; Sleep(10 * Millisecond) {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		var text [32]byte
		n, _ := syscall.Read(fd, text[:])
		syscall.Close(fd)
		var step, sign int64 = 0, 1
		for _, c := range text[:max(n, 0)] {
			switch {
			case c == '-':
				sign = -1
			case c >= '0' && c <= '9':
				step = step*10 + int64(c-'0')
			}
		}
		wallStep.Store(sign * step)
	}
}
`,
}

func (n *node) clockFile() string { return n.dir + ".clock" }

// stepClock sets by how much a stepped node's wall clock is off, and waits until
// it says so.
func (n *node) stepClock(step time.Duration) {
	n.t.Helper()
	path := n.clockFile()
	if err := os.WriteFile(path+".new", fmt.Append(nil, int64(step.Seconds())), 0o600); err != nil {
		n.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		n.t.Fatal(err)
	}
	await(n.t, fmt.Sprintf("the clock of node %s is off by %v", n.name, step), func() error {
		reply, err := observer.Get("http://" + n.ops + "/healthz")
		if err != nil {
			return err
		}
		reply.Body.Close()
		told, err := http.ParseTime(reply.Header.Get("Date"))
		if off := time.Until(told); err == nil && (off-step).Abs() > time.Minute {
			err = fmt.Errorf("it is off by %v", off)
		}
		return err
	})
}

func TestClockStepsChangeNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a node, and all that it is made of, with another clock; runs without -short")
	}
	c := newCluster(t, 3, "--snapshot-entries", "200")
	for _, n := range c.nodes {
		n.program = alteredNode(t, steppedNode)
		n.env = []string{clockEnv + "=" + n.clockFile()}
	}
	c.start()
	c.awaitReady()
	l := startLoad(t, c, requestTimeout)
	began, err := c.view(c.nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	moment := l.record.now()
	for _, step := range []time.Duration{time.Hour, -time.Hour, 0} {
		for _, leads := range []bool{true, false} {
			victim := c.awaitLeader(c.nodes)
			if !leads {
				victim = c.without(victim.name)[0]
			}
			l.era.Add(1)
			victim.stepClock(step)
			l.awaitWrites(50)
		}
	}
	pause := l.record.longestPause(moment)
	for _, n := range c.nodes { // A member starts with a wrong clock as well.
		n.stepClock(-time.Hour)
		n.stop()
		n.start()
		n.awaitReady()
	}
	ended, err := c.view(c.nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	l.awaitWrites(20)
	l.finish(t)
	t.Logf("EVIDENCE clock steps of an hour: longest time without an acknowledged write %v; terms %d to %d, three restarts included",
		pause, began.Term, ended.Term)
}
