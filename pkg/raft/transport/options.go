package transport

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// maxTextBytes bounds names, addresses and cluster IDs, so that a handshake
// always fits its limit.
const maxTextBytes = 255

// Options say who this node is and what it does with what arrives. Member,
// ClusterID and Receive are required, and one of Listener and ListenAddress;
// the zero value of everything else works.
type Options struct {
	// Member is this node's own ID.
	Member raft.MemberID
	// ClusterID is the cluster's. Peers with another one are refused.
	ClusterID string
	// Boot is drawn anew at each start and told to peers.
	Boot uint64
	// Name is this node's name, told to peers.
	Name string
	// Address is host:port at which peers reach this node, told to peers so
	// that they can answer before they know it by a membership.
	Address string

	// Listener accepts peers. The transport closes it.
	Listener net.Listener
	// ListenAddress is host:port to listen at when Listener is nil.
	ListenAddress string
	// Dial opens connections to peers. Default: net.Dialer, which resolves the
	// address's name anew each time.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolve finds the name and address of a member. It is called before each
	// attempt to connect, by several goroutines, and must return at once.
	// Members that it doesn't know are reached at the address that they gave
	// when they connected, if they did.
	Resolve func(raft.MemberID) (raft.Member, bool)
	// ServerTLS and ClientTLS, set both or neither, encrypt all connections.
	// ServerTLS must require and verify client certificates. ClientTLS must hold
	// a server to its authorities, but to no host name: addresses change, and
	// prove nothing.
	ServerTLS, ClientTLS *tls.Config
	// Authenticate tells why a peer's certificate, which the authorities know,
	// isn't that of the node of this cluster with the given name. It is needed
	// with TLS, and asked for each connection, on both sides.
	Authenticate func(certificate *x509.Certificate, name string) error

	// Receive takes a message from a peer. Calls for messages of one
	// connection are in order; those of different connections run side by
	// side. It must return quickly: while it blocks, its connection is stuck.
	Receive func(raft.Message)
	// ReceiveSnapshot reads a snapshot to its end and stores it; at most one
	// call runs at a time. After it returned nil, the message that announced
	// the snapshot goes to Receive. Nil: snapshots are refused.
	ReceiveSnapshot func(ctx context.Context, meta raft.SnapshotMeta, r io.Reader) error
	// Bootstrap answers a node that looks for its cluster. Calls may run side
	// by side. Nil: such nodes are refused.
	Bootstrap func(ctx context.Context, b wire.Bootstrap) wire.Bootstrap

	// QueueMessages and QueueBytes bound what waits for one connection beside
	// the batch being written. Default 4,096 messages and 16 MiB.
	QueueMessages int
	QueueBytes    int
	// MaxConnections bounds accepted connections, of which at most half may be
	// in their handshake. Default 256, at least 2.
	MaxConnections int

	// HandshakeTimeout bounds connecting and handshake together, on either
	// side, and each Bootstrap exchange. Default 3 s.
	HandshakeTimeout time.Duration
	// WriteTimeout bounds each write of at most 64 KiB or one larger piece.
	// Default 10 s.
	WriteTimeout time.Duration
	// PeerTimeout is how long a peer may leave a ping unanswered before its
	// connection is given up. Pings go once a second with other traffic.
	// Default 5 s.
	PeerTimeout time.Duration
	// IdleTimeout closes a connection that carried no message for so long; the
	// accepting side waits twice as long. Default 1 min.
	IdleTimeout time.Duration
	// BackoffMin and BackoffMax bound the pause between two attempts to
	// connect; it doubles with each failure and is shortened at random by up
	// to a half. Default 50 ms and 1 s.
	BackoffMin, BackoffMax time.Duration

	// SnapshotBytesPerSecond bounds what all snapshots being sent take
	// together. Default 64 MiB/s, at least 64 KiB/s.
	SnapshotBytesPerSecond int
	// MaxSnapshotBytes bounds a snapshot being received. Default 16 GiB.
	MaxSnapshotBytes int64
	// SnapshotTimeout is how long either side of a snapshot may take for one
	// chunk, and the receiver to store it after the last. Default 2 min.
	SnapshotTimeout time.Duration

	// Logger gets a line for each change of a connection's state. Default
	// slog.Default().
	Logger *slog.Logger
}

