package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// Limits of what a frame may hold. Longer ones are neither written nor read.
const (
	// MaxFrameBytes bounds control and payload of one frame together. A
	// command has at most 4 MiB, so one entry always fits.
	MaxFrameBytes = 8 << 20
	// MaxReflectedBytes bounds the msgpack of one frame: its control part, and
	// in a message the heads of the entries. In memory these can take a
	// hundred times the room, unlike the raw bytes beside them.
	MaxReflectedBytes = 1 << 20
	// MaxHelloBytes is the limit for peers that have not been admitted yet.
	MaxHelloBytes = 4 << 10
	// MaxBootstrapBytes is the limit for a Bootstrap.
	MaxBootstrapBytes = 64 << 10
)

const (
	// HeaderBytes is the length of the header before each frame.
	HeaderBytes = 16
	// magic begins every frame. Neither text nor a TLS record begins with it.
	magic = 0xC5
	// frameVersion is the version of the frame's layout.
	frameVersion = 1
	// knownFeatures are the feature bits that this program understands: none
	// has been given out yet.
	knownFeatures = 0
)

// Kind says what a frame carries.
type Kind uint8

// The kinds of frames. Their numbers are part of the format.
const (
	KindHello          Kind = 1
	KindWelcome        Kind = 2
	KindMessage        Kind = 3
	KindBootstrap      Kind = 4
	KindSnapshotChunk  Kind = 5
	KindSnapshotEnd    Kind = 6
	KindSnapshotResult Kind = 7
	KindPing           Kind = 8
	KindPong           Kind = 9

	lastKind = KindPong
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// payload is the raw part of a frame, in pieces that follow each other on the
// wire, with what is needed to put it behind any header.
type payload struct {
	pieces [][]byte
	bytes  int
	crc    uint32
}

// add appends a piece, which must not change until the frame is written.
func (p *payload) add(piece []byte) {
	if len(piece) == 0 {
		return
	}
	p.pieces = append(p.pieces, piece)
	p.bytes += len(piece)
	p.crc = crc32.Update(p.crc, castagnoli, piece)
}

// Writer writes frames to one stream. It makes many small writes, so the
// stream should be buffered; flushing is up to the caller. After an error the
// stream may hold half a frame and must be closed, except for ErrTooLarge,
// which is found before the first byte is written. A Writer is not safe for
// concurrent use.
type Writer struct {
	w       io.Writer
	enc     encoder
	header  [HeaderBytes]byte
	message message
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// WritePing writes a question that the peer's transport answers at once.
func (w *Writer) WritePing() error { return w.write(KindPing, nil, &payload{}) }

// WritePong writes the answer to a ping.
func (w *Writer) WritePong() error { return w.write(KindPong, nil, &payload{}) }

// writeControl writes a frame that has a control part only.
func (w *Writer) writeControl(kind Kind, control any, limit int) error {
	data, err := w.enc.encode(control)
	if err != nil {
		return err
	}
	if len(data) > limit {
		return fmt.Errorf("write %T: %w: %d bytes, limit %d", control, ErrTooLarge, len(data), limit)
	}
	return w.write(kind, data, &payload{})
}

// write writes one frame. The checksum is taken over the payload first, so
// that a payload shared by several frames is summed up only once.
func (w *Writer) write(kind Kind, control []byte, p *payload) error {
	if len(control) > MaxReflectedBytes {
		return fmt.Errorf("write frame: %w: control part of %d bytes, limit %d", ErrTooLarge, len(control), MaxReflectedBytes)
	}
	if size := len(control) + p.bytes; size > MaxFrameBytes {
		return fmt.Errorf("write frame: %w: %d bytes, limit %d", ErrTooLarge, size, MaxFrameBytes)
	}
	h := w.header[:]
	h[0], h[1], h[2], h[3] = magic, frameVersion, byte(kind), 0
	binary.BigEndian.PutUint32(h[4:], uint32(len(control)))
	binary.BigEndian.PutUint32(h[8:], uint32(p.bytes))
	crc := crc32.Update(p.crc, castagnoli, control)
	crc = crc32.Update(crc, castagnoli, h[:12])
	binary.BigEndian.PutUint32(h[12:], crc)
	if _, err := w.w.Write(h); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	if _, err := w.w.Write(control); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	for _, piece := range p.pieces {
		if _, err := w.w.Write(piece); err != nil {
			return fmt.Errorf("write frame: %w", err)
		}
	}
	return nil
}

// Reader reads frames from one stream. After an error the stream is of no
// more use. A Reader is not safe for concurrent use.
type Reader struct {
	r       io.Reader
	limit   int
	dec     decoder
	header  [HeaderBytes]byte
	control []byte
	chunk   []byte
	message message
}

// NewReader returns a Reader from r that refuses frames whose control part and
// payload together exceed limit bytes.
func NewReader(r io.Reader, limit int) *Reader { return &Reader{r: r, limit: limit} }

// SetLimit changes the limit for the frames to come.
func (r *Reader) SetLimit(limit int) { r.limit = limit }

// Next reads one frame and verifies it. It returns io.EOF when the stream ends
// between two frames, and ErrTruncated when it ends within one.
func (r *Reader) Next() (Frame, error) {
	control, payload, err := r.readHeader()
	if err != nil {
		return Frame{}, err
	}
	kind := Kind(r.header[2])
	f := Frame{Kind: kind, reader: r}
	if f.control, err = r.readBody(&r.control, control); err != nil {
		return Frame{}, err
	}
	// The payload of a message becomes the message's own data. That of a chunk
	// is copied by whoever reads it, so its buffer serves for the next one.
	buffer := new([]byte)
	if kind == KindSnapshotChunk {
		buffer = &r.chunk
	}
	if f.payload, err = r.readBody(buffer, payload); err != nil {
		return Frame{}, err
	}
	crc := crc32.Checksum(f.payload, castagnoli)
	crc = crc32.Update(crc, castagnoli, f.control)
	crc = crc32.Update(crc, castagnoli, r.header[:12])
	if crc != binary.BigEndian.Uint32(r.header[12:]) {
		return Frame{}, fmt.Errorf("read frame of kind %d: %w", kind, ErrChecksum)
	}
	return f, nil
}

// readHeader returns the lengths of control part and payload.
func (r *Reader) readHeader() (control, payload int, err error) {
	h := r.header[:]
	if n, err := io.ReadFull(r.r, h); err != nil {
		if n > 0 && h[0] != magic {
			return 0, 0, notProtocol(h[:n])
		}
		if err == io.EOF {
			return 0, 0, io.EOF
		}
		return 0, 0, readError(err)
	}
	switch {
	case h[0] != magic:
		return 0, 0, notProtocol(h)
	case h[1] != frameVersion:
		return 0, 0, fmt.Errorf("read frame: %w %d, this program reads %d", ErrVersion, h[1], frameVersion)
	case h[2] == 0 || Kind(h[2]) > lastKind:
		return 0, 0, fmt.Errorf("read frame: %w: kind %d", ErrKind, h[2])
	case h[3]&^knownFeatures != 0:
		return 0, 0, fmt.Errorf("read frame: %w: features %#02x, this program knows %#02x", ErrKind, h[3], knownFeatures)
	}
	c, p := binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[8:])
	if size := uint64(c) + uint64(p); size > uint64(r.limit) {
		return 0, 0, fmt.Errorf("read frame of kind %d: %w: %d bytes, limit %d", h[2], ErrTooLarge, size, r.limit)
	}
	if c > MaxReflectedBytes {
		return 0, 0, fmt.Errorf("read frame of kind %d: %w: control part of %d bytes, limit %d", h[2], ErrTooLarge, c, MaxReflectedBytes)
	}
	if empty := Kind(h[2]) == KindPing || Kind(h[2]) == KindPong; empty && c+p > 0 {
		return 0, 0, fmt.Errorf("read frame of kind %d: %w: %d, it has neither part", h[2], ErrTrailing, c+p)
	}
	return int(c), int(p), nil
}

// readBody reads n bytes into buffer, which grows when it is too small.
func (r *Reader) readBody(buffer *[]byte, n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	if cap(*buffer) < n {
		*buffer = make([]byte, n)
	}
	data := (*buffer)[:n]
	if _, err := io.ReadFull(r.r, data); err != nil {
		return nil, readError(err)
	}
	return data, nil
}

// readError gives the end of the stream within a frame its own name and leaves
// the stream's other errors what they are.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrTruncated
	}
	return fmt.Errorf("read frame: %w", err)
}

