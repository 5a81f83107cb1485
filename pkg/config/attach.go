package config

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// MaxSchemas is how many schemas a namespace may have.
	MaxSchemas = 256
	// maxAllSchemaBytes is what those of all namespaces may take.
	maxAllSchemaBytes = 64 << 20
	// schemaOverheadBytes is what a schema counts beside its document.
	schemaOverheadBytes = 256
	// untouchedSteps is how much of the journal one index looks through.
	untouchedSteps = 65_536
)

// AttachedSchema is a schema that holds under a prefix. It never changes; nobody
// may write to Document.
type AttachedSchema struct {
	Prefix   string
	Document []byte
	// Revision is the revision that attached it.
	Revision uint64
	// TimeMillis is the wall clock of the leader that took it, in milliseconds
	// since 1970. It is shown, and nothing is decided by it.
	TimeMillis uint64
}

func (a *AttachedSchema) chargeBytes() int64 {
	return schemaOverheadBytes + int64(len(a.Prefix)+len(a.Document))
}

// AttachSchema makes a schema hold for all keys of a namespace that begin with a
// prefix, in the place of the one that did. Of several schemas with different
// prefixes of a key all hold.
type AttachSchema struct {
	Namespace string
	// Prefix may be empty, for the whole namespace.
	Prefix string
	// Document is the schema as CompileSchema takes it.
	Document []byte
	// If must hold of the revision of the schema that is attached to the prefix, 0
	// when there is none; otherwise ErrConflict.
	If Precondition
	// Idempotency is as in Put.
	Idempotency string
}

// DetachSchema takes a schema off its prefix.
type DetachSchema struct {
	Namespace string
	Prefix    string
	// If is as in AttachSchema. It is looked at before the schema's existence is.
	If Precondition
	// Idempotency is as in Put.
	Idempotency string
}

// attachFields is a schema in the log. Append only.
type attachFields struct {
	Namespace  string
	Prefix     string
	Document   []byte
	IfKind     preconditionKind
	IfRevision uint64
}

// detachFields is the end of a schema in the log. Append only.
type detachFields struct {
	Namespace  string
	Prefix     string
	IfKind     preconditionKind
	IfRevision uint64
}

// Encode checks the schema and returns it as a command, as of nothing validated:
// it takes effect where no value is under the prefix. It returns an InvalidError
// when it can never succeed.
func (a *AttachSchema) Encode() ([]byte, error) {
	if _, err := CompileSchema(a.Document); err != nil {
		return nil, err
	}
	return encodeGuarded(a.command())
}

func (a *AttachSchema) command() ([]byte, guard, error) {
	fields := attachFields{
		Namespace: a.Namespace, Prefix: a.Prefix, Document: a.Document, IfKind: a.If.kind, IfRevision: a.If.number,
	}
	if err := fields.check(); err != nil {
		return nil, guard{}, err
	}
	command, err := encodeCommand(kindAttachSchema, &fields, len(a.Prefix)+len(a.Document))
	return command, newGuard(a.Namespace, a.Idempotency, kindAttachSchema, &fields), err
}

// Encode checks the detachment and returns it as a command. It returns an
// InvalidError when it can never succeed.
func (d *DetachSchema) Encode() ([]byte, error) { return encodeGuarded(d.command()) }

func (d *DetachSchema) command() ([]byte, guard, error) {
	fields := detachFields{Namespace: d.Namespace, Prefix: d.Prefix, IfKind: d.If.kind, IfRevision: d.If.number}
	if err := fields.check(); err != nil {
		return nil, guard{}, err
	}
	command, err := encodeCommand(kindDetachSchema, &fields, len(d.Prefix))
	return command, newGuard(d.Namespace, d.Idempotency, kindDetachSchema, &fields), err
}

// check doesn't look into the document: what the library of one release accepts,
// that of another may not.
func (f *attachFields) check() error {
	if err := checkSchemaPlace(f.Namespace, f.Prefix, f.IfKind); err != nil {
		return err
	}
	return checkSchemaBytes(f.Document)
}

func (f *detachFields) check() error { return checkSchemaPlace(f.Namespace, f.Prefix, f.IfKind) }

func checkSchemaPlace(namespace, prefix string, condition preconditionKind) error {
	if err := CheckNamespace(namespace); err != nil {
		return err
	}
	if err := CheckPrefix(prefix); err != nil {
		return err
	}
	return checkCondition(condition)
}

func checkSchemaBytes(document []byte) error {
	if len(document) == 0 || len(document) > MaxSchemaBytes {
		return invalid("schema", "it has %d bytes and must have 1 to %d", len(document), MaxSchemaBytes)
	}
	return nil
}

// schema returns the place of a prefix among the schemas, and the schema that is
// attached to it, nil for none. A nil space is an empty one.
func (s *space) schema(prefix string) (int, *AttachedSchema) {
	if s == nil {
		return 0, nil
	}
	at, found := slices.BinarySearchFunc(s.schemas, prefix, func(a *AttachedSchema, prefix string) int {
		return strings.Compare(a.Prefix, prefix)
	})
	if !found {
		return at, nil
	}
	return at, s.schemas[at]
}

// schemasOf returns the revision of the schemas of a space, 0 when it has none.
func schemasOf(sp *space) uint64 {
	if sp == nil {
		return 0
	}
	return sp.schemaRevision
}

