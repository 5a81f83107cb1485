package wire

import (
	"fmt"
	"sync"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// entryHead is an entry without its data. Fields are only ever added, and only
// at the end.
type entryHead struct {
	Index      raft.Index
	Term       raft.Term
	Kind       raft.EntryKind
	DataBytes  uint32
	Membership *membership
	// The envelope: who proposed the entry, and the leader's stamp.
	Origin        origin
	TimeMillis    uint64
	ElapsedMillis uint64
}

// usualHeadBytes is what the head of a command takes in msgpack: room for all heads
// is made at once.
const usualHeadBytes = 64

// origin mirrors raft.Origin. Fields are only ever added, and only at the end.
type origin struct {
	Member   raft.MemberID
	Boot     uint64
	Sequence uint64
	Answered uint64
}

// Entries is a run of log entries on its way to one or more peers. It is
// encoded when it is first written; every further message that carries it
// reuses those bytes. It is safe for concurrent use. The entries must not
// change any more.
type Entries struct {
	entries []raft.Entry

	once      sync.Once
	headBytes int
	payload   payload
	err       error
}

// NewEntries wraps entries for sharing. It costs next to nothing.
func NewEntries(entries []raft.Entry) *Entries { return &Entries{entries: entries} }

// Same tells whether e wraps the very slice that is passed.
func (e *Entries) Same(entries []raft.Entry) bool {
	return len(e.entries) == len(entries) && (len(entries) == 0 || &e.entries[0] == &entries[0])
}

// encoded does the encoding, the first time it is called.
func (e *Entries) encoded() error {
	e.once.Do(func() { e.err = e.encode() })
	return e.err
}

func (e *Entries) encode() error {
	if len(e.entries) == 0 {
		return nil
	}
	heads := make([]entryHead, len(e.entries))
	size := 0
	for i := range e.entries {
		entry := &e.entries[i]
		// Counted before the conversion to 32 bits could cut it short.
		if size += len(entry.Data); size > MaxFrameBytes {
			return fmt.Errorf("encode entries from %d: %w: over %d bytes of data", e.entries[0].Index, ErrTooLarge, MaxFrameBytes)
		}
		heads[i] = entryHead{
			Index: entry.Index, Term: entry.Term, Kind: entry.Kind, DataBytes: uint32(len(entry.Data)),
			Origin: origin(entry.Origin), TimeMillis: entry.TimeMillis, ElapsedMillis: entry.ElapsedMillis,
		}
		if entry.Membership != nil {
			m := newMembership(entry.Membership)
			heads[i].Membership = &m
		}
	}
	enc := encoder{buf: make([]byte, 0, 16+len(heads)*usualHeadBytes)}
	head, err := enc.encode(&heads)
	if err != nil {
		return err
	}
	if len(head) > MaxReflectedBytes {
		return fmt.Errorf("encode entries from %d: %w: %d entries", e.entries[0].Index, ErrTooLarge, len(heads))
	}
	e.headBytes = len(head)
	e.payload.pieces = make([][]byte, 0, 1+len(e.entries))
	e.payload.add(head)
	for i := range e.entries {
		e.payload.add(e.entries[i].Data)
	}
	return nil
}

// decodeEntries reads entries whose heads take headBytes of what c holds. The
// entries' data is part of c's bytes, not a copy.
func decodeEntries(dec *decoder, c *cutter, headBytes uint32) ([]raft.Entry, error) {
	if headBytes == 0 {
		return nil, nil
	}
	if headBytes > MaxReflectedBytes {
		return nil, fmt.Errorf("%w: %d bytes of entry heads, limit %d", ErrTooLarge, headBytes, MaxReflectedBytes)
	}
	data, err := c.cut(headBytes)
	if err != nil {
		return nil, err
	}
	var heads []entryHead
	if err := dec.decode(data, &heads); err != nil {
		return nil, err
	}
	entries := make([]raft.Entry, len(heads))
	for i := range heads {
		h := &heads[i]
		entries[i] = raft.Entry{
			Index: h.Index, Term: h.Term, Kind: h.Kind,
			Origin: raft.Origin(h.Origin), TimeMillis: h.TimeMillis, ElapsedMillis: h.ElapsedMillis,
		}
		if entries[i].Data, err = c.cut(h.DataBytes); err != nil {
			return nil, fmt.Errorf("entry %d: %w", h.Index, err)
		}
		if h.Membership != nil {
			m := h.Membership.raft()
			entries[i].Membership = &m
		}
	}
	return entries, nil
}
