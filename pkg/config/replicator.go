package config

import "context"

// Replicator is what replicates commands and tells how fresh the local state
// is. All methods may be called by many goroutines at once.
type Replicator interface {
	// Propose has a command replicated. It returns after the command was
	// applied and published to the local State, with its result. Its error is
	// ErrNoLeader, ErrOverloaded, ErrStopping, ErrTooLarge, ErrDiskFull or
	// ErrParked only when the command was certainly not applied and never will be; otherwise,
	// the end of ctx included, it is ErrOutcomeUnknown. It keeps command, which
	// nobody changes afterwards. A command that freesSpace adds no bytes to the
	// state and is taken while disks run low.
	Propose(ctx context.Context, command []byte, freesSpace bool) (Result, error)
	// ReadBarrier returns nil when the published local State holds everything
	// that was acknowledged to any client before the call. Its error is
	// ErrNoLeader, ErrOverloaded, ErrStopping, ErrParked or, when time ran out,
	// ErrNotCaughtUp.
	ReadBarrier(ctx context.Context) error
	// Leader returns the name of the leader that this member follows, or is,
	// and whether it knows one. It is called for every request and must cost
	// next to nothing.
	Leader() (name string, known bool)
}
