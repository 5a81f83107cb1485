// Package wire turns what members say to each other, and what storage keeps of
// a configuration, into bytes and back.
//
// # Frames
//
// Everything on a connection is a frame. Numbers are big-endian.
//
//	0        1        2        3        4                 8                12                16
//	+--------+--------+--------+--------+-----------------+-----------------+-----------------+
//	|  0xC5  |version |  kind  |features| control length  | payload length  |     CRC32C      |
//	+--------+--------+--------+--------+-----------------+-----------------+-----------------+
//	| control: one msgpack value                                                              |
//	+-----------------------------------------------------------------------------------------+
//	| payload: raw bytes                                                                      |
//	+-----------------------------------------------------------------------------------------+
//
// Version (1) is that of this layout. Features are bits that a reader must
// know; none is given out. Lengths are checked against a limit before anything
// is read, and the checksum before anything is decoded. It covers payload,
// control part and the first twelve bytes of the header, in this order: thus a
// payload that goes to several peers is summed up once.
//
// A ping and a pong have neither control part nor payload. A chunk of a
// snapshot has its offset as control part and its data as payload. A message
// keeps all small fields in the control part and its bulk in the payload:
//
//	+----------------------------+-------------------------+------------------------------+
//	| heads of the entries       | data of the entries,    | data of the proposals,       |
//	| (msgpack, EntryHeadBytes)  | one after the other     | one after the other          |
//	+----------------------------+-------------------------+------------------------------+
//
// The first two form an [Entries], which is encoded once and shared by the
// messages to all peers.
//
// # Stored values
//
// [EncodeMembership] and [EncodeSnapshotMeta] put a format byte (1) before one
// msgpack value. Checksums and lengths are the storage's own business.
//
// # Evolution
//
// A struct is an array of its fields in the order of declaration. A field is
// only ever added at the end and never changes its meaning: an older program
// passes over the ones it doesn't know, a newer one finds zero where an older
// one wrote nothing. What can't be said this way takes a feature bit, a new
// kind of frame or a new protocol version, which the handshake settles.
//
// # Promises
//
// Decoding never panics, and the limits on frames bound what it allocates.
// Damage, truncation, trailing bytes, oversize and unknown versions each have
// an error of their own. Equal memberships and snapshot descriptions have equal
// bytes.
//
// The package never opens a connection, never keeps time, and doesn't judge
// whether a message makes sense; transport does the former, raft the latter.
// Package transport uses the frames, package badgerlog the stored values.
package wire
