package config

import (
	"encoding/binary"
	"errors"
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
	encoders = sync.Pool{New: func() any {
		e := new(encoder)
		e.Encoder = codec.NewEncoderBytes(&e.out, handle)
		return e
	}}
	decoders = sync.Pool{New: func() any { return codec.NewDecoderBytes(nil, handle) }}
)

// encoder is an encoder of the codec with the slice that it writes to.
type encoder struct {
	*codec.Encoder
	out []byte
}

// appendEncoded appends v, a struct of this package, to buf.
func appendEncoded(buf []byte, v any) ([]byte, error) {
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	// The codec writes from the start of the slice that it is given.
	room := buf[len(buf):]
	e.out = room
	e.ResetBytes(&e.out)
	err := e.Encode(v)
	out := e.out
	e.out = nil
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	if len(out) <= cap(room) && &out[0] == &room[:1][0] {
		return buf[:len(buf)+len(out)], nil // It is there already.
	}
	return append(buf, out...), nil
}

// decodeFields reads data, which must hold one array of exactly fields
// elements and nothing more, into v, which must point to a zero value: what an
// array leaves out keeps what it had. The number is checked here because the
// codec passes over elements that v has no place for, and a member that
// overlooks part of a command would differ from those that don't.
func decodeFields(data []byte, fields int, v any) error {
	if err := checkArray(data, fields); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	rest, err := decodeFirst(data, v)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return fmt.Errorf("decode %T: %d bytes follow it", v, len(rest))
	}
	return nil
}

// decodeFirst reads the first value of data into v, which must point to a zero
// value, and returns what follows it.
func decodeFirst(data []byte, v any) (rest []byte, err error) {
	if len(data) == 0 {
		return nil, fmt.Errorf("decode %T: no bytes", v)
	}
	decoder := decoders.Get().(*codec.Decoder)
	defer decoders.Put(decoder)
	decoder.ResetBytes(data)
	if err := decoder.Decode(v); err != nil {
		return nil, fmt.Errorf("decode %T: %w", v, err)
	}
	return data[decoder.NumBytesRead():], nil
}

// decodeList reads the array that data begins with, or the nil that stands for
// none, and returns what follows it. Each element must be an array of exactly fields elements, and
// there may be so many of them at most: both are looked at before anything is
// made of them, for an array of a thousand nils takes a thousand bytes only.
func decodeList[T any](data []byte, most, fields int) (list []T, rest []byte, err error) {
	n := 0
	switch {
	case len(data) == 0:
		return nil, nil, fmt.Errorf("decode %T: no bytes", list)
	case data[0] == encodedNil:
		return nil, data[1:], nil
	case data[0]&^fixArrayMost == fixArray:
		n, data = int(data[0]&fixArrayMost), data[1:]
	case data[0] == array16 && len(data) >= 3:
		n, data = int(binary.BigEndian.Uint16(data[1:])), data[3:]
	default:
		return nil, nil, fmt.Errorf("decode %T: it begins with 0x%02x", list, data[0])
	}
	if n > most {
		return nil, nil, fmt.Errorf("decode %T: it has %d elements and may have %d", list, n, most)
	}
	list = make([]T, n)
	for i := range list {
		if err := checkArray(data, fields); err != nil {
			return nil, nil, fmt.Errorf("decode %T: element %d: %w", list, i, err)
		}
		if data, err = decodeFirst(data, &list[i]); err != nil {
			return nil, nil, err
		}
	}
	return list, data, nil
}

// checkArray tells whether data begins with an array of exactly so many elements,
// which are fewer than 16.
func checkArray(data []byte, fields int) error {
	if len(data) == 0 {
		return errors.New("no bytes")
	}
	if want := byte(fixArray | fields); data[0] != want {
		return fmt.Errorf("it begins with 0x%02x instead of 0x%02x, an array of %d", data[0], want, fields)
	}
	return nil
}

// Markers of msgpack.
const (
	encodedNil = 0xc0
	// fixArray is that of an array of at most fixArrayMost elements, whose number
	// stands in the lower half.
	fixArray     = 0x90
	fixArrayMost = 0x0f
	// array16 is that of an array whose number of elements takes two bytes.
	array16 = 0xdc
)
