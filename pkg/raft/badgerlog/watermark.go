package badgerlog

import (
	"encoding/binary"
	"fmt"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// position is the end of a log: its last entry, and the hash of the log up to
// it. Index 0 is the empty log.
type position struct {
	index raft.Index
	term  raft.Term
	chain uint64
}

// seen returns the part of a position that the core knows.
func (p position) seen() raft.LogPosition {
	return raft.LogPosition{Index: p.index, Term: p.term}
}

// covers tells whether a log that ends at p is at least as up to date as one
// that ends at q.
func (p position) covers(q position) bool { return p.seen().UpToDate(q.seen()) }

// watermark is what this member has acknowledged to others: how far its log
// went, and its term and vote. The log is compared with it when it is opened.
type watermark struct {
	end  position
	term raft.Term
	vote raft.MemberID
}

const (
	watermarkFormat = 1
	// slotBytes is the length of a slot. It lies within one sector, so that
	// writing it is one step of the disk.
	slotBytes = 256
	// slotSpacing keeps the two slots in blocks of their own: a write that goes
	// wrong harms one of them at most.
	slotSpacing = 4 << 10
	// slotFixed is what comes before the cluster ID.
	slotFixed = 64
)

// encodeSlot returns the slot of a watermark. Of two slots the one with the
// higher sequence number is the later one.
func encodeSlot(id Identity, sequence uint64, w watermark) []byte {
	v := make([]byte, 4, slotBytes)
	v = binary.BigEndian.AppendUint16(v, watermarkFormat)
	v = binary.BigEndian.AppendUint16(v, uint16(len(id.ClusterID)))
	for _, n := range []uint64{
		sequence, uint64(id.Member),
		uint64(w.end.index), uint64(w.end.term), w.end.chain,
		uint64(w.term), uint64(w.vote),
	} {
		v = binary.BigEndian.AppendUint64(v, n)
	}
	v = append(v, id.ClusterID...)
	return seal(v[:slotBytes])
}

// decodeSlot reads what encodeSlot wrote. A slot of another member is an error
// that isn't damage, and so is one of a later version.
func decodeSlot(v []byte, id Identity) (sequence uint64, w watermark, err error) {
	if len(v) != slotBytes || !sealed(v, slotBytes) {
		return 0, w, damaged("wrong checksum")
	}
	if format := binary.BigEndian.Uint16(v[4:]); format != watermarkFormat {
		return 0, w, fmt.Errorf("it has format %d and this program knows format %d: run a newer version", format, watermarkFormat)
	}
	length := int(binary.BigEndian.Uint16(v[6:]))
	if length > clusterIDBytesMax {
		return 0, w, damaged("a cluster ID of %d bytes", length)
	}
	number := func(at int) uint64 { return binary.BigEndian.Uint64(v[at:]) }
	owner := Identity{Member: raft.MemberID(number(16)), ClusterID: string(v[slotFixed : slotFixed+length])}
	if owner.Member != id.Member || owner.ClusterID != id.ClusterID {
		return 0, w, fmt.Errorf("it belongs to member %s of cluster %q, the directory to member %s of cluster %q",
			owner.Member, owner.ClusterID, id.Member, id.ClusterID)
	}
	return number(8), watermark{
		end:  position{index: raft.Index(number(24)), term: raft.Term(number(32)), chain: number(40)},
		term: raft.Term(number(48)),
		vote: raft.MemberID(number(56)),
	}, nil
}
