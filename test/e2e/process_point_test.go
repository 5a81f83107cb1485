//go:build linux

package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

var killPoints = flag.Int("kill-points", 0, "how often TestKilledAtNamedPoints kills members at each point (default 1)")

// A killPoint is a place in the node where a crash may leave something half done.
type killPoint struct {
	name string
	edit
	// lagging is set where only a member passes that has to catch up by a snapshot.
	lagging bool
	// conflicting is set where only a member passes whose log is cut because a new
	// leader has another.
	conflicting bool
	// forming is set where a member passes at its first start only.
	forming bool
}

const (
	inNode    = "internal/node"
	inReplica = "pkg/raft/replica"
	inLog     = "pkg/raft/badgerlog"
)

// allKillPoints lists them in the order of a member's life and a write's way. Each edit's line is what
// comes next when the process dies.
var allKillPoints = []killPoint{
	{name: "a file of the new directory written, not named", forming: true, edit: edit{dir: inLog, function: "replaceFile", line: "return moveFile(path+temporary, path)"}},
	{name: "directory there, identity not", forming: true, edit: edit{dir: inLog, function: "Format", line: "if err == nil {"}},
	{name: "identity there, log not", forming: true, edit: edit{dir: inLog, function: "openBadger", line: "db, err := openOrPanic(options)"}},
	{name: "first configuration agreed, not saved", forming: true, edit: edit{dir: inNode, function: "begin", line: "if err := n.log.Save(write); err != nil {"}},
	{name: "first configuration saved, not used", forming: true, edit: edit{dir: inNode, function: "begin", line: "return raft.State{"}},
	{name: "sent, not saved", edit: edit{dir: inReplica, function: "runStorage", line: "if err := r.options.Storage.Save(w); err != nil {"}},
	{name: "put together, not committed", edit: edit{dir: inLog, function: "append", line: "if report.Sync, err = l.commit(b); err != nil {"}},
	{name: "on disk, the watermark behind", edit: edit{dir: inLog, function: "append", line: "if err := l.raiseWatermark(); err != nil {"}},
	{name: "on disk, the log doesn't know", edit: edit{dir: inLog, function: "append", line: "l.publish(next)"}},
	{name: "saved, the loop doesn't know", edit: edit{dir: inReplica, function: "runStorage", line: "r.report(ctx, Saved{ID: w.ID})"}},
	{name: "saved, messages not sent", edit: edit{dir: inReplica, function: "saved", line: "l.send(w.Messages)"}},
	{name: "committed, not applied", edit: edit{dir: inReplica, function: "runStateMachine", line: "results := r.options.StateMachine.Apply(next.apply.Entries)"}},
	{name: "applied, not answered", edit: edit{dir: inReplica, function: "runStateMachine", line: "r.report(ctx, Applied{Work: next.apply, Results: results, Hashes: hashes, Stuck: stuck})"}},
	{name: "watermark lowered, log not cut", conflicting: true, edit: edit{dir: inLog, function: "append", line: "b := l.newBatch()"}},
	{name: "log cut, the watermark behind", conflicting: true, edit: edit{dir: inLog, function: "append", line: "l.publish(next)"}},
	{name: "snapshot file half there", edit: edit{dir: inLog, function: "writeSnapshot", line: "size, err = w.finish()"}},
	{name: "snapshot file there, its record not", edit: edit{dir: inLog, function: "SaveSnapshot", line: "if err := l.compact(meta, installs); err != nil {"}},
	{name: "snapshot's record there, old file not removed", edit: edit{dir: inLog, function: "rebase", line: "l.removeSnapshots(snapshotSuffix)"}},
	{name: "snapshot received, not installed", lagging: true, edit: edit{dir: inLog, function: "install", line: "meta, err := l.receivedSnapshot(w)"}},
	{name: "received snapshot moved, its record not there", lagging: true, edit: edit{dir: inLog, function: "install", line: "l.installs++"}},
	{name: "installed, not restored", lagging: true, edit: edit{dir: inReplica, function: "runStateMachine", line: "if err := r.restore(*next.apply.Restore); err != nil {"}},
}

// pointEnv names the file that tells a mortal node where to die: the number of a
// point in allKillPoints, and how often to pass it before.
const pointEnv = "CONCLAVE_KILL_POINT_FILE"

// mortalNode dies at a point when a file says so.
var mortalNode = mortal()

func mortal() *alteration {
	a := &alteration{name: "node-mortal", common: `
import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
)

var passed atomic.Int64

// dieAt kills the process, as a crash would, when the file says that it is time.
func dieAt(point int) {
	text, err := os.ReadFile(os.Getenv("` + pointEnv + `"))
	if err != nil {
		return
	}
	var where int
	var before int64
	if n, _ := fmt.Sscan(string(text), &where, &before); n != 2 || where != point || passed.Add(1) <= before {
		return
	}
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
`}
	for i, p := range allKillPoints {
		p.before = fmt.Sprintf("dieAt(%d); ", i)
		if p.conflicting {
			p.before = fmt.Sprintf("if w.TruncateFrom != 0 { dieAt(%d) }; ", i)
		}
		a.edits = append(a.edits, p.edit)
	}
	return a
}

