package wire

import (
	"fmt"
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// The types below mirror those of package raft, with the bulky parts moved to
// the payload. Fields are only ever added, and only at the end.

type message struct {
	Kind          raft.MessageKind
	From          raft.MemberID
	To            raft.MemberID
	Term          raft.Term
	LogIndex      raft.Index
	LogTerm       raft.Term
	RejectedIndex raft.Index
	Commit        raft.Index
	Round         uint64
	Reject        bool
	Reason        raft.Reason
	Transfer      bool
	// EntryHeadBytes is how much of the payload the heads of the entries take.
	EntryHeadBytes uint32
	Snapshot       *snapshotMeta
	Proposals      []proposalHead
	Results        []proposalResult
	Reads          []requestID
	Session        uint64
	Boot           uint64
	// StateIndex and StateSum are the state's hash. The sum has 32 bytes, or none when
	// all of them are zero.
	StateIndex raft.Index
	StateSum   []byte
	Parked     bool
}

type requestID struct {
	Boot     uint64
	Sequence uint64
}

type proposalHead struct {
	ID         requestID
	DataBytes  uint32
	Origin     origin
	FreesSpace bool
}

type proposalResult struct {
	ID     requestID
	Index  raft.Index
	Term   raft.Term
	Reason raft.Reason
}

// WriteMessage writes m. Its entries are taken from shared, which must wrap
// the same slice; with shared nil they are encoded for this message alone. A
// message that doesn't fit in a frame is refused with ErrTooLarge.
func (w *Writer) WriteMessage(m *raft.Message, shared *Entries) error {
	if shared == nil {
		shared = NewEntries(m.Entries)
	}
	if !shared.Same(m.Entries) {
		return fmt.Errorf("write message: shared entries are not those of the message")
	}
	if err := shared.encoded(); err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	// The shared pieces belong to other writers too: without spare capacity,
	// adding to them makes a copy.
	p := shared.payload
	p.pieces = slices.Clip(p.pieces)
	for i := range m.Proposals {
		p.add(m.Proposals[i].Data)
		if p.bytes > MaxFrameBytes {
			return fmt.Errorf("write message: %w: over %d bytes of proposals", ErrTooLarge, MaxFrameBytes)
		}
	}
	w.message = newMessage(m)
	w.message.EntryHeadBytes = uint32(shared.headBytes)
	control, err := w.enc.encode(&w.message)
	if err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	return w.write(KindMessage, control, &p)
}

func newMessage(m *raft.Message) message {
	out := message{
		Kind:          m.Kind,
		From:          m.From,
		To:            m.To,
		Term:          m.Term,
		LogIndex:      m.LogIndex,
		LogTerm:       m.LogTerm,
		RejectedIndex: m.RejectedIndex,
		Commit:        m.Commit,
		Round:         m.Round,
		Reject:        m.Reject,
		Reason:        m.Reason,
		Transfer:      m.Transfer,
		Session:       m.Session,
		Boot:          m.Boot,
		StateIndex:    m.State.Index,
		Parked:        m.Parked,
	}
	if m.State.Sum != (raft.StateHash{}).Sum {
		out.StateSum = m.State.Sum[:]
	}
	if m.Snapshot != nil {
		s := newSnapshotMeta(m.Snapshot)
		out.Snapshot = &s
	}
	for _, p := range m.Proposals {
		out.Proposals = append(out.Proposals, proposalHead{
			ID: requestID(p.ID), DataBytes: uint32(len(p.Data)), Origin: origin(p.Origin),
			FreesSpace: p.FreesSpace,
		})
	}
	for _, r := range m.Results {
		out.Results = append(out.Results, proposalResult{ID: requestID(r.ID), Index: r.Index, Term: r.Term, Reason: r.Reason})
	}
	for _, id := range m.Reads {
		out.Reads = append(out.Reads, requestID(id))
	}
	return out
}

// Message decodes a frame of KindMessage. The data of entries and proposals is
// part of the frame's payload, which nothing else uses. Kinds and reasons are
// passed on as they are: which ones exist is for package raft to say.
func (f *Frame) Message() (raft.Message, error) {
	v := &f.reader.message
	*v = message{}
	if err := f.decode(KindMessage, v); err != nil {
		return raft.Message{}, err
	}
	m := v.raft()
	switch n := len(v.StateSum); n {
	case 0, len(m.State.Sum):
		copy(m.State.Sum[:], v.StateSum)
	default:
		return raft.Message{}, fmt.Errorf("decode message: %w: the hash of a state has %d bytes", ErrMalformed, n)
	}
	c := cutter{f.payload}
	var err error
	if m.Entries, err = decodeEntries(&f.reader.dec, &c, v.EntryHeadBytes); err != nil {
		return raft.Message{}, fmt.Errorf("decode message: %w", err)
	}
	for i, p := range v.Proposals {
		if m.Proposals[i].Data, err = c.cut(p.DataBytes); err != nil {
			return raft.Message{}, fmt.Errorf("decode message: proposal %d: %w", i, err)
		}
	}
	if len(c.rest) > 0 {
		return raft.Message{}, fmt.Errorf("decode message: %w: %d after the payload", ErrTrailing, len(c.rest))
	}
	return m, nil
}

// raft converts everything but entries and the data of proposals.
func (v *message) raft() raft.Message {
	m := raft.Message{
		Kind:          v.Kind,
		From:          v.From,
		To:            v.To,
		Term:          v.Term,
		LogIndex:      v.LogIndex,
		LogTerm:       v.LogTerm,
		RejectedIndex: v.RejectedIndex,
		Commit:        v.Commit,
		Round:         v.Round,
		Reject:        v.Reject,
		Reason:        v.Reason,
		Transfer:      v.Transfer,
		Session:       v.Session,
		Boot:          v.Boot,
		State:         raft.StateHash{Index: v.StateIndex},
		Parked:        v.Parked,
	}
	if v.Snapshot != nil {
		s := v.Snapshot.raft()
		m.Snapshot = &s
	}
	if len(v.Proposals) > 0 {
		m.Proposals = make([]raft.Proposal, len(v.Proposals))
		for i, p := range v.Proposals {
			m.Proposals[i].ID, m.Proposals[i].Origin = raft.RequestID(p.ID), raft.Origin(p.Origin)
			m.Proposals[i].FreesSpace = p.FreesSpace
		}
	}
	for _, r := range v.Results {
		m.Results = append(m.Results, raft.ProposalResult{ID: raft.RequestID(r.ID), Index: r.Index, Term: r.Term, Reason: r.Reason})
	}
	for _, id := range v.Reads {
		m.Reads = append(m.Reads, raft.RequestID(id))
	}
	return m
}
