package replica_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// compareEvery is the distance of the indexes at which checked machines are compared.
const compareEvery = 8

// checked is an echo that knows its hash.
type checked struct {
	echo
	hashes []raft.StateHash
	// delay is how long it takes for each batch, in nanoseconds.
	delay atomic.Int64
	// stuck makes it say that it can't follow the log.
	stuck atomic.Bool
}

// Apply implements replica.StateMachine.
func (c *checked) Apply(entries []raft.Entry) []any {
	time.Sleep(time.Duration(c.delay.Load()))
	var results []any
	for i := range entries {
		results = append(results, c.echo.Apply(entries[i:i+1])...)
		if index := entries[i].Index; index%compareEvery == 0 {
			c.hashes = append(c.hashes, raft.StateHash{Index: index, Sum: sha256.Sum256([]byte(strings.Join(c.all(), "\n")))})
		}
	}
	return results
}

// Check implements replica.SelfCheck.
func (c *checked) Check() (hashes []raft.StateHash, stuck bool) {
	hashes, c.hashes = c.hashes, nil
	return hashes, c.stuck.Load()
}

func (c *checked) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.entries)
}

// tamper changes what the machine has applied last.
func (c *checked) tamper() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries[len(c.entries)-1] = "something else"
}

// carrier is a network that carries snapshots too, unless it is closed to them.
type carrier struct {
	network  *network
	storages map[raft.MemberID]replica.Storage
	mu       sync.Mutex
	closed   bool
}

// Send implements replica.Sender.
func (c *carrier) Send(messages []raft.Message) { c.network.Send(messages) }

// SendSnapshot implements replica.Sender.
func (c *carrier) SendSnapshot(m raft.Message, open func() (raft.SnapshotMeta, io.ReadCloser, error), done func(error)) {
	go func() {
		c.mu.Lock()
		closed, storage := c.closed, c.storages[m.To]
		c.mu.Unlock()
		if closed {
			done(errors.New("snapshots are not carried now"))
			return
		}
		meta, r, err := open()
		if err == nil {
			err = errors.Join(storage.ReceiveSnapshot(context.Background(), meta, r), r.Close())
		}
		if err == nil {
			m.Snapshot = &meta
			c.Send([]raft.Message{m})
		}
		done(err)
	}()
}

func (c *carrier) setClosed(closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = closed
}

// comparing is a cluster whose members compare their states.
type comparing struct {
	*running
	carrier  *carrier
	machines []*checked
}

func startComparing(t *testing.T, size int, adjust ...func(*replica.Options)) *comparing {
	t.Helper()
	c := &comparing{carrier: &carrier{storages: map[raft.MemberID]replica.Storage{}}}
	c.running = startCluster(t, size, func(o *replica.Options) {
		for _, f := range adjust {
			f(o)
		}
		m := &checked{}
		c.machines = append(c.machines, m)
		c.carrier.mu.Lock()
		defer c.carrier.mu.Unlock()
		if c.carrier.network == nil {
			c.carrier.network, _ = o.Sender.(*network)
		}
		c.carrier.storages[o.Core.ID] = o.Storage
		o.StateMachine, o.Sender = m, c.carrier
	})
	return c
}

// write writes at a member until all must have compared.
func (c *comparing) write(at int) {
	c.t.Helper()
	for i := range compareEvery {
		_, _, err := c.replicas[at].Propose(c.t.Context(), fmt.Appendf(nil, "command %d", i))
		must(c.t, err)
	}
}

// await waits until a member is parked for a reason, or for none.
func (c *comparing) await(member int, want raft.ParkCause) {
	c.t.Helper()
	for range 1000 {
		if c.replicas[member].Parked() == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.t.Fatalf("after 10 s member %d is parked for %q, want %q", member, c.replicas[member].Parked(), want)
}

// same demands that a member holds what another does.
func (c *comparing) same(member, other int) {
	c.t.Helper()
	at, err := c.replicas[other].ReadBarrier(c.t.Context())
	must(c.t, err)
	if got, err := c.replicas[member].ReadBarrier(c.t.Context()); err != nil || got < at {
		c.t.Fatalf("a read barrier at member %d is %d, %v; want %d", member, got, err, at)
	}
	if a, b := c.machines[member].all(), c.machines[other].all(); !slices.Equal(a, b) {
		c.t.Fatalf("member %d holds\n%q, member %d\n%q", member, a, other, b)
	}
}

func TestAParkedMemberServesNothingUntilItIsHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startComparing(t, 3)
		defer c.close()
		leader := c.leader()
		bad := (leader + 1) % 3
		c.carrier.setClosed(true)
		c.write(leader)
		c.machines[bad].tamper()
		c.write(leader)
		c.await(bad, raft.ParkDiffers)
		member, before := c.replicas[bad], c.replicas[bad].Applied()
		if _, _, err := member.Propose(t.Context(), []byte("x")); !errors.Is(err, replica.ErrParked) {
			t.Errorf("Propose: %v", err)
		}
		if _, err := member.ReadBarrier(t.Context()); !errors.Is(err, replica.ErrParked) {
			t.Errorf("ReadBarrier: %v", err)
		}
		if _, err := member.TakeSnapshot(t.Context()); !errors.Is(err, replica.ErrParked) {
			t.Errorf("TakeSnapshot: %v", err)
		}
		c.write(leader)
		time.Sleep(time.Second)
		status, err := member.Status(t.Context())
		must(t, err)
		if member.Applied() != before || status.Committed <= before || status.Durable < status.Committed {
			t.Errorf("parked, it has applied %d, then %d; its log is durable up to %d and committed up to %d",
				before, member.Applied(), status.Durable, status.Committed)
		}
		c.carrier.setClosed(false)
		c.await(bad, raft.ParkNone)
		c.write(bad)
		c.same(bad, leader)
	})
}

func TestAParkedLeaderMakesWayAndWritesGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startComparing(t, 3)
		defer c.close()
		bad := c.leader()
		c.write(bad)
		c.machines[bad].tamper()
		// Its own state is behind the others', so it knows what they have said of theirs
		// before its own can be told to anybody.
		c.machines[bad].delay.Store(int64(50 * time.Millisecond))
		var err error
		for range compareEvery {
			var result any
			if result, _, err = c.replicas[bad].Propose(t.Context(), []byte("told by a wrong state?")); err != nil {
				break
			}
			if result != "told by a wrong state?" {
				t.Fatalf("the result is %v", result)
			}
		}
		if !errors.Is(err, replica.ErrOutcomeUnknown) {
			t.Errorf("what was under way when the leader parked ended with %v, want %v", err, replica.ErrOutcomeUnknown)
		}
		other := (bad + 1) % 3
		c.write(other)
		if now := c.leader(); now == bad {
			t.Error("the parked leader leads on")
		}
		c.await(bad, raft.ParkNone)
		c.same(bad, other)
	})
}

func TestAMemberWhoseStateIsStuckParksAndAsksForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startComparing(t, 3)
		defer c.close()
		leader := c.leader()
		bad := (leader + 1) % 3
		c.write(leader)
		c.machines[bad].stuck.Store(true)
		_, _, err := c.replicas[leader].Propose(t.Context(), []byte("x"))
		must(t, err)
		c.await(bad, raft.ParkStuck)
		c.write(leader)
		time.Sleep(10 * time.Second)
		if cause := c.replicas[bad].Parked(); cause != raft.ParkStuck {
			t.Errorf("ten seconds later it is parked for %q", cause)
		}
		status, err := c.replicas[leader].Status(t.Context())
		must(t, err)
		for _, f := range status.Followers {
			if f.Parked != (f.ID == raft.MemberID(bad+1)) {
				t.Errorf("the leader takes %s for parked: %t", f.ID, f.Parked)
			}
		}
		if status.SnapshotIndex != 0 {
			t.Error("a snapshot was taken for a member that wants none")
		}
	})
}

// slowSnapshots is a storage that takes a second to write a snapshot.
type slowSnapshots struct{ replica.Storage }

// SaveSnapshot implements replica.Storage.
func (s slowSnapshots) SaveSnapshot(meta raft.SnapshotMeta, write func(io.Writer) error) (raft.Index, error) {
	time.Sleep(time.Second)
	return s.Storage.SaveSnapshot(meta, write)
}

// TestAMemberIsHealedWhileTheLogOutrunsTheSnapshots writes so fast that the members
// compare their states several times while the leader writes one snapshot.
func TestAMemberIsHealedWhileTheLogOutrunsTheSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startComparing(t, 3, func(o *replica.Options) { o.Storage = slowSnapshots{o.Storage} })
		defer c.close()
		leader := c.leader()
		bad := (leader + 1) % 3
		c.write(leader)
		c.machines[bad].tamper()
		c.write(leader)
		c.await(bad, raft.ParkDiffers)
		ctx, stop := context.WithCancel(t.Context())
		written := make(chan struct{})
		finish := func() { stop(); <-written }
		defer finish()
		go func() {
			defer close(written)
			for ctx.Err() == nil {
				_, _, _ = c.replicas[leader].Propose(ctx, []byte("x"))
				time.Sleep(time.Second / (4 * compareEvery))
			}
		}()
		c.await(bad, raft.ParkNone)
		finish()
		c.write(bad)
		c.same(bad, leader)
	})
}
