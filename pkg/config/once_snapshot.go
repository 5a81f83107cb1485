package config

import (
	"encoding/binary"
	"fmt"
)

// sessionResultBytes is one result in a snapshot: its sequence, verdict and the
// other numbers of Result, eight bytes each.
const sessionResultBytes = 48

// encodeResults writes the known results in the order of their sequences,
// without what transactions tell of their operations. It also returns those.
func (o *session) encodeResults() (out []byte, txns []txnResultFields) {
	for i := range uint64(len(o.results)) {
		at := o.answered + 1 + i
		r := o.result(at)
		if r.Outcome == OutcomeNothing {
			continue
		}
		for _, n := range [6]uint64{at, r.verdict(), r.Revision, r.Current, r.CreateRevision, r.Version} {
			out = binary.BigEndian.AppendUint64(out, n)
		}
		if r.Txn != nil {
			txns = append(txns, txnResultFields{Sequence: at, Result: r.Txn.encode(nil)})
		}
	}
	return out, txns
}

// decodeResults reads what encodeResults wrote, and accepts nothing else.
func (o *session) decodeResults(data []byte) error {
	if len(data)%sessionResultBytes != 0 || len(data) > MaxUnanswered*sessionResultBytes {
		return fmt.Errorf("%w: %d bytes of results", ErrBadSnapshot, len(data))
	}
	last := o.answered
	for ; len(data) > 0; data = data[sessionResultBytes:] {
		var n [6]uint64
		for i := range n {
			n[i] = binary.BigEndian.Uint64(data[8*i:])
		}
		r := Result{
			Outcome: Outcome(n[1]), Changes: uint32(n[1] >> 8), Revision: n[2], Current: n[3], CreateRevision: n[4], Version: n[5],
		}
		if n[0] <= last || n[0]-o.answered > MaxUnanswered || r.verdict() != n[1] || !r.Outcome.kept() {
			return fmt.Errorf("%w: a result %d of sequence %d after %d", ErrBadSnapshot, n[1], n[0], last)
		}
		last = n[0]
		o.keep(n[0], r)
	}
	return nil
}

// kept tells whether sessions keep results of the outcome.
func (o Outcome) kept() bool {
	return o > OutcomeNothing && o <= lastOutcome && o != OutcomeUnknownCommand && o != OutcomeForgotten
}

// encode appends whether the transaction succeeded and which condition failed,
// of a byte each, and then the numbers of each operation, eight bytes each.
func (t *TxnResult) encode(out []byte) []byte {
	succeeded := byte(0)
	if t.Succeeded {
		succeeded = 1
	}
	out = append(out, succeeded, byte(t.Failed))
	for _, o := range t.Operations {
		for _, n := range [3]uint64{o.Revision, o.CreateRevision, o.Version} {
			out = binary.BigEndian.AppendUint64(out, n)
		}
	}
	return out
}

// decodeTxnResult reads what encode wrote, and accepts nothing else.
func decodeTxnResult(data []byte) (*TxnResult, error) {
	const head, each = 2, 24
	if len(data) < head || (len(data)-head)%each != 0 || len(data) > head+each*MaxTxnOperations ||
		data[0] > 1 || data[1] >= MaxTxnOperations || data[0] == 1 && data[1] != 0 {
		return nil, fmt.Errorf("%w: a transaction's result of %d bytes", ErrBadSnapshot, len(data))
	}
	t := &TxnResult{Succeeded: data[0] == 1, Failed: int(data[1])}
	for data = data[head:]; len(data) > 0; data = data[each:] {
		t.Operations = append(t.Operations, OperationResult{
			binary.BigEndian.Uint64(data), binary.BigEndian.Uint64(data[8:]), binary.BigEndian.Uint64(data[16:]),
		})
	}
	return t, nil
}

// txnResults reads the results of a session's transactions.
func (r *frameReader) txnResults(o *session, count uint64) error {
	last := o.answered
	for range count {
		var f txnResultFields
		if err := r.expect(frameTxnResult, &f); err != nil {
			return err
		}
		if f.Sequence <= last || o.result(f.Sequence).Outcome == OutcomeNothing {
			return fmt.Errorf("%w: a transaction's result of sequence %d after %d", ErrBadSnapshot, f.Sequence, last)
		}
		last = f.Sequence
		txn, err := decodeTxnResult(f.Result)
		if err != nil {
			return err
		}
		o.results[f.Sequence%uint64(len(o.results))].Txn = txn
	}
	return nil
}
