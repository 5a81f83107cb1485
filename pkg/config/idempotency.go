package config

import (
	"crypto/sha256"

	"github.com/tidwall/btree"
)

const (
	// MaxIdempotencyKeyBytes is the length of the longest idempotency key.
	MaxIdempotencyKeyBytes = 255
	// MaxKeptResults is how many results of writes with an idempotency key are
	// kept in one namespace.
	MaxKeptResults = 65_536
	// maxKeptBytes is what those of all namespaces may take: some ten namespaces
	// at their limit.
	maxKeptBytes = 256 << 20
	// keptOverheadBytes is what a result counts beside its names.
	keptOverheadBytes = 384
	// keptOperationBytes is what each operation of a transaction counts there.
	keptOperationBytes = 24
	// expirySteps is how many results each index drops at most. An index adds
	// one, so there is never more to drop than for some indexes.
	expirySteps = 256
)

// CheckIdempotencyKey returns an InvalidError unless s is an idempotency key: 1
// to 255 bytes of printable ASCII.
func CheckIdempotencyKey(s string) error {
	if s == "" || len(s) > MaxIdempotencyKeyBytes {
		return invalid("idempotency key", "it has %d bytes and must have 1 to %d", len(s), MaxIdempotencyKeyBytes)
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return invalid("idempotency key", "byte %d (0x%02x) is not printable ASCII", i, s[i])
		}
	}
	return nil
}

// keptResult is what a write with an idempotency key came to. It never changes.
//
// What was refused for what the store held (ErrConflict, ErrNotFound, ErrQuota
// and the like) is kept as well: whoever sends a write again because the answer
// was lost gets that answer, whatever has changed since.
type keptResult struct {
	// index is that of the log that carried the write out, and ageMillis what the
	// history's clock showed.
	index     uint64
	ageMillis uint64
	name      keptName
	// fingerprint tells the write from others.
	fingerprint [sha256.Size]byte
	result      Result
}

// keptName is a client's key in a namespace.
type keptName struct{ namespace, key string }

func (k *keptResult) chargeBytes() int64 {
	bytes := keptOverheadBytes + int64(len(k.name.namespace)+len(k.name.key))
	if k.result.Txn != nil {
		bytes += keptOperationBytes * int64(len(k.result.Txn.Operations))
	}
	return bytes
}

// keptResults are the results that are kept for writes with an idempotency key.
type keptResults struct {
	// byIndex holds them in the order in which they expire. Snapshots copy it.
	byIndex btree.Map[uint64, *keptResult]
	byName  map[keptName]*keptResult
	// counts holds the number of each namespace.
	counts map[string]int
	bytes  int64
}

func newKeptResults() keptResults {
	return keptResults{byName: map[keptName]*keptResult{}, counts: map[string]int{}}
}

// full tells whether no more results of a namespace can be kept.
func (r *keptResults) full(namespace string) bool {
	return r.counts[namespace] >= MaxKeptResults || r.bytes >= maxKeptBytes
}

func (r *keptResults) add(k *keptResult) {
	r.byIndex.Set(k.index, k)
	r.byName[k.name] = k
	r.counts[k.name.namespace]++
	r.bytes += k.chargeBytes()
}

// expire drops results that were kept for the whole window.
func (r *keptResults) expire(ageMillis, windowMillis uint64) {
	for range expirySteps {
		index, oldest, ok := r.byIndex.Min()
		if !ok || ageMillis-oldest.ageMillis <= windowMillis {
			return
		}
		r.byIndex.Delete(index)
		delete(r.byName, oldest.name)
		r.bytes -= oldest.chargeBytes()
		if r.counts[oldest.name.namespace]--; r.counts[oldest.name.namespace] == 0 {
			delete(r.counts, oldest.name.namespace)
		}
	}
}

