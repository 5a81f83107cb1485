package badgerlog

import (
	"encoding/binary"
	"fmt"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

var (
	headKey = []byte{'h'}
	baseKey = []byte{'b'}
)

const (
	// recordFormat is the version of the head and the base.
	recordFormat = 1
	headBytes    = 56
	baseHeader   = 8
	// headParked is the head's flag of a parked member.
	headParked = 1
)

// head is what every Write leaves: the hard state and the end of the log.
type head struct {
	hard raft.HardState
	end  position
}

func (h head) encode() []byte {
	v := make([]byte, 4, headBytes)
	v = binary.BigEndian.AppendUint16(v, recordFormat)
	flags := uint16(0)
	if h.hard.Parked {
		flags |= headParked
	}
	v = binary.BigEndian.AppendUint16(v, flags)
	v = binary.BigEndian.AppendUint64(v, uint64(h.hard.Term))
	v = binary.BigEndian.AppendUint64(v, uint64(h.hard.Vote))
	v = binary.BigEndian.AppendUint64(v, uint64(h.hard.Commit))
	v = binary.BigEndian.AppendUint64(v, uint64(h.end.index))
	v = binary.BigEndian.AppendUint64(v, uint64(h.end.term))
	return seal(binary.BigEndian.AppendUint64(v, h.end.chain))
}

func decodeHead(v []byte) (head, error) {
	if !sealed(v, headBytes) || len(v) != headBytes {
		return head{}, damaged("the head record has a wrong checksum")
	}
	if format := binary.BigEndian.Uint16(v[4:]); format != recordFormat {
		return head{}, newerFormat("head record", format, recordFormat)
	}
	flags := binary.BigEndian.Uint16(v[6:])
	if flags&^headParked != 0 {
		return head{}, fmt.Errorf("the head record has the flags %#x and this program knows %#x: run a newer version", flags, headParked)
	}
	return head{
		hard: raft.HardState{
			Term:   raft.Term(binary.BigEndian.Uint64(v[8:])),
			Vote:   raft.MemberID(binary.BigEndian.Uint64(v[16:])),
			Commit: raft.Index(binary.BigEndian.Uint64(v[24:])),
			Parked: flags&headParked != 0,
		},
		end: position{
			index: raft.Index(binary.BigEndian.Uint64(v[32:])),
			term:  raft.Term(binary.BigEndian.Uint64(v[40:])),
			chain: binary.BigEndian.Uint64(v[48:]),
		},
	}, nil
}

// newerFormat refuses a sound record that a later version has written. It is no
// damage, so nothing is set aside for it.
func newerFormat(what string, format, known uint16) error {
	return fmt.Errorf("the %s has format %d and this program knows format %d: run a newer version", what, format, known)
}

// base is where the log begins, and the snapshots that count.
type base struct {
	// at describes the state before the first entry: index, term and chain
	// hash of the last entry that was compacted away, and the configuration
	// that was active there. Its index is 0 while the log is complete.
	at raft.SnapshotMeta
	// snapshots are at most two, the oldest first.
	snapshots []raft.SnapshotMeta
}

// newest returns the newest snapshot; its index is 0 when there is none.
func (b base) newest() raft.SnapshotMeta {
	if len(b.snapshots) == 0 {
		return raft.SnapshotMeta{}
	}
	return b.snapshots[len(b.snapshots)-1]
}

// position returns where the log begins.
func (b base) position() position {
	return position{index: b.at.Index, term: b.at.Term, chain: b.at.ChainHash}
}

func (b base) encode() ([]byte, error) {
	v := make([]byte, 4, 256)
	v = binary.BigEndian.AppendUint16(v, recordFormat)
	v = binary.BigEndian.AppendUint16(v, uint16(len(b.snapshots)))
	for _, meta := range append([]raft.SnapshotMeta{b.at}, b.snapshots...) {
		data, err := wire.EncodeSnapshotMeta(&meta)
		if err != nil {
			return nil, err
		}
		v = binary.BigEndian.AppendUint32(v, uint32(len(data)))
		v = append(v, data...)
	}
	return seal(v), nil
}

func decodeBase(v []byte) (base, error) {
	if !sealed(v, baseHeader) {
		return base{}, damaged("the base record has a wrong checksum")
	}
	if format := binary.BigEndian.Uint16(v[4:]); format != recordFormat {
		return base{}, newerFormat("base record", format, recordFormat)
	}
	count := int(binary.BigEndian.Uint16(v[6:]))
	v = v[baseHeader:]
	var metas []raft.SnapshotMeta
	for range count + 1 {
		if len(v) < 4 || uint64(len(v)-4) < uint64(binary.BigEndian.Uint32(v)) {
			return base{}, damaged("the base record ends early")
		}
		n := int(binary.BigEndian.Uint32(v))
		meta, err := wire.DecodeSnapshotMeta(v[4 : 4+n])
		if err != nil {
			return base{}, damaged("the base record: %v", err)
		}
		metas = append(metas, meta)
		v = v[4+n:]
	}
	return base{at: metas[0], snapshots: metas[1:]}, nil
}
