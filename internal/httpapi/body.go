package httpapi

import (
	"fmt"
	"io"
	"net/http"

	"github.com/conclave-dev/conclave/pkg/config"
)

// heldBody is the body of a request, with the weight that it has among all.
type heldBody struct {
	bytes  []byte
	weight int64
}

// readBody reads a body within limits of size and memory; its time is limited by
// the server (see NewServer). maxBytes is at most config.MaxValueBytes. The
// caller gives the body back by releaseBody.
func (h *Handler) readBody(r *http.Request, maxBytes int64) (heldBody, error) {
	length := r.ContentLength
	if length == 0 {
		return heldBody{}, nil
	}
	if length > maxBytes {
		return heldBody{}, fmt.Errorf("%w: the body has %d bytes and may have %d", config.ErrTooLarge, length, maxBytes)
	}
	body := heldBody{weight: length}
	if length < 0 {
		// It comes in chunks and may grow to the limit.
		body.weight = maxBytes
	}
	if !h.bodies.TryAcquire(body.weight) {
		return heldBody{}, fmt.Errorf("%w: the bodies being served take %d bytes", config.ErrOverloaded, h.MaxBodyBytes)
	}
	var err error
	if body.bytes, err = receive(r, length, maxBytes); err != nil {
		h.releaseBody(body)
		return heldBody{}, err
	}
	return body, nil
}

func (h *Handler) releaseBody(body heldBody) { h.bodies.Release(body.weight) }

// receive reads length bytes or, when length is negative, to the end, which must
// come within maxBytes.
func receive(r *http.Request, length, maxBytes int64) ([]byte, error) {
	if length >= 0 {
		bytes := make([]byte, length)
		if n, err := io.ReadFull(r.Body, bytes); err != nil {
			return nil, errMalformed.because("the body ended after %d of %d bytes: %v", n, length, err)
		}
		return bytes, nil
	}
	bytes, err := io.ReadAll(io.LimitReader(r.Body, maxBytes+1))
	if err != nil {
		return nil, errMalformed.because("the body ended after %d bytes: %v", len(bytes), err)
	}
	if int64(len(bytes)) > maxBytes {
		return nil, fmt.Errorf("%w: the body has more than %d bytes", config.ErrTooLarge, maxBytes)
	}
	return bytes, nil
}

// maxDiscardBytes is how much of an unread body is read before its request is
// refused: twice the largest.
const maxDiscardBytes = 2 * maxTxnBytes

// discardBody reads on to the end of a body that was refused. A client that is
// still sending when its connection is closed may lose the reply, and then
// can't know that its write was certainly not applied.
func discardBody(r *http.Request) {
	if r.ContentLength > maxDiscardBytes || r.Header.Get("Expect") != "" {
		return // too much, or a client that waits for our word before it sends
	}
	_, _ = io.CopyN(io.Discard, r.Body, maxDiscardBytes) // its end is what we want
}
