package config

// Change is what a revision did to one key.
type Change struct {
	Namespace string
	// Entry is what the key became, a tombstone where it was deleted.
	Entry *Entry
}

// Revision is one committed change of the store. It never changes.
type Revision struct {
	Number uint64
	// TimeMillis is the wall clock of the leader that took it, in milliseconds
	// since 1970. It is shown, and nothing is decided by it.
	TimeMillis uint64
	// Reason is what its writer said about it, mostly nothing.
	Reason string
	// Changes names each changed key once. Nobody may write to it.
	Changes []Change

	// ageMillis is what the history's clock showed at that revision.
	ageMillis uint64
}

// newRevision returns a revision with room for its changes.
func newRevision(number uint64, changes int) *Revision {
	if changes != 1 {
		return &Revision{Number: number, Changes: make([]Change, changes)}
	}
	// Nearly all are like this, and are kept by the million.
	one := new(struct {
		Revision
		change [1]Change
	})
	one.Number, one.Changes = number, one.change[:]
	return &one.Revision
}

const (
	// MaxRevisionChanges is how many keys one revision changes at most.
	MaxRevisionChanges = 10_000
	// MaxRevisionBytes is what their keys, values and overhead count at most.
	MaxRevisionBytes = 8 << 20
	// MaxReasonBytes is the length of the longest reason of a revision.
	MaxReasonBytes = 1024
)

// What history is charged beside the entries that are no longer live, so that
// its limit in bytes bounds the memory that it takes.
const (
	revisionOverheadBytes = 192
	changeOverheadBytes   = 64
)

// chargeBytes is the revision's weight in the journal without its changes.
func (r *Revision) chargeBytes() int64 { return revisionOverheadBytes + int64(len(r.Reason)) }

// history is what the state remembers of before. The older entries themselves
// are in their spaces.
//
// A revision N can be read at as long as N >= oldest. For that the spaces keep
// every entry that was replaced after oldest, and every tombstone from after it.
type history struct {
	// journal holds the revisions after oldest, and of those up to it what
	// prune hasn't got to yet.
	journal journal
	oldest  uint64
	// pruned counts the changes of the journal's first revision that are dropped.
	pruned int
	bytes  int64
	// ageMillis is the sum of ElapsedMillis of all indexes: a clock that only
	// grows, and that all members read alike.
	ageMillis uint64
}

// record adds a revision to the journal.
func (s *State) record(r *Revision) {
	s.history.journal.push(r)
	s.charge(r.chargeBytes() + changeOverheadBytes*int64(len(r.Changes)))
}

// charge adds to the bytes of history.
func (s *State) charge(bytes int64) {
	s.history.bytes += bytes
	s.turn.added += bytes
}

// retire adds to history an entry that is not live.
func (s *State) retire(sp *space, e *Entry) {
	if sp.older == nil {
		sp.older = newVersions()
		s.charge(namespaceOverheadBytes)
	}
	sp.older.Set(e)
	s.charge(e.chargeBytes())
}
