package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/badgerlog"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// ChangeMembership implements opsapi.Steward.
func (o operations) ChangeMembership(ctx context.Context, asked admin.Change) (admin.Membership, error) {
	change, err := readChange(asked)
	if err != nil {
		return admin.Membership{}, err
	}
	running, err := o.leading()
	if err != nil {
		return admin.Membership{}, err
	}
	if change.Kind == raft.Remove {
		if err := keepsQuorum(ctx, running, change.Member.ID, o.options.ElectionTimeoutMax); err != nil {
			return admin.Membership{}, err
		}
	}
	if err := running.ChangeMembership(ctx, change); err != nil {
		return admin.Membership{}, o.problem(err)
	}
	at := running.Membership()
	answer := admin.Membership{Index: uint64(at.Index), Members: []admin.Member{}}
	for _, m := range at.Membership.Members {
		answer.Members = append(answer.Members, memberOf(&at.Membership, m))
	}
	return answer, nil
}

// readChange checks what was asked for and puts it into the core's words.
func readChange(asked admin.Change) (raft.Change, error) {
	id, err := raft.ParseMemberID(asked.Member.MemberID)
	if err != nil {
		return raft.Change{}, invalidChange("%v", err)
	}
	change := raft.Change{Member: raft.Member{ID: id}, If: raft.Index(asked.IfIndex)}
	switch asked.Kind {
	case admin.AddLearner:
		change.Kind = raft.AddLearner
		change.Member.Name, change.Member.Address = asked.Member.Name, asked.Member.Address
		if !isName(asked.Member.Name) {
			return raft.Change{}, invalidChange("name: %q is not a name of lower-case letters, digits and inner hyphens, at most 63 long", asked.Member.Name)
		}
		if !isPeerAddress(asked.Member.Address) {
			return raft.Change{}, invalidChange("address: %.300q is not host:port", asked.Member.Address)
		}
	case admin.Promote:
		change.Kind = raft.Promote
	case admin.Remove:
		change.Kind = raft.Remove
	default:
		return raft.Change{}, invalidChange("there is no change %q", asked.Kind)
	}
	return change, nil
}

// keepsQuorum refuses to remove a voter when those that stay could not commit
// the removal: the cluster would stand still in the middle of the change, and so
// would every later change that might help.
func keepsQuorum(ctx context.Context, running *replica.Replica, leaving raft.MemberID, silence time.Duration) error {
	core, err := running.Status(ctx)
	if err != nil || !core.Membership.IsVoter(leaving) {
		return nil // The core has the last word.
	}
	staying, heard := 0, 0
	for _, id := range core.Membership.Voters {
		if id == leaving {
			continue
		}
		staying++
		if id == core.ID || heardWithin(&core, id, silence) {
			heard++
		}
	}
	if staying == 0 || heard > staying/2 {
		return nil
	}
	return &admin.Problem{
		Status: http.StatusConflict, Code: "would_lose_quorum", Title: "The cluster could not go on after this change",
		Detail: fmt.Sprintf("of the %d voters that would stay, %d are heard at the moment; bring back or remove one of the others first", staying, heard),
	}
}

// heardWithin tells whether a leader has heard a member lately.
func heardWithin(core *raft.Status, id raft.MemberID, silence time.Duration) bool {
	for _, f := range core.Followers {
		if f.ID == id {
			return time.Duration(f.ContactTicks)*tick < silence
		}
	}
	return false
}

// TransferLeadership implements opsapi.Steward.
func (o operations) TransferLeadership(ctx context.Context, target string) (admin.Transfer, error) {
	running, err := o.leading()
	if err != nil {
		return admin.Transfer{}, err
	}
	to := raft.NoMember
	if target != "" {
		if to, err = findMember(running, target); err != nil {
			return admin.Transfer{}, err
		}
	}
	if err := running.TransferLeadership(ctx, to); err != nil {
		return admin.Transfer{}, o.problem(err)
	}
	// It has made way for a newer term; whom that term elects shows a moment
	// later.
	for range 100 {
		if leader := running.Leader(); leader != raft.NoMember && leader != o.self.ID {
			name, id := o.leaderName(running)
			return admin.Transfer{Leader: name, LeaderID: id}, nil
		}
		select {
		case <-ctx.Done():
			return admin.Transfer{}, nil
		case <-time.After(tick):
		}
	}
	return admin.Transfer{}, nil
}

