package config

import (
	"fmt"
	"slices"
)

// MaxTxnOperations is how many operations a transaction has at most, in Then and
// Else together, and how many conditions.
const MaxTxnOperations = 128

// Txn is a flat transaction in one namespace: what Then or Else says happens as
// one revision, or not at all.
type Txn struct {
	Namespace string
	// If holds when all its conditions do, and when there are none.
	If []Condition
	// Then is carried out when If holds, and Else when it doesn't. Without Else
	// the transaction is refused then (ErrConflict). A key stands in no more than
	// one operation of Then, and of Else, so that their order makes no difference.
	Then []Operation
	Else []Operation
	// Idempotency is as in Put.
	Idempotency string
}

// Condition is what must hold of a key.
type Condition struct {
	Key string
	Is  Precondition
}

// OperationKind is stored in the log: numbers are never given a new meaning.
type OperationKind uint8

const (
	// OperationPut writes a value.
	OperationPut OperationKind = 1
	// OperationDelete removes a key; one that is absent is left so.
	OperationDelete OperationKind = 2
	// OperationGet reads a key.
	OperationGet OperationKind = 3
)

// Operation is one step of a transaction.
type Operation struct {
	Kind OperationKind
	Key  string
	// Value and MediaType are as in Put, and empty in other operations.
	Value     []byte
	MediaType string
}

// TxnResult is what a transaction did. Nobody may write to it.
type TxnResult struct {
	// Succeeded tells that If held.
	Succeeded bool
	// Failed is the first condition that didn't hold, from 0, if one didn't.
	Failed int
	// Operations tells of each operation that was carried out.
	Operations []OperationResult
}

// OperationResult names the entry that an operation wrote or found. All is 0
// when it found none, and after a delete.
type OperationResult struct {
	Revision       uint64
	CreateRevision uint64
	Version        uint64
}

// txnFields is a transaction in the log. Append only.
type txnFields struct {
	Namespace string
	If        []conditionFields
	Then      []operationFields
	Else      []operationFields
}

type conditionFields struct {
	Key    string
	Kind   preconditionKind
	Number uint64
}

type operationFields struct {
	Kind      OperationKind
	Key       string
	Value     []byte
	MediaType string
}

// Encode checks the transaction and returns it as a command. It returns an
// InvalidError or ErrTooLarge when it can never succeed.
func (t *Txn) Encode() ([]byte, error) { return encodeGuarded(t.command()) }

func (t *Txn) command() ([]byte, guard, error) {
	fields := txnFields{Namespace: t.Namespace}
	for _, c := range t.If {
		fields.If = append(fields.If, conditionFields{Key: c.Key, Kind: c.Is.kind, Number: c.Is.number})
	}
	variable := 0
	for _, branch := range []struct {
		from []Operation
		to   *[]operationFields
	}{{t.Then, &fields.Then}, {t.Else, &fields.Else}} {
		for _, o := range branch.from {
			f := operationFields(o)
			if f.Kind == OperationPut && f.MediaType == "" {
				f.MediaType = DefaultMediaType
			}
			*branch.to = append(*branch.to, f)
			variable += len(f.Key) + len(f.Value) + len(f.MediaType)
		}
	}
	if err := fields.check(); err != nil {
		return nil, guard{}, err
	}
	if variable > MaxCommandBytes {
		return nil, guard{}, tooLarge(variable) // Nothing is made of what may be sixty times that.
	}
	for _, o := range slices.Concat(fields.Then, fields.Else) {
		if o.Kind != OperationPut {
			continue
		}
		if err := CheckMediaType(o.MediaType); err != nil {
			return nil, guard{}, err
		}
	}
	command, err := encodeCommand(kindTxn, &fields, variable+len(fields.If)*64+(len(fields.Then)+len(fields.Else))*16)
	return command, newGuard(t.Namespace, t.Idempotency, kindTxn, &fields), err
}

// freesSpace tells whether the transaction can add no bytes.
func (t *Txn) freesSpace() bool {
	puts := func(o Operation) bool { return o.Kind == OperationPut }
	return !slices.ContainsFunc(t.Then, puts) && !slices.ContainsFunc(t.Else, puts)
}

