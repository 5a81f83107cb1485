package replica_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/rafttest"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network hands messages from replica to replica, at once and in order.
type network struct {
	mu       sync.Mutex
	replicas map[raft.MemberID]*replica.Replica
	// lose tells which messages don't arrive.
	lose func(*raft.Message) bool
}

// Send implements replica.Sender.
func (n *network) Send(messages []raft.Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range messages {
		if to := n.replicas[m.To]; to != nil && (n.lose == nil || !n.lose(&m)) {
			to.Receive(m)
		}
	}
}

// SendSnapshot implements replica.Sender; no test here lets a follower lag so far.
func (n *network) SendSnapshot(_ raft.Message, _ func() (raft.SnapshotMeta, io.ReadCloser, error), done func(error)) {
	go done(errors.New("this network carries no snapshots"))
}

func (n *network) setLose(lose func(*raft.Message) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lose = lose
}

// echo is a state machine whose result for a command is the command.
type echo struct {
	mu      sync.Mutex
	entries []string
}

// Apply implements replica.StateMachine.
func (e *echo) Apply(entries []raft.Entry) []any {
	e.mu.Lock()
	defer e.mu.Unlock()
	results := make([]any, len(entries))
	for i := range entries {
		results[i] = string(entries[i].Data)
		e.entries = append(e.entries, string(entries[i].Data))
	}
	return results
}

// Snapshot implements replica.StateMachine.
func (e *echo) Snapshot() func(io.Writer) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	frozen := append([]string(nil), e.entries...)
	return func(w io.Writer) error { return writeLog(w, frozen) }
}

// Restore implements replica.StateMachine.
func (e *echo) Restore(r io.Reader) error {
	log, err := readLog(r)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.entries = log
	return err
}

// running is a cluster of replicas on virtual time.
type running struct {
	t        *testing.T
	network  *network
	disks    []*rafttest.MemoryDisk
	replicas []*replica.Replica
	errs     []chan error
	stop     context.CancelFunc
}

func startCluster(t *testing.T, size int, adjust func(*replica.Options)) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	c := &running{t: t, network: &network{replicas: map[raft.MemberID]*replica.Replica{}}, stop: stop}
	var members []raft.Member
	for i := range size {
		members = append(members, raft.Member{ID: raft.MemberID(i + 1), Name: fmt.Sprintf("n%d", i), Address: "x:1"})
	}
	first := raft.NewMembership(members...)
	for i := range size {
		disk := rafttest.NewMemoryDisk()
		seedDisk(t, disk, &first)
		opened, err := disk.Open()
		must(t, err)
		o := replica.Options{
			LoopOptions: replica.LoopOptions{
				Core:  raft.Config{ID: members[i].ID, Random: rand.New(rand.NewPCG(7, uint64(i))), Log: opened.Storage},
				State: opened.State, Boot: uint64(i + 100),
			},
			Storage: opened.Storage, Sender: c.network, StateMachine: &echo{},
		}
		if adjust != nil {
			adjust(&o)
		}
		r, err := replica.New(o)
		must(t, err)
		c.disks, c.replicas = append(c.disks, disk), append(c.replicas, r)
		c.network.replicas[members[i].ID] = r
		ended := make(chan error, 1)
		c.errs = append(c.errs, ended)
		go func() { ended <- r.Run(ctx) }()
	}
	return c
}

// seedDisk writes the first configuration.
func seedDisk(t *testing.T, disk *rafttest.MemoryDisk, first *raft.Membership) {
	t.Helper()
	opened, err := disk.Open()
	must(t, err)
	must(t, opened.Save(&raft.Write{Entries: []raft.Entry{{Index: 1, Kind: raft.EntryMembership, Membership: first}}}))
	must(t, disk.Crash())
}

// leader waits for one and returns its position.
func (c *running) leader() int {
	c.t.Helper()
	for range 1000 {
		for i, r := range c.replicas {
			if r.Leader() == raft.MemberID(i+1) {
				return i
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.t.Fatal("no leader after 10 s")
	return 0
}

// close stops all replicas and returns their errors.
func (c *running) close() []error {
	c.stop()
	var errs []error
	for _, ended := range c.errs {
		errs = append(errs, <-ended)
	}
	return errs
}

func TestAnyReplicaAnswersWithItsOwnResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3, nil)
		for i, r := range c.replicas {
			command := fmt.Sprintf("command at %d", i)
			result, index, err := r.Propose(t.Context(), []byte(command))
			if err != nil || result != command || index == 0 {
				t.Errorf("Propose at %d: %v at %d, %v", i, result, index, err)
			}
			if at, err := r.ReadBarrier(t.Context()); err != nil || at < index {
				t.Errorf("ReadBarrier at %d: %d, %v; the write was at %d", i, at, err, index)
			}
		}
		for i, err := range c.close() {
			if err != nil {
				t.Errorf("replica %d ended with %v", i, err)
			}
		}
	})
}

