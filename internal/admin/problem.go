package admin

import "fmt"

// ProblemType is the media type of a Problem.
const ProblemType = "application/problem+json"

// Problem is the body of every refusal on the operations port (RFC 9457), and the
// error that Client returns for it. It never holds a token.
type Problem struct {
	// Type names the kind of problem as a path, /problems/ and the code with
	// dashes.
	Type string `json:"type"`
	// Title is one sentence for people, the same for all problems of a kind.
	Title string `json:"title"`
	// Status is the HTTP status.
	Status int `json:"status"`
	// Code is the kind of problem for programs; it never changes its meaning.
	Code string `json:"code"`
	// Detail says what was wrong this time and what to do about it.
	Detail string `json:"detail,omitempty"`
	// Outcome is "rejected" when nothing has changed, and "unknown" when what
	// was asked for may have happened or may yet happen.
	Outcome string `json:"outcome"`
	// Retryable is set when the same request may succeed later.
	Retryable bool `json:"retryable"`
	// Leader and LeaderID name the member to ask instead, with the code
	// not_leader.
	Leader   string `json:"leader,omitempty"`
	LeaderID string `json:"leaderID,omitempty"`
}

// The values of Problem.Outcome.
const (
	OutcomeRejected = "rejected"
	OutcomeUnknown  = "unknown"
)

// The codes of problems that a program acts on; there are others, see package
// opsapi.
const (
	// CodeNotLeader: only the leader does this; Problem.Leader names it.
	CodeNotLeader = "not_leader"
	// CodeManaged: an operator runs the cluster and changes its membership.
	CodeManaged = "managed"
	// CodeMembershipChanged: the membership is another one than the request was
	// meant for.
	CodeMembershipChanged = "membership_changed"
	// CodeOutcomeUnknown: the time was up before it was known what became of the
	// request.
	CodeOutcomeUnknown = "outcome_unknown"
)

// Error returns title, detail and status in one line.
func (p *Problem) Error() string {
	text := p.Title
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	return fmt.Sprintf("%s (HTTP %d %s)", text, p.Status, p.Code)
}