// decode reads a transaction, an array of so many elements, part by part: the
// codec has no limit for the arrays within.
func (f *txnFields) decode(data []byte, fields int) error {
	if err := checkArray(data, fields); err != nil {
		return fmt.Errorf("decode %T: %w", f, err)
	}
	rest, err := decodeFirst(data[1:], &f.Namespace)
	if err != nil {
		return err
	}
	if f.If, rest, err = decodeList[conditionFields](rest, MaxTxnOperations, 3); err != nil {
		return err
	}
	if f.Then, rest, err = decodeList[operationFields](rest, MaxTxnOperations, 4); err != nil {
		return err
	}
	if f.Else, rest, err = decodeList[operationFields](rest, MaxTxnOperations, 4); err != nil {
		return err
	}
	if len(rest) != 0 {
		return fmt.Errorf("decode %T: %d bytes follow it", f, len(rest))
	}
	return nil
}

func (f *txnFields) check() error {
	if err := CheckNamespace(f.Namespace); err != nil {
		return err
	}
	if n := len(f.Then) + len(f.Else); n == 0 || n > MaxTxnOperations {
		return invalid("transaction", "it has %d operations and must have 1 to %d", n, MaxTxnOperations)
	}
	if len(f.If) > MaxTxnOperations {
		return invalid("transaction", "it has %d conditions and may have %d", len(f.If), MaxTxnOperations)
	}
	for _, c := range f.If {
		if err := CheckKey(c.Key); err != nil {
			return err
		}
		if c.Kind == conditionNone || c.Kind > conditionAtVersion {
			return invalid("condition", "kind %d of key %q is unknown", c.Kind, c.Key)
		}
	}
	for _, branch := range [][]operationFields{f.Then, f.Else} {
		if err := checkOperations(branch); err != nil {
			return err
		}
	}
	return nil
}

func checkOperations(operations []operationFields) error {
	seen := make(map[string]struct{}, len(operations))
	for _, o := range operations {
		if err := CheckKey(o.Key); err != nil {
			return err
		}
		if _, twice := seen[o.Key]; twice {
			return invalid("operation", "key %q stands in more than one", o.Key)
		}
		seen[o.Key] = struct{}{}
		if err := o.check(); err != nil {
			return err
		}
	}
	return nil
}

func (f *operationFields) check() error {
	switch f.Kind {
	case OperationPut:
		if err := checkValue(f.Value); err != nil {
			return err
		}
		return checkMediaTypeBytes(f.MediaType)
	case OperationDelete, OperationGet:
		if len(f.Value) > 0 || f.MediaType != "" {
			return invalid("operation", "only a put of key %q could have a value", f.Key)
		}
		return nil
	default:
		return invalid("operation", "kind %d of key %q is unknown", f.Kind, f.Key)
	}
}

// txn carries a transaction out.
func (s *State) txn(f *txnFields) Result {
	sp := s.space(f.Namespace)
	done := &TxnResult{Succeeded: true}
	result := Result{Outcome: OutcomeApplied, Revision: s.revision, Txn: done}
	operations := f.Then
	for i, c := range f.If {
		e := sp.get(c.Key)
		if (Precondition{c.Kind, c.Number}).holds(e) {
			continue
		}
		done.Succeeded, done.Failed = false, i
		operations = f.Else
		if len(operations) == 0 {
			result.Outcome, result.Current = OutcomeConflict, e.revision()
			return result
		}
		break
	}

	done.Operations = make([]OperationResult, len(operations))
	var writes []write
	for i := range operations {
		o := &operations[i]
		e := sp.get(o.Key)
		switch {
		case o.Kind == OperationPut:
			w := write{old: e, next: s.successor(e, o.Key, o.Value, o.MediaType)}
			writes, e = append(writes, w), w.next
		case o.Kind == OperationDelete && e != nil:
			writes, e = append(writes, write{old: e, next: s.tombstone(e)}), nil
		}
		if e != nil {
			done.Operations[i] = OperationResult{e.ModRevision, e.CreateRevision, e.Version}
		}
	}
	if outcome := s.offer(f.Namespace, "", writes...); outcome != OutcomeApplied {
		return Result{Outcome: outcome, Revision: s.revision}
	}
	result.Revision, result.Changes = s.revision, uint32(len(writes))
	return result
}
