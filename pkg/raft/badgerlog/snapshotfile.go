package badgerlog

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

const (
	snapshotMagic  = "CNCLSNAP"
	snapshotFormat = 1
	// snapshotFixed is what comes before the cluster ID.
	snapshotFixed = 16
	// snapshotHeaderMax bounds the part of the header whose length it tells.
	snapshotHeaderMax = 1 << 20
	// chunkBytes is the most data in one chunk.
	chunkBytes    = 256 << 10
	chunkHeader   = 8
	trailerBytes  = 20
	trailerFields = 12
)

// snapshotWriter writes a snapshot file from what is written to it.
type snapshotWriter struct {
	file *os.File
	// chunk begins with room for the chunk's header.
	chunk  []byte
	chunks uint32
	bytes  uint64
	// mayGoOn is asked before each chunk, with the number of those before it.
	mayGoOn func(chunks uint32) error
}

// createSnapshot begins a snapshot file at path, replacing what is there.
func createSnapshot(path, clusterID string, meta raft.SnapshotMeta, mayGoOn func(uint32) error) (*snapshotWriter, error) {
	description, err := wire.EncodeSnapshotMeta(&meta)
	if err != nil {
		return nil, err
	}
	h := append(make([]byte, 0, 512), snapshotMagic...)
	h = binary.BigEndian.AppendUint16(h, snapshotFormat)
	h = binary.BigEndian.AppendUint16(h, 0)
	h = binary.BigEndian.AppendUint32(h, uint32(1+len(clusterID)+len(description)))
	h = append(h, byte(len(clusterID)))
	h = append(h, clusterID...)
	h = append(h, description...)
	h = binary.BigEndian.AppendUint32(h, crc32.Checksum(h, castagnoli))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(h); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return &snapshotWriter{file: f, chunk: make([]byte, chunkHeader, chunkHeader+chunkBytes), mayGoOn: mayGoOn}, nil
}

// Write adds data to the snapshot.
func (w *snapshotWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		take := min(len(p), cap(w.chunk)-len(w.chunk))
		w.chunk = append(w.chunk, p[:take]...)
		n, p = n+take, p[take:]
		if len(w.chunk) == cap(w.chunk) {
			if err := w.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// flush writes the chunk, unless it is empty.
func (w *snapshotWriter) flush() error {
	if err := w.mayGoOn(w.chunks); err != nil {
		return err
	}
	data := w.chunk[chunkHeader:]
	if len(data) == 0 {
		return nil
	}
	binary.BigEndian.PutUint32(w.chunk[0:], uint32(len(data)))
	binary.BigEndian.PutUint32(w.chunk[4:], chunkSum(w.chunks, data))
	if _, err := w.file.Write(w.chunk); err != nil {
		return err
	}
	w.chunks++
	w.bytes += uint64(len(data))
	w.chunk = w.chunk[:chunkHeader]
	return nil
}

// finish writes the trailer and makes the file durable, still under the name
// that it was created with. It returns the size of the file.
func (w *snapshotWriter) finish() (int64, error) {
	if err := w.flush(); err != nil {
		return 0, err
	}
	t := make([]byte, chunkHeader, trailerBytes)
	t = binary.BigEndian.AppendUint32(t, w.chunks)
	t = binary.BigEndian.AppendUint64(t, w.bytes)
	binary.BigEndian.PutUint32(t[4:], crc32.Checksum(t[chunkHeader:], castagnoli))
	if _, err := w.file.Write(t); err != nil {
		return 0, err
	}
	if err := w.file.Sync(); err != nil {
		return 0, err
	}
	info, err := w.file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), w.file.Close()
}

// abandon removes the file; it does nothing after finish has succeeded and the
// file was renamed.
func (w *snapshotWriter) abandon() {
	_ = w.file.Close()
	_ = os.Remove(w.file.Name())
}

// chunkSum is the checksum of a chunk, which covers its number.
func chunkSum(number uint32, data []byte) uint32 {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], number)
	return crc32.Update(crc32.Checksum(n[:], castagnoli), castagnoli, data)
}

// snapshotReader reads the data of a snapshot file. It gives out nothing that
// it hasn't verified, and io.EOF only after the trailer.
type snapshotReader struct {
	meta raft.SnapshotMeta

	file   *os.File
	buffer *bufio.Reader
	chunk  []byte
	// rest is the part of chunk that hasn't been read.
	rest   []byte
	chunks uint32
	bytes  uint64
	err    error
}

