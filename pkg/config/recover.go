package config

// recoverRevisions is how far a Recover moves the revision at least: more than
// any members that are lost can have been ahead.
const recoverRevisions = 1_000_000_000

// Recover moves the revision so far on that none is ever issued twice: not those
// of changes that the store lost when it was recovered from one member, and not
// those of an earlier recovery. No key changes, and history begins anew there. No client can ask for it; the
// recovery writes it into the log.
type Recover struct {
	// TimeMicros is when the recovery was ordered, in microseconds since 1970.
	// The revision is at least that afterwards.
	TimeMicros uint64
}

// recoverFields is a recovery in the log. Append only.
type recoverFields struct {
	TimeMicros uint64
}

// Encode checks the recovery and returns it as a command.
func (r *Recover) Encode() ([]byte, error) {
	fields := recoverFields{TimeMicros: r.TimeMicros}
	if err := fields.check(); err != nil {
		return nil, err
	}
	return encodeCommand(kindRecover, &fields, 0)
}

func (f *recoverFields) check() error {
	if f.TimeMicros == 0 || f.TimeMicros > maxRevision/2 {
		return invalid("time", "%d microseconds can't be the time of a recovery", f.TimeMicros)
	}
	return nil
}

func (s *State) recover(f *recoverFields) Result {
	next := max(s.revision+recoverRevisions, f.TimeMicros)
	if next > maxRevision {
		// Millions of recoveries have used up all the numbers there are.
		return Result{Outcome: OutcomeMalformed, Revision: s.revision}
	}
	s.revision = next
	// What other members did under the numbers in between, nobody knows.
	s.history.oldest = next
	s.changes.setMany() // Nobody's last revision is the newest any more.
	return Result{Outcome: OutcomeApplied, Revision: s.revision}
}
