package config

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
)

const (
	// validationAttempts is how often a write is validated and proposed when
	// schemas, or what is under an attached one, change meanwhile.
	validationAttempts = 5
	// maxOffendingKeys is how many keys an OffendingError names.
	maxOffendingKeys = 20
)

// errTooLongToValidate is an ErrOverloaded: nothing was proposed.
var errTooLongToValidate = fmt.Errorf("%w: there was no time to validate all values", ErrOverloaded)

// neverValidated is what no command's values were ever validated by.
const neverValidated = math.MaxUint64

// OffendingError names live keys whose values don't satisfy a schema that was to
// be attached. It is an ErrSchema.
type OffendingError struct {
	// Keys are the first in byte order, at most 20, each with what is wrong first.
	Keys []OffendingKey
	// More tells that there are others.
	More bool
}

// OffendingKey is a key whose value doesn't satisfy a schema.
type OffendingKey struct {
	Key string
	Violation
}

func (e *OffendingError) Error() string {
	names := make([]string, len(e.Keys))
	for i, k := range e.Keys {
		names[i] = fmt.Sprintf("%q", k.Key)
	}
	more := ""
	if e.More {
		more = " and others"
	}
	return fmt.Sprintf("%v: live values don't satisfy it: %s%s", ErrSchema, strings.Join(names, ", "), more)
}

// Is makes errors.Is(err, ErrSchema) hold.
func (e *OffendingError) Is(target error) bool { return target == ErrSchema }

// AttachSchema attaches a schema. A nil error means the same as for Put, and that
// all values under the prefix satisfy the schema, now and later; ErrSchema, with
// an OffendingError, that some don't; ErrTooMany that there is no room for another
// schema; ErrSchemaRace that values under the prefix changed again and again. The
// other errors are those of Put.
func (s *Store) AttachSchema(ctx context.Context, a AttachSchema) (Result, error) {
	command, g, err := a.command()
	if err != nil {
		return Result{}, err
	}
	schema, err := CompileSchema(a.Document)
	if err != nil {
		return Result{}, err
	}
	var known *View
	result, err := s.submit(ctx, g, command, false, func(v *View) (uint64, error) {
		err := offending(ctx, schema, v.valuesSince(known, a.Namespace, a.Prefix))
		if err == nil {
			known = v
		}
		return v.Revision, err
	})
	if err != nil {
		return result, fmt.Errorf("attach a schema to %s/%s: %w", a.Namespace, a.Prefix, err)
	}
	return result, nil
}

// DetachSchema takes a schema off its prefix. A nil error means the same as for
// Put; ErrNotFound that there was none. The other errors are those of Put.
func (s *Store) DetachSchema(ctx context.Context, d DetachSchema) (Result, error) {
	command, g, err := d.command()
	if err != nil {
		return Result{}, err
	}
	result, err := s.submit(ctx, g, command, true, nil)
	if err != nil {
		return result, fmt.Errorf("detach the schema of %s/%s: %w", d.Namespace, d.Prefix, err)
	}
	return result, nil
}

// valuesSince walks over the live entries under a prefix that aren't in an older
// view, nil for none: those are known to be good. After very many changes it
// walks over all again.
func (v *View) valuesSince(known *View, namespace, prefix string) iter.Seq[*Entry] {
	sp := v.space(namespace)
	if known == nil || known.Revision < v.oldest {
		return func(yield func(*Entry) bool) {
			v.ascend(namespace, prefix, v.Revision, func(key string, e *Entry) bool {
				return strings.HasPrefix(key, prefix) && yield(e)
			})
		}
	}
	return func(yield func(*Entry) bool) {
		for key := range sp.mayDiffer(&v.journal, prefix, prefix, known.Revision, v.Revision) {
			if e := sp.get(key); e != nil && !yield(e) {
				return
			}
		}
	}
}

// offending returns an OffendingError if any entry doesn't satisfy the schema.
func offending(ctx context.Context, schema *Schema, entries iter.Seq[*Entry]) error {
	var found OffendingError
	for e := range entries {
		if ctx.Err() != nil {
			return errTooLongToValidate
		}
		var wrong *SchemaError
		if !errors.As(schema.Validate(e.Value, e.MediaType), &wrong) {
			continue
		}
		if len(found.Keys) == maxOffendingKeys {
			found.More = true
			break
		}
		found.Keys = append(found.Keys, OffendingKey{e.Key, wrong.Violations[0]})
	}
	if len(found.Keys) == 0 {
		return nil
	}
	return &found
}

