package config

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

// handle is the one dialect of msgpack in use: structs are arrays, and byte
// strings are told from text. Nothing changes it after initialisation, which
// is what makes sharing it safe.
var handle = func() *codec.MsgpackHandle {
	h := new(codec.MsgpackHandle)
	h.WriteExt = true
	h.StructToArray = true
	// The structures here are flat; deeper input is wrong input.
	h.MaxDepth = 4
	// A value is read in one piece. Input was measured before it gets here,
	// so a length that lies costs this much for a moment and no more.
	h.MaxInitLen = MaxCommandBytes
	return h
}()

var (
	encoders = sync.Pool{New: func() any { return codec.NewEncoderBytes(new([]byte), handle) }}
	decoders = sync.Pool{New: func() any { return codec.NewDecoderBytes(nil, handle) }}
)

// appendEncoded appends v, a struct of this package, to buf.
func appendEncoded(buf []byte, v any) ([]byte, error) {
	encoder := encoders.Get().(*codec.Encoder)
	defer encoders.Put(encoder)
	// The codec writes from the start of the slice that it is given.
	out := buf[len(buf):]
	encoder.ResetBytes(&out)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return append(buf, out...), nil
}

// decodeFields reads data, which must hold one array of exactly fields
// elements and nothing more, into v, which must point to a zero value: what an
// array leaves out keeps what it had. The number is checked here because the
// codec passes over elements that v has no place for, and a member that
// overlooks part of a command would differ from those that don't.
func decodeFields(data []byte, fields int, v any) error {
	if len(data) == 0 {
		return fmt.Errorf("decode %T: no bytes", v)
	}
	if want := byte(fixArray | fields); data[0] != want {
		return fmt.Errorf("decode %T: it begins with 0x%02x instead of 0x%02x, an array of %d", v, data[0], want, fields)
	}
	decoder := decoders.Get().(*codec.Decoder)
	defer decoders.Put(decoder)
	decoder.ResetBytes(data)
	if err := decoder.Decode(v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	if rest := len(data) - decoder.NumBytesRead(); rest != 0 {
		return fmt.Errorf("decode %T: %d bytes follow it", v, rest)
	}
	return nil
}

// isEncoded tells whether data is just what v is encoded as. It is asked of what
// has arrays within arrays, whose lengths decodeFields doesn't look at.
func isEncoded(v any, data []byte) bool {
	again, err := appendEncoded(make([]byte, 0, len(data)+64), v)
	return err == nil && bytes.Equal(again, data)
}

// fixArray is the msgpack marker of an array of fewer than 16 elements, which
// holds their number in its lower half.
const fixArray = 0x90
