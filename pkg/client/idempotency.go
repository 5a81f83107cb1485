package client

import (
	"crypto/rand"
	"net/http"
)

// idempotencyHeader names a write, so that a node knows it again.
const idempotencyHeader = "Idempotency-Key"

// NewIdempotencyKey returns a key that no other write has. A write with a key is
// sent again whatever became of it, to other nodes too: the first that is applied
// counts, and the others get its answer, for at least ten minutes. The caller may send
// it again with the same key as well, unchanged: with another value it is refused
// with CodeIdempotencyKeyReused. Any 1 to 255 printable ASCII characters will do for a
// key that comes from elsewhere.
func NewIdempotencyKey() string { return rand.Text() }

// nameWrite adds a key, if there is one.
func nameWrite(header http.Header, key string) {
	if key != "" {
		header.Set(idempotencyHeader, key)
	}
}
