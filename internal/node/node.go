package node

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/discovery"
	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/badgerlog"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
	"github.com/conclave-dev/conclave/pkg/raft/transport"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// errStopped is the cause with which a node's parts end when it was told to.
var errStopped = errors.New("the node was told to stop")

// node is one running node. Its fields are set in the order in which Run brings
// the parts up; those that others read meanwhile are atomic.
type node struct {
	options   Options
	identity  badgerlog.Identity
	self      raft.Member
	boot      uint64
	log       *badgerlog.Log
	peers     *transport.Transport
	bootstrap *bootstrap
	metrics   *metrics

	state      *config.State
	hashes     hashes
	replicator replicator
	store      *config.Store
	clients    *httpapi.Handler
	operators  http.Handler
	// certificates are those of the ports that speak TLS.
	certificates certificates
	// clientConnections and opsConnections bound those to the two ports.
	clientConnections *httpapi.Connections
	opsConnections    *httpapi.Connections

	// ready tells whether clients should be sent here.
	ready readiness
	// removal knows whether this member was removed from the cluster.
	removal removal
	// verifying is held while the data is verified.
	verifying sync.Mutex
	// failure takes the first error that the log reports by itself.
	failure chan error
}

// Run runs a node until ctx ends, then drains and stops it. started, unless nil,
// is called once all ports listen. The error is nil after a stop that was asked
// for.
func Run(ctx context.Context, o Options, started func(Addresses)) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("options: %w", err)
	}
	n := &node{
		options: o.withDefaults(),
		state:   config.NewState(),
		failure: make(chan error, 1),
	}
	// Whatever may be wrong with the options or the machine is found before the
	// data directory is formatted, which binds it to this name and cluster.
	ports, err := n.prepare()
	if err != nil {
		return err
	}
	defer ports.close()
	if n.identity, err = n.options.identity(); err != nil {
		return err
	}
	n.self = raft.Member{ID: n.identity.Member, Name: n.identity.Name, Address: n.options.ownAddress()}
	n.log, err = badgerlog.Open(n.options.DataDir, badgerlog.Options{
		Logger: n.options.Logger, ClusterID: n.identity.ClusterID,
		OnFailure: n.logFailed, OnSave: n.metrics.saved,
	})
	if err != nil {
		return err
	}
	n.boot = n.log.Boot()
	if started != nil {
		started(ports.addresses())
	}
	return errors.Join(n.run(ctx, ports), n.log.Close())
}

// prepare makes the parts that need no data, and opens the ports.
func (n *node) prepare() (*ports, error) {
	n.metrics = newMetrics(n)
	n.clientConnections = httpapi.NewConnections(clientConnections(openFiles()))
	n.opsConnections = httpapi.NewConnections(opsConnections)
	var err error
	if n.certificates, err = openCertificates(&n.options); err != nil {
		return nil, err
	}
	if n.store, err = config.NewStore(n.state, &n.replicator, config.StoreOptions{Ready: n.servable, Parked: n.parked}); err != nil {
		return nil, err
	}
	if n.clients, err = n.newClientAPI(); err != nil {
		return nil, err
	}
	if n.operators, err = n.newOperationsAPI(); err != nil {
		return nil, err
	}
	return listen(&n.options)
}

