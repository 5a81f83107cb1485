//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/conclave-dev/conclave/test/e2e/history"
)

const (
	// tankBytes is the size of the file system that a member's data is on: a member
	// refuses writes when some hundred MiB of it are left.
	tankBytes = 768 << 20
	// fillStep is by how much a file system is filled at a time, and fillPause for
	// how long the member may look at it then.
	fillStep  = 32 << 20
	fillPause = 150 * time.Millisecond
)

// A tank is a small file system in memory that holds one member's data, and beside
// it a file that takes the room.
type tank struct {
	t       testing.TB
	dir     string
	ballast *os.File
	size    int64
}

// newTank makes an empty one. It needs a mount namespace of the test's own.
func newTank(t testing.TB) *tank {
	t.Helper()
	k := &tank{t: t, dir: t.TempDir()}
	run(t, "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", tankBytes), "conclave-e2e", k.dir)
	t.Cleanup(func() { run(t, "umount", k.dir) })
	var err error
	if k.ballast, err = os.Create(filepath.Join(k.dir, "ballast")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.ballast.Close() })
	return k
}

// fill takes the next step of room and reports whether there was as much.
func (k *tank) fill() bool {
	k.t.Helper()
	err := syscall.Fallocate(int(k.ballast.Fd()), 0, k.size, fillStep)
	if err == nil {
		k.size += fillStep
		return true
	}
	if !errors.Is(err, syscall.ENOSPC) {
		k.t.Errorf("take room: %v", err)
	}
	return false
}

// brim takes all the room there is.
func (k *tank) brim() {
	k.t.Helper()
	for k.fill() {
	}
	for page := make([]byte, 4<<10); ; k.size += int64(len(page)) {
		if _, err := k.ballast.WriteAt(page, k.size); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			k.t.Fatal(err)
		}
	}
}

// empty gives the room back.
func (k *tank) empty() {
	k.t.Helper()
	if k.size = 0; k.ballast.Truncate(0) != nil {
		k.t.Fatal("the room can't be given back")
	}
}

// TestFullDisksRefuseWritesAndRecover fills the disk of a follower, then that of
// the leader, then all, each up to the last byte.
func TestFullDisksRefuseWritesAndRecover(t *testing.T) {
	if testing.Short() {
		t.Skip("fills file systems in memory; runs without -short")
	}
	if !insideOwnMounts(t, map[string]string{"mount": "mount", "umount": "mount"}) {
		return
	}
	f := &filling{t: t, tanks: map[*node]*tank{}}
	f.cluster = newCluster(t, 3, "--snapshot-entries", "1000")
	for _, n := range f.cluster.nodes {
		k := newTank(t)
		f.tanks[n] = k
		n.keepOn(k.dir)
	}
	t.Cleanup(func() { each(f.cluster.nodes, (*node).discard) }) // Nothing uses the tanks when they go.
	f.cluster.start()
	f.cluster.awaitReady()
	f.cluster.put(f.cluster.nodes[0], "kept", "value")
	f.load = startLoad(t, f.cluster, requestTimeout)
	f.load.awaitWrites(50)
	f.oneIsFull(f.cluster.without(f.cluster.awaitLeader(f.cluster.nodes).name)[0])
	f.leaderIsFull()
	f.allAreFull()
	f.load.use(f.cluster.nodes)
	f.load.awaitWrites(50)
	f.load.finish(t)
	t.Logf("EVIDENCE full disks: %s%s", f.told, f.load.record.figures())
}

// filling is a cluster whose disks are filled.
type filling struct {
	t       *testing.T
	cluster *cluster
	tanks   map[*node]*tank
	load    *load
	told    string
}

func (f *filling) tell(format string, args ...any) {
	f.told += fmt.Sprintf(format, args...) + "; "
	f.t.Logf(format, args...)
}

// oneIsFull fills a follower's disk: it lives, and the others go on.
func (f *filling) oneIsFull(n *node) {
	f.t.Helper()
	f.load.era.Add(1)
	f.load.use(f.cluster.without(n.name))
	f.tanks[n].brim()
	moment := f.load.record.now()
	f.load.awaitWrites(300)
	f.tell("a follower full: longest time without an acknowledged write %v", f.load.record.longestPause(moment))
	f.lives(n)
	f.tanks[n].empty()
	f.caughtUp(n)
}

// leaderIsFull fills the leader's disk: another leads, and writes flow again.
func (f *filling) leaderIsFull() {
	f.t.Helper()
	f.load.era.Add(1)
	leader := f.cluster.awaitLeader(f.cluster.nodes)
	f.load.use(f.cluster.without(leader.name))
	moment := f.load.record.now()
	f.tanks[leader].brim()
	await(f.t, "another member leads", func() error {
		next, err := f.cluster.leaderOf(f.cluster.nodes)
		if err == nil && next == leader {
			err = errors.New("the full one leads")
		}
		return err
	})
	f.load.awaitWrites(300)
	f.tell("the leader full: longest time without an acknowledged write %v", f.load.record.longestPause(moment))
	f.lives(leader)
	f.tanks[leader].empty()
	f.caughtUp(leader)
}

