package raft

// Ready is what the core wants done, one batch at a time. The order in which
// it must be done stands in the package comment.
type Ready struct {
	// Messages may go now.
	Messages []Message
	// Write, unless nil, is to be made durable. Writes keep their order.
	Write *Write
	// Restore, unless nil, means: once the Write that carries this snapshot is
	// durable, replace the state machine's state by it, before applying
	// Committed.
	Restore *SnapshotMeta
	// Committed entries are to be applied, in order, then reported by Applied.
	Committed []Entry
	// Reads are read barriers that were resolved.
	Reads []ReadResult
	// Results are proposals of this member that were placed or refused.
	Results []ProposalResult
}

// ReadResult resolves a read barrier: with Reason ReasonNone the read is
// linearizable once Index has been applied, otherwise it was refused.
type ReadResult struct {
	ID     RequestID
	Index  Index
	Reason Reason
}