// run brings up everything that has goroutines and waits for its end.
func (n *node) run(ctx context.Context, ports *ports) error {
	n.bootstrap = n.newBootstrap()
	dialer := newDialer()
	peers := transport.Options{
		Member: n.identity.Member, ClusterID: n.identity.ClusterID, Boot: n.boot,
		Name: n.identity.Name, Address: n.self.Address, Listener: ports.peer,
		Dial: dialer.dial, Resolve: n.resolve, Receive: n.receive, ReceiveSnapshot: n.receiveSnapshot,
		Bootstrap: n.answerBootstrap, Logger: slog.New(untilEnd{n.options.Logger.Handler(), ctx.Done()}),
	}
	n.certificates.securePeers(&peers)
	var err error
	n.peers, err = transport.Listen(context.WithoutCancel(ctx), peers)
	if err != nil {
		return err
	}
	defer n.peers.Close()

	// What serves outlives ctx by the drain period; it ends with serving.
	serving, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(errStopped)
	g, serving := errgroup.WithContext(serving)
	g.Go(func() error { return n.store.Run(serving) })
	g.Go(func() error { return n.serve(serving, ports) })
	g.Go(func() error { return n.takePart(serving) })
	g.Go(func() error { dialer.refresh(serving, n.peerHosts); return nil })
	g.Go(func() error { n.keepOpen(serving); return nil })
	g.Go(func() error { n.certificates.watch(serving); return nil })
	g.Go(func() error {
		select {
		case err := <-n.failure:
			return err
		case <-serving.Done():
			return nil
		}
	})
	g.Go(func() error {
		select {
		case <-ctx.Done():
			n.drain(serving)
			stop(errStopped)
		case <-serving.Done():
		}
		return nil
	})
	if err := g.Wait(); err != nil && !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

// drain stays of use while load balancers turn away.
func (n *node) drain(serving context.Context) {
	n.options.Logger.Info("stopping")
	n.ready.stop()
	n.clients.Drain()
	n.handOver(serving)
	if n.options.DrainPeriod == 0 {
		return
	}
	n.options.Logger.Info("draining before the stop", "period", n.options.DrainPeriod)
	select {
	case <-time.After(n.options.DrainPeriod):
	case <-serving.Done():
	}
}

// handOverTimeout bounds the wait for another leader before a stop.
const handOverTimeout = 2 * time.Second

// handOver makes another node lead if this one does, so that a stop that was
// asked for costs no election timeout.
func (n *node) handOver(serving context.Context) {
	running := n.replicator.replica.Load()
	if running == nil || running.Leader() != n.self.ID || len(running.Membership().Membership.Voters) == 1 {
		return
	}
	ctx, cancel := context.WithTimeout(serving, handOverTimeout)
	defer cancel()
	if err := running.TransferLeadership(ctx, raft.NoMember); err != nil {
		n.options.Logger.Info("leadership was not handed over before the stop", "error", err)
	}
}

// takePart finds or forms the cluster, then runs the replica.
func (n *node) takePart(ctx context.Context) error {
	state := n.log.State()
	// A faulty member may hold nothing and is no newcomer all the same.
	if state.Last == 0 && !state.Faulty {
		first, err := n.findCluster(ctx)
		if err != nil {
			return err
		}
		if first == nil {
			n.options.Logger.Warn("the cluster exists without this member; waiting to be added", "member", n.self.ID.String())
		} else if state, err = n.begin(*first, state.HardState); err != nil {
			return err
		}
	}
	running, err := replica.New(replica.Options{
		LoopOptions: replica.LoopOptions{
			Core: raft.Config{
				ID: n.self.ID, Random: mathrand.New(mathrand.NewPCG(randomNumber(), randomNumber())), Log: n.log,
				ElectionTicksMin: int(n.options.ElectionTimeoutMin / tick),
				ElectionTicksMax: int(n.options.ElectionTimeoutMax / tick),
				HeartbeatTicks:   int(n.options.HeartbeatInterval / tick),
			},
			State: state, Boot: n.boot, SnapshotEntries: n.options.SnapshotEntries,
		},
		Storage: n.log, Sender: n.peers, StateMachine: machine{n.state, &n.hashes, n.sawMembership, n.options.commandOf},
		TickInterval: tick, Logger: n.options.Logger,
	})
	if err != nil {
		return err
	}
	for i := range state.Memberships {
		n.sawMembership(&state.Memberships[i].Membership)
	}
	n.replicator.replica.Store(running)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return running.Run(ctx) })
	g.Go(func() error {
		n.becomeReady(ctx, running)
		n.keepFresh(ctx)
		return nil
	})
	g.Go(func() error { n.watchRemoval(ctx, running); return nil })
	return g.Wait()
}

// newBootstrap returns what this node tells others of the cluster's beginning.
func (n *node) newBootstrap() *bootstrap {
	state := n.log.State()
	if state.Last == 0 && !state.Faulty && n.options.InitialState == InitialNew {
		return newBootstrap(n.self, n.identity.ClusterID)
	}
	var first *raft.Membership
	if state.Base == 0 && len(state.Memberships) > 0 {
		first = &state.Memberships[0].Membership
	}
	return knowing(n.self, n.identity.ClusterID, first)
}

// findCluster returns the first configuration, or nil for a node that is not in
// it and has to wait.
func (n *node) findCluster(ctx context.Context) (*raft.Membership, error) {
	if n.options.InitialState == InitialExisting {
		return nil, nil
	}
	if derived := n.options.clusterID(); derived != n.identity.ClusterID {
		// Nothing has formed, so nothing is lost by starting over.
		return nil, fmt.Errorf("data directory %s was made for cluster %s, but --cluster-name and the initial nodes now mean cluster %s, "+
			"and none has formed yet: give the settings of the first start, or empty the directory", n.options.DataDir, n.identity.ClusterID, derived)
	}
	lookups := complaints{logger: n.options.Logger}
	peers, err := discover(ctx, &n.options, func(p discovery.Progress) {
		lookups.say("discovery", "looking for the nodes of the cluster", "found", len(p.Found), "want", p.Want, "error", p.Err)
	})
	if err != nil {
		return nil, err
	}
	return n.bootstrap.run(ctx, peers, n.peers.Announce, func(p Peer, err error) {
		lookups.say(p.Name, "a node can't be reached yet", "name", p.Name, "address", p.Address, "error", err)
	})
}

// begin writes the first configuration and returns the state that a log with
// nothing else has. The hard state stays: a member may have voted before it had
// an entry.
func (n *node) begin(first raft.Membership, hard raft.HardState) (raft.State, error) {
	write := &raft.Write{HardState: hard, Entries: []raft.Entry{{Index: 1, Kind: raft.EntryMembership, Membership: &first}}}
	if err := n.log.Save(write); err != nil {
		return raft.State{}, fmt.Errorf("writing the first configuration: %w", err)
	}
	n.options.Logger.Info("the cluster has formed", "cluster", n.identity.ClusterID, "members", len(first.Members))
	return raft.State{
		HardState: hard, Last: 1, Terms: []raft.TermRun{{Term: 0, First: 0}},
		Memberships: []raft.MembershipAt{{Index: 1, Membership: first}},
	}, nil
}

