package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// ChangeKind says how a membership is to change.
type ChangeKind string

const (
	// AddLearner adds a member that receives the log and does not vote.
	AddLearner ChangeKind = "AddLearner"
	// Promote makes a learner a voter.
	Promote ChangeKind = "Promote"
	// Remove removes a member, voter or learner.
	Remove ChangeKind = "Remove"
)

// Change is one change of the membership.
type Change struct {
	Kind ChangeKind
	// Member is whom it is about.
	Member NewMember
	// IfIndex, unless 0, makes the change hold only for the membership that the
	// entry of this index made; otherwise the code is membership_changed.
	IfIndex uint64
}

// NewMember is the body of POST /admin/v1/members. Promote and Remove look at its
// ID only.
type NewMember struct {
	// MemberID is 16 hexadecimal digits; a node that waits to be added tells its
	// own in its status.
	MemberID string `json:"memberID"`
	// Name is the node's name, and Address host:port at which its peers reach it.
	Name    string `json:"name"`
	Address string `json:"address"`
}

// Membership is the answer to a change: it is complete, and this is what it made.
type Membership struct {
	Index   uint64   `json:"index"`
	Members []Member `json:"members"`
}

// TransferRequest is the body of POST /admin/v1/transfer.
type TransferRequest struct {
	// Target is the name or the member ID of the voter that is to lead; the one
	// that is best prepared when it is empty.
	Target string `json:"target,omitempty"`
}

// Transfer is the answer: the node that was asked has made way.
type Transfer struct {
	// Leader and LeaderID are whom it follows by now, empty when no other has
	// taken over yet.
	Leader   string `json:"leader,omitempty"`
	LeaderID string `json:"leaderID,omitempty"`
}

// Snapshot is the answer to POST /admin/v1/snapshot: a snapshot that holds
// everything that was applied when it was asked for is on disk.
type Snapshot struct {
	Index uint64 `json:"index"`
}

// Verification is the answer to POST /admin/v1/verify: what was read from the
// disk and found whole.
type Verification struct {
	// FirstIndex and LastIndex bound the log's entries, each of which was read
	// with its checksums, its term and its place in the chain of hashes.
	FirstIndex uint64 `json:"firstIndex"`
	LastIndex  uint64 `json:"lastIndex"`
	Entries    uint64 `json:"entries"`
	LogBytes   int64  `json:"logBytes"`
	// SnapshotIndex is that of the newest snapshot, whose file of SnapshotBytes
	// was read with all its checksums; 0 when there is none.
	SnapshotIndex uint64 `json:"snapshotIndex"`
	SnapshotBytes int64  `json:"snapshotBytes"`
	// StateHashes are to be compared with those of the other members.
	StateHashes []StateHash `json:"stateHashes"`
	// TookMillis is how long it took.
	TookMillis int64 `json:"tookMillis"`
}

// ChangeMembership makes one change of the membership through the leader, and
// returns when it is complete: both halves of it, if it is a change of voters.
// A *Problem with OutcomeUnknown, as any error that is not a *Problem, means that
// the change may have been made, or may yet be: the next status tells.
func (c *Client) ChangeMembership(ctx context.Context, change Change) (*Membership, error) {
	at := "/admin/v1/members/" + url.PathEscape(change.Member.MemberID)
	r := request{ifMatch: change.IfIndex}
	switch change.Kind {
	case AddLearner:
		r.method, r.path, r.body = http.MethodPost, "/admin/v1/members", &change.Member
	case Promote:
		r.method, r.path = http.MethodPost, at+"/promote"
	case Remove:
		r.method, r.path = http.MethodDelete, at
	default:
		return nil, fmt.Errorf("there is no change %q of a membership", change.Kind)
	}
	membership := new(Membership)
	if err := c.send(ctx, r, membership); err != nil {
		return nil, fmt.Errorf("change the membership through %s: %w", c.BaseURL, err)
	}
	return membership, nil
}

// TransferLeadership makes the leader hand over to a voter, and returns once it
// has. The target is a name or a member ID; the best prepared when it is empty.
func (c *Client) TransferLeadership(ctx context.Context, target string) (*Transfer, error) {
	transfer := new(Transfer)
	r := request{method: http.MethodPost, path: "/admin/v1/transfer", body: &TransferRequest{Target: target}}
	if err := c.send(ctx, r, transfer); err != nil {
		return nil, fmt.Errorf("transfer the leadership of %s: %w", c.BaseURL, err)
	}
	return transfer, nil
}

// Snapshot makes the node write a snapshot of its state, from which its log can
// be cut.
func (c *Client) Snapshot(ctx context.Context) (*Snapshot, error) {
	snapshot := new(Snapshot)
	if err := c.send(ctx, request{method: http.MethodPost, path: "/admin/v1/snapshot"}, snapshot); err != nil {
		return nil, fmt.Errorf("take a snapshot at %s: %w", c.BaseURL, err)
	}
	return snapshot, nil
}

// Verify makes the node read its whole log and its newest snapshot from the disk.
// A *Problem with the code damaged says what is not whole.
func (c *Client) Verify(ctx context.Context) (*Verification, error) {
	verification := new(Verification)
	if err := c.send(ctx, request{method: http.MethodPost, path: "/admin/v1/verify"}, verification); err != nil {
		return nil, fmt.Errorf("verify the data of %s: %w", c.BaseURL, err)
	}
	return verification, nil
}

// quoteIndex is the form in which an index stands in If-Match.
func quoteIndex(index uint64) string { return `"` + strconv.FormatUint(index, 10) + `"` }
