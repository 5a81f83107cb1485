// Package badgerlog keeps a member's part of the replicated log on disk: the
// entries, term and vote in Badger, and snapshots as files beside it.
//
// # The directory
//
//	identity            who this member is; written once, by Format
//	starts              how often the directory was opened
//	watermark           what this member has acknowledged
//	LOCK                held while a process uses the directory
//	log/                Badger, which holds the log and nothing else
//	log.damaged-<n>/    a log of which nothing could be used; the last two
//	snapshots/          <term>-<index>.snap      a snapshot that counts
//	                    <term>-<index>.received  whole and verified, not installed
//	                    *.tmp                    being written
//
// # What it promises
//
// When Save returns, the whole Write is on the disk; after a crash either all
// of it is there or nothing. What it has promised by that stands in the
// watermark too, so a log that comes back with less is found out: see below.
// Every record carries a checksum, every entry the
// hash of all entries before it. Open reads and verifies every entry from first
// to last, and each later read is verified again, so damage is an error and
// never data. The first error of the disk is the last: it is told to OnFailure
// once, every later Save returns it, and nothing is retried, because after a
// failed sync nobody knows what the disk holds.
//
// A snapshot counts from the moment when the base record names it. The file is
// whole and durable before that; a file that no record names is removed when
// the directory is opened. The newest two are kept, and the log back to the
// older one, so a damaged newest snapshot costs nothing but time. One that is adopted
// (Write.KeepLog) takes the place of all others, since their state was wrong; the log
// after it stays.
//
// # What it never does
//
// It knows no network and no meaning of a command. It never takes a log that has
// lost its end for a whole one. It never lets a value reach
// Badger's value log, whose sync errors Badger only prints. It never reads the
// value of a record outside the log's bounds, never splits a Write, and never
// goes on after an error that Badger printed instead of returning.
//
// # The watermark, and faulty members
//
// A byte that flips in Badger's write-ahead log ends Badger's replay there: the
// log comes back shorter, whole as far as it goes, and without an error. From
// the records alone that looks like a log that was never longer. So a small file
// beside it says how far the log went, with its chain hash, and what the term
// and the vote were. Each Save writes it once the batch is durable. It is synced
// within Save when the term or the vote changed, else every 100 ms; before a
// truncation it is lowered, and synced, to what will remain.
//
// Open compares the two. The hard state is that of the higher term; in equal
// terms a vote beats none. A log that ends before the watermark, or two votes in
// one term, make a faulty member, as State says: it helps to elect nobody who
// lacks what it had acknowledged, fetches that from its peers, and is whole again
// once its log is at least as up to date as the watermark. The watermark's entry
// stays as it is until then; its term and vote go on.
//
// Of a log with a damaged entry the sound beginning is kept. Where nothing can be
// used, be it that Badger can't be opened, leaves a damaged table out, or that
// head, base or the snapshots are damaged, the log is set aside and an empty one
// begun. That one begins at the newest whole snapshot file that lies at or below
// the watermark: a snapshot holds committed entries only, and this one is known
// to have been part of the log. Without watermark and identity nothing can be
// known, and Open fails with ErrDamaged.
//
// The node's wiring formats and opens the directory, pkg/raft/replica drives
// it through the Storage interface that it declares.
//
// # A full disk
//
// Badger dies on a full disk, by a signal that nothing can catch. So Space tells
// by two marks how much room is left, and whoever saves asks it first: the lower
// one keeps what Badger may still write after the last Save. A snapshot that
// would use it is given up. Another program that fills the disk to its end is
// beyond this.
//
// docs/formats.md shows an example of each layout below, byte for byte.
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
// The head says what the last Write left; last, of is the index and the term of
// the last entry, chain the hash of the log up to it. The flags are 1 on a parked
// member and 0 on any other:
//
//	 0        4        6       8      16     24       32     40   48      56
//	+--------+--------+-------+------+------+--------+------+----+-------+
//	| crc    | format | flags | term | vote | commit | last | of | chain |
//	+--------+--------+-------+------+------+--------+------+----+-------+
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
// # Layout of the watermark file
//
// It holds two slots of 256 bytes, at 0 and at 4096. The sound one with the
// higher sequence number counts. Last, of and chain are those of the last entry
// that was acknowledged; the rest of the slot is zero.
//
//	 0     4        6        8          16       24     32   40      48     56     64
//	+-----+--------+--------+----------+--------+------+----+-------+------+------+---------
//	| crc | format | length | sequence | member | last | of | chain | term | vote | cluster
//	+-----+--------+--------+----------+--------+------+----+-------+------+------+---------
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