// guard is what a write carries beside itself.
type guard struct {
	namespace string
	// idempotency is the client's key, empty for none, and fingerprint that of the
	// write, 0 without a key.
	idempotency string
	fingerprint [sha256.Size]byte
	// validated is the revision of the namespace's schemas that the values were
	// validated by, 0 for none. Of a schema that is to be attached it is the
	// revision up to which all values under its prefix were validated.
	validated uint64
}

// newGuard returns the guard of a write of which no values were validated yet.
func newGuard(namespace, idempotency string, kind commandKind, fields described) guard {
	g := guard{namespace: namespace, idempotency: idempotency}
	if idempotency != "" {
		g.fingerprint = fingerprintOf(kind, fields)
	}
	return g
}

// guardedFields is a command in the log with its guard around it. Append only.
type guardedFields struct {
	Namespace   string
	Idempotency string
	// Fingerprint is that of the write, and empty without Idempotency.
	Fingerprint []byte
	// Validated is what guard says.
	Validated uint64
	Command   []byte
}

// encodeGuarded puts the guard around the command that goes with it.
func encodeGuarded(command []byte, g guard, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return g.around(command)
}

// around returns a command with the guard around it, if there is any.
func (g guard) around(command []byte) ([]byte, error) {
	if g == (guard{namespace: g.namespace}) {
		return command, nil
	}
	fields := guardedFields{Namespace: g.namespace, Idempotency: g.idempotency, Validated: g.validated, Command: command}
	if g.idempotency != "" {
		fields.Fingerprint = g.fingerprint[:]
	}
	if err := fields.check(); err != nil {
		return nil, err
	}
	return encodeCommand(kindGuarded, &fields, len(g.idempotency)+len(command))
}

func (f *guardedFields) check() error {
	if err := CheckNamespace(f.Namespace); err != nil {
		return err
	}
	want := 0
	if f.Idempotency != "" {
		want = sha256.Size
		if err := CheckIdempotencyKey(f.Idempotency); err != nil {
			return err
		}
	}
	if len(f.Fingerprint) != want {
		return invalid("idempotency key", "its fingerprint has %d bytes and must have %d", len(f.Fingerprint), want)
	}
	if len(f.Command) < commandHeaderBytes {
		return invalid("command", "it has %d bytes", len(f.Command))
	}
	switch kind := commandKind(f.Command[0]); kind {
	case kindGuarded, kindRecover, kindSettings, kindNamespaceSettings:
		return invalid("command", "one of kind %d has no guard", kind)
	default:
		return nil // A kind that is unknown here stops the state when it is carried out.
	}
}

// guarded carries a command out under its guard: once for each idempotency key.
func (s *State) guarded(index uint64, f *guardedFields) Result {
	s.turn.validated = f.Validated
	if f.Idempotency == "" {
		return s.execute(index, f.Command)
	}
	name, fingerprint := keptName{f.Namespace, f.Idempotency}, [sha256.Size]byte(f.Fingerprint)
	if first := s.kept.byName[name]; first != nil {
		if first.fingerprint != fingerprint {
			return Result{Outcome: OutcomeIdempotencyReused, Revision: s.revision}
		}
		return first.result
	}
	if f.Validated == neverValidated {
		// Not even if it turns out to write no value, or nothing.
		return Result{Outcome: OutcomeSchemaRace, Revision: s.revision}
	}
	if s.kept.full(f.Namespace) {
		return Result{Outcome: OutcomeIdempotencyFull, Revision: s.revision}
	}
	result := s.execute(index, f.Command)
	if s.fault == nil && result.Outcome.answers() {
		s.kept.add(&keptResult{index: index, ageMillis: s.history.ageMillis, name: name, fingerprint: fingerprint, result: result})
	}
	return result
}

// answers tells whether the outcome is the answer to a write, and not to how it
// was sent.
func (o Outcome) answers() bool {
	switch o {
	case OutcomeMalformed, OutcomeIdempotencyFull, OutcomeIdempotencyReused, OutcomeSchemaRace:
		return false
	default:
		return o.kept()
	}
}
