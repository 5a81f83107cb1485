package controller

import (
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// How long until the next look, where no event is certain to come first. Members
// don't tell the API server who leads.
const (
	lookAgainAfterStep  = 100 * time.Millisecond
	lookAgainStarting   = time.Second
	lookAgainInProgress = 2 * time.Second
	lookAgainTroubled   = 5 * time.Second
	lookAgainSettled    = 15 * time.Second
	lookAgainStalled    = time.Minute
)

// verdict is a reason, one of the constants of package v1, and a sentence.
type verdict struct {
	Reason  string
	Message string
}

func verdictf(reason, format string, args ...any) verdict {
	return verdict{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Plan is what a pass has decided.
type Plan struct {
	// Step is what to do, nil for nothing.
	Step Step
	// Why is the reason for the step, for the lack of one, or for being stalled.
	Why verdict
	// Stalled means that the operator can't go on without help; Settled that
	// nothing is left to do. With neither it is under way.
	Stalled, Settled bool
	// LookAgain is when the next pass is due at the latest.
	LookAgain time.Duration

	// What the plan was based on, for the status.
	identity identity
	view     view
	move     move
	rollout  rollout
	// input is what the objects are made from.
	input resources.Input
}

// Step is one change. Each is safe to repeat. Those that change the membership or
// delete something hold only for what was observed.
type Step interface{ step() }

// CreateSecrets makes the token Secrets that don't exist.
type CreateSecrets struct {
	Names []string
	Input resources.Input
}

// ApplyObjects applies objects by server-side apply, in order.
type ApplyObjects struct{ Objects []client.Object }

// DeleteObjects deletes objects that the cluster may do without.
type DeleteObjects struct{ Objects []client.Object }

// StampClaims notes the cluster ID on volume claims.
type StampClaims struct {
	Names     []string
	ClusterID string
}

// RestartPod deletes a pod so that its StatefulSet makes it anew.
type RestartPod struct{ Name string }

// WriteOperation writes the journal, nil for the end of an operation.
type WriteOperation struct{ Operation *v1.Operation }

// ChangeMembership makes the leader, named by its pod, change the membership.
type ChangeMembership struct {
	Leader string
	admin.Change
}

// TransferLeadership makes the leader hand over to another member.
type TransferLeadership struct{ Leader, Successor string }

// Resize makes the StatefulSet run a number of pods.
type Resize struct{ Pods int32 }

// DeleteClaim deletes the volume claim with a UID.
type DeleteClaim struct{ Name, UID string }

// MarkClaim notes on the volume claim with a UID which member it belonged to.
type MarkClaim struct{ Name, UID, MemberID string }

// DeletePod deletes the pod with a UID, whose claim has been deleted.
type DeletePod struct{ Name, UID string }

func (CreateSecrets) step()      {}
func (ApplyObjects) step()       {}
func (DeleteObjects) step()      {}
func (StampClaims) step()        {}
func (RestartPod) step()         {}
func (WriteOperation) step()     {}
func (ChangeMembership) step()   {}
func (TransferLeadership) step() {}
func (Resize) step()             {}
func (DeleteClaim) step()        {}
func (MarkClaim) step()          {}
func (DeletePod) step()          {}

// decide returns the single next step. It is pure: the same observation gives the
// same plan.
func decide(o *Observed, defaultImage string) Plan {
	plan := Plan{identity: identity{members: o.Cluster.Spec.Replicas}}
	obstacle := checkOwners(o)
	if id, unknown := identify(o); unknown == nil {
		plan.view = look(o, id.clusterID)
		// Whoever follows a leader knows of one, even if it doesn't answer us.
		id.bootstrapped = id.bootstrapped || plan.view.leader != nil || plan.view.followed != ""
		plan.identity = id
		plan.move = planMembership(o, id, plan.view)
		plan.rollout = planRollout(o, id, plan.view)
	} else if obstacle == nil {
		obstacle = unknown
	}
	if o.Cluster.Spec.ReconcilePolicy == v1.ReconcilePaused {
		plan.Why = verdictf(v1.ReasonPausedBySpec, "spec.reconcilePolicy is Paused: nothing is changed")
		plan.LookAgain = lookAgainSettled
		return plan
	}
	if problems := o.Cluster.Validate(); len(problems) > 0 {
		return plan.stall(verdictf(v1.ReasonInvalidSpec, "%v", problems.ToAggregate()))
	}
	if obstacle != nil && obstacle.stalled {
		return plan.stall(obstacle.verdict)
	}
	if obstacle != nil {
		return plan.wait(obstacle.verdict, lookAgainInProgress)
	}
	return decideOnObjects(o, plan, defaultImage)
}

// decideOnObjects goes on once the resource is known to be sound and its own.
func decideOnObjects(o *Observed, plan Plan, defaultImage string) Plan {
	in := resources.Input{
		Cluster:      o.Cluster,
		ClusterID:    plan.identity.clusterID,
		InitialState: resources.StateInitial,
		Members:      plan.identity.members,
		Voters:       votersToProtect(o, plan),
		DefaultImage: defaultImage,
		Operator:     o.Operator,
	}
	// The first leader seen ends the time in which an empty volume may form a
	// cluster.
	if plan.identity.bootstrapped {
		in.InitialState = resources.StateExisting
	}
	plan.input = in
	if missing := missingSecrets(o); len(missing) > 0 {
		return plan.do(CreateSecrets{Names: missing, Input: in}, verdictf(v1.ReasonCreatingSecrets, "making the tokens of the admin endpoints"))
	}
	static := staticObjects(in)
	if changed := changedObjects(o, static); len(changed) > 0 {
		return plan.do(ApplyObjects{changed}, verdictf(v1.ReasonApplyingObjects, "applying %s", describeAll(changed)))
	}
	if unwanted := unwantedObjects(o, static); len(unwanted) > 0 {
		return plan.do(DeleteObjects{unwanted}, verdictf(v1.ReasonApplyingObjects, "deleting %s", describeAll(unwanted)))
	}
	if changed := changedObjects(o, []client.Object{resources.StatefulSet(in)}); len(changed) > 0 {
		return plan.do(ApplyObjects{changed}, verdictf(v1.ReasonApplyingObjects, "applying %s", describeAll(changed)))
	}
	if unstamped := unstampedClaims(o, in); len(unstamped) > 0 {
		return plan.do(StampClaims{unstamped, in.ClusterID}, verdictf(v1.ReasonStampingVolumes, "noting the cluster ID on the volume claims"))
	}
	return decideOnMembers(o, plan, in)
}

// decideOnMembers goes on once the objects are as wanted. A pod that is outdated
// and doesn't run may be what an operation waits for, so it is replaced at any
// time; the others only while the membership doesn't change.
func decideOnMembers(o *Observed, plan Plan, in resources.Input) Plan {
	restart := plan.rollout.next
	if restart != nil && !containerRuns(restart) {
		return plan.do(RestartPod{restart.Name}, plan.rollout.verdict)
	}
	next := plan.move
	if step := next.take(o.Cluster.Status.Operation); step != nil {
		return plan.do(step, next.verdict)
	}
	if next.operation != nil && !next.stalled {
		return plan.wait(next.verdict, lookAgainStarting)
	}
	if restart != nil {
		return plan.do(RestartPod{restart.Name}, plan.rollout.verdict)
	}
	if next.stalled {
		return plan.stall(next.verdict)
	}
	return decideToWait(o, plan, in)
}

// decideToWait says what is still to come when there is nothing to do.
func decideToWait(o *Observed, plan Plan, in resources.Input) Plan {
	switch ready := membersReady(o, plan.identity); {
	case plan.rollout.Reason == v1.ReasonNotObserved:
		return plan.wait(verdict{v1.ReasonWaitingForStatefulSet, plan.rollout.Message}, lookAgainInProgress)
	case plan.view.leader == nil && in.InitialState == resources.StateInitial:
		return plan.wait(verdictf(v1.ReasonWaitingForLeader, "waiting for the members to form the cluster"), lookAgainStarting)
	case plan.view.leader == nil:
		return plan.wait(verdictf(v1.ReasonWaitingForLeader, "waiting for a leader with a quorum"), lookAgainTroubled)
	case !plan.rollout.done:
		return plan.wait(plan.rollout.verdict, lookAgainInProgress)
	case ready.Reason != v1.ReasonAllMembersReady:
		return plan.wait(verdictf(v1.ReasonWaitingForMembers, "%s", ready.Message), lookAgainTroubled)
	}
	plan.Settled = true
	plan.Why = verdictf(v1.ReasonSettled, "nothing is left to do")
	plan.LookAgain = lookAgainSettled
	return plan
}

func (p Plan) do(step Step, why verdict) Plan {
	p.Step, p.Why, p.LookAgain = step, why, lookAgainAfterStep
	return p
}

func (p Plan) wait(why verdict, again time.Duration) Plan {
	p.Why, p.LookAgain = why, again
	return p
}

func (p Plan) stall(why verdict) Plan {
	p.Why, p.Stalled, p.LookAgain = why, true, lookAgainStalled
	return p
}
