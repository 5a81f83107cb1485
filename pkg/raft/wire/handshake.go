package wire

import "github.com/conclave-dev/conclave/pkg/raft"

// The range of protocol versions that this program speaks. Two programs use
// the highest version that both speak, so that a cluster can be upgraded one
// node at a time.
const (
	MinProtocol = 1
	MaxProtocol = 1
)

// Purpose says what a connection is for.
type Purpose uint8

// The purposes. Their numbers are part of the format.
const (
	// PurposeControl carries heartbeats, votes and reads.
	PurposeControl Purpose = 1
	// PurposeLog carries appends and forwarded proposals.
	PurposeLog Purpose = 2
	// PurposeSnapshot carries one snapshot.
	PurposeSnapshot Purpose = 3
	// PurposeBootstrap carries one exchange of Bootstrap.
	PurposeBootstrap Purpose = 4
)

// String returns the purpose as people read it.
func (p Purpose) String() string {
	switch p {
	case PurposeControl:
		return "control"
	case PurposeLog:
		return "log"
	case PurposeSnapshot:
		return "snapshot"
	case PurposeBootstrap:
		return "bootstrap"
	}
	return "unknown"
}

// Hello is the first frame on every connection, sent by the side that dialled.
// Fields are only ever added, and only at the end.
type Hello struct {
	MinProtocol uint16
	MaxProtocol uint16
	ClusterID   string
	Purpose     Purpose
	From        raft.MemberID
	// To is the member that the sender believes to reach, or NoMember when it
	// knows only an address.
	To raft.MemberID
	// Boot is drawn anew at each start of the sender's process.
	Boot uint64
	// Name and Address are those of the sender's node. At this address a
	// member can be answered before its membership has arrived.
	Name    string
	Address string
}

// Refusal says why a connection was turned away.
type Refusal uint8

// The refusals. Their numbers are part of the format.
const (
	// NotRefused admits the peer.
	NotRefused Refusal = 0
	// RefusedVersion: no protocol version is spoken by both sides.
	RefusedVersion Refusal = 1
	// RefusedCluster: the peer belongs to another cluster.
	RefusedCluster Refusal = 2
	// RefusedMember: the peer meant another member than the one it reached, or
	// it claims the ID of the one it reached.
	RefusedMember Refusal = 3
	// RefusedBusy: a limit on connections or streams is reached; later may do.
	RefusedBusy Refusal = 4
	// RefusedPurpose: this side doesn't serve connections of that purpose.
	RefusedPurpose Refusal = 5
)

// Welcome answers a Hello. It names this side even when it refuses, so that
// both sides can say what didn't match. Fields are only ever added, and only
// at the end.
type Welcome struct {
	// Protocol is the version in use from here on; 0 when refused.
	Protocol  uint16
	Refusal   Refusal
	ClusterID string
	Member    raft.MemberID
	Boot      uint64
	Name      string
}

// WriteHello writes h.
func (w *Writer) WriteHello(h *Hello) error { return w.writeControl(KindHello, h, MaxHelloBytes) }

// WriteWelcome writes v.
func (w *Writer) WriteWelcome(v *Welcome) error {
	return w.writeControl(KindWelcome, v, MaxHelloBytes)
}

// Hello decodes a frame of KindHello.
func (f *Frame) Hello() (Hello, error) {
	var h Hello
	err := f.decodeControl(KindHello, &h)
	return h, err
}

// Welcome decodes a frame of KindWelcome.
func (f *Frame) Welcome() (Welcome, error) {
	var v Welcome
	err := f.decodeControl(KindWelcome, &v)
	return v, err
}
