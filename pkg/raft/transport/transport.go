package transport

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

const (
	// maxPeers bounds how many members are remembered. At the bound, those
	// that nothing is going on with are forgotten.
	maxPeers = 256
	// maxSnapshotsSending bounds the snapshots that are sent at a time; others
	// wait for their turn.
	maxSnapshotsSending = 2
)

// Transport carries messages between this node and its peers. It is safe for
// concurrent use.
type Transport struct {
	options  Options
	listener net.Listener
	ctx      context.Context
	cancel   context.CancelCauseFunc
	pace     *pace
	// sendSlots and receiveSlot hold a token for each snapshot under way.
	sendSlots   chan struct{}
	receiveSlot chan struct{}

	connections  atomic.Int64
	handshaking  atomic.Int64
	refused      atomic.Uint64
	turnedAway   atomic.Uint64
	undelivered  atomic.Uint64
	refusalLines occasional

	mu     sync.Mutex
	closed bool
	group  sync.WaitGroup
	peers  map[raft.MemberID]*peer
}

// Listen starts a transport. Its context is the transport's life: ending it
// closes connections, but only Close waits for all that was started.
func Listen(ctx context.Context, o Options) (*Transport, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	listener := o.Listener
	if listener == nil {
		var err error
		if listener, err = new(net.ListenConfig).Listen(ctx, "tcp", o.ListenAddress); err != nil {
			return nil, fmt.Errorf("listen for peers: %w", err)
		}
	}
	t := &Transport{
		options:     o,
		listener:    listener,
		pace:        newPace(o.SnapshotBytesPerSecond),
		sendSlots:   make(chan struct{}, maxSnapshotsSending),
		receiveSlot: make(chan struct{}, 1),
		peers:       make(map[raft.MemberID]*peer),
	}
	t.ctx, t.cancel = context.WithCancelCause(ctx)
	t.start(t.accept)
	return t, nil
}

// Address returns the address that the transport listens at.
func (t *Transport) Address() net.Addr { return t.listener.Addr() }

// Close ends all connections and waits until nothing runs any more. Messages
// that wait are dropped.
func (t *Transport) Close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.cancel(ErrClosed)
	t.group.Wait()
}

// start runs f in a goroutine that Close waits for. It refuses, and returns
// false, once the transport is closed.
func (t *Transport) start(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.group.Go(f)
	return true
}

// Send queues messages for their receivers and returns at once. A message may
// be lost at any later point: by a full queue, by a connection that breaks, or
// because nobody knows its receiver's address. Nothing that a message refers
// to may be changed any more. A snapshot's announcement isn't sent by Send but
// by SendSnapshot.
func (t *Transport) Send(messages []raft.Message) {
	var shared []*wire.Entries
	for i := range messages {
		m := &messages[i]
		p := t.peer(m.To)
		if p == nil || m.Kind == raft.KindInstallSnapshot {
			t.undelivered.Add(1)
			continue
		}
		p.link(m.Kind).push(queued{message: *m, entries: share(&shared, m), bytes: sizeBytes(m)})
	}
}

// KeepOpen opens the control connections to members that have none, and keeps
// the others from being closed as idle. Members that only follow have nothing to
// say to each other until they elect a leader, and then is a bad time to look for
// one another: the machine that took the leader with it may have taken a name
// server, too. It returns at once; call it several times per IdleTimeout.
func (t *Transport) KeepOpen(members []raft.MemberID) {
	for _, id := range members {
		if p := t.peer(id); p != nil {
			p.control.keepOpen()
		}
	}
}

// peer returns what is known of a member, or nil if it can't be a peer: it is
// nobody, this node itself, or one too many.
func (t *Transport) peer(id raft.MemberID) *peer {
	if id == raft.NoMember || id == t.options.Member {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.peerLocked(id)
}

func (t *Transport) peerLocked(id raft.MemberID) *peer {
	if p := t.peers[id]; p != nil {
		return p
	}
	if len(t.peers) >= maxPeers {
		for other, p := range t.peers {
			if p.unused() {
				delete(t.peers, other)
			}
		}
	}
	if len(t.peers) >= maxPeers {
		return nil
	}
	p := newPeer(t, id)
	t.peers[id] = p
	return p
}

// Stats are counters since the start and the state at this moment.
type Stats struct {
	// Peers are all members that were met, sorted by ID.
	Peers []PeerStats
	// Connections were accepted and stand, those in their handshake included.
	Connections int
	// Refused counts connections whose handshake failed, TurnedAway those
	// closed at once because too many stood.
	Refused, TurnedAway uint64
	// Undelivered counts messages to members that can't be peers.
	Undelivered uint64
}

// Stats returns the transport's counters.
func (t *Transport) Stats() Stats {
	t.mu.Lock()
	peers := make([]*peer, 0, len(t.peers))
	for _, p := range t.peers {
		peers = append(peers, p)
	}
	t.mu.Unlock()
	s := Stats{
		Connections: int(t.connections.Load()),
		Refused:     t.refused.Load(),
		TurnedAway:  t.turnedAway.Load(),
		Undelivered: t.undelivered.Load(),
	}
	for _, p := range peers {
		s.Peers = append(s.Peers, t.peerStats(p))
	}
	slices.SortFunc(s.Peers, func(a, b PeerStats) int { return cmp.Compare(a.Member, b.Member) })
	return s
}

func (t *Transport) logger() *slog.Logger { return t.options.Logger }
