package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
)

// keptFields is a frame of a result that is kept for an idempotency key.
type keptFields struct {
	Index          uint64
	AgeMillis      uint64
	Namespace      string
	Key            string
	Fingerprint    []byte
	Verdict        uint64
	Revision       uint64
	Current        uint64
	CreateRevision uint64
	Version        uint64
	// Txn is what TxnResult.encode returns, nil of other commands.
	Txn []byte
}

// writeKept writes the results in the order in which they were made.
func (s *Snapshot) writeKept(out *frameWriter) (err error) {
	s.kept.Scan(func(index uint64, k *keptResult) bool {
		r := &k.result
		fields := keptFields{
			Index: index, AgeMillis: k.ageMillis, Namespace: k.name.namespace, Key: k.name.key, Fingerprint: k.fingerprint[:],
			Verdict: r.verdict(), Revision: r.Revision, Current: r.Current, CreateRevision: r.CreateRevision, Version: r.Version,
		}
		if r.Txn != nil {
			fields.Txn = r.Txn.encode(nil)
		}
		err = out.frame(frameKept, &fields)
		return err == nil
	})
	return err
}

// kept reads a result that is kept for an idempotency key.
func (r *frameReader) kept(c *contents, fields []byte) error {
	var f keptFields
	if err := decodeFrame(frameKept, fields, &f); err != nil {
		return err
	}
	if err := errors.Join(CheckNamespace(f.Namespace), CheckIdempotencyKey(f.Key)); err != nil {
		return fmt.Errorf("%w: %w", ErrBadSnapshot, err)
	}
	k := &keptResult{index: f.Index, ageMillis: f.AgeMillis, name: keptName{f.Namespace, f.Key}, result: Result{
		Outcome: Outcome(f.Verdict), Changes: uint32(f.Verdict >> 8),
		Revision: f.Revision, Current: f.Current, CreateRevision: f.CreateRevision, Version: f.Version,
	}}
	var last keptResult
	if _, before, ok := c.kept.byIndex.Max(); ok {
		last = *before
	}
	if f.Index <= last.index || f.Index > c.index || f.AgeMillis < last.ageMillis || f.AgeMillis > c.history.ageMillis ||
		len(f.Fingerprint) != sha256.Size || k.result.verdict() != f.Verdict || !k.result.Outcome.answers() ||
		c.kept.byName[k.name] != nil || c.kept.full(f.Namespace) {
		return fmt.Errorf("%w: a result %d of index %d and age %d, kept for a key of %q, follows index %d and age %d",
			ErrBadSnapshot, f.Verdict, f.Index, f.AgeMillis, f.Namespace, last.index, last.ageMillis)
	}
	copy(k.fingerprint[:], f.Fingerprint)
	if f.Txn != nil {
		var err error
		if k.result.Txn, err = decodeTxnResult(f.Txn); err != nil {
			return err
		}
	}
	c.kept.add(k)
	return nil
}
