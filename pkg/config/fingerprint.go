package config

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// fingerprint tells a write with an idempotency key from others with the same
// key: the SHA-256 of what its client asks for, each part with its length in
// front. How the command is encoded has no part in it, so a write that is sent
// again past an upgrade is known again.
//
// For that, what is summed up of a kind of write never changes. A field that a
// later release adds to it is summed up only when it is set.
type fingerprint struct{ hash.Hash }

// fingerprintVersion begins each. With another one, writes that are sent again
// while members of both releases run would be refused (ErrIdempotencyReused).
const fingerprintVersion = 1

// described are the fields of a command that may have an idempotency key.
type described interface {
	// describe sums up all but the namespace, which idempotency keys are within.
	describe(sum fingerprint)
}

// fingerprintOf returns the fingerprint of a write.
func fingerprintOf(kind commandKind, fields described) (sum [sha256.Size]byte) {
	f := fingerprint{sha256.New()}
	f.Write([]byte{fingerprintVersion, byte(kind)})
	fields.describe(f)
	f.Sum(sum[:0])
	return sum
}

func (f fingerprint) number(n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	f.Write(b[:])
}

func (f fingerprint) bytes(b []byte) {
	f.number(uint64(len(b)))
	f.Write(b)
}

func (f fingerprint) text(s string) { f.bytes([]byte(s)) }

func (f fingerprint) condition(kind preconditionKind, number uint64) {
	f.number(uint64(kind))
	f.number(number)
}

func (f *putFields) describe(sum fingerprint) {
	sum.text(f.Key)
	sum.bytes(f.Value)
	sum.text(f.MediaType)
	sum.condition(f.IfKind, f.IfRevision)
}

func (f *deleteFields) describe(sum fingerprint) {
	sum.text(f.Key)
	sum.condition(f.IfKind, f.IfRevision)
}

func (f *txnFields) describe(sum fingerprint) {
	sum.number(uint64(len(f.If)))
	for _, c := range f.If {
		sum.text(c.Key)
		sum.condition(c.Kind, c.Number)
	}
	for _, branch := range [][]operationFields{f.Then, f.Else} {
		sum.number(uint64(len(branch)))
		for _, o := range branch {
			sum.number(uint64(o.Kind))
			sum.text(o.Key)
			sum.bytes(o.Value)
			sum.text(o.MediaType)
		}
	}
}

func (f *rollbackFields) describe(sum fingerprint) {
	sum.text(f.Prefix)
	sum.number(f.To)
	sum.text(f.Reason)
}

func (f *attachFields) describe(sum fingerprint) {
	sum.text(f.Prefix)
	sum.bytes(f.Document)
	sum.condition(f.IfKind, f.IfRevision)
}

func (f *detachFields) describe(sum fingerprint) {
	sum.text(f.Prefix)
	sum.condition(f.IfKind, f.IfRevision)
}
