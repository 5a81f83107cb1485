package config

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// A snapshot is
//
//	magic (8 bytes, the last one the version of the format)
//	header frame
//	for each member that proposed, in order of their IDs: a session frame
//	for each namespace in order: a namespace frame, then a frame for each entry in order
//	end frame
//
// and a frame is
//
//	length of payload (4 bytes) | CRC-32C of payload (4 bytes) | payload: kind (1 byte), msgpack array
//
// with numbers in network order. The same state gives the same bytes.
const snapshotMagic = "cnclave\x02"

// frameKind tells what a frame's payload holds.
type frameKind byte

const (
	frameHeader    frameKind = 'H'
	frameSession   frameKind = 'S'
	frameNamespace frameKind = 'N'
	frameEntry     frameKind = 'E'
	frameEnd       frameKind = 'Z'
)

const (
	// framePreludeBytes is what stands before a frame's payload.
	framePreludeBytes = 8
	// maxFrameBytes bounds a payload: the largest entry with room for the
	// numbers around it.
	maxFrameBytes = MaxValueBytes + MaxKeyBytes + MaxMediaTypeBytes + 1024
)

// The arrays of the frames. Any change needs a new version of the format.
type (
	headerFields struct {
		Index      uint64
		Revision   uint64
		Hash       []byte
		QuotaBytes int64
	}
	sessionFields struct {
		Member   uint64
		Boot     uint64
		Answered uint64
		Used     uint64
		// Results is what encodeResults returns.
		Results []byte
	}
	namespaceFields struct {
		Name string
		Keys uint64
	}
	entryFields struct {
		Key            string
		Value          []byte
		MediaType      string
		CreateRevision uint64
		ModRevision    uint64
		Version        uint64
	}
	endFields struct {
		Sessions   uint64
		Namespaces uint64
		Keys       uint64
		Bytes      int64
		// Checksum is the CRC-32C of everything before this frame, so that
		// whole frames can't be missing or in another order.
		Checksum uint32
	}
)

// frameFieldCounts are the lengths of those arrays.
var frameFieldCounts = map[frameKind]int{
	frameHeader: 4, frameSession: 5, frameNamespace: 2, frameEntry: 6, frameEnd: 5,
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Snapshot is a frozen view that can be written out while the state goes on.
type Snapshot struct {
	view       *View
	quotaBytes int64
	sessions   []frozenSession
}

// Snapshot publishes what was applied and freezes it. It takes the same time
// whatever the number of keys, and copies the results that are kept for members.
func (s *State) Snapshot() *Snapshot {
	s.publish()
	return &Snapshot{view: s.View(), quotaBytes: s.quotaBytes, sessions: s.freezeSessions()}
}

// Index is the last index of the log that the snapshot includes.
func (s *Snapshot) Index() uint64 { return s.view.Index }

// WriteTo writes the snapshot in the form that State.Restore reads. A state
// that stands still (see State.Fault) has no snapshot: it lacks an index that
// its log counts as applied.
func (s *Snapshot) WriteTo(w io.Writer) (int64, error) {
	if s.view.fault != nil {
		return 0, fmt.Errorf("write snapshot: %w", s.view.fault)
	}
	out := &frameWriter{to: bufio.NewWriterSize(w, 64<<10)}
	err := s.write(out)
	if err == nil {
		err = out.to.Flush()
	}
	if err != nil {
		return out.written - int64(out.to.Buffered()), fmt.Errorf("write snapshot of index %d: %w", s.view.Index, err)
	}
	return out.written, nil
}

func (s *Snapshot) write(out *frameWriter) error {
	if err := out.raw([]byte(snapshotMagic)); err != nil {
		return err
	}
	if err := out.frame(frameHeader, &headerFields{
		Index: s.view.Index, Revision: s.view.Revision, Hash: s.view.Hash[:], QuotaBytes: s.quotaBytes,
	}); err != nil {
		return err
	}
	for i := range s.sessions {
		one := &s.sessions[i]
		if err := out.frame(frameSession, &sessionFields{
			Member: one.member, Boot: one.boot, Answered: one.answered, Used: one.used, Results: one.encodeResults(),
		}); err != nil {
			return err
		}
	}
	var err error
	s.view.spaces.Scan(func(name string, sp *space) bool {
		err = out.space(name, sp)
		return err == nil
	})
	if err != nil {
		return err
	}
	return out.frame(frameEnd, &endFields{
		Sessions:   uint64(len(s.sessions)),
		Namespaces: uint64(s.view.spaces.Len()), Keys: uint64(s.view.Keys), Bytes: s.view.LiveBytes,
		Checksum: out.checksum,
	})
}

// frameWriter writes frames and sums them up.
type frameWriter struct {
	to       *bufio.Writer
	written  int64
	checksum uint32
	payload  []byte
}

func (w *frameWriter) space(name string, sp *space) error {
	if err := w.frame(frameNamespace, &namespaceFields{Name: name, Keys: uint64(sp.entries.Len())}); err != nil {
		return err
	}
	var err error
	sp.entries.Scan(func(_ string, e *Entry) bool {
		err = w.frame(frameEntry, &entryFields{
			Key: e.Key, Value: e.Value, MediaType: e.MediaType,
			CreateRevision: e.CreateRevision, ModRevision: e.ModRevision, Version: e.Version,
		})
		return err == nil
	})
	return err
}

func (w *frameWriter) frame(kind frameKind, fields any) error {
	payload, err := appendEncoded(append(w.payload[:0], byte(kind)), fields)
	if err != nil {
		return err
	}
	w.payload = payload
	var prelude [framePreludeBytes]byte
	binary.BigEndian.PutUint32(prelude[:4], uint32(len(payload)))
	binary.BigEndian.PutUint32(prelude[4:], crc32.Checksum(payload, castagnoli))
	if err := w.raw(prelude[:]); err != nil {
		return err
	}
	return w.raw(payload)
}

func (w *frameWriter) raw(b []byte) error {
	n, err := w.to.Write(b)
	w.written += int64(n)
	w.checksum = crc32.Update(w.checksum, castagnoli, b)
	return err
}