// openSnapshot opens a snapshot file of the given cluster and verifies its
// header.
func openSnapshot(path, clusterID string) (*snapshotReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &snapshotReader{file: f, buffer: bufio.NewReaderSize(f, 64<<10)}
	if err := r.readHeader(clusterID); err != nil {
		return nil, errors.Join(fmt.Errorf("snapshot %s: %w", path, err), f.Close())
	}
	return r, nil
}

func (r *snapshotReader) readHeader(clusterID string) error {
	var fixed [snapshotFixed]byte
	if _, err := io.ReadFull(r.buffer, fixed[:]); err != nil {
		return shortRead("header", err)
	}
	length := binary.BigEndian.Uint32(fixed[12:])
	if string(fixed[:8]) != snapshotMagic || length < 1 || length > snapshotHeaderMax {
		return damaged("it doesn't begin as a snapshot does")
	}
	h := make([]byte, length+4)
	if _, err := io.ReadFull(r.buffer, h); err != nil {
		return shortRead("header", err)
	}
	h, sum := h[:length], binary.BigEndian.Uint32(h[length:])
	if crc32.Update(crc32.Checksum(fixed[:], castagnoli), castagnoli, h) != sum || int(h[0]) >= len(h) {
		return damaged("the header has a wrong checksum")
	}
	if format := binary.BigEndian.Uint16(fixed[8:]); format != snapshotFormat {
		return newerFormat("snapshot", format, snapshotFormat)
	}
	if cluster := string(h[1 : 1+h[0]]); cluster != clusterID {
		return fmt.Errorf("it belongs to cluster %q, not %q", cluster, clusterID)
	}
	var err error
	if r.meta, err = wire.DecodeSnapshotMeta(h[1+h[0]:]); err != nil {
		return damaged("the description: %v", err)
	}
	return nil
}

// shortRead turns the end of a file that should go on into damage.
func shortRead(where string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("the file ends in the %s", where)
	}
	return err
}

// Read gives out verified data.
func (r *snapshotReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 && r.err == nil {
		if err := r.next(); err != nil && err != io.EOF {
			r.err = fmt.Errorf("snapshot %s: %w", r.file.Name(), err)
		} else {
			r.err = err
		}
	}
	if len(r.rest) == 0 {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next reads a chunk, or the trailer.
func (r *snapshotReader) next() error {
	var h [chunkHeader]byte
	if _, err := io.ReadFull(r.buffer, h[:]); err != nil {
		return shortRead("middle", err)
	}
	length, sum := binary.BigEndian.Uint32(h[:]), binary.BigEndian.Uint32(h[4:])
	if length == 0 {
		return r.readTrailer(sum)
	}
	if length > chunkBytes {
		return damaged("chunk %d is %d bytes long", r.chunks, length)
	}
	if r.chunk == nil {
		r.chunk = make([]byte, chunkBytes)
	}
	data := r.chunk[:length]
	if _, err := io.ReadFull(r.buffer, data); err != nil {
		return shortRead("middle", err)
	}
	if chunkSum(r.chunks, data) != sum {
		return damaged("chunk %d has a wrong checksum", r.chunks)
	}
	r.chunks++
	r.bytes += uint64(length)
	r.rest = data
	return nil
}

// readTrailer returns io.EOF when the file ends as it should.
func (r *snapshotReader) readTrailer(sum uint32) error {
	var t [trailerFields]byte
	if _, err := io.ReadFull(r.buffer, t[:]); err != nil {
		return shortRead("trailer", err)
	}
	if crc32.Checksum(t[:], castagnoli) != sum ||
		binary.BigEndian.Uint32(t[:]) != r.chunks || binary.BigEndian.Uint64(t[4:]) != r.bytes {
		return damaged("the trailer doesn't fit what comes before it")
	}
	if _, err := r.buffer.ReadByte(); err == nil {
		return damaged("there is something behind the trailer")
	}
	return io.EOF
}

// Close releases the file.
func (r *snapshotReader) Close() error { return r.file.Close() }

// verifySnapshot reads a whole snapshot file and returns its description and how
// much data it holds.
func verifySnapshot(path, clusterID string) (raft.SnapshotMeta, int64, error) {
	r, err := openSnapshot(path, clusterID)
	if err != nil {
		return raft.SnapshotMeta{}, 0, err
	}
	size, err := io.Copy(io.Discard, r)
	return r.meta, size, errors.Join(err, r.Close())
}
