package config

import (
	"errors"
	"fmt"
)

// What a caller of Store may meet. Each says what became of a write; callers
// compare with errors.Is.
var (
	// ErrInvalid: the request itself is wrong; an InvalidError says where.
	// Nothing was applied and the same request can never succeed.
	ErrInvalid = errors.New("invalid request")
	// ErrTooLarge: a value or command is over its limit. Nothing was applied.
	ErrTooLarge = errors.New("too large")
	// ErrNotFound: there was no such key to delete. Nothing was applied.
	ErrNotFound = errors.New("no such key")
	// ErrConflict: a precondition didn't hold; a ConflictError tells what the
	// key was instead. Nothing was applied.
	ErrConflict = errors.New("the key is not as the precondition says")
	// ErrQuota: the write would add bytes beyond the quota of its namespace or
	// of the store; the text says which. Nothing was applied. Deletes are never
	// refused for it.
	ErrQuota = errors.New("quota exceeded")
	// ErrIdempotencyFull: as many results of writes with an idempotency key are
	// kept as may be. Not carried out; worth another try when some have expired.
	ErrIdempotencyFull = errors.New("too many idempotency keys in use")
	// ErrIdempotencyReused: the idempotency key was given with another write, the
	// result of which is still kept. Not carried out.
	ErrIdempotencyReused = errors.New("idempotency key belongs to another write")
	// ErrTooMany: as many namespaces have settings as may, or a namespace has as
	// many schemas. Nothing was applied.
	ErrTooMany = errors.New("too many of them")
	// ErrFeatureLevel: the write needs a higher feature level than the store has,
	// or would lower it. Nothing was applied.
	ErrFeatureLevel = errors.New("feature level")
	// ErrPruned: a revision was asked for that history no longer reaches; a
	// PrunedError tells how far it does.
	ErrPruned = errors.New("revision is pruned")
	// ErrFutureRevision: a revision was asked for that the store hasn't reached.
	ErrFutureRevision = errors.New("revision is not reached yet")
	// ErrSchema: the value doesn't satisfy the schema of its prefix; a
	// SchemaError tells where. Nothing was applied.
	ErrSchema = errors.New("the value doesn't satisfy the schema")
	// ErrSchemaRace: schemas, or the values under one that was to be attached,
	// changed as often as the write was validated. Nothing was applied; worth
	// another try.
	ErrSchemaRace = errors.New("schemas or values changed meanwhile")
	// ErrRender: entries can't be one document of the form wanted; a RenderError
	// tells which.
	ErrRender = errors.New("can't be rendered")

	// ErrNoLeader: no leader is known or it can't be reached. Certainly not
	// applied; worth another try soon.
	ErrNoLeader = errors.New("no leader")
	// ErrOverloaded: a queue on the way is full. Certainly not applied; worth
	// another try later.
	ErrOverloaded = errors.New("overloaded")
	// ErrDiskFull: the leader's disk, or those of too many members, have no room
	// for what the write adds. Certainly not applied. Deletes are refused only
	// when there is no room at all.
	ErrDiskFull = errors.New("disk full")
	// ErrStopping: this member is shutting down. Certainly not applied; worth
	// another try at another member.
	ErrStopping = errors.New("stopping")
	// ErrParked: this member can't follow the log any further, or its state is not
	// that of the majority, so it serves nothing. Certainly not applied; worth another
	// try at another member.
	ErrParked = errors.New("parked")
	// ErrNotReady: this member hasn't caught up since its start, or isn't part of
	// its cluster yet, so what it holds may be older than what it has served
	// before. Worth another try soon, or at another member.
	ErrNotReady = errors.New("not ready")
	// ErrOutcomeUnknown: nobody told in time what became of a write. It may
	// have been applied, and may yet be. Store never sends it again.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrNotCaughtUp: a read that demands fresh state didn't get it in time.
	ErrNotCaughtUp = errors.New("not caught up")
	// ErrTooStale: the local state is older than a bounded read allows, or of
	// unknown age, and no read barrier was passed to renew it. Worth another try
	// soon, or with a greater bound.
	ErrTooStale = errors.New("too stale")
	// ErrTooManyWatches: as many watches as allowed are open here.
	ErrTooManyWatches = errors.New("too many watches")

	// ErrMalformedCommand: a command of the log can't be read. Every member
	// finds the same and passes over it. Store makes no such command.
	ErrMalformedCommand = errors.New("malformed command")
	// ErrUnknownCommand: a command of the log is of a kind or version that
	// this program doesn't know but another may, so this member must not go
	// on (see State.Fault).
	ErrUnknownCommand = errors.New("unknown command")
	// ErrBadSnapshot: a snapshot is damaged, cut short or of an unknown
	// format. The state that was to be replaced is untouched.
	ErrBadSnapshot = errors.New("bad snapshot")
)

// InvalidError says which part of a request is wrong and why. It is an
// ErrInvalid. It quotes names, never values.
type InvalidError struct {
	// What is the part, as in "namespace", "key", "cursor" or "transaction".
	What   string
	Reason string
}

func (e *InvalidError) Error() string { return "invalid " + e.What + ": " + e.Reason }

// Is makes errors.Is(err, ErrInvalid) hold.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// ConflictError tells what a failed precondition met. It is an ErrConflict.
type ConflictError struct {
	// Current is the key's modification revision, 0 when the key is absent.
	Current uint64
	// Revision is the store's revision at that moment.
	Revision uint64
}

func (e *ConflictError) Error() string {
	if e.Current == 0 {
		return fmt.Sprintf("%v: at revision %d it is absent", ErrConflict, e.Revision)
	}
	return fmt.Sprintf("%v: at revision %d it was last written at %d", ErrConflict, e.Revision, e.Current)
}

// Is makes errors.Is(err, ErrConflict) hold.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// PrunedError tells how far history reaches. It is an ErrPruned.
type PrunedError struct {
	// Revision is what was asked for, 0 when nobody says, and Oldest the oldest that can be read at.
	Revision, Oldest uint64
}

func (e *PrunedError) Error() string {
	if e.Revision == 0 {
		return fmt.Sprintf("%v: %d is the oldest", ErrPruned, e.Oldest)
	}
	return fmt.Sprintf("%v: %d was asked for and %d is the oldest", ErrPruned, e.Revision, e.Oldest)
}

// Is makes errors.Is(err, ErrPruned) hold.
func (e *PrunedError) Is(target error) bool { return target == ErrPruned }

// futureRevision is an ErrFutureRevision with both revisions.
func futureRevision(asked, reached uint64) error {
	return fmt.Errorf("%w: %d was asked for and %d is here", ErrFutureRevision, asked, reached)
}
