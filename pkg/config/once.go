package config

import "slices"

// Origin names a proposal for good: the log may hold several copies of one, and
// only the first is carried out. The zero Origin names nothing, and what has it
// is carried out each time.
type Origin struct {
	// Member took the proposal from its caller. Boot numbers the member's
	// starts; a later start has a greater one.
	Member uint64
	Boot   uint64
	// Sequence counts the member's proposals since that start, from 1, and is at
	// most MaxUnanswered above Answered.
	Sequence uint64
	// Answered is a sequence up to which nobody waits for a result any more.
	Answered uint64
}

const (
	// MaxUnanswered is how many proposals of one member can be under way.
	MaxUnanswered = 8192
	// MaxSessions is how many members are remembered. A cluster has far fewer at
	// a time; the others have left it.
	MaxSessions = 256
)

// valid tells whether a member can have made the origin.
func (o Origin) valid() bool {
	return o.Member != 0 && o.Sequence > o.Answered && o.Sequence-o.Answered <= MaxUnanswered
}

// session is what is remembered of one member: the results of its latest start
// that it may still ask for.
//
// Sessions are part of the state but not of its LiveBytes: no caller made them
// and none could free them, and their number and size are bounded. One has 48
// bytes for each proposal that was under way at a time, so 384 KiB at most, and
// for a transaction 24 more for each of its operations.
type session struct {
	boot     uint64
	answered uint64
	// used is the index of the last entry that came from the member.
	used uint64
	// results holds the results of the sequences after answered, each in the
	// place sequence mod length; one without an outcome is unknown. The length
	// is a power of two.
	results []Result
}

// executeOnce carries a command out unless a copy of it was before.
func (s *State) executeOnce(index uint64, from Origin, command []byte) Result {
	if from == (Origin{}) {
		return s.execute(index, command)
	}
	if !from.valid() {
		return Result{Outcome: OutcomeMalformed, Revision: s.revision}
	}
	one := s.session(from)
	if from.Boot < one.boot || from.Boot == one.boot && from.Sequence <= one.answered {
		one.used = index
		return Result{Outcome: OutcomeForgotten, Revision: s.revision}
	}
	if from.Boot > one.boot {
		*one = session{boot: from.Boot}
	}
	one.forget(from.Answered)
	if first := one.result(from.Sequence); first.Outcome != OutcomeNothing {
		one.used = index
		return first
	}
	result := s.execute(index, command)
	if s.fault == nil {
		one.used = index
		one.keep(from.Sequence, result)
	}
	return result
}

// session returns the session of an origin's member. When there are too many, a
// new one takes the place of the one that was unused for longest.
func (s *State) session(from Origin) *session {
	one := s.sessions[from.Member]
	if one != nil {
		return one
	}
	if len(s.sessions) >= MaxSessions {
		var oldest uint64
		for member, other := range s.sessions {
			// No two were used last by the same index, so the order in which a
			// map is walked makes no difference.
			if oldest == 0 || other.used < s.sessions[oldest].used {
				oldest = member
			}
		}
		delete(s.sessions, oldest)
	}
	one = &session{boot: from.Boot}
	s.sessions[from.Member] = one
	return one
}

// result returns what a sequence above answered came to; it has no outcome when
// that is not known.
func (o *session) result(sequence uint64) Result {
	if sequence-o.answered > uint64(len(o.results)) {
		return Result{}
	}
	return o.results[sequence%uint64(len(o.results))]
}

// keep remembers a result of a sequence above answered.
func (o *session) keep(sequence uint64, result Result) {
	o.reserve(sequence)
	o.results[sequence%uint64(len(o.results))] = result
}

// reserve makes room for the results up to a sequence.
func (o *session) reserve(sequence uint64) {
	length := max(uint64(len(o.results)), 8)
	for sequence-o.answered > length {
		length *= 2
	}
	if length == uint64(len(o.results)) {
		return
	}
	old := o.results
	o.results = make([]Result, length)
	for i := range uint64(len(old)) {
		at := o.answered + 1 + i
		o.results[at%length] = old[at%uint64(len(old))]
	}
}

// forget drops the results up to answered.
func (o *session) forget(answered uint64) {
	if answered <= o.answered {
		return
	}
	if answered-o.answered >= uint64(len(o.results)) {
		clear(o.results)
	} else {
		for at := o.answered + 1; at <= answered; at++ {
			o.results[at%uint64(len(o.results))] = Result{}
		}
	}
	o.answered = answered
}

// frozenSession is a copy of a session for a snapshot.
type frozenSession struct {
	member uint64
	session
}

// freezeSessions copies the sessions, in the order of members.
func (s *State) freezeSessions() []frozenSession {
	frozen := make([]frozenSession, 0, len(s.sessions))
	for member, one := range s.sessions {
		c := frozenSession{member: member, session: *one}
		c.results = slices.Clone(one.results)
		frozen = append(frozen, c)
	}
	slices.SortFunc(frozen, func(a, b frozenSession) int {
		if a.member < b.member {
			return -1
		}
		return 1
	})
	return frozen
}
