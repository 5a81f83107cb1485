package config

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Restore replaces the state by the snapshot that r holds to its end, wakes
// all watches and clears a fault. On an error, which is an ErrBadSnapshot
// unless r itself failed, the state is as it was.
func (s *State) Restore(r io.Reader) error {
	in := &frameReader{from: bufio.NewReaderSize(r, 64<<10)}
	restored, err := in.contents()
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if restored.index < s.index {
		s.setBacks++
	}
	s.contents = *restored
	s.fault = nil
	clear(s.touched)
	s.spaces.Scan(func(name string, _ *space) bool {
		s.touched[name] = struct{}{}
		return true
	})
	s.changes.setMany()
	s.publish()
	return nil
}

// frameReader reads a snapshot and checks it on the way.
type frameReader struct {
	from     *bufio.Reader
	checksum uint32
	// The others are used by one frame after the other.
	prelude [framePreludeBytes]byte
	payload []byte
	fields  entryFields
	changes []Change
}

// contents reads the whole snapshot.
func (r *frameReader) contents() (*contents, error) {
	magic := make([]byte, len(snapshotMagic))
	if err := r.raw(magic); err != nil {
		return nil, err
	}
	if string(magic) != snapshotMagic {
		return nil, fmt.Errorf("%w: it begins with %q instead of %q", ErrBadSnapshot, magic, snapshotMagic)
	}
	c := &contents{sessions: map[uint64]*session{}, kept: newKeptResults()}
	if err := r.header(c); err != nil {
		return nil, err
	}
	// The loop ends: every turn reads a frame, and input is finite.
	for previous, member := "", uint64(0); ; {
		before := r.checksum
		kind, fields, err := r.frame()
		if err != nil {
			return nil, err
		}
		switch journal := c.history.journal.length; {
		case kind == frameSession && previous == "" && journal == 0 && c.kept.byIndex.Len() == 0:
			if member, err = r.session(c, member, fields); err != nil {
				return nil, err
			}
		case kind == frameKept && previous == "" && journal == 0:
			if err := r.kept(c, fields); err != nil {
				return nil, err
			}
		case kind == frameNamespace && journal == 0:
			if previous, err = r.space(c, previous, fields); err != nil {
				return nil, err
			}
		case kind == frameRevision:
			if err := r.revision(c, fields); err != nil {
				return nil, err
			}
		case kind == frameEnd:
			return c, r.end(c, before, fields)
		default:
			return nil, fmt.Errorf("%w: a frame of kind %q where another belongs", ErrBadSnapshot, kind)
		}
	}
}

func (r *frameReader) header(c *contents) error {
	var header headerFields
	if err := r.expect(frameHeader, &header); err != nil {
		return err
	}
	if len(header.Hash) != len(c.hash) || header.Revision > maxRevision || header.Oldest > header.Revision ||
		header.FeatureLevel < firstFeatureLevel || header.ScrubPart >= scrubParts || len(header.ScrubNamespace) > MaxNamespaceBytes || len(header.ScrubKey) > MaxKeyBytes {
		return fmt.Errorf("%w: header of index %d, revisions %d to %d, feature level %d and a hash of %d bytes",
			ErrBadSnapshot, header.Index, header.Oldest, header.Revision, header.FeatureLevel, len(header.Hash))
	}
	if header.FeatureLevel > FeatureLevel {
		return fmt.Errorf("%w: it is of feature level %d, and %d is the newest that is known here; run a newer program",
			ErrBadSnapshot, header.FeatureLevel, uint64(FeatureLevel))
	}
	c.index, c.revision = header.Index, header.Revision
	c.history.ageMillis, c.history.oldest = header.AgeMillis, header.Oldest
	c.scrub = scrubCursor{header.ScrubPart, header.ScrubNamespace, header.ScrubKey, header.ScrubAt}
	copy(c.hash[:], header.Hash)
	return r.settings(c, header.FeatureLevel)
}

