package controller

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// statusOf is the status that follows from what was seen and decided.
func statusOf(o *Observed, plan Plan) v1.RaftClusterStatus {
	cluster := o.Cluster
	status := *cluster.Status.DeepCopy()
	status.ObservedGeneration = cluster.Generation
	if plan.identity.clusterID != "" {
		status.ClusterID = plan.identity.clusterID
	}
	status.Selector = metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: resources.SelectorLabels(cluster.Name)})
	status.Endpoint = resources.ClientURL(cluster.Name, cluster.Namespace)
	status.Replicas, status.ReadyReplicas = 0, 0
	if set := o.StatefulSet(); set != nil {
		status.Replicas = set.Status.Replicas
	}
	for _, pod := range o.Pods {
		if podReady(pod) {
			status.ReadyReplicas++
		}
	}
	status.Leader = plan.view.followed
	if plan.view.leader != nil {
		status.Leader = plan.view.leader.Name
	}
	if status.Leader == "" && isMomentary(o, plan) {
		status.Leader = cluster.Status.Leader
	}
	status.Members = plan.view.members(o)
	status.Voters, status.Learners = 0, 0
	for _, member := range status.Members {
		if member.Role == v1.MemberVoter {
			status.Voters++
		} else {
			status.Learners++
		}
	}
	for _, condition := range conditionsOf(o, plan) {
		meta.SetStatusCondition(&status.Conditions, condition)
	}
	return status
}

// report writes the status, in one patch and only when it differs. The patch is
// refused when the resource has changed meanwhile; the next pass has a better
// status to write then.
func (r *Reconciler) report(ctx context.Context, o *Observed, plan Plan) error {
	status := statusOf(o, plan)
	before := o.Cluster
	if equality.Semantic.DeepEqual(before.Status, status) {
		return nil
	}
	after := before.DeepCopy()
	after.Status = status
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, after, patch, client.FieldOwner(FieldManager)); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	r.announce(after, before.Status, status)
	return nil
}
