package badgerlog

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	// EntryBytesMax is the largest data of one entry.
	EntryBytesMax = 4<<20 + 4<<10

	// valueThresholdBytes is the size from which Badger would move a value to
	// its value log, and the highest it allows.
	valueThresholdBytes = 1 << 20
	// partBytesMax is the most data one record holds. It is half of what would
	// be safe, and divides a full entry into nine records.
	partBytesMax = 512 << 10
	partsMax     = (EntryBytesMax + partBytesMax - 1) / partBytesMax

	firstPartHeader = 84
	nextPartHeader  = 24
	nextPartMark    = 0xffff

	entryKeyBytes  = 11
	entryKeyPrefix = 'e'
)

// entryKey returns the key of one part of an entry.
func entryKey(i raft.Index, part int) []byte {
	key := make([]byte, 0, entryKeyBytes)
	key = append(key, entryKeyPrefix)
	key = binary.BigEndian.AppendUint64(key, uint64(i))
	return binary.BigEndian.AppendUint16(key, uint16(part))
}

// parseEntryKey reads what entryKey made.
func parseEntryKey(key []byte) (i raft.Index, part int, ok bool) {
	if len(key) != entryKeyBytes || key[0] != entryKeyPrefix {
		return 0, 0, false
	}
	return raft.Index(binary.BigEndian.Uint64(key[1:])), int(binary.BigEndian.Uint16(key[9:])), true
}

// record is one key of Badger and its value.
type record struct {
	key   []byte
	value []byte
}

// entryData returns the bytes that are stored for an entry.
func entryData(e *raft.Entry) ([]byte, error) {
	if e.Kind != raft.EntryMembership {
		return e.Data, nil
	}
	if e.Membership == nil {
		return nil, fmt.Errorf("entry %d: a membership entry without a membership", e.Index)
	}
	data, err := wire.EncodeMembership(e.Membership)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", e.Index, err)
	}
	return data, nil
}

// appendRecords appends the records of an entry, whose data is given apart and
// whose chain is the hash of the log before it.
func appendRecords(records []record, e *raft.Entry, data []byte, chain uint64) []record {
	parts := max(1, (len(data)+partBytesMax-1)/partBytesMax)
	piece := data[:min(len(data), partBytesMax)]
	v := make([]byte, 4, firstPartHeader+len(piece))
	v = append(v, byte(e.Kind), 0)
	v = binary.BigEndian.AppendUint16(v, uint16(parts))
	v = binary.BigEndian.AppendUint64(v, uint64(e.Index))
	v = binary.BigEndian.AppendUint64(v, uint64(e.Term))
	v = binary.BigEndian.AppendUint64(v, chain)
	v = binary.BigEndian.AppendUint32(v, uint32(len(data)))
	v = appendEnvelope(v, e)
	records = append(records, record{entryKey(e.Index, 0), seal(append(v, piece...))})
	for part := 1; part < parts; part++ {
		data = data[partBytesMax:]
		piece = data[:min(len(data), partBytesMax)]
		v := make([]byte, 4, nextPartHeader+len(piece))
		v = binary.BigEndian.AppendUint16(v, nextPartMark)
		v = binary.BigEndian.AppendUint16(v, uint16(part))
		v = binary.BigEndian.AppendUint64(v, uint64(e.Index))
		v = binary.BigEndian.AppendUint64(v, uint64(e.Term))
		records = append(records, record{entryKey(e.Index, part), seal(append(v, piece...))})
	}
	return records
}

// envelopeBytes is the length of what appendEnvelope writes.
const envelopeBytes = 48

// appendEnvelope writes an entry's stamp and origin.
func appendEnvelope(v []byte, e *raft.Entry) []byte {
	v = binary.BigEndian.AppendUint64(v, e.TimeMillis)
	v = binary.BigEndian.AppendUint64(v, e.ElapsedMillis)
	v = binary.BigEndian.AppendUint64(v, uint64(e.Origin.Member))
	v = binary.BigEndian.AppendUint64(v, e.Origin.Boot)
	v = binary.BigEndian.AppendUint64(v, e.Origin.Sequence)
	return binary.BigEndian.AppendUint64(v, e.Origin.Answered)
}

// readEnvelope reads what appendEnvelope wrote.
func readEnvelope(e *raft.Entry, v []byte) {
	e.TimeMillis = binary.BigEndian.Uint64(v)
	e.ElapsedMillis = binary.BigEndian.Uint64(v[8:])
	e.Origin = raft.Origin{
		Member:   raft.MemberID(binary.BigEndian.Uint64(v[16:])),
		Boot:     binary.BigEndian.Uint64(v[24:]),
		Sequence: binary.BigEndian.Uint64(v[32:]),
		Answered: binary.BigEndian.Uint64(v[40:]),
	}
}

