package transport

import "errors"

var (
	// ErrClosed: the transport was closed.
	ErrClosed = errors.New("transport closed")
	// ErrUnknownMember: no address is known for the member.
	ErrUnknownMember = errors.New("unknown member")
	// ErrClusterMismatch: the peer belongs to another cluster. Trying again is
	// of no use until an operator corrects an address or a cluster ID.
	ErrClusterMismatch = errors.New("peer belongs to another cluster")
	// ErrWrongMember: another member answers at the address, or the peer's
	// certificate isn't made out to the name that it gives itself.
	ErrWrongMember = errors.New("not the member it should be")
	// ErrVersion: no protocol version is spoken by both sides.
	ErrVersion = errors.New("no common protocol version")
	// ErrBusy: a limit on connections or streams is reached; later may do.
	ErrBusy = errors.New("busy")
	// ErrNotServed: the peer doesn't serve connections of that purpose.
	ErrNotServed = errors.New("not served by the peer")
	// ErrProtocol: the peer broke the rules of the protocol.
	ErrProtocol = errors.New("protocol violation")
	// ErrSilent: the peer left a ping unanswered for too long.
	ErrSilent = errors.New("peer is silent")
	// ErrSnapshotRefused: the peer could not receive or store a snapshot.
	ErrSnapshotRefused = errors.New("snapshot not stored by the peer")
)
