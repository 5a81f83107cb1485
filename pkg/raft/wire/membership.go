package wire

import (
	"fmt"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// formatV1 is the first byte of every value that is stored by itself.
const formatV1 = 1

// The types below mirror those of package raft. They are types of their own so
// that the order of fields, which is the format, stands here and nowhere else:
// fields are only ever added, and only at the end.

type member struct {
	ID      uint64
	Name    string
	Address string
}

type membership struct {
	Members  []member
	Voters   []raft.MemberID
	Outgoing []raft.MemberID
	Learners []raft.MemberID
}

type snapshotMeta struct {
	Index           raft.Index
	Term            raft.Term
	Membership      membership
	MembershipIndex raft.Index
	ChainHash       uint64
}

// EncodeMembership returns m as bytes that are the same for equal values and
// on every machine, so they may be hashed. An empty list and a nil one are
// equal.
func EncodeMembership(m *raft.Membership) ([]byte, error) {
	v := newMembership(m)
	return encodeStored(&v)
}

// DecodeMembership reads what EncodeMembership wrote. Empty lists are nil.
func DecodeMembership(data []byte) (raft.Membership, error) {
	var v membership
	if err := decodeStored(data, &v); err != nil {
		return raft.Membership{}, err
	}
	return v.raft(), nil
}

// EncodeSnapshotMeta returns m as bytes that are the same for equal values and
// on every machine.
func EncodeSnapshotMeta(m *raft.SnapshotMeta) ([]byte, error) {
	v := newSnapshotMeta(m)
	return encodeStored(&v)
}

// DecodeSnapshotMeta reads what EncodeSnapshotMeta wrote. Empty lists are nil.
func DecodeSnapshotMeta(data []byte) (raft.SnapshotMeta, error) {
	var v snapshotMeta
	if err := decodeStored(data, &v); err != nil {
		return raft.SnapshotMeta{}, err
	}
	return v.raft(), nil
}

func newMember(m raft.Member) member {
	return member{ID: uint64(m.ID), Name: m.Name, Address: m.Address}
}

func (m member) raft() raft.Member {
	return raft.Member{ID: raft.MemberID(m.ID), Name: m.Name, Address: m.Address}
}

func newMembers(list []raft.Member) []member {
	if len(list) == 0 {
		return nil
	}
	out := make([]member, len(list))
	for i, m := range list {
		out[i] = newMember(m)
	}
	return out
}

func raftMembers(list []member) []raft.Member {
	if len(list) == 0 {
		return nil
	}
	out := make([]raft.Member, len(list))
	for i, m := range list {
		out[i] = m.raft()
	}
	return out
}

func newMembership(m *raft.Membership) membership {
	return membership{
		Members:  newMembers(m.Members),
		Voters:   nilIfEmpty(m.Voters),
		Outgoing: nilIfEmpty(m.Outgoing),
		Learners: nilIfEmpty(m.Learners),
	}
}

func (m *membership) raft() raft.Membership {
	return raft.Membership{
		Members:  raftMembers(m.Members),
		Voters:   nilIfEmpty(m.Voters),
		Outgoing: nilIfEmpty(m.Outgoing),
		Learners: nilIfEmpty(m.Learners),
	}
}

func newSnapshotMeta(m *raft.SnapshotMeta) snapshotMeta {
	return snapshotMeta{
		Index:           m.Index,
		Term:            m.Term,
		Membership:      newMembership(&m.Membership),
		MembershipIndex: m.MembershipIndex,
		ChainHash:       m.ChainHash,
	}
}

func (m *snapshotMeta) raft() raft.SnapshotMeta {
	return raft.SnapshotMeta{
		Index:           m.Index,
		Term:            m.Term,
		Membership:      m.Membership.raft(),
		MembershipIndex: m.MembershipIndex,
		ChainHash:       m.ChainHash,
	}
}

// nilIfEmpty gives empty lists one form, so that equal values have equal bytes.
func nilIfEmpty[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

func encodeStored(v any) ([]byte, error) {
	var e encoder
	body, err := e.encode(v)
	if err != nil {
		return nil, err
	}
	return append([]byte{formatV1}, body...), nil
}

func decodeStored(data []byte, v any) error {
	if len(data) == 0 {
		return fmt.Errorf("decode %T: %w", v, ErrTruncated)
	}
	if data[0] != formatV1 {
		return fmt.Errorf("decode %T: %w %d, this program reads %d", v, ErrVersion, data[0], formatV1)
	}
	var d decoder
	return d.decode(data[1:], v)
}
