package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/conclave-dev/conclave/pkg/raft"
)

var (
	logDiskSample       = gauge("conclave_log_disk_bytes", "What the log occupies on the disk.")
	deadSample          = gauge("conclave_log_dead_entries", "Entries that count no more and are still to be deleted.")
	snapshotsDiskSample = gauge("conclave_snapshots_disk_bytes", "What the snapshots occupy on the disk.")
	takenSample         = counter("conclave_snapshots_taken_total", "Snapshots that this node has written.")
	receivedSample      = counter("conclave_snapshots_received_total", "Snapshots that came from a leader.")
	snapshotTimeSample  = gauge("conclave_snapshot_last_seconds", "How long the last snapshot took.")
	snapshotSizeSample  = gauge("conclave_snapshot_last_bytes", "Size of the last snapshot.")

	connectedSample     = gauge("conclave_peer_connected", "1 while the connection to the peer stands.", "peer", "member")
	roundTripSample     = gauge("conclave_peer_round_trip_seconds", "What the last ping to the peer took.", "peer", "member")
	connectsSample      = counter("conclave_peer_connects_total", "Connections made to the peer.", "peer", "member")
	sentSample          = counter("conclave_peer_sent_total", "Messages sent to the peer.", "peer", "member")
	heardSample         = counter("conclave_peer_received_total", "Messages that came from the peer.", "peer", "member")
	peerDroppedSample   = counter("conclave_peer_dropped_total", "Messages for the peer that were dropped: full queue, unreachable, or too_large.", "peer", "member", "reason")
	waitingSample       = gauge("conclave_peer_queue_messages", "Messages that wait to be sent to the peer.", "peer", "member")
	waitingBytesSample  = gauge("conclave_peer_queue_bytes", "Bytes that wait to be sent to the peer.", "peer", "member")
	trafficSample       = counter("conclave_peer_traffic_bytes_total", "Bytes in and out on all connections with the peer.", "peer", "member", "direction")
	peerSnapshotsSample = counter("conclave_peer_snapshots_total", "Whole snapshots in and out.", "peer", "member", "direction")
	acceptedSample      = gauge("conclave_peer_connections", "Connections that other nodes have to this one.")
	refusedSample       = counter("conclave_peer_refused_total", "Connections of other nodes that were turned away: by the handshake, or at the limit.", "reason")
	strayedSample       = counter("conclave_peer_undelivered_total", "Messages to members that can't be peers.")
)

// collectStorage reads what the log says of itself.
func (n *node) collectStorage(ch chan<- prometheus.Metric) {
	s, err := n.log.Stats()
	if err != nil {
		return // It is closed, or the disk can't be read: the rest tells more.
	}
	logDiskSample.emit(ch, float64(s.LogBytes))
	deadSample.emit(ch, float64(s.Dead))
	snapshotsDiskSample.emit(ch, float64(s.SnapshotsBytes))
	takenSample.emit(ch, float64(s.Snapshots))
	receivedSample.emit(ch, float64(s.Received))
	snapshotTimeSample.emit(ch, s.SnapshotTime.Seconds())
	snapshotSizeSample.emit(ch, float64(s.SnapshotBytes))
}

// collectPeers reads what the transport says of the other members. Those that
// have left the membership are left out, so the labels stay as few as members.
func (n *node) collectPeers(ch chan<- prometheus.Metric, membership *raft.Membership) {
	s := n.peers.Stats()
	acceptedSample.emit(ch, float64(s.Connections))
	refusedSample.emit(ch, float64(s.Refused), "handshake")
	refusedSample.emit(ch, float64(s.TurnedAway), "limit")
	strayedSample.emit(ch, float64(s.Undelivered))
	for _, p := range s.Peers {
		member, ok := membership.Member(p.Member)
		if !ok {
			continue
		}
		name, id := member.Name, p.Member.String()
		connectedSample.emit(ch, boolean(p.Connected), name, id)
		roundTripSample.emit(ch, p.RoundTrip.Seconds(), name, id)
		connectsSample.emit(ch, float64(p.Connects), name, id)
		sentSample.emit(ch, float64(p.Sent), name, id)
		heardSample.emit(ch, float64(p.Received), name, id)
		peerDroppedSample.emit(ch, float64(p.DroppedFull), name, id, "full")
		peerDroppedSample.emit(ch, float64(p.DroppedUnreachable), name, id, "unreachable")
		peerDroppedSample.emit(ch, float64(p.DroppedTooLarge), name, id, "too_large")
		waitingSample.emit(ch, float64(p.QueuedMessages), name, id)
		waitingBytesSample.emit(ch, float64(p.QueuedBytes), name, id)
		trafficSample.emit(ch, float64(p.BytesIn), name, id, "in")
		trafficSample.emit(ch, float64(p.BytesOut), name, id, "out")
		peerSnapshotsSample.emit(ch, float64(p.SnapshotsSent), name, id, "out")
		peerSnapshotsSample.emit(ch, float64(p.SnapshotsReceived), name, id, "in")
	}
}
