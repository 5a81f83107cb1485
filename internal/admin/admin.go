package admin

// Status is what one node says of itself: GET /admin/v1/status.
type Status struct {
	// Name is the node's name, ClusterID and MemberID its identity; MemberID
	// is 16 hexadecimal digits.
	Name      string `json:"name"`
	ClusterID string `json:"clusterID"`
	MemberID  string `json:"memberID"`
	// Address is host:port at which the node's peers reach it.
	Address string `json:"address"`
	// Version is the version of the node's program.
	Version string `json:"version"`
	// State tells how far the node has come: Initial, AwaitingAdd, Running,
	// Removed or Stopping.
	State State `json:"state"`
	// Role is Follower, PreCandidate, Candidate or Leader while Running.
	Role string `json:"role,omitempty"`
	// Leader is the name of the leader that this node follows, LeaderID its
	// member ID; both are empty when it knows none.
	Leader   string `json:"leader,omitempty"`
	LeaderID string `json:"leaderID,omitempty"`
	Term     uint64 `json:"term"`
	// Indexes of the log: what is committed, applied, first and last kept.
	CommitIndex  uint64 `json:"commitIndex"`
	AppliedIndex uint64 `json:"appliedIndex"`
	FirstIndex   uint64 `json:"firstIndex"`
	LastIndex    uint64 `json:"lastIndex"`
	// SnapshotIndex is the index of the newest snapshot, 0 before the first.
	SnapshotIndex uint64 `json:"snapshotIndex"`
	// Faulty is set while the node's disk lacks what the node had acknowledged, up
	// to MissingIndex: it neither votes by what it has nor stands for election,
	// and fetches that from the others. Space is how much room its disk has left:
	// plenty, low (nothing that adds bytes is taken) or full. Stalled is set while
	// a write of the log takes longer than any disk in order does.
	Faulty       bool   `json:"faulty,omitempty"`
	MissingIndex uint64 `json:"missingIndex,omitempty"`
	Space        string `json:"space,omitempty"`
	Stalled      bool   `json:"stalled,omitempty"`
	// Parked tells, while the node is parked, why: it stores the log and votes, and
	// neither serves nor leads. DisagreementIndex is the last index at which members'
	// states were seen to differ, 0 once those of all voters are equal at a later one.
	Parked            string `json:"parked,omitempty"`
	DisagreementIndex uint64 `json:"disagreementIndex,omitempty"`
	// LogsSetAside names the directories, in the node's data directory, of logs of
	// which nothing could be used. They are kept for people to look at, and may be
	// removed.
	LogsSetAside []string `json:"logsSetAside,omitempty"`
	// ElectionTimeoutMaxMillis is the longest election timeout that the node runs
	// with: how long a leader counts on a member that it doesn't hear from.
	ElectionTimeoutMaxMillis int64 `json:"electionTimeoutMaxMillis,omitempty"`
	// Ready repeats /readyz, with the reason when not.
	Ready          bool   `json:"ready"`
	NotReadyReason string `json:"notReadyReason,omitempty"`
	// Members is the membership that this node's log holds, MembershipIndex the
	// index of the entry that made it so, and Joint whether it is on its way from
	// one set of voters to another.
	Members         []Member `json:"members"`
	MembershipIndex uint64   `json:"membershipIndex"`
	Joint           bool     `json:"joint,omitempty"`
	// Managed is set on a cluster that an operator runs: it alone may change the
	// membership.
	Managed bool `json:"managed,omitempty"`
	// StateHashes are the hashes of the node's state at the indexes divisible by
	// 1,024 that it applied last, since its start or since a snapshot replaced its
	// state, and at the last index applied, oldest first. Members that differ at an
	// equal index hold different states.
	StateHashes []StateHash `json:"stateHashes,omitempty"`
}

// StateHash is the hash of a node's state after applying Index, in hexadecimal
// digits.
type StateHash struct {
	Index uint64 `json:"index"`
	Hash  string `json:"hash"`
}

// State is a node's stage of life.
type State string

const (
	// StateInitial: the node is looking for the peers of a new cluster.
	StateInitial State = "Initial"
	// StateAwaitingAdd: the cluster exists without this node's member ID; the
	// node waits to be added.
	StateAwaitingAdd State = "AwaitingAdd"
	// StateRunning: the node takes part in its cluster.
	StateRunning State = "Running"
	// StateRemoved: the node's member was removed from the cluster. It serves
	// nobody and waits to be stopped; it never adds itself again.
	StateRemoved State = "Removed"
	// StateStopping: the node was asked to stop and is handing over.
	StateStopping State = "Stopping"
)

// Member is one place in the membership.
type Member struct {
	MemberID string `json:"memberID"`
	Name     string `json:"name"`
	Address  string `json:"address"`
	// Role is Voter or Learner.
	Role string `json:"role"`
	// MatchIndex is how far the member's log is known to agree with the
	// leader's and SinceContactMillis how long ago the leader last heard from
	// it; only a leader reports them.
	MatchIndex         uint64 `json:"matchIndex,omitempty"`
	SinceContactMillis *int64 `json:"sinceContactMillis,omitempty"`
	// Progress is how the leader sends to the member: probe while it looks for
	// the place where the logs agree, replicate, or snapshot. LagEntries is how
	// many entries of the leader's log are not known to be on the member's disk.
	// Only a leader reports them.
	Progress   string  `json:"progress,omitempty"`
	LagEntries *uint64 `json:"lagEntries,omitempty"`
	// DiskFull tells on a leader that the member takes no entries for want of
	// room on its disk.
	DiskFull bool `json:"diskFull,omitempty"`
	// Parked tells on a leader that the member is parked.
	Parked bool `json:"parked,omitempty"`
	// Promotable tells on a leader whether a learner may become a voter now, and
	// NotPromotableReason why not.
	Promotable          bool   `json:"promotable,omitempty"`
	NotPromotableReason string `json:"notPromotableReason,omitempty"`
}
