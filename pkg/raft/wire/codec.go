package wire

import (
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

// maxNesting is the depth of the deepest value, with room for fields to come.
// Deeper input is refused before it can exhaust the stack.
const maxNesting = 16

// handle is the one dialect of msgpack in use: structs are arrays, and byte
// strings are told from text. Nothing changes it after initialisation, which
// is what makes sharing it safe.
var handle = func() *codec.MsgpackHandle {
	h := new(codec.MsgpackHandle)
	h.WriteExt = true
	h.StructToArray = true
	h.MaxDepth = maxNesting
	return h
}()

// encoder turns values into bytes and keeps its buffer for the next value. It
// is not safe for concurrent use.
type encoder struct {
	buf []byte
	enc *codec.Encoder
}

// encode returns v as msgpack. The bytes are valid until the next call.
func (e *encoder) encode(v any) ([]byte, error) {
	e.buf = e.buf[:0]
	if e.enc == nil {
		e.enc = codec.NewEncoderBytes(&e.buf, handle)
	} else {
		e.enc.ResetBytes(&e.buf)
	}
	if err := e.enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return e.buf, nil
}

// decoder reads values from bytes. It is not safe for concurrent use.
type decoder struct {
	dec *codec.Decoder
}

// decode reads the one value that data holds into v, which must point to a
// zero value: fields that are missing at the end of an array keep what they
// had. Strings and byte strings in v are copies.
func (d *decoder) decode(data []byte, v any) error {
	if len(data) == 0 {
		return fmt.Errorf("decode %T: %w", v, ErrTruncated)
	}
	if d.dec == nil {
		d.dec = codec.NewDecoderBytes(data, handle)
	} else {
		d.dec.ResetBytes(data)
	}
	if err := d.dec.Decode(v); err != nil {
		return fmt.Errorf("decode %T: %w: %w", v, classify(err), err)
	}
	if rest := len(data) - d.dec.NumBytesRead(); rest > 0 {
		return fmt.Errorf("decode %T: %w: %d of %d", v, ErrTrailing, rest, len(data))
	}
	return nil
}

// classify tells input that ends early from input that is wrong. The codec
// reports the end of its input only in the text of a wrapped error.
func classify(err error) error {
	if strings.Contains(err.Error(), io.EOF.Error()) {
		return ErrTruncated
	}
	return ErrMalformed
}