// settings reads the settings of a store of a feature level.
func (r *frameReader) settings(c *contents, level uint64) error {
	var f settingsFrameFields
	if err := r.expect(frameSettings, &f); err != nil {
		return err
	}
	if f.Revision > c.revision || f.QuotaBytes < 0 || f.HistoryBytes < 0 {
		return fmt.Errorf("%w: settings of revision %d of %d, quota %d and %d bytes of history",
			ErrBadSnapshot, f.Revision, c.revision, f.QuotaBytes, f.HistoryBytes)
	}
	c.settings = Settings{
		QuotaBytes: f.QuotaBytes, HistoryAgeMillis: f.HistoryAgeMillis, HistoryRevisions: f.HistoryRevisions,
		HistoryBytes: f.HistoryBytes, IdempotencyWindowMillis: f.IdempotencyWindowMillis, FeatureLevel: level,
	}
	c.settingsRevision = f.Revision
	return nil
}

// session reads a session and returns its member, which must come after
// previous.
func (r *frameReader) session(c *contents, previous uint64, fields []byte) (uint64, error) {
	var f sessionFields
	if err := decodeFrame(frameSession, fields, &f); err != nil {
		return 0, err
	}
	if f.Member <= previous || f.Used == 0 || f.Used > c.index || len(c.sessions) == MaxSessions {
		return 0, fmt.Errorf("%w: session %d of member %016x, used last at index %d of %d",
			ErrBadSnapshot, len(c.sessions)+1, f.Member, f.Used, c.index)
	}
	one := &session{boot: f.Boot, answered: f.Answered, used: f.Used}
	if err := one.decodeResults(f.Results); err != nil {
		return 0, fmt.Errorf("session of member %016x: %w", f.Member, err)
	}
	if err := r.txnResults(one, f.Txns); err != nil {
		return 0, fmt.Errorf("session of member %016x: %w", f.Member, err)
	}
	c.sessions[f.Member] = one
	return f.Member, nil
}

// expect reads a frame that must be of one kind.
func (r *frameReader) expect(want frameKind, v any) error {
	kind, fields, err := r.frame()
	if err != nil {
		return err
	}
	if kind != want {
		return fmt.Errorf("%w: a frame of kind %q where %q belongs", ErrBadSnapshot, kind, want)
	}
	return decodeFrame(kind, fields, v)
}

// frame reads the next frame. Its array is valid until the next call.
func (r *frameReader) frame() (frameKind, []byte, error) {
	if err := r.raw(r.prelude[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(r.prelude[:4])
	if length < 2 || length > maxFrameBytes {
		return 0, nil, fmt.Errorf("%w: a frame of %d bytes", ErrBadSnapshot, length)
	}
	if int(length) > cap(r.payload) {
		r.payload = make([]byte, length)
	}
	r.payload = r.payload[:length]
	if err := r.raw(r.payload); err != nil {
		return 0, nil, err
	}
	if sum := crc32.Checksum(r.payload, castagnoli); sum != binary.BigEndian.Uint32(r.prelude[4:]) {
		return 0, nil, fmt.Errorf("%w: a frame of %d bytes has checksum %08x instead of %08x",
			ErrBadSnapshot, length, sum, r.prelude[4:])
	}
	return frameKind(r.payload[0]), r.payload[1:], nil
}

// raw fills b. The end of the input in the middle of a snapshot is damage.
func (r *frameReader) raw(b []byte) error {
	if _, err := io.ReadFull(r.from, b); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: it is cut short", ErrBadSnapshot)
		}
		return err
	}
	r.checksum = crc32.Update(r.checksum, castagnoli, b)
	return nil
}

func decodeFrame(kind frameKind, fields []byte, v any) error {
	if err := decodeFields(fields, frameFieldCounts[kind], v); err != nil {
		return fmt.Errorf("%w: %w", ErrBadSnapshot, err)
	}
	return nil
}
