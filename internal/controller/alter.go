package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// changeTimeout is how long a leader has to carry out a change. What isn't known
// to be done by then shows in the next status.
const changeTimeout = 5 * time.Second

// writeOperation writes the journal, if the one that the plan was based on still
// stands and nobody has changed what is asked.
func (r *Reconciler) writeOperation(ctx context.Context, o *Observed, operation *v1.Operation) error {
	live := &v1.RaftCluster{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(o.Cluster), live); err != nil {
		return fmt.Errorf("read the resource: %w", err)
	}
	if live.UID != o.Cluster.UID || live.Generation != o.Cluster.Generation || !sameOperation(live.Status.Operation, o.Cluster.Status.Operation) {
		return errOutdated
	}
	after := live.DeepCopy()
	if operation != nil {
		operation = operation.DeepCopy()
		if operation.StartedTime.IsZero() {
			operation.StartedTime = metav1.Now().Rfc3339Copy()
		}
	}
	after.Status.Operation = operation
	patch := client.MergeFromWithOptions(live, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, after, patch, client.FieldOwner(FieldManager)); err != nil {
		return fmt.Errorf("write the operation: %w", err)
	}
	// The status that this pass writes last is a change of what is there now.
	o.Cluster = after
	return nil
}

// changeMembership asks the leader for one change of the membership that the plan
// was based on; of any other the leader refuses it. A removal comes through alter:
// whether a quorum is left depends on pods that an old cache may show as they were.
func (r *Reconciler) changeMembership(ctx context.Context, o *Observed, step ChangeMembership) error {
	return r.askLeader(ctx, o, step.Leader, func(ctx context.Context, baseURL, token string) error {
		return r.Members.ChangeMembership(ctx, baseURL, token, step.Change)
	})
}

func (r *Reconciler) transferLeadership(ctx context.Context, o *Observed, step TransferLeadership) error {
	return r.askLeader(ctx, o, step.Leader, func(ctx context.Context, baseURL, token string) error {
		return r.Members.TransferLeadership(ctx, baseURL, token, step.Successor)
	})
}

// refusedByMember is a member's refusal of what the operator asked for. It is
// part of what a status tells, and worth another try a little later.
type refusedByMember struct {
	name    string
	problem *admin.Problem
}

func (e *refusedByMember) Error() string {
	return fmt.Sprintf("%s refuses it: %s (%s)", e.name, e.problem.Title, e.problem.Code)
}

// askLeader makes a request to the leader, after a look at whether the journal
// that stands for it is still there.
func (r *Reconciler) askLeader(ctx context.Context, o *Observed, leader string, ask func(ctx context.Context, baseURL, token string) error) error {
	live := &v1.RaftCluster{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(o.Cluster), live); err != nil {
		return fmt.Errorf("read the resource: %w", err)
	}
	if live.UID != o.Cluster.UID || live.Generation != o.Cluster.Generation || !sameOperation(live.Status.Operation, o.Cluster.Status.Operation) {
		return errOutdated
	}
	token, err := r.observeSecrets(ctx, &Observed{Cluster: o.Cluster, Owned: map[string]client.Object{}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	err = ask(ctx, resources.OpsURL(o.Cluster.Name, o.Cluster.Namespace, leader), token)
	if problem := (*admin.Problem)(nil); errors.As(err, &problem) {
		return &refusedByMember{leader, problem}
	}
	return err
}

// alter does what can't be taken back, or could bring back what is gone, if a
// plan made of nothing but live reads says the same. The UID makes sure that what
// bears the same name by now isn't touched.
func (r *Reconciler) alter(ctx context.Context, o *Observed, step Step) error {
	fresh, err := r.observeThrough(ctx, client.ObjectKeyFromObject(o.Cluster), r.Live)
	if err != nil {
		return err
	}
	if fresh == nil || fresh.Cluster.UID != o.Cluster.UID || fresh.Cluster.DeletionTimestamp != nil {
		return errOutdated
	}
	plan := decide(fresh, r.DefaultImage)
	if plan.Step != step {
		return errOutdated
	}
	switch step := step.(type) {
	case ChangeMembership:
		return r.changeMembership(ctx, fresh, step)
	case Resize:
		return r.resize(ctx, fresh, plan.input, step.Pods)
	case DeleteClaim:
		claim := named(&corev1.PersistentVolumeClaim{}, o.Cluster, step.Name)
		return r.deleteByUID(ctx, claim, types.UID(step.UID))
	case MarkClaim:
		return r.annotateClaim(ctx, fresh.Claims[step.Name], v1.AnnotationRemovedMember, step.MemberID)
	case DeletePod:
		return r.deleteByUID(ctx, named(&corev1.Pod{}, o.Cluster, step.Name), types.UID(step.UID))
	default:
		panic(fmt.Sprintf("controller: a step of type %T has no act", step))
	}
}

// resize applies the StatefulSet with another number of pods.
func (r *Reconciler) resize(ctx context.Context, o *Observed, in resources.Input, pods int32) error {
	in.Members = pods
	set := resources.StatefulSet(in)
	seal(set)
	if err := r.apply(ctx, set, o.StatefulSet()); err != nil {
		return fmt.Errorf("resize StatefulSet %s to %d pods: %w", set.Name, pods, err)
	}
	return nil
}

func (r *Reconciler) deleteByUID(ctx context.Context, object client.Object, uid types.UID) error {
	if err := r.Client.Delete(ctx, object, client.Preconditions{UID: &uid}); err != nil {
		return fmt.Errorf("delete %s: %w", describe(object), err)
	}
	return nil
}
