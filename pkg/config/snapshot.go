package config

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/tidwall/btree"
)

// A snapshot is
//
//	magic (8 bytes, the last one the version of the format)
//	header frame
//	settings frame
//	for each member that proposed, in order of their IDs: a session frame, then a frame for each
//		result of a transaction in order of sequences
//	for each result that is kept for an idempotency key, in the order in which they were made: a frame
//	for each namespace in order: a namespace frame, then a frame for each schema in order of prefixes, one for each live entry in order of keys,
//		then one for each older entry in order of keys and revisions
//	for each revision of the journal in order: a revision frame
//	end frame
//
// and a frame is
//
//	length of payload (4 bytes) | CRC-32C of payload (4 bytes) | payload: kind (1 byte), msgpack array
//
// with numbers in network order. The same state gives the same bytes.
const snapshotMagic = "cnclave\x05"

// frameKind tells what a frame's payload holds.
type frameKind byte

const (
	frameHeader    frameKind = 'H'
	frameSettings  frameKind = 'G'
	frameSession   frameKind = 'S'
	frameTxnResult frameKind = 'T'
	frameKept      frameKind = 'K'
	frameNamespace frameKind = 'N'
	frameSchema    frameKind = 'C'
	frameEntry     frameKind = 'E'
	frameRevision  frameKind = 'R'
	frameEnd       frameKind = 'Z'
)

const (
	// framePreludeBytes is what stands before a frame's payload.
	framePreludeBytes = 8
	// maxFrameBytes bounds a payload: the names of all changes of the largest
	// revision, which are more than the largest entry, with room for the rest.
	maxFrameBytes = MaxRevisionChanges*(MaxKeyBytes+3) + MaxNamespaceBytes + MaxReasonBytes + 1024
)

// The arrays of the frames. Any change needs a new version of the format.
type (
	headerFields struct {
		Index    uint64
		Revision uint64
		Hash     []byte
		// FeatureLevel stands here so that a program that is too old for what
		// follows stops before it.
		FeatureLevel uint64
		// AgeMillis is the clock of history, Oldest where history begins.
		AgeMillis uint64
		Oldest    uint64
		// Where the scrub goes on.
		ScrubPart      uint64
		ScrubNamespace string
		ScrubKey       string
		ScrubAt        uint64
	}
	settingsFrameFields struct {
		Revision                uint64
		QuotaBytes              int64
		HistoryAgeMillis        uint64
		HistoryRevisions        uint64
		HistoryBytes            int64
		IdempotencyWindowMillis uint64
	}
	sessionFields struct {
		Member   uint64
		Boot     uint64
		Answered uint64
		Used     uint64
		// Results is what encodeResults returns.
		Results []byte
		// Txns is the number of results of transactions that follow.
		Txns uint64
	}
	txnResultFields struct {
		Sequence uint64
		// Result is what TxnResult.encode returns.
		Result []byte
	}
	namespaceFields struct {
		Name string
		// Keys is the number of live entries, Older that of older ones.
		Keys  uint64
		Older uint64
		// QuotaBytes and SettingsRevision are 0 without settings.
		QuotaBytes       int64
		SettingsRevision uint64
		// Schemas is the number of schemas, SchemaRevision what last changed them.
		Schemas        uint64
		SchemaRevision uint64
	}
	entryFields struct {
		Key            string
		Value          []byte
		MediaType      string
		CreateRevision uint64
		ModRevision    uint64
		Version        uint64
		TimeMillis     uint64
	}
	revisionFields struct {
		Number     uint64
		TimeMillis uint64
		AgeMillis  uint64
		Reason     string
		// Changes is what appendChanges writes.
		Changes []byte
	}
	endFields struct {
		Sessions   uint64
		Kept       uint64
		Namespaces uint64
		Keys       uint64
		Bytes      int64
		// Older, Revisions and HistoryBytes sum up history.
		Older        uint64
		Revisions    uint64
		HistoryBytes int64
		// Checksum is the CRC-32C of everything before this frame, so that
		// whole frames can't be missing or in another order.
		Checksum uint32
	}
)

