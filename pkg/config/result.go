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
	// OutcomeQuota: the put would have exceeded the quota.
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
)

// Result is what Apply did with one command.
type Result struct {
	Outcome Outcome
	// Revision is the change's own revision when it was applied, and the
	// store's unchanged one otherwise.
	Revision uint64
	// Current is the modification revision that the command found at its key,
	// 0 when the key was absent.
	Current uint64
	// CreateRevision and Version are the written entry's, after a put.
	CreateRevision uint64
	Version        uint64
}

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
		return ErrQuota
	case OutcomeMalformed:
		return ErrMalformedCommand
	case OutcomeUnknownCommand:
		return fmt.Errorf("%w: %w", ErrParked, ErrUnknownCommand)
	case OutcomeForgotten:
		return ErrOutcomeUnknown
	default:
		panic(fmt.Sprintf("config: outcome %d has no error", r.Outcome))
	}
}
