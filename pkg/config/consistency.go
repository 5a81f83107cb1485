package config

import "time"

// Level is how fresh a read must be.
type Level uint8

const (
	// Linear reads see everything that was acknowledged, anywhere, before the
	// read began. It is the zero value.
	Linear Level = iota
	// Session reads see at least ReadOptions.MinRevision.
	Session
	// Bounded reads see everything that was acknowledged, anywhere, up to
	// ReadOptions.MaxStaleness before the read began.
	Bounded
	// Local reads see what this member has, without asking anybody. They are
	// answered without a quorum too.
	Local
)

// String returns the level's name in the API.
func (l Level) String() string {
	switch l {
	case Linear:
		return "linear"
	case Session:
		return "session"
	case Bounded:
		return "bounded"
	case Local:
		return "local"
	default:
		return "unknown"
	}
}

// ReadOptions says how fresh a read must be. The zero value is a linear read.
type ReadOptions struct {
	Level Level
	// MinRevision is the revision that a Session read waits for: the highest
	// that the session has seen. Only Session takes it.
	MinRevision uint64
	// MaxStaleness is how old a Bounded read may be when it begins, 0 or more;
	// with 0 it is as fresh as a linear one. Only Bounded takes it.
	MaxStaleness time.Duration
	// At is the revision that the read is as of; 0 means the newest that Level
	// finds. It may be any that the answering View reaches from: otherwise the
	// read fails with ErrPruned or ErrFutureRevision.
	At uint64
}

func (o ReadOptions) check() error {
	if o.Level > Local {
		return invalid("consistency", "level %d is unknown", o.Level)
	}
	if o.At > maxRevision {
		return invalid("revision", "%d is beyond the last possible one", o.At)
	}
	if o.MinRevision != 0 && o.Level != Session {
		return invalid("consistency", "only session takes a minimum revision, not %v", o.Level)
	}
	if o.MaxStaleness != 0 && o.Level != Bounded {
		return invalid("consistency", "only bounded takes a maximum staleness, not %v", o.Level)
	}
	if o.MaxStaleness < 0 {
		return invalid("consistency", "a maximum staleness of %v is negative", o.MaxStaleness)
	}
	return nil
}

// Standing says what an answer is worth.
type Standing struct {
	// Revision is the revision that the answer is from.
	Revision uint64
	Level    Level
	// LeaderKnown tells whether this member knew a leader.
	LeaderKnown bool
	// Staleness bounds the age of the answer: the time since this member
	// began its last read barrier that succeeded. Heartbeats don't count, for
	// an isolated leader sends them too. It is NeverFresh before the first.
	Staleness time.Duration
}

// NeverFresh is the Staleness of a member that has passed no read barrier yet.
const NeverFresh time.Duration = -1
