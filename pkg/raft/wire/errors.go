package wire

import "errors"

// The errors of decoding. All of them mean that the bytes are of no use; a
// reader of a stream closes it, since it can't find the next frame.
var (
	// ErrNotProtocol: the bytes don't begin like a frame of this protocol.
	ErrNotProtocol = errors.New("not the peer protocol")
	// ErrVersion: a format or protocol version that this program doesn't know.
	ErrVersion = errors.New("unknown version")
	// ErrKind: a frame of a kind, or with a feature, that this program doesn't
	// know or that has no place where it was met.
	ErrKind = errors.New("unexpected frame")
	// ErrTooLarge: longer than the limit that applies. Encoders return it too.
	ErrTooLarge = errors.New("too large")
	// ErrChecksum: the bytes were damaged on their way.
	ErrChecksum = errors.New("checksum mismatch")
	// ErrTruncated: the bytes end too early.
	ErrTruncated = errors.New("truncated")
	// ErrTrailing: bytes are left after the value.
	ErrTrailing = errors.New("trailing bytes")
	// ErrMalformed: intact bytes that don't hold the value they should.
	ErrMalformed = errors.New("malformed")
)