// frameFieldCounts are the lengths of those arrays.
var frameFieldCounts = map[frameKind]int{
	frameHeader: 10, frameSettings: 6, frameSession: 6, frameTxnResult: 2, frameKept: 11, frameNamespace: 7, frameSchema: 4, frameEntry: 7, frameRevision: 5, frameEnd: 9,
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Snapshot is a frozen view that can be written out while the state goes on.
type Snapshot struct {
	view      *View
	ageMillis uint64
	scrub     scrubCursor
	// pruned counts the changes that the journal's first revision has lost.
	pruned   int
	sessions []frozenSession
	kept     *btree.Map[uint64, *keptResult]
}

// Snapshot publishes what was applied and freezes it. It takes the same time
// whatever the number of keys, and copies the results that are kept for members.
func (s *State) Snapshot() *Snapshot {
	s.publish()
	return &Snapshot{
		view: s.View(), ageMillis: s.history.ageMillis, pruned: s.history.pruned,
		scrub:    s.scrub,
		sessions: s.freezeSessions(), kept: s.kept.byIndex.Copy(),
	}
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
		Index: s.view.Index, Revision: s.view.Revision, Hash: s.view.Hash[:],
		FeatureLevel: s.view.Settings.FeatureLevel, AgeMillis: s.ageMillis, Oldest: s.view.oldest,
		ScrubPart: s.scrub.part, ScrubNamespace: s.scrub.namespace, ScrubKey: s.scrub.key, ScrubAt: s.scrub.at,
	}); err != nil {
		return err
	}
	set := &s.view.Settings
	if err := out.frame(frameSettings, &settingsFrameFields{
		Revision: s.view.SettingsRevision, QuotaBytes: set.QuotaBytes, HistoryAgeMillis: set.HistoryAgeMillis,
		HistoryRevisions: set.HistoryRevisions, HistoryBytes: set.HistoryBytes, IdempotencyWindowMillis: set.IdempotencyWindowMillis,
	}); err != nil {
		return err
	}
	if err := s.writeSessions(out); err != nil {
		return err
	}
	if err := s.writeKept(out); err != nil {
		return err
	}
	end := endFields{
		Sessions: uint64(len(s.sessions)), Kept: uint64(s.kept.Len()), Namespaces: uint64(s.view.spaces.Len()), Keys: uint64(s.view.Keys), Bytes: s.view.LiveBytes,
		Revisions: uint64(s.view.journal.length), HistoryBytes: s.view.HistoryBytes,
	}
	var err error
	s.view.spaces.Scan(func(_ string, sp *space) bool {
		end.Older += uint64(sp.olderLen())
		err = out.space(sp)
		return err == nil
	})
	if err != nil {
		return err
	}
	if err := s.writeJournal(out); err != nil {
		return err
	}
	end.Checksum = out.checksum
	return out.frame(frameEnd, &end)
}

// writeSessions writes what is kept of members that propose.
func (s *Snapshot) writeSessions(out *frameWriter) error {
	for i := range s.sessions {
		one := &s.sessions[i]
		results, txns := one.encodeResults()
		if err := out.frame(frameSession, &sessionFields{
			Member: one.member, Boot: one.boot, Answered: one.answered, Used: one.used, Results: results, Txns: uint64(len(txns)),
		}); err != nil {
			return err
		}
		for i := range txns {
			if err := out.frame(frameTxnResult, &txns[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeJournal writes the revisions, the first one without what it has lost: its
// changes are there to be looked up among the entries.
func (s *Snapshot) writeJournal(out *frameWriter) error {
	lost := s.pruned
	fields, changes := new(revisionFields), []byte{}
	for r := range s.view.journal.from(0) {
		*fields = revisionFields{Number: r.Number, TimeMillis: r.TimeMillis, AgeMillis: r.ageMillis, Reason: r.Reason}
		if left := r.Changes[lost:]; len(left) > 0 { // None are written as nil.
			changes = appendChanges(changes[:0], left)
			fields.Changes = changes
		}
		if err := out.frame(frameRevision, fields); err != nil {
			return err
		}
		lost = 0
	}
	return nil
}

// appendChanges writes, for each change, the namespace and the key with their
// lengths in front, of one byte and two. A namespace that is that of the change
// before has length 0.
func appendChanges(out []byte, changes []Change) []byte {
	previous := ""
	for _, c := range changes {
		if c.Namespace == previous {
			out = append(out, 0)
		} else {
			previous = c.Namespace
			out = append(append(out, byte(len(previous))), previous...)
		}
		out = binary.BigEndian.AppendUint16(out, uint16(len(c.Entry.Key)))
		out = append(out, c.Entry.Key...)
	}
	return out
}

// frameWriter writes frames and sums them up.
type frameWriter struct {
	to       *bufio.Writer
	written  int64
	checksum uint32
	// The others are used by one frame after the other.
	prelude [framePreludeBytes]byte
	payload []byte
	fields  entryFields
}

func (w *frameWriter) space(sp *space) error {
	fields := namespaceFields{Name: sp.name, Keys: uint64(sp.entries.Len()), Older: uint64(sp.olderLen()),
		QuotaBytes: sp.settings.QuotaBytes, SettingsRevision: sp.settingsRevision,
		Schemas: uint64(len(sp.schemas)), SchemaRevision: sp.schemaRevision}
	if err := w.frame(frameNamespace, &fields); err != nil {
		return err
	}
	err := w.schemas(sp)
	if err != nil {
		return err
	}
	sp.entries.Scan(func(_ string, e *Entry) bool {
		err = w.entry(e)
		return err == nil
	})
	if err == nil && sp.older != nil {
		sp.older.Scan(func(e *Entry) bool {
			err = w.entry(e)
			return err == nil
		})
	}
	return err
}

func (w *frameWriter) entry(e *Entry) error {
	w.fields = entryFields{
		Key: e.Key, Value: e.Value, MediaType: e.MediaType,
		CreateRevision: e.CreateRevision, ModRevision: e.ModRevision, Version: e.Version, TimeMillis: e.TimeMillis,
	}
	return w.frame(frameEntry, &w.fields)
}

func (w *frameWriter) frame(kind frameKind, fields any) error {
	payload, err := appendEncoded(append(w.payload[:0], byte(kind)), fields)
	if err != nil {
		return err
	}
	w.payload = payload
	binary.BigEndian.PutUint32(w.prelude[:4], uint32(len(payload)))
	binary.BigEndian.PutUint32(w.prelude[4:], crc32.Checksum(payload, castagnoli))
	if err := w.raw(w.prelude[:]); err != nil {
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