// notProtocol tells what the bytes are instead, as far as that is plain: a TLS
// record begins with its type, of which 20 to 23 are in use, and the major version 3
// (RFC 8446, section 5.1).
func notProtocol(data []byte) error {
	if len(data) > 1 && data[0] >= 20 && data[0] <= 23 && data[1] == 3 {
		return fmt.Errorf("read frame: %w: the peer speaks TLS, and this node doesn't", ErrNotProtocol)
	}
	return fmt.Errorf("read frame: %w: it begins with %.16q", ErrNotProtocol, data)
}

// Frame is a frame that arrived intact. It is valid until the next call of
// Next; what its methods return stays valid, except for a chunk's data.
type Frame struct {
	Kind    Kind
	reader  *Reader
	control []byte
	payload []byte
}

// decode reads the control part of a frame of the given kind into v, which
// must point to a zero value.
func (f *Frame) decode(kind Kind, v any) error {
	if f.Kind != kind {
		return fmt.Errorf("%w: kind %d instead of %d", ErrKind, f.Kind, kind)
	}
	return f.reader.dec.decode(f.control, v)
}

// decodeControl does the same for a frame that must not have a payload.
func (f *Frame) decodeControl(kind Kind, v any) error {
	if err := f.decode(kind, v); err != nil {
		return err
	}
	if len(f.payload) > 0 {
		return fmt.Errorf("decode %T: %w: a payload of %d", v, ErrTrailing, len(f.payload))
	}
	return nil
}

// cutter cuts a payload into pieces.
type cutter struct{ rest []byte }

// cut returns the next n bytes, or an error if there are fewer. The piece has
// no spare capacity, so appending to it can't touch its neighbour.
func (c *cutter) cut(n uint32) ([]byte, error) {
	if n > math.MaxInt32 || int(n) > len(c.rest) {
		return nil, fmt.Errorf("%w: %d bytes wanted, %d left in the payload", ErrMalformed, n, len(c.rest))
	}
	piece := c.rest[:n:n]
	c.rest = c.rest[n:]
	if n == 0 {
		return nil, nil
	}
	return piece, nil
}