func TestWithoutAQuorumNothingIsAnsweredAsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3, nil)
		leader := c.replicas[c.leader()]
		c.network.setLose(func(*raft.Message) bool { return true })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, _, err := leader.Propose(ctx, []byte("lost?")); !errors.Is(err, replica.ErrOutcomeUnknown) {
			t.Errorf("Propose at a leader that was just cut off: %v, want %v", err, replica.ErrOutcomeUnknown)
		}
		time.Sleep(time.Second) // It has stepped down by itself.
		if l := leader.Leader(); l != raft.NoMember {
			t.Errorf("a second later it still follows %v", l)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := leader.Propose(ctx, []byte("never")); !errors.Is(err, replica.ErrNoLeader) {
			t.Errorf("Propose without a leader: %v, want %v", err, replica.ErrNoLeader)
		}
		if _, err := leader.ReadBarrier(ctx); !errors.Is(err, replica.ErrNoLeader) && !errors.Is(err, replica.ErrOverloaded) {
			t.Errorf("ReadBarrier without a leader: %v, want %v", err, replica.ErrNoLeader)
		}
		c.network.setLose(nil)
		if _, _, err := leader.Propose(t.Context(), []byte("healed")); err != nil {
			t.Errorf("Propose after the network healed: %v", err)
		}
		c.close()
	})
}

func TestStorageErrorEndsTheReplicaForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1, nil)
		c.leader()
		broken := errors.New("the disk is gone")
		c.disks[0].SetFaults(rafttest.StorageFaults{BeforeSave: rafttest.FailSave(0, broken)})
		if _, _, err := c.replicas[0].Propose(t.Context(), []byte("x")); !errors.Is(err, replica.ErrOutcomeUnknown) {
			t.Errorf("Propose when the disk fails: %v, want %v", err, replica.ErrOutcomeUnknown)
		}
		if err := <-c.errs[0]; !errors.Is(err, broken) {
			t.Errorf("Run ended with %v, want %v", err, broken)
		}
		if _, _, err := c.replicas[0].Propose(t.Context(), []byte("y")); !errors.Is(err, replica.ErrStopping) {
			t.Errorf("Propose after the end: %v, want %v", err, replica.ErrStopping)
		}
		if _, err := c.replicas[0].Status(t.Context()); !errors.Is(err, replica.ErrStopping) {
			t.Errorf("Status after the end: %v, want %v", err, replica.ErrStopping)
		}
		c.stop()
	})
}

func TestTooMuchIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1, func(o *replica.Options) { o.MaxProposals = 4 })
		c.leader()
		if _, _, err := c.replicas[0].Propose(t.Context(), make([]byte, raft.DefaultMaxCommandBytes+1)); !errors.Is(err, replica.ErrTooLarge) {
			t.Errorf("a command over the limit: %v, want %v", err, replica.ErrTooLarge)
		}
		stall, release := rafttest.StallSave()
		c.disks[0].SetFaults(rafttest.StorageFaults{BeforeSave: stall})
		answers := make(chan error, 10)
		for i := range 10 {
			go func() {
				_, _, err := c.replicas[0].Propose(t.Context(), fmt.Appendf(nil, "%d", i))
				answers <- err
			}()
		}
		synctest.Wait()
		if len(answers) != 6 {
			t.Errorf("while the disk hangs %d of 10 are answered, want 6 refusals", len(answers))
		}
		release()
		done, refused := 0, 0
		for range 10 {
			switch err := <-answers; {
			case err == nil:
				done++
			case errors.Is(err, replica.ErrOverloaded):
				refused++
			default:
				t.Errorf("Propose: %v", err)
			}
		}
		if done != 4 || refused != 6 {
			t.Errorf("%d done and %d refused, want 4 and 6", done, refused)
		}
		c.close()
	})
}

func TestClosingAnswersEveryoneWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3, nil)
		r := c.replicas[c.leader()]
		c.network.setLose(func(*raft.Message) bool { return true })
		write, read := make(chan error, 1), make(chan error, 1)
		go func() { _, _, err := r.Propose(t.Context(), []byte("x")); write <- err }()
		go func() { _, err := r.ReadBarrier(t.Context()); read <- err }()
		synctest.Wait()
		c.close()
		if err := <-write; !errors.Is(err, replica.ErrOutcomeUnknown) {
			t.Errorf("the write was answered with %v, want %v", err, replica.ErrOutcomeUnknown)
		}
		if err := <-read; !errors.Is(err, replica.ErrStopping) {
			t.Errorf("the read was answered with %v, want %v", err, replica.ErrStopping)
		}
	})
}

func TestStopInGoodOrderKeepsTheCommitIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3, nil)
		_, index, err := c.replicas[c.leader()].Propose(t.Context(), []byte("the last one for a while"))
		must(t, err)
		time.Sleep(time.Second) // Everyone has heard of the commit, and nothing is written any more.
		c.close()
		for i, disk := range c.disks {
			must(t, disk.Crash())
			opened, err := disk.Open()
			must(t, err)
			if got := opened.State.HardState.Commit; got != index {
				t.Errorf("replica %d knows on disk of commits up to %d, want %d", i, got, index)
			}
		}
	})
}