// seal fills in the checksum at the beginning of a record.
func seal(value []byte) []byte {
	binary.BigEndian.PutUint32(value, crc32.Checksum(value[4:], castagnoli))
	return value
}

// sealed tells whether a record is long enough and has the right checksum.
func sealed(value []byte, length int) bool {
	return len(value) >= length && binary.BigEndian.Uint32(value) == crc32.Checksum(value[4:], castagnoli)
}

// entryReader puts entries together from their records, which it is given in
// the order of their keys. It verifies each record by its checksum, index and
// place, and all parts of an entry against the first.
type entryReader struct {
	entry raft.Entry
	// chain is the hash of the log before the entry, length that of its data.
	chain  uint64
	length int
	parts  int
	// next is the number of the part that must come next; data is what the
	// parts before it held.
	next int
	data []byte
}

// add takes the next record. It reports whether the entry is complete; then
// entry, chain and data are valid until the next call.
func (r *entryReader) add(i raft.Index, part int, value []byte) (complete bool, err error) {
	if part != r.next || part > 0 && i != r.entry.Index {
		return false, damaged("entry %d: part %d in the place of part %d", i, part, r.next)
	}
	if part == 0 {
		err = r.first(i, value)
	} else {
		err = r.further(i, part, value)
	}
	if err != nil {
		return false, err
	}
	r.next++
	if r.next < r.parts {
		return false, nil
	}
	r.next = 0
	if len(r.data) != r.length {
		return false, damaged("entry %d: it holds %d bytes and says %d", i, len(r.data), r.length)
	}
	return true, r.finish()
}

func (r *entryReader) first(i raft.Index, value []byte) error {
	if !sealed(value, firstPartHeader) {
		return damaged("entry %d: wrong checksum", i)
	}
	r.entry = raft.Entry{
		Index: raft.Index(binary.BigEndian.Uint64(value[8:])),
		Term:  raft.Term(binary.BigEndian.Uint64(value[16:])),
		Kind:  raft.EntryKind(value[4]),
	}
	r.parts = int(binary.BigEndian.Uint16(value[6:]))
	r.chain = binary.BigEndian.Uint64(value[24:])
	r.length = int(binary.BigEndian.Uint32(value[32:]))
	readEnvelope(&r.entry, value[36:])
	if r.entry.Index != i {
		return damaged("entry %d is stored in the place of entry %d", r.entry.Index, i)
	}
	if r.length > EntryBytesMax || r.parts != max(1, (r.length+partBytesMax-1)/partBytesMax) {
		return damaged("entry %d: %d bytes in %d parts", i, r.length, r.parts)
	}
	// Exactly one allocation, which the finished entry keeps.
	r.data = append(make([]byte, 0, r.length), value[firstPartHeader:]...)
	return nil
}

func (r *entryReader) further(i raft.Index, part int, value []byte) error {
	if !sealed(value, nextPartHeader) {
		return damaged("entry %d, part %d: wrong checksum", i, part)
	}
	if binary.BigEndian.Uint16(value[4:]) != nextPartMark ||
		int(binary.BigEndian.Uint16(value[6:])) != part ||
		raft.Index(binary.BigEndian.Uint64(value[8:])) != i ||
		raft.Term(binary.BigEndian.Uint64(value[16:])) != r.entry.Term {
		return damaged("entry %d, part %d: it belongs to another entry", i, part)
	}
	r.data = append(r.data, value[nextPartHeader:]...)
	return nil
}

// finish gives the entry its data in the form in which the core knows it.
func (r *entryReader) finish() error {
	if r.entry.Kind != raft.EntryMembership {
		if r.length > 0 {
			r.entry.Data = r.data
		}
		return nil
	}
	m, err := wire.DecodeMembership(r.data)
	if err != nil {
		return damaged("entry %d: membership: %v", r.entry.Index, err)
	}
	r.entry.Membership = &m
	return nil
}

// chainer computes the chain hash of a log: the first eight bytes of SHA-256
// over the hash before the entry, its index, term, kind, envelope and data. Two
// logs with the same chain hash at an index hold the same entries up to there.
type chainer struct {
	hash hash.Hash
}

func newChainer() *chainer { return &chainer{hash: sha256.New()} }

// extend returns the hash of the log after e, whose data is given apart.
func (c *chainer) extend(chain uint64, e *raft.Entry, data []byte) uint64 {
	var b [25 + envelopeBytes]byte
	binary.BigEndian.PutUint64(b[0:], chain)
	binary.BigEndian.PutUint64(b[8:], uint64(e.Index))
	binary.BigEndian.PutUint64(b[16:], uint64(e.Term))
	b[24] = byte(e.Kind)
	c.hash.Reset()
	appendEnvelope(b[:25], e)
	c.hash.Write(b[:])
	c.hash.Write(data)
	return binary.BigEndian.Uint64(c.hash.Sum(b[:0]))
}