// findMember returns the member with a name or an ID. Of two that share a name,
// as while one replaces the other, the voter is meant.
func findMember(running *replica.Replica, target string) (raft.MemberID, error) {
	at := running.Membership()
	found := raft.NoMember
	for _, m := range at.Membership.Members {
		if m.ID.String() == target {
			return m.ID, nil
		}
		if m.Name == target && (found == raft.NoMember || at.Membership.IsVoter(m.ID)) {
			found = m.ID
		}
	}
	if found == raft.NoMember {
		return found, &admin.Problem{
			Status: http.StatusConflict, Code: "not_member", Title: "There is no such member",
			Detail: fmt.Sprintf("%.300q is neither the name nor the ID of a member", target),
		}
	}
	return found, nil
}

// TakeSnapshot implements opsapi.Steward.
func (o operations) TakeSnapshot(ctx context.Context) (admin.Snapshot, error) {
	running := o.replicator.replica.Load()
	if running == nil {
		return admin.Snapshot{}, errNoClusterYet()
	}
	index, err := running.TakeSnapshot(ctx)
	if err != nil {
		return admin.Snapshot{}, o.problem(err)
	}
	return admin.Snapshot{Index: uint64(index)}, nil
}

// Verify implements opsapi.Steward.
func (o operations) Verify(ctx context.Context) (admin.Verification, error) {
	if !o.verifying.TryLock() {
		return admin.Verification{}, &admin.Problem{
			Status: http.StatusConflict, Code: "busy", Title: "The data is being verified already",
			Detail: "one verification runs at a time", Retryable: true,
		}
	}
	defer o.verifying.Unlock()
	begun := time.Now()
	v, err := o.log.Verify(ctx)
	switch {
	case errors.Is(err, badgerlog.ErrDamaged):
		return admin.Verification{}, &admin.Problem{
			Status: http.StatusConflict, Code: "damaged", Title: "The data on this node's disk is damaged",
			Detail: fmt.Sprintf("%v; remove this member, empty its data directory and add it again", err),
		}
	case ctx.Err() != nil:
		return admin.Verification{}, &admin.Problem{
			Status: http.StatusGatewayTimeout, Code: "too_slow", Title: "The time was up before everything was read",
			Detail: "nothing wrong was found until then; the disk is busy, or the log is very long: take a snapshot first", Retryable: true,
		}
	case err != nil:
		return admin.Verification{}, o.problem(err)
	}
	return admin.Verification{
		FirstIndex: uint64(v.First), LastIndex: uint64(v.Last), Entries: uint64(v.Last + 1 - v.First), LogBytes: v.Bytes,
		SnapshotIndex: uint64(v.SnapshotIndex), SnapshotBytes: v.SnapshotBytes,
		StateHashes: o.stateHashes(), TookMillis: time.Since(begun).Milliseconds(),
	}, nil
}

// leading returns the replica if it leads. Whoever asks another node is told
// whom to ask.
func (o operations) leading() (*replica.Replica, error) {
	running := o.replicator.replica.Load()
	if running == nil {
		return nil, errNoClusterYet()
	}
	if running.Leader() != o.self.ID {
		return nil, o.notLeader(running)
	}
	return running, nil
}

func (o operations) notLeader(running *replica.Replica) *admin.Problem {
	name, id := o.leaderName(running)
	if id == "" || id == o.self.ID.String() {
		return &admin.Problem{
			Status: http.StatusServiceUnavailable, Code: "no_leader", Title: "No leader is known", Retryable: true,
			Detail: "an election may be under way; if it stays so, a majority of the voters can't reach each other",
		}
	}
	return &admin.Problem{
		Status: http.StatusConflict, Code: admin.CodeNotLeader, Title: "Only the leader does this",
		Detail: fmt.Sprintf("ask %s (member %s), which leads", name, id), Leader: name, LeaderID: id,
	}
}

