package config

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"unique"
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
	s.contents = *restored
	s.fault = nil
	clear(s.touched)
	for name := range s.spaces {
		s.touched[name] = struct{}{}
	}
	s.changes.setMany()
	s.publish()
	return nil
}

// frameReader reads a snapshot and checks it on the way.
type frameReader struct {
	from     *bufio.Reader
	checksum uint32
	payload  []byte
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
	c := &contents{spaces: map[string]*space{}, sessions: map[uint64]*session{}}
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
		switch {
		case kind == frameSession && previous == "":
			if member, err = r.session(c, member, fields); err != nil {
				return nil, err
			}
		case kind == frameNamespace:
			if previous, err = r.space(c, previous, fields); err != nil {
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
	if len(header.Hash) != len(c.hash) || header.QuotaBytes < 0 || header.Revision > maxRevision {
		return fmt.Errorf("%w: header of index %d, revision %d, quota %d and a hash of %d bytes",
			ErrBadSnapshot, header.Index, header.Revision, header.QuotaBytes, len(header.Hash))
	}
	c.index, c.revision, c.quotaBytes = header.Index, header.Revision, header.QuotaBytes
	copy(c.hash[:], header.Hash)
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
	c.sessions[f.Member] = one
	return f.Member, nil
}

// space reads the entries of the namespace that fields announces and returns
// its name, which must come after previous.
func (r *frameReader) space(c *contents, previous string, fields []byte) (string, error) {
	var announced namespaceFields
	if err := decodeFrame(frameNamespace, fields, &announced); err != nil {
		return "", err
	}
	if err := CheckNamespace(announced.Name); err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadSnapshot, err)
	}
	if announced.Name <= previous || announced.Keys == 0 {
		return "", fmt.Errorf("%w: namespace %q with %d keys follows %q", ErrBadSnapshot, announced.Name, announced.Keys, previous)
	}
	sp := new(space)
	c.bytes += namespaceOverheadBytes
	last := ""
	for range announced.Keys {
		entry, err := r.entry(c.revision)
		if err != nil {
			return "", err
		}
		if entry.Key <= last {
			return "", fmt.Errorf("%w: key %q follows %q", ErrBadSnapshot, entry.Key, last)
		}
		last = entry.Key
		sp.entries.Load(entry.Key, entry)
		c.bytes += entry.chargeBytes()
	}
	c.spaces[announced.Name] = sp
	c.keys += sp.entries.Len()
	return announced.Name, nil
}

// entry reads one entry of a store at revision.
func (r *frameReader) entry(revision uint64) (*Entry, error) {
	var f entryFields
	if err := r.expect(frameEntry, &f); err != nil {
		return nil, err
	}
	if err := errors.Join(CheckKey(f.Key), checkValue(f.Value), checkMediaTypeBytes(f.MediaType)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadSnapshot, err)
	}
	if f.CreateRevision == 0 || f.CreateRevision > f.ModRevision || f.ModRevision > revision || f.Version == 0 {
		return nil, fmt.Errorf("%w: key %q is created at %d, written at %d, version %d, in a store of revision %d",
			ErrBadSnapshot, f.Key, f.CreateRevision, f.ModRevision, f.Version, revision)
	}
	return &Entry{
		Key: f.Key, Value: f.Value, MediaType: unique.Make(f.MediaType).Value(),
		CreateRevision: f.CreateRevision, ModRevision: f.ModRevision, Version: f.Version,
	}, nil
}

// end compares what was read with what the writer had; checksum is that of
// everything before the end frame.
func (r *frameReader) end(c *contents, checksum uint32, fields []byte) error {
	var end endFields
	if err := decodeFrame(frameEnd, fields, &end); err != nil {
		return err
	}
	read := endFields{
		Sessions: uint64(len(c.sessions)), Namespaces: uint64(len(c.spaces)), Keys: uint64(c.keys), Bytes: c.bytes, Checksum: checksum,
	}
	if read != end {
		return fmt.Errorf("%w: it sums up to %+v and says %+v", ErrBadSnapshot, read, end)
	}
	switch _, err := r.from.ReadByte(); {
	case err == nil:
		return fmt.Errorf("%w: more follows its end", ErrBadSnapshot)
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
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
	var prelude [framePreludeBytes]byte
	if err := r.raw(prelude[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(prelude[:4])
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
	if sum := crc32.Checksum(r.payload, castagnoli); sum != binary.BigEndian.Uint32(prelude[4:]) {
		return 0, nil, fmt.Errorf("%w: a frame of %d bytes has checksum %08x instead of %08x",
			ErrBadSnapshot, length, sum, prelude[4:])
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