// attachSchema attaches a schema, provided that the values under its prefix are
// those that were validated by it.
func (s *State) attachSchema(f *attachFields) Result {
	sp := s.space(f.Namespace)
	at, old := sp.schema(f.Prefix)
	next := &AttachedSchema{Prefix: f.Prefix, Document: f.Document, Revision: s.revision + 1, TimeMillis: s.turn.stamp.TimeMillis}
	result := Result{Revision: s.revision}
	growth := next.chargeBytes()
	if old != nil {
		result.Current = old.Revision
		growth -= old.chargeBytes()
	}
	switch {
	case !(Precondition{f.IfKind, f.IfRevision}).allows(result.Current):
		result.Outcome = OutcomeConflict
		return result
	case old == nil && sp != nil && len(sp.schemas) >= MaxSchemas, s.schemaBytes+growth > maxAllSchemaBytes:
		result.Outcome = OutcomeTooMany
		return result
	case !s.untouched(f.Namespace, f.Prefix, s.turn.validated):
		result.Outcome = OutcomeSchemaRace
		return result
	}
	s.mark()
	sp = s.open(f.Namespace)
	// Views hold the list as it was.
	sp.schemas = slices.Clone(sp.schemas)
	if old == nil {
		sp.schemas = slices.Insert(sp.schemas, at, next)
	} else {
		sp.schemas[at] = next
	}
	sp.schemaRevision = s.revision
	s.schemaBytes += growth
	result.Outcome, result.Revision = OutcomeApplied, s.revision
	return result
}

func (s *State) detachSchema(f *detachFields) Result {
	at, old := s.space(f.Namespace).schema(f.Prefix)
	result := Result{Revision: s.revision}
	if old != nil {
		result.Current = old.Revision
	}
	if !(Precondition{f.IfKind, f.IfRevision}).allows(result.Current) {
		result.Outcome = OutcomeConflict
		return result
	}
	if old == nil {
		result.Outcome = OutcomeNotFound
		return result
	}
	s.mark()
	sp := s.open(f.Namespace)
	sp.schemas = slices.Delete(slices.Clone(sp.schemas), at, at+1)
	sp.schemaRevision = s.revision
	if len(sp.schemas) == 0 {
		// Whoever finds no schema validates by none, whenever there was one.
		sp.schemas, sp.schemaRevision = nil, 0
	}
	s.schemaBytes -= old.chargeBytes()
	s.release(sp)
	result.Outcome, result.Revision = OutcomeApplied, s.revision
	return result
}

// untouched tells whether no value was written under a prefix after a revision.
// When that is not in history any more, or too much is, the answer is no.
func (s *State) untouched(namespace, prefix string, since uint64) bool {
	if since < s.history.oldest || since > s.revision {
		return false
	}
	writes := func(c Change) bool {
		return c.Namespace == namespace && strings.HasPrefix(c.Entry.Key, prefix) && !c.Entry.Deleted()
	}
	steps := 0
	for r := range s.history.journal.from(since + 1) {
		if steps += 1 + len(r.Changes); steps > untouchedSteps || slices.ContainsFunc(r.Changes, writes) {
			return false
		}
	}
	return true
}

// validated tells whether a space has the schemas by which the values of the
// command that is carried out were validated. What writes none needs none.
func (s *State) validated(sp *space, writes []write) bool {
	return s.turn.validated == schemasOf(sp) ||
		!slices.ContainsFunc(writes, func(w write) bool { return !w.next.Deleted() })
}

// schemaFrameFields is a frame of an attached schema.
type schemaFrameFields struct {
	Prefix     string
	Document   []byte
	Revision   uint64
	TimeMillis uint64
}

// schemas writes the schemas of a namespace in order of their prefixes.
func (w *frameWriter) schemas(sp *space) error {
	for _, a := range sp.schemas {
		fields := schemaFrameFields(*a)
		if err := w.frame(frameSchema, &fields); err != nil {
			return err
		}
	}
	return nil
}

// schemas reads the schemas of a namespace that announced so many.
func (r *frameReader) schemas(c *contents, sp *space, announced, revision uint64) error {
	if announced > MaxSchemas || (announced == 0) != (revision == 0) || revision > c.revision {
		return fmt.Errorf("%w: namespace %q has %d schemas of revision %d", ErrBadSnapshot, sp.name, announced, revision)
	}
	sp.schemaRevision = revision
	for range announced {
		var f schemaFrameFields
		if err := r.expect(frameSchema, &f); err != nil {
			return err
		}
		if err := checkSchemaPlace(sp.name, f.Prefix, conditionNone); err != nil {
			return fmt.Errorf("%w: %w", ErrBadSnapshot, err)
		}
		if err := checkSchemaBytes(f.Document); err != nil {
			return fmt.Errorf("%w: %w", ErrBadSnapshot, err)
		}
		if n := len(sp.schemas); n > 0 && f.Prefix <= sp.schemas[n-1].Prefix || f.Revision == 0 || f.Revision > revision {
			return fmt.Errorf("%w: schema %d of namespace %q and its revision %d: prefix %q of revision %d",
				ErrBadSnapshot, n+1, sp.name, revision, f.Prefix, f.Revision)
		}
		a := AttachedSchema(f)
		sp.schemas = append(sp.schemas, &a)
		c.schemaBytes += a.chargeBytes()
	}
	return nil
}