// leaderName returns the name and the ID of the leader, both empty when none is
// known.
func (o operations) leaderName(running *replica.Replica) (name, id string) {
	leader := running.Leader()
	if leader == raft.NoMember {
		return "", ""
	}
	at := running.Membership()
	member, _ := at.Membership.Member(leader)
	return member.Name, leader.String()
}

// problem is the one map from the replica's errors to what the operations port
// answers.
func (o operations) problem(err error) error {
	refused := (*replica.RefusedError)(nil)
	switch {
	case errors.As(err, &refused) && refused.Reason == raft.ReasonNotLeader:
		return o.notLeader(o.replicator.replica.Load())
	case errors.As(err, &refused):
		return refusal(refused.Reason)
	case errors.Is(err, replica.ErrOutcomeUnknown):
		return &admin.Problem{
			Status: http.StatusGatewayTimeout, Code: admin.CodeOutcomeUnknown, Outcome: admin.OutcomeUnknown,
			Title: "What became of the request isn't known", Detail: "it may have been done or may yet be; the status tells",
		}
	case errors.Is(err, replica.ErrOverloaded):
		return &admin.Problem{Status: http.StatusServiceUnavailable, Code: "overloaded", Title: "The node has too much to do", Retryable: true}
	case errors.Is(err, replica.ErrParked):
		return &admin.Problem{Status: http.StatusServiceUnavailable, Code: "parked", Title: "The node is parked", Retryable: true,
			Detail: "its state is not that of the majority; ask another node"}
	case errors.Is(err, replica.ErrStopping):
		return &admin.Problem{Status: http.StatusServiceUnavailable, Code: "stopping", Title: "The node is stopping", Retryable: true}
	}
	return err
}

// advices say what to do about a refusal, beside the core's own words.
var advices = map[raft.Reason]struct {
	code, advice string
	retryable    bool
}{
	raft.ReasonNotReady:          {"not_ready", "it was elected a moment ago; try again", true},
	raft.ReasonTransferring:      {"transferring", "ask the next leader", true},
	raft.ReasonChangePending:     {"change_pending", "one change is made at a time; wait until it is complete", true},
	raft.ReasonNotMember:         {"not_member", "the status lists the members and their IDs", false},
	raft.ReasonAlreadyMember:     {"already_member", "the voter of the same name must be removed first; then this one can be promoted", false},
	raft.ReasonNotCaughtUp:       {"not_caught_up", "it is still receiving the log or a snapshot; wait and try again", true},
	raft.ReasonNoContact:         {"no_contact", "see that its node runs and that its address is right", true},
	raft.ReasonLastVoter:         {"last_voter", "add and promote another member first", false},
	raft.ReasonTooManyMembers:    {"too_many_members", "remove one first", false},
	raft.ReasonParked:            {"parked", "its state differs from the others' and is being replaced; wait and try again", true},
	raft.ReasonTransferFailed:    {"transfer_failed", "this node leads on; try another voter", true},
	raft.ReasonMembershipChanged: {admin.CodeMembershipChanged, "read the status again and decide anew", false},
}

// refusal puts the core's reason into the operations port's words.
func refusal(reason raft.Reason) *admin.Problem {
	known, ok := advices[reason]
	if !ok {
		known.code = strings.ReplaceAll(reason.String(), " ", "_")
	}
	p := &admin.Problem{
		Status: http.StatusConflict, Code: known.code, Title: "The request is refused",
		Detail: reason.String(), Retryable: known.retryable,
	}
	if known.advice != "" {
		p.Detail += "; " + known.advice
	}
	if reason == raft.ReasonMembershipChanged {
		p.Status = http.StatusPreconditionFailed
	}
	return p
}

func invalidChange(detail string, args ...any) *admin.Problem {
	return &admin.Problem{
		Status: http.StatusBadRequest, Code: "invalid", Title: "A part of the request breaks a rule",
		Detail: fmt.Sprintf(detail, args...),
	}
}

func errNoClusterYet() *admin.Problem {
	return &admin.Problem{
		Status: http.StatusServiceUnavailable, Code: "no_cluster", Title: "This node has no cluster yet", Retryable: true,
		Detail: "it is looking for the other nodes",
	}
}
