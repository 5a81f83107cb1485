// Package badgerlog keeps a member's part of the replicated log on disk: the
// entries, term and vote in Badger, and snapshots as files beside it.
//
// # The directory
//
//	identity            who this member is; written once, by Format
//	starts              how often the directory was opened
//	LOCK                held while a process uses the directory
//	log/                Badger, which holds the log and nothing else
//	snapshots/          <term>-<index>.snap      a snapshot that counts
//	                    <term>-<index>.received  whole and verified, not installed
//	                    *.tmp                    being written
//
// # What it promises
//
// When Save returns, the whole Write is on the disk; after a crash either all
// of it is there or nothing. Every record carries a checksum, every entry the
// hash of all entries before it. Open reads and verifies every entry from first
// to last, and each later read is verified again, so damage is an error and
// never data. The first error of the disk is the last: it is told to OnFailure
// once, every later Save returns it, and nothing is retried, because after a
// failed sync nobody knows what the disk holds.
//
// A snapshot counts from the moment when the base record names it. The file is
// whole and durable before that; a file that no record names is removed when
// the directory is opened. The newest two are kept, and the log back to the
// older one, so a damaged newest snapshot costs nothing but time.
//
// # What it never does
//
// It knows no network and no meaning of a command. It never lets a value reach
// Badger's value log, whose sync errors Badger only prints. It never reads the
// value of a record outside the log's bounds, never splits a Write, and never
// goes on after an error that Badger printed instead of returning.
//
// # What it can't see
//
// A byte that flips in Badger's write-ahead log ends Badger's replay there: the
// log comes back shorter, whole as far as it goes, and without an error. From
// the records alone that looks like a log that was never longer.
//
// The node's wiring formats and opens the directory, pkg/raft/replica drives
// it through the Storage interface that it declares.
//
// # Layout of the keys in Badger
//
//	'h'                                   head: rewritten by every Write
//	'b'                                   base: rewritten by compactions
//	'e' | index, 8 bytes | part, 2 bytes  one part of one entry
//
// All numbers are big-endian, so keys sort by index, then part. Every checksum
// is CRC-32C and covers what follows it in the record.
//
// # Layout of the records
//
// Part 0 of an entry; chain is the hash of the log before this entry. The data
// of a membership entry is what wire.EncodeMembership returns.
//
//	 0        4      5      6       8       16      24      32       36         84
//	+--------+------+------+-------+-------+-------+-------+--------+----------+------
//	| crc    | kind | zero | parts | index | term  | chain | length | envelope | data
//	+--------+------+------+-------+-------+-------+-------+--------+----------+------
//
// The envelope is the leader's stamp and the proposal's origin:
//
//	 0      8         16       24     32         40         48
//	+------+---------+--------+------+----------+----------+
//	| time | elapsed | member | boot | sequence | answered |
//	+------+---------+--------+------+----------+----------+
//
// Each further part holds the next piece of the data:
//
//	 0        4          6      8       16      24
//	+--------+----------+------+-------+-------+------
//	| crc    | 0xffff   | part | index | term  | data
//	+--------+----------+------+-------+-------+------
//
// The head says what the last Write left; chain is the hash of the log up to
// last:
//
//	 0        4        6      8      16     24       32     40      48
//	+--------+--------+------+------+------+--------+------+-------+
//	| crc    | format | zero | term | vote | commit | last | chain |
//	+--------+--------+------+------+------+--------+------+-------+
//
// The base says where the log begins and which snapshots count, oldest first.
// Each description is what wire.EncodeSnapshotMeta returns; the first is that
// of the base itself, whose index is 0 while the log is complete.
//
//	 0        4        6       8
//	+--------+--------+-------+--------+-------------+--------+---
//	| crc    | format | count | length | description | length | ...
//	+--------+--------+-------+--------+-------------+--------+---
//
// # Layout of a snapshot file
//
//	+----------+--------+---------+--------+---------+-------------+-----+
//	| CNCLSNAP | format | feature | length | cluster | description | crc |
//	| 8 bytes  | 2      | 2       | 4      | 1 + n   | m           | 4   |
//	+----------+--------+---------+--------+---------+-------------+-----+
//	| length   | crc    | data                    one chunk, at most    |
//	| 4        | 4      | length                  256 KiB of data       |
//	+----------+--------+-----------------------------------------------+
//	| zero     | crc    | chunks | bytes          the trailer           |
//	| 4        | 4      | 4      | 8                                    |
//	+----------+--------+-----------------------------------------------+
//
// The length in the header counts the cluster ID, its length byte and the
// description; the header's checksum covers everything before it. A chunk's
// checksum covers the chunk's number, from 0, before its data, so chunks can't
// change places. The trailer counts the chunks and the bytes of their data;
// nothing follows it. The feature level is 0.
package badgerlog