// Validate reports every option that can't be used.
func (o *Options) Validate() error {
	var errs []error
	bad := func(when bool, format string, args ...any) {
		if when {
			errs = append(errs, fmt.Errorf("transport option "+format, args...))
		}
	}
	bad(o.Member == raft.NoMember, "Member is missing")
	bad(o.ClusterID == "", "ClusterID is missing")
	for _, text := range []struct{ name, value string }{
		{"ClusterID", o.ClusterID}, {"Name", o.Name}, {"Address", o.Address},
	} {
		bad(len(text.value) > maxTextBytes, "%s has %d bytes, at most %d are allowed", text.name, len(text.value), maxTextBytes)
	}
	bad(o.Receive == nil, "Receive is missing")
	bad((o.Listener == nil) == (o.ListenAddress == ""), "Listener or ListenAddress: exactly one must be set")
	bad((o.ServerTLS == nil) != (o.ClientTLS == nil), "ServerTLS and ClientTLS: only one is set")
	bad(o.ServerTLS != nil && o.ServerTLS.ClientAuth != tls.RequireAndVerifyClientCert,
		"ServerTLS must require and verify client certificates")
	bad(o.ClientTLS != nil && (!o.ClientTLS.InsecureSkipVerify || o.ClientTLS.VerifyConnection == nil),
		"ClientTLS must verify connections by itself, without host names")
	bad((o.ServerTLS == nil) != (o.Authenticate == nil), "Authenticate goes with TLS, and TLS with it")
	for _, number := range []struct {
		name         string
		value, least int64
	}{
		{"QueueMessages", int64(o.QueueMessages), 1}, {"QueueBytes", int64(o.QueueBytes), 1},
		{"MaxConnections", int64(o.MaxConnections), 2},
		{"HandshakeTimeout", int64(o.HandshakeTimeout), 1}, {"WriteTimeout", int64(o.WriteTimeout), 1},
		{"PeerTimeout", int64(o.PeerTimeout), 1}, {"IdleTimeout", int64(o.IdleTimeout), 1},
		{"BackoffMin", int64(o.BackoffMin), 1}, {"BackoffMax", int64(o.BackoffMax), int64(o.BackoffMin)},
		{"SnapshotBytesPerSecond", int64(o.SnapshotBytesPerSecond), 64 << 10},
		{"MaxSnapshotBytes", o.MaxSnapshotBytes, 1}, {"SnapshotTimeout", int64(o.SnapshotTimeout), 1},
	} {
		bad(number.value != 0 && number.value < number.least, "%s is %d, the least is %d", number.name, number.value, number.least)
	}
	return errors.Join(errs...)
}

// withDefaults fills in what was left zero.
func (o Options) withDefaults() Options {
	o.QueueMessages = cmp.Or(o.QueueMessages, 4096)
	o.QueueBytes = cmp.Or(o.QueueBytes, 16<<20)
	o.MaxConnections = cmp.Or(o.MaxConnections, 256)
	o.HandshakeTimeout = cmp.Or(o.HandshakeTimeout, 3*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 10*time.Second)
	o.PeerTimeout = cmp.Or(o.PeerTimeout, 5*time.Second)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, time.Minute)
	o.BackoffMin = cmp.Or(o.BackoffMin, 50*time.Millisecond)
	o.BackoffMax = max(cmp.Or(o.BackoffMax, time.Second), o.BackoffMin)
	o.SnapshotBytesPerSecond = cmp.Or(o.SnapshotBytesPerSecond, 64<<20)
	o.MaxSnapshotBytes = cmp.Or(o.MaxSnapshotBytes, 16<<30)
	o.SnapshotTimeout = cmp.Or(o.SnapshotTimeout, 2*time.Minute)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Resolve == nil {
		o.Resolve = func(raft.MemberID) (raft.Member, bool) { return raft.Member{}, false }
	}
	return o
}
