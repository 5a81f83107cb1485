package replica

import (
	"errors"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// The errors of requests. All but ErrOutcomeUnknown mean that a proposal
// certainly has not taken effect and never will.
var (
	// ErrNoLeader: no leader was found that took the request in time.
	ErrNoLeader = errors.New("no leader")
	// ErrOverloaded: too many requests wait, or too much of the log is not
	// committed.
	ErrOverloaded = errors.New("overloaded")
	// ErrDiskFull: the leader's disk, or those of too many members, have no room for
	// what the command adds.
	ErrDiskFull = errors.New("disk full")
	// ErrTooLarge: the command exceeds the limit of one log entry.
	ErrTooLarge = errors.New("command too large")
	// ErrStopping: the replica is closing or has closed.
	ErrStopping = errors.New("replica is stopping")
	// ErrNotCaughtUp: the read barrier is known but this member has not applied
	// the log up to it in time.
	ErrNotCaughtUp = errors.New("not caught up")
	// ErrParked: this member's state differs from that of the majority, or can't follow
	// the log, so it serves nothing.
	ErrParked = errors.New("parked")
	// ErrOutcomeUnknown: the proposal may take effect, now or later, or not.
	ErrOutcomeUnknown = errors.New("outcome unknown")
)

// RefusedError tells why a change of the membership or a transfer was refused.
// Nothing has changed.
type RefusedError struct{ Reason raft.Reason }

func (e *RefusedError) Error() string { return "refused: " + e.Reason.String() }