// allAreFull fills all disks, step by step: first what adds bytes is refused, then
// every write, and reads go on at all times.
func (f *filling) allAreFull() {
	f.t.Helper()
	c := f.cluster
	f.load.era.Add(1)
	f.load.use(c.nodes)
	c.awaitPut(c.nodes[0], "to-delete", "value")
	steps := f.fillUntil("a put is refused", func(n *node) bool {
		return f.refused(n, history.Operation{Kind: history.Put, Key: "more", Value: fmt.Sprint("more ", time.Now().UnixNano())})
	})
	f.read()
	if a := c.do(c.nodes[1], request{method: http.MethodDelete, key: "to-delete", timeout: patience}); a.status != http.StatusNoContent {
		f.t.Errorf("a delete, where puts are refused: %v", a)
	}
	more := f.fillUntil("a delete is refused", func(n *node) bool {
		return f.refused(n, history.Operation{Kind: history.Delete, Key: "never-written"})
	})
	f.tell("all full: puts refused with 507 after %d MiB, deletes after %d MiB of %d", steps*fillStep>>20, (steps+more)*fillStep>>20, tankBytes>>20)
	for _, n := range c.nodes {
		f.tanks[n].brim()
	}
	f.tell("then %s", f.standing())
	time.Sleep(manyElections) // Whatever writes behind the members' backs has its chance.
	f.read()
	for _, n := range c.nodes {
		f.tanks[n].empty()
	}
	for _, n := range c.nodes {
		c.awaitPut(n, "room-again", "by "+n.name)
	}
}

// fillUntil fills all disks by steps until each member refuses something. They fill
// up at the same time: the leader's is found full, and its successor's just after it.
func (f *filling) fillUntil(what string, refused func(*node) bool) (steps int) {
	f.t.Helper()
	for ; ; steps++ {
		all := true
		for _, n := range f.cluster.nodes {
			all = refused(n) && all
		}
		if all {
			return steps
		}
		var step errgroup.Group
		for _, n := range f.cluster.nodes {
			step.Go(func() error {
				if !f.tanks[n].fill() {
					return fmt.Errorf("the disk of node %s is full before %s", n.name, what)
				}
				return nil
			})
		}
		if err := step.Wait(); err != nil {
			f.t.Fatal(err)
		}
		time.Sleep(fillPause)
	}
}

// refused does an operation and tells whether the disk is the reason why not.
func (f *filling) refused(n *node, o history.Operation) bool {
	f.t.Helper()
	a := f.cluster.do(n, sending(o, patience))
	switch {
	case a.status < 300 && a.status != 0 || a.status == http.StatusNotFound:
		return false
	case a.status == http.StatusInsufficientStorage && a.problem.Code == "disk_full" && a.problem.Outcome == "rejected":
		return true
	default:
		f.t.Fatalf("%s at node %s, whose disk fills up: %v", o.Kind, n.name, a)
		return false
	}
}

// read expects local reads to be served everywhere, and linear ones by the leader
// and whoever else has all that is committed, which is a majority. Whoever was full
// before it got the last of it can't serve them, and says so.
func (f *filling) read() {
	f.t.Helper()
	served := 0
	for _, n := range f.cluster.nodes {
		a := f.cluster.do(n, request{method: http.MethodGet, key: "kept", timeout: patience})
		switch {
		case a.value == "value":
			served++
		case a.problem == nil || a.problem.Code != "not_caught_up":
			f.t.Errorf("a linear read at node %s, whose disk is full: %v", n.name, a)
		}
		f.lives(n)
	}
	if 2*served <= len(f.cluster.nodes) {
		f.t.Errorf("linear reads were served by %d members of %d, whose disks are full; %s", served, len(f.cluster.nodes), f.standing())
	}
}

// standing tells whom each member follows.
func (f *filling) standing() string {
	var all []string
	for _, n := range f.cluster.nodes {
		view, err := f.cluster.view(n)
		if err != nil {
			all = append(all, err.Error())
			continue
		}
		all = append(all, fmt.Sprintf("%s follows %q in term %d", n.name, view.Leader, view.Term))
	}
	return strings.Join(all, ", ")
}

// lives expects a member with a full disk to run, and to serve what it has.
func (f *filling) lives(n *node) {
	f.t.Helper()
	if err := n.alive(); err != nil {
		f.t.Fatal(err)
	}
	if a := f.cluster.local(n, "kept"); a.value != "value" {
		f.t.Errorf("a local read at node %s, whose disk is full: %v", n.name, a)
	}
}

// caughtUp waits until a member has what was written without it.
func (f *filling) caughtUp(n *node) {
	f.t.Helper()
	await(f.t, "node "+n.name+" has caught up", func() error {
		if a := f.cluster.do(n, request{method: http.MethodGet, key: "kept"}); a.value != "value" {
			return errors.New(a.String())
		}
		return nil
	})
}