// dieAt tells a mortal node to die at a point once it has passed it some times.
func (n *node) dieAt(point, before int) {
	n.t.Helper()
	// The file is there as a whole, or not at all.
	if err := os.WriteFile(n.pointFile()+".new", fmt.Appendln(nil, point, before), 0o600); err != nil {
		n.t.Fatal(err)
	}
	if err := os.Rename(n.pointFile()+".new", n.pointFile()); err != nil {
		n.t.Fatal(err)
	}
}

// live lets a mortal node live.
func (n *node) live() {
	n.t.Helper()
	if err := os.Remove(n.pointFile()); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) pointFile() string { return n.dir + ".point" }

func TestKilledAtNamedPointsLosesNothing(t *testing.T) {
	passes := max(*killPoints, 1)
	if testing.Short() && *killPoints == 0 {
		t.Skip("builds a node that dies at named points; runs without -short, or with -kill-points")
	}
	c := mortalCluster(t)
	c.start()
	c.awaitReady()
	c.keepLittleHistory()
	l := startLoad(t, c, requestTimeout)
	kills := 0
	for range passes {
		for i, p := range allKillPoints {
			if p.forming {
				continue
			}
			leader := c.awaitLeader(c.nodes)
			victims := []*node{c.without(leader.name)[rand.N(2)]}
			if !p.lagging && !p.conflicting {
				victims = append(victims, leader) // Who leads once the first victim is back.
			}
			for _, victim := range victims {
				l.era.Add(1)
				killAt(t, c, l, victim, i)
				kills++
			}
		}
	}
	l.awaitWrites(20)
	l.finish(t)
	t.Logf("EVIDENCE kill -9 at named points: %d kills; %s", kills, l.record.figures())
}

func TestKilledWhileItFormsAClusterStillForms(t *testing.T) {
	if testing.Short() && *killPoints == 0 {
		t.Skip("builds a node that dies at named points; runs without -short, or with -kill-points")
	}
	for i, p := range allKillPoints {
		// The first is passed for one file after the other.
		for before := 0; p.forming && before < 3 && (before == 0 || i == 0); before++ {
			t.Run(fmt.Sprintf("%s/%d", p.name, before), func(t *testing.T) {
				c := mortalCluster(t)
				victim := c.random()
				victim.dieAt(i, before)
				c.start()
				victim.awaitDeath(p.name)
				victim.live()
				victim.start()
				c.awaitReady()
				for _, n := range c.nodes {
					c.put(n, "by-"+n.name, "value")
				}
			})
		}
	}
}

// mortalCluster lays out a cluster of three mortal nodes.
func mortalCluster(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(t, 3, "--snapshot-entries", "100")
	for _, n := range c.nodes {
		n.program = alteredNode(t, mortalNode)
		n.env = []string{pointEnv + "=" + n.pointFile()}
	}
	return c
}

// keepLittleHistory makes the store forget all but the newest revisions. Else its
// snapshots grow, and a larger one is taken after more writes.
func (c *cluster) keepLittleHistory() {
	c.t.Helper()
	settings := strings.NewReader(`{"historyAgeMillis":1,"historyRevisions":100}`)
	sent, err := http.NewRequestWithContext(c.t.Context(), http.MethodPut, "http://"+c.nodes[0].http+"/v1/settings", settings)
	if err != nil {
		c.t.Fatal(err)
	}
	sent.Header.Set("Content-Type", "application/json")
	reply, err := c.http.Do(sent)
	if err != nil {
		c.t.Fatal(err)
	}
	reply.Body.Close()
	if reply.StatusCode/100 != 2 {
		c.t.Fatalf("PUT /v1/settings is answered with %s", reply.Status)
	}
}

// killAt lets a member die at a point while the others go on, and brings it back.
func killAt(t *testing.T, c *cluster, l *load, victim *node, point int) {
	t.Helper()
	p := allKillPoints[point]
	l.awaitWrites(5)
	if p.conflicting {
		victim = deposed(c)
		victim.dieAt(point, 0)
		victim.start()
	} else if p.lagging {
		victim.kill()
		// Two snapshots later the others no longer have what it lacks.
		l.awaitWrites(250)
		victim.dieAt(point, 0)
		victim.start()
	} else {
		victim.dieAt(point, rand.N(3))
	}
	victim.awaitDeath(p.name)
	victim.live()
	l.awaitWrites(1) // The others go on without it.
	victim.start()
	victim.awaitReady()
}

// deposed kills a leader that has entries which nobody else has, and sees to it
// that the others have another one.
func deposed(c *cluster) *node {
	c.t.Helper()
	for range 20 {
		leader := c.awaitLeader(c.nodes)
		others := c.without(leader.name)
		each(others, (*node).kill)
		time.Sleep(20 * time.Millisecond) // It takes writes until it notices; nothing depends on it.
		last, committed := leader.metric(c.t, "conclave_raft_last_index"), leader.metric(c.t, "conclave_raft_commit_index")
		leader.kill()
		each(others, (*node).start)
		c.awaitLeader(others)
		if last > committed {
			return leader
		}
		leader.start()
		leader.awaitReady()
	}
	c.t.Fatal("no leader took a write that it could not commit")
	return nil
}

// awaitDeath waits until a mortal node has died of itself.
func (n *node) awaitDeath(where string) {
	n.t.Helper()
	if err := n.wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		n.t.Fatalf("node %s, to be killed at %q, ended with %v\n%s", n.name, where, err, n.logTail())
	}
}
