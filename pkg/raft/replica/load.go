package replica

// Load is what waits in a loop.
type Load struct {
	// Proposals and ProposalBytes are those that are not answered yet, Reads the
	// read barriers.
	Proposals     int
	ProposalBytes int
	Reads         int
}

// Load returns what waits in the loop.
func (l *Loop) Load() Load {
	return Load{Proposals: len(l.proposals.byID), ProposalBytes: l.proposals.bytes, Reads: len(l.readers.byID)}
}

// Queue is what waits in one of a replica's queues.
type Queue struct {
	// Name is received, requests, proposals, proposal_bytes, reads, writes or
	// works.
	Name     string
	Length   int
	Capacity int
}

// Queues returns the queues of the replica, always the same ones: messages and
// requests that the loop has not seen, proposals (in number and in bytes) and
// reads that are not answered, writes for the disk and work for the state machine.
func (r *Replica) Queues() []Queue {
	o := &r.options
	return []Queue{
		{"received", len(r.received), cap(r.received)},
		{"requests", len(r.requests), cap(r.requests)},
		{"proposals", int(r.load.proposals.Load()), o.MaxProposals},
		{"proposal_bytes", int(r.load.proposalBytes.Load()), o.MaxProposalBytes},
		{"reads", int(r.load.reads.Load()), o.MaxReads},
		{"writes", len(r.writes), cap(r.writes)},
		{"works", len(r.works), cap(r.works)},
	}
}

// LeaderChanges returns how often the member has come to follow another leader
// than before, the first one included.
func (r *Replica) LeaderChanges() uint64 { return r.changes.Load() }
