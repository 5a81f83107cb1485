package transport

import (
	"sync/atomic"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// peer is what the transport knows of one other member.
type peer struct {
	id      raft.MemberID
	control *link
	log     *link
	traffic traffic

	// introduced is how the member introduced itself when it last connected.
	introduced atomic.Pointer[raft.Member]
	// sending is set while a snapshot goes to the member.
	sending atomic.Bool
	// accepted holds the member's connections to this node, one a purpose. It
	// is guarded by the transport's mutex.
	accepted map[wire.Purpose]*session

	received          atomic.Uint64
	snapshotsSent     atomic.Uint64
	snapshotsReceived atomic.Uint64
}

func newPeer(t *Transport, id raft.MemberID) *peer {
	p := &peer{id: id, accepted: make(map[wire.Purpose]*session)}
	p.control = newLink(t, p, wire.PurposeControl, dropOldest)
	p.log = newLink(t, p, wire.PurposeLog, dropNewest)
	return p
}

// link returns the connection that a message of the given kind takes. Bulk
// must not hold up what elections and reads depend on.
func (p *peer) link(k raft.MessageKind) *link {
	switch k {
	case raft.KindAppendEntries, raft.KindAppendEntriesReply, raft.KindPropose, raft.KindProposeReply:
		return p.log
	default:
		return p.control
	}
}

// unused tells whether nothing would be lost by forgetting the peer but its
// counters.
func (p *peer) unused() bool {
	return len(p.accepted) == 0 && !p.sending.Load() && p.control.unused() && p.log.unused()
}

// destination finds the member's address: the membership's if there is one,
// else what the member said of itself.
func (t *Transport) destination(p *peer) (destination, error) {
	m, ok := t.options.Resolve(p.id)
	if !ok {
		introduced := p.introduced.Load()
		if introduced == nil {
			return destination{}, ErrUnknownMember
		}
		m = *introduced
	}
	return destination{member: p.id, address: m.Address, name: m.Name}, nil
}

// PeerStats are the counters of one peer. They begin at zero when the peer is
// met, and again if it was forgotten meanwhile.
type PeerStats struct {
	Member raft.MemberID
	// Name is the node's name, empty if unknown.
	Name string
	// Connected tells whether the control connection to the peer stands.
	Connected bool
	// RoundTrip is the time that the last answered ping took, 0 before that.
	RoundTrip time.Duration
	// Sent counts messages handed to a connection, Received those that arrived.
	Sent, Received uint64
	// DroppedFull counts messages dropped by a full queue, DroppedUnreachable
	// those dropped for want of a connection, DroppedTooLarge those that fit
	// in no frame.
	DroppedFull, DroppedUnreachable, DroppedTooLarge uint64
	// Connects counts the connections made to the peer.
	Connects uint64
	// QueuedMessages and QueuedBytes wait at this moment.
	QueuedMessages, QueuedBytes int
	// BytesIn and BytesOut count all of the peer's connections.
	BytesIn, BytesOut uint64
	// SnapshotsSent and SnapshotsReceived count whole ones.
	SnapshotsSent, SnapshotsReceived uint64
}

func (t *Transport) peerStats(p *peer) PeerStats {
	s := PeerStats{
		Member:            p.id,
		Connected:         p.control.up.Load(),
		Received:          p.received.Load(),
		BytesIn:           p.traffic.in.Load(),
		BytesOut:          p.traffic.out.Load(),
		SnapshotsSent:     p.snapshotsSent.Load(),
		SnapshotsReceived: p.snapshotsReceived.Load(),
		RoundTrip:         time.Duration(p.control.roundTrip.Load()),
	}
	for _, l := range []*link{p.control, p.log} {
		messages, bytes := l.queue.waiting()
		s.QueuedMessages += messages
		s.QueuedBytes += bytes
		s.Sent += l.sent.Load()
		s.DroppedFull += l.droppedFull.Load()
		s.DroppedUnreachable += l.droppedUnreachable.Load()
		s.DroppedTooLarge += l.droppedTooLarge.Load()
		s.Connects += l.connects.Load()
	}
	if d, err := t.destination(p); err == nil {
		s.Name = d.name
	}
	return s
}
