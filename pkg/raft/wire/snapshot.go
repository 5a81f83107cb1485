package wire

import "fmt"

// MaxChunkBytes bounds the data of one chunk of a snapshot.
const MaxChunkBytes = 1 << 20

// maxResultBytes bounds the text in a SnapshotResult.
const maxResultBytes = 1 << 10

// snapshotChunk precedes a chunk's data. Offset is where in the snapshot the
// data belongs, so that a chunk that is missing or repeated is noticed.
type snapshotChunk struct {
	Offset uint64
}

// snapshotEnd follows the last chunk. Without it a snapshot isn't whole.
type snapshotEnd struct {
	Bytes uint64
}

// SnapshotResult tells the sender of a snapshot what became of it.
type SnapshotResult struct {
	// Stored is set when the receiver has it durable.
	Stored bool
	// Problem says why it was not stored.
	Problem string
}

// WriteSnapshotChunk writes the part of a snapshot that begins at offset.
func (w *Writer) WriteSnapshotChunk(offset uint64, data []byte) error {
	if len(data) > MaxChunkBytes {
		return fmt.Errorf("write snapshot chunk: %w: %d bytes, limit %d", ErrTooLarge, len(data), MaxChunkBytes)
	}
	control, err := w.enc.encode(&snapshotChunk{Offset: offset})
	if err != nil {
		return err
	}
	var p payload
	p.add(data)
	return w.write(KindSnapshotChunk, control, &p)
}

// WriteSnapshotEnd tells that the snapshot ended, after the given number of
// bytes.
func (w *Writer) WriteSnapshotEnd(bytes uint64) error {
	return w.writeControl(KindSnapshotEnd, &snapshotEnd{Bytes: bytes}, MaxFrameBytes)
}

// WriteSnapshotResult writes r; a long Problem is cut.
func (w *Writer) WriteSnapshotResult(r SnapshotResult) error {
	if len(r.Problem) > maxResultBytes {
		r.Problem = r.Problem[:maxResultBytes]
	}
	return w.writeControl(KindSnapshotResult, &r, MaxHelloBytes)
}

// SnapshotChunk decodes a frame of KindSnapshotChunk. The data is valid until
// the next frame is read.
func (f *Frame) SnapshotChunk() (offset uint64, data []byte, err error) {
	var v snapshotChunk
	if err := f.decode(KindSnapshotChunk, &v); err != nil {
		return 0, nil, err
	}
	if len(f.payload) > MaxChunkBytes {
		return 0, nil, fmt.Errorf("decode snapshot chunk: %w: %d bytes, limit %d", ErrTooLarge, len(f.payload), MaxChunkBytes)
	}
	return v.Offset, f.payload, nil
}

// SnapshotEnd decodes a frame of KindSnapshotEnd.
func (f *Frame) SnapshotEnd() (bytes uint64, err error) {
	var v snapshotEnd
	err = f.decodeControl(KindSnapshotEnd, &v)
	return v.Bytes, err
}

// SnapshotResult decodes a frame of KindSnapshotResult.
func (f *Frame) SnapshotResult() (SnapshotResult, error) {
	var v SnapshotResult
	err := f.decodeControl(KindSnapshotResult, &v)
	return v, err
}