// submit has a write proposed, under its guard. validate, nil for a write that
// needs none, returns what the values were validated by at a view; Apply refuses
// the write if that is not so any more, and it is validated and proposed again.
// So it is, once, when schemas refuse it, for the view may lag behind a change
// that was acknowledged before the call.
func (s *Store) submit(
	ctx context.Context, g guard, command []byte, freesSpace bool, validate func(*View) (uint64, error),
) (Result, error) {
	caughtUp := false
	for attempt := 1; ; attempt++ {
		view := s.state.View()
		if err := checkLevel(command, view.Settings.FeatureLevel); err != nil {
			return Result{}, err
		}
		var refusal error
		if validate != nil {
			g.validated, refusal = validate(view)
		}
		switch {
		case refusal == nil:
		case !errors.Is(refusal, ErrSchema), caughtUp && g.idempotency == "":
			return Result{}, refusal
		case g.idempotency == "":
			if err := s.catchUp(ctx); err != nil {
				return Result{}, err
			}
			caughtUp = true
			continue
		default:
			// The write may have been carried out when other schemas held. Then it
			// returns that result, and otherwise it can't succeed.
			g.validated = neverValidated
		}
		guarded, err := g.around(command)
		if err != nil {
			return Result{}, err
		}
		result, err := s.propose(ctx, guarded, freesSpace)
		if !errors.Is(err, ErrSchemaRace) {
			return result, err
		}
		if refusal != nil && caughtUp {
			return Result{}, refusal
		}
		if attempt >= validationAttempts || ctx.Err() != nil {
			return result, err
		}
		// What refused the proposal is in the local state.
		caughtUp = true
	}
}

// catchUp passes a read barrier before a write is validated. Its error means that
// nothing was proposed.
func (s *Store) catchUp(ctx context.Context) error {
	err := s.barrier(ctx)
	if errors.Is(err, ErrNotCaughtUp) {
		return errTooLongToValidate
	}
	return err
}

// validate holds entries of a namespace to all schemas of a view that their keys
// begin with the prefixes of. It returns the revision of the schemas.
func (s *Store) validate(ctx context.Context, v *View, namespace string, entries iter.Seq[*Entry]) (uint64, error) {
	sp := v.space(namespace)
	if schemasOf(sp) == 0 {
		return 0, nil
	}
	for e := range entries {
		if ctx.Err() != nil {
			return 0, errTooLongToValidate
		}
		for _, a := range sp.schemas {
			if !strings.HasPrefix(e.Key, a.Prefix) {
				continue
			}
			schema, err := s.schemas.Get(SchemaID{namespace, a.Prefix, a.Revision}, a.Document)
			if err != nil {
				// Another release attached what this one doesn't take.
				return 0, fmt.Errorf("%w: that of prefix %q can't be used by this member: %w", ErrSchema, a.Prefix, err)
			}
			if err := schema.Validate(e.Value, e.MediaType); err != nil {
				return 0, fmt.Errorf("key %q by the schema of prefix %q: %w", e.Key, a.Prefix, err)
			}
		}
	}
	return sp.schemaRevision, nil
}

// validation returns what submit takes for entries that are known beforehand.
func (s *Store) validation(ctx context.Context, namespace string, entries iter.Seq[*Entry]) func(*View) (uint64, error) {
	return func(v *View) (uint64, error) { return s.validate(ctx, v, namespace, entries) }
}

// values are the entries that a put may leave.
func (p *Put) values() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		yield(&Entry{Key: p.Key, Value: p.Value, MediaType: mediaTypeOr(p.MediaType)})
	}
}

// values are the entries that a transaction may leave, whichever branch is taken.
func (t *Txn) values() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		for _, branch := range [][]Operation{t.Then, t.Else} {
			for _, o := range branch {
				if o.Kind == OperationPut && !yield(&Entry{Key: o.Key, Value: o.Value, MediaType: mediaTypeOr(o.MediaType)}) {
					return
				}
			}
		}
	}
}

// values are the entries that a rollback may put back: what was changed up to the
// view. Of other keys the present value is the one to put back, which is good.
func (r *Rollback) values(v *View) iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		sp := v.space(r.Namespace)
		for key := range sp.mayDiffer(&v.journal, r.Prefix, r.Prefix, r.To, v.Revision) {
			if e := sp.at(key, r.To); e != nil && e != sp.get(key) && !yield(e) {
				return
			}
		}
	}
}
