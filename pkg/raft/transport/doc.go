// Package transport carries Raft messages and snapshots between the members of
// a cluster over TCP.
//
// # Connections
//
// A member that has something to say to another one opens connections to it,
// and the answers come on connections that the other one opens. There are
// three, so that bulk never holds up what elections and reads depend on:
//
//	control   heartbeats, votes, reads       queue drops its oldest when full
//	log       appends, proposals             queue drops its newest when full
//	snapshot  one snapshot, then its result  throttled, one a member
//
// Control messages speak of now, so the newest are worth most. Each append
// builds upon the one before it, so what follows a gap is worth nothing.
//
// A connection is opened when the first message waits for it, or by KeepOpen, to
// the address that the member has at that moment, and closed when it has been idle. Its one
// goroutine takes all that waits, writes it as one piece, and redials with
// growing, jittered pauses. Once a second a ping goes along; without an answer
// in time the connection is given up, because a machine that vanished closes
// nothing.
//
// Every connection begins with a handshake: protocol version, cluster, the
// members on either end, what the connection is for. A peer that doesn't fit is
// told why, and both sides log it. A node that looks for its cluster knows
// addresses only; its one exchange, Announce, is a fourth kind of connection.
//
// # Promises
//
// Messages of one connection arrive in the order in which they were sent,
// intact, and from the member that they name. Each is written once: what a
// broken connection may have lost is not sent again, since those who sent it ask
// again when they still care. Messages may be lost at any time, and those of
// different connections overtake each other. Send never blocks. Every queue, frame,
// handshake, wait and number of connections has a limit. Close waits for
// everything that was started.
//
// The package never looks into what a message means beyond its kind, never
// stores anything, and never decides who is a member: a leader may be unknown
// to a follower that it is about to bring up to date.
//
// The node's wiring makes a Transport and hands it to the replica, which sends
// by it, and takes what arrives to the replica, the storage and the bootstrap.
package transport
