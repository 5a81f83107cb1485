package raft

// followerState says how a leader sends to one follower.
type followerState uint8

const (
	// stateProbe: where the logs agree is not known; one AppendEntries at a
	// time looks for it.
	stateProbe followerState = 0
	// stateReplicate: the logs agree up to match; entries are sent ahead of
	// the acknowledgements, within the in-flight limits.
	stateReplicate followerState = 1
	// stateSnapshot: a snapshot is under way; nothing else is sent.
	stateSnapshot followerState = 2
)

func (s followerState) String() string {
	return [...]string{"probe", "replicate", "snapshot"}[s]
}

// progress is what a leader knows of one member (figure 2, nextIndex and
// matchIndex).
type progress struct {
	id MemberID
	// session numbers this acquaintance, and boot is the member's start that
	// answered in it, 0 before the first answer. See sessions.
	session uint64
	boot    uint64
	// leavingTicks counts down while a removed member may still learn of it.
	leavingTicks int

	state followerState
	// match is the highest index known to be durable there and equal to ours,
	// next the first one to send.
	match Index
	next  Index
	// waiting stops a probe until it is answered or taken for lost.
	waiting bool
	// snapshotIndex is the index of the snapshot under way.
	snapshotIndex Index

	// inflight holds the last index and the size of each unacknowledged
	// AppendEntries, oldest first.
	inflight      []inflightAppend
	inflightBytes int

	// toldCommit is the commit index of the last AppendEntries sent.
	toldCommit Index
	// ackedRound is the highest read round that the member has answered.
	ackedRound uint64
	// contactTicks counts ticks since its last message.
	contactTicks int
	// diskFull is what it last said of its disk: no entry is sent until it says
	// otherwise, save those that open a term.
	diskFull bool
	// progressed is set when match grows, and when the first entries are sent after
	// all were acknowledged. Each look for losses clears it: entries that are under way
	// without progress in between are taken for lost. lookTicks counts ticks since the
	// last look.
	progressed bool
	lookTicks  int

	// parked is what it last said of its state. It wants a snapshot at index wants or
	// later, 0 for none, of a state with the hash proof. healing tells that one is under
	// way, and healPause counts down the ticks before the next.
	parked    bool
	wants     Index
	proof     StateHash
	healing   bool
	healPause int
}

type inflightAppend struct {
	last  Index
	bytes int
}

// probe goes back to looking for the point of agreement after match.
func (p *progress) probe() {
	p.state = stateProbe
	p.next = p.match + 1
	p.waiting = false
	p.clearInflight()
}

// replicate starts sending ahead.
func (p *progress) replicate() {
	p.state = stateReplicate
	p.next = p.match + 1
	p.waiting = false
	p.clearInflight()
}

// snapshot stops sending until a snapshot has arrived or failed.
func (p *progress) snapshot(index Index) {
	p.state = stateSnapshot
	p.snapshotIndex = index
	p.clearInflight()
}

// acknowledged notes that the member's log matches up to index.
func (p *progress) acknowledged(index Index) {
	if index > p.match {
		p.match = index
		p.progressed = true
	}
	p.next = max(p.next, p.match+1)
	n := 0
	for n < len(p.inflight) && p.inflight[n].last <= index {
		p.inflightBytes -= p.inflight[n].bytes
		n++
	}
	p.inflight = p.inflight[n:]
	if len(p.inflight) == 0 {
		p.inflight = nil
	}
}

// sent notes an AppendEntries that ends with last.
func (p *progress) sent(last Index, bytes int) {
	switch p.state {
	case stateProbe:
		p.waiting = true
	case stateReplicate:
		if bytes == 0 {
			return
		}
		p.next = last + 1
		p.progressed = p.progressed || len(p.inflight) == 0
		p.inflight = append(p.inflight, inflightAppend{last, bytes})
		p.inflightBytes += bytes
	}
}

// paused tells whether nothing may be sent now.
func (p *progress) paused(c *Config) bool {
	switch p.state {
	case stateProbe:
		return p.waiting
	case stateReplicate:
		return len(p.inflight) >= c.MaxInflightAppends || p.inflightBytes >= c.MaxInflightBytes
	default:
		return true
	}
}

// lookForLosses takes what was sent and has been answered by nothing but heartbeats
// for lost. It looks at most twice a heartbeat interval: reads send heartbeats of
// their own, as often as they come, and a disk needs its time.
func (p *progress) lookForLosses(c *Config) {
	if 2*p.lookTicks < c.HeartbeatTicks {
		return
	}
	switch {
	case p.state == stateProbe:
		p.waiting = false
	case p.state == stateReplicate && len(p.inflight) > 0 && !p.progressed:
		p.probe()
	}
	p.progressed, p.lookTicks = false, 0
}

func (p *progress) clearInflight() {
	p.inflight, p.inflightBytes = nil, 0
}