// receive hands a peer's message to the replica; before there is one it is lost,
// as messages may be.
func (n *node) receive(m raft.Message) {
	if running := n.replicator.replica.Load(); running != nil {
		running.Receive(m)
	}
}

func (n *node) receiveSnapshot(ctx context.Context, meta raft.SnapshotMeta, r io.Reader) error {
	return n.log.ReceiveSnapshot(ctx, meta, r)
}

func (n *node) answerBootstrap(_ context.Context, b wire.Bootstrap) wire.Bootstrap {
	n.bootstrap.meet(b)
	return n.presentation()
}

// resolve finds a peer by the active configuration.
func (n *node) resolve(id raft.MemberID) (raft.Member, bool) {
	running := n.replicator.replica.Load()
	if running == nil {
		return raft.Member{}, false
	}
	at := running.Membership()
	return at.Membership.Member(id)
}

// logFailed takes the log's word that it is broken; it must return at once.
func (n *node) logFailed(err error) {
	select {
	case n.failure <- err:
	default:
	}
}

// servable tells why local reads would get less than this node may have served
// before, or nothing that is worth having: until it has caught up once, its log
// is not replayed to the end, and one that was removed learns nothing new.
func (n *node) servable() error {
	if n.ready.caughtUp.Load() && n.stage() != admin.StateRemoved {
		return nil
	}
	_, reason := operations{n}.Ready()
	return fmt.Errorf("%w: %s", config.ErrNotReady, reason)
}

// parked tells why nothing of this node's state may be served, or nil while it may.
func (n *node) parked() error {
	if running := n.replicator.replica.Load(); running != nil && running.Parked() != raft.ParkNone {
		return fmt.Errorf("%w: %s", config.ErrParked, running.Parked())
	}
	return nil
}

// stage tells how far the node has come.
func (n *node) stage() admin.State {
	running := n.replicator.replica.Load()
	if n.ready.stopping() {
		return admin.StateStopping
	}
	if running == nil {
		return admin.StateInitial
	}
	at := running.Membership()
	if _, ok := at.Membership.Member(n.self.ID); ok {
		if n.removal.told.Load() {
			return admin.StateRemoved
		}
		return admin.StateRunning
	}
	// One that receives its first entries is not in the older configurations.
	if n.removal.member.Load() {
		return admin.StateRemoved
	}
	return admin.StateAwaitingAdd
}

// ownAddress is where the peers of this node reach it.
func (o *Options) ownAddress() string {
	if o.Address != "" {
		return o.Address
	}
	for _, p := range o.InitialPeers {
		if p.Name == o.Name {
			return p.Address
		}
	}
	_, port, _ := net.SplitHostPort(o.Peer)
	return net.JoinHostPort(o.Name+"."+o.DiscoveryService, port)
}

// randomNumber draws a number that no other start of any node draws.
func randomNumber() uint64 {
	var b [8]byte
	rand.Read(b[:]) // Never fails; the program would have been stopped.
	return binary.BigEndian.Uint64(b[:]) | 1
}

// readiness is what /readyz tells.
type readiness struct {
	caughtUp atomic.Bool
	stopped  atomic.Bool
}

func (r *readiness) stop()          { r.stopped.Store(true) }
func (r *readiness) stopping() bool { return r.stopped.Load() }

// leaderPatience is how long a node waits for a leader before it serves local
// reads without one.
const leaderPatience = 10 * time.Second

// becomeReady waits until the node holds everything that was committed when it
// came, which a read barrier proves. Without a leader it becomes ready after a
// while all the same, so that local reads survive the loss of a quorum.
func (n *node) becomeReady(ctx context.Context, running *replica.Replica) {
	patience := time.NewTimer(leaderPatience)
	defer patience.Stop()
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		err := n.store.Refresh(attempt)
		cancel()
		if err == nil {
			n.ready.caughtUp.Store(true)
			return
		}
		if errors.Is(err, config.ErrStopping) {
			return
		}
		select {
		case <-patience.C:
			// One that lost its log holds less than it has served before.
			status, err := running.Status(ctx)
			if err == nil && status.Leader == raft.NoMember && !status.Faulty && n.stage() == admin.StateRunning {
				n.options.Logger.Warn("no leader is heard; serving local reads without one")
				n.ready.caughtUp.Store(true)
				return
			}
			patience.Reset(leaderPatience)
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// freshInterval is how often a node makes sure that it holds what the others do.
const freshInterval = time.Second

// keepFresh passes a read barrier now and then, so that what local reads say of
// their age is the age of what they read, not the time since anybody asked for a
// linear read. It ends with ctx.
func (n *node) keepFresh(ctx context.Context) {
	beat := time.NewTicker(freshInterval)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			attempt, cancel := context.WithTimeout(ctx, freshInterval)
			// Without a leader the age grows, and that is what it should do.
			_ = n.store.Refresh(attempt)
			cancel()
		case <-ctx.Done():
			return
		}
	}
}
