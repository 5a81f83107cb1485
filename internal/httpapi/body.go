package httpapi

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

// heldBody is the body of a request, with the weight that it has among all.
type heldBody struct {
	bytes  []byte
	weight int64
}

// readBody reads the body of a PUT within limits of size, time and memory. The
// caller gives it back by releaseBody.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) (heldBody, error) {
	length := r.ContentLength
	if length == 0 {
		return heldBody{}, nil
	}
	if length > config.MaxValueBytes {
		return heldBody{}, fmt.Errorf("%w: the body has %d bytes and may have %d", config.ErrTooLarge, length, config.MaxValueBytes)
	}
	body := heldBody{weight: length}
	if length < 0 {
		// It comes in chunks and may grow to the limit.
		body.weight = config.MaxValueBytes
	}
	if !h.bodies.TryAcquire(body.weight) {
		return heldBody{}, fmt.Errorf("%w: the bodies being served take %d bytes", config.ErrOverloaded, h.MaxBodyBytes)
	}
	var err error
	if body.bytes, err = h.receive(w, r, length); err != nil {
		h.releaseBody(body)
		return heldBody{}, err
	}
	return body, nil
}

func (h *Handler) releaseBody(body heldBody) { h.bodies.Release(body.weight) }

// receive reads length bytes, or to the end when length is negative.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request, length int64) ([]byte, error) {
	if length >= 0 {
		bytes := make([]byte, length)
		if n, err := io.ReadFull(r.Body, bytes); err != nil {
			return nil, errMalformed.because("the body ended after %d of %d bytes: %v", n, length, err)
		}
		h.endBodyTime(w)
		return bytes, nil
	}
	bytes, err := io.ReadAll(io.LimitReader(r.Body, config.MaxValueBytes+1))
	if err != nil {
		return nil, errMalformed.because("the body ended after %d bytes: %v", len(bytes), err)
	}
	if len(bytes) > config.MaxValueBytes {
		return nil, fmt.Errorf("%w: the body has more than %d bytes", config.ErrTooLarge, config.MaxValueBytes)
	}
	h.endBodyTime(w)
	return bytes, nil
}

// beginBodyTime limits the time in which a body may come. It covers requests
// that are refused before their body is read too, since net/http reads what is
// left of a body to keep the connection.
func (h *Handler) beginBodyTime(w http.ResponseWriter) {
	// A writer without deadlines, as in a test, has no slow client either.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.BodyTimeout))
}

// endBodyTime takes the limit away once all of the body is here. Then the
// server reads on, to notice when the client leaves, for as long as it takes.
func (h *Handler) endBodyTime(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
}
