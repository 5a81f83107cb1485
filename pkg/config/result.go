package config

import "fmt"

// Outcome is what a command did. It goes into the state's hash: numbers are
// never given a new meaning.
type Outcome uint8

const (
	// OutcomeNothing: there was no command at this index of the log.
	OutcomeNothing Outcome = 0
	// OutcomeApplied: the command took effect as Result.Revision.
	OutcomeApplied Outcome = 1
	// OutcomeConflict: the precondition didn't hold.
	OutcomeConflict Outcome = 2
	// OutcomeNotFound: there was nothing to delete.
	OutcomeNotFound Outcome = 3
	// OutcomeQuota: the change would have exceeded the quota of the store.
	OutcomeQuota Outcome = 4
	// OutcomeMalformed: the command can't be read, by any member.
	OutcomeMalformed Outcome = 5
	// OutcomeUnknownCommand: this program doesn't know the command. The state
	// stands still from here on (see State.Fault).
	OutcomeUnknownCommand Outcome = 6
	// OutcomeForgotten: this is a late copy of a proposal whose member has
	// restarted since or has answered its caller. It changed nothing; what
	// became of the first copy, if there was one, is not kept.
	OutcomeForgotten Outcome = 7
	// OutcomePruned: history no longer reaches the revision that was named.
	OutcomePruned Outcome = 8
	// OutcomeFutureRevision: the store hasn't reached the revision that was named.
	OutcomeFutureRevision Outcome = 9
	// OutcomeTooLarge: the change would be more than one revision takes.
	OutcomeTooLarge Outcome = 10
	// OutcomeNamespaceQuota: the change would have exceeded the quota of its
	// namespace.
	OutcomeNamespaceQuota Outcome = 11
	// OutcomeFeatureLevel: the feature level would have fallen.
	OutcomeFeatureLevel Outcome = 12
	// OutcomeTooMany: there are as many of such settings or schemas as may be.
	OutcomeTooMany Outcome = 13
	// OutcomeIdempotencyFull: the result of the write could not have been kept,
	// so it was not carried out.
	OutcomeIdempotencyFull Outcome = 14
	// OutcomeIdempotencyReused: the idempotency key belongs to another write.
	OutcomeIdempotencyReused Outcome = 15
	// OutcomeSchemaRace: the values were validated by other schemas than there are
	// or, of a schema that was to be attached, others are there now.
	OutcomeSchemaRace Outcome = 16

	lastOutcome = OutcomeSchemaRace
)

// Result is what Apply did with one command.
type Result struct {
	Outcome Outcome
	// Changes is how many keys the command changed.
	Changes uint32
	// Revision is the change's own revision when it was applied and changed
	// anything, and the store's unchanged one otherwise.
	Revision uint64
	// Current is the modification revision that the command found at its key,
	// 0 when the key was absent. After a transaction that was refused it is that of
	// the key of the first condition that failed, and with OutcomePruned the oldest
	// revision that can be read at.
	Current uint64
	// CreateRevision and Version are the written entry's, after a put.
	CreateRevision uint64
	Version        uint64
	// Txn tells what a transaction did, or which condition refused it; nil of
	// other commands, and of one that was refused for other reasons.
	Txn *TxnResult
}

// verdict is the outcome with the number of changes, as the hash and snapshots
// have them.
func (r Result) verdict() uint64 { return uint64(r.Outcome) | uint64(r.Changes)<<8 }

// Created tells whether an applied put made the key.
func (r Result) Created() bool { return r.Version == 1 }

// Err returns nil for a command that took effect, or for no command, and
// otherwise the error that a caller of Store gets.
func (r Result) Err() error {
	switch r.Outcome {
	case OutcomeNothing, OutcomeApplied:
		return nil
	case OutcomeConflict:
		return &ConflictError{Current: r.Current, Revision: r.Revision}
	case OutcomeNotFound:
		return ErrNotFound
	case OutcomeQuota:
		return fmt.Errorf("%w: that of the whole store", ErrQuota)
	case OutcomeNamespaceQuota:
		return fmt.Errorf("%w: that of the namespace", ErrQuota)
	case OutcomeFeatureLevel:
		return fmt.Errorf("%w: it can't be lowered", ErrFeatureLevel)
	case OutcomeTooMany:
		return ErrTooMany
	case OutcomeIdempotencyFull:
		return ErrIdempotencyFull
	case OutcomeIdempotencyReused:
		return ErrIdempotencyReused
	case OutcomeSchemaRace:
		return ErrSchemaRace
	case OutcomeMalformed:
		return ErrMalformedCommand
	case OutcomeUnknownCommand:
		return fmt.Errorf("%w: %w", ErrParked, ErrUnknownCommand)
	case OutcomeForgotten:
		return ErrOutcomeUnknown
	case OutcomePruned:
		return &PrunedError{Oldest: r.Current}
	case OutcomeFutureRevision:
		return ErrFutureRevision
	case OutcomeTooLarge:
		return fmt.Errorf("%w: a revision changes at most %d keys and %d bytes, and a rollback finds them among at most %d",
			ErrTooLarge, MaxRevisionChanges, MaxRevisionBytes, maxChangeSteps)
	default:
		panic(fmt.Sprintf("config: outcome %d has no error", r.Outcome))
	}
}
