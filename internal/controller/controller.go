package controller

import (
	"context"
	"errors"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// Reconciler makes RaftClusters what their spec asks. All fields are required but
// those that tell where the operator is.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads from the API server itself.
	Live client.Reader
	// Members asks members for their status.
	Members MemberClient
	// Events tells people what happened.
	Events events.EventRecorder
	// DefaultImage is the image of pods whose resource names none.
	DefaultImage string
	// OwnNamespace and OwnLabels tell the operator's own pods, for NetworkPolicies
	// to let them in. Both are empty for an operator outside the Kubernetes cluster.
	OwnNamespace string
	OwnLabels    map[string]string

	sightings sightings
}

// Options tune the controller. The zero value works.
type Options struct {
	// Concurrency is how many RaftClusters are looked at at a time; default 10.
	Concurrency int
}

// defaultConcurrency lets a few clusters whose members don't answer take their
// second each without holding up the others.
const defaultConcurrency = 10

// How soon a pass that failed is tried again: twice as long each time, up to the
// longest. An API server that was away for an hour is back for everyone at once.
const (
	retryAfterMin = 100 * time.Millisecond
	retryAfterMax = 30 * time.Second
)

// SetupWithManager registers the controller. A RaftCluster is looked at when its
// spec or anything of its own changes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options Options) error {
	if options.Concurrency <= 0 {
		options.Concurrency = defaultConcurrency
	}
	byLabel := handler.EnqueueRequestsFromMapFunc(clusterOf)
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1.RaftCluster{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&appsv1.StatefulSet{}).
		Owns(&corev1.Service{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&corev1.ServiceAccount{}).
		Owns(&policyv1.PodDisruptionBudget{}).
		Owns(&networkingv1.NetworkPolicy{}).
		Watches(&corev1.Pod{}, byLabel).
		Watches(&corev1.PersistentVolumeClaim{}, byLabel).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: options.Concurrency,
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
				retryAfterMin, retryAfterMax),
		}).
		Complete(r)
}

// clusterOf names the RaftCluster that a pod or claim belongs to.
func clusterOf(_ context.Context, object client.Object) []reconcile.Request {
	name := object.GetLabels()[v1.LabelCluster]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}}
}

// CacheOptions keeps the cache to what the operator manages, in the namespaces
// given or, with none, in all.
func CacheOptions(namespaces []string) cache.Options {
	managed := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{resources.LabelManagedBy: resources.ManagedBy})}
	options := cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&appsv1.StatefulSet{}:           managed,
			&corev1.Service{}:               managed,
			&corev1.ConfigMap{}:             managed,
			&corev1.ServiceAccount{}:        managed,
			&corev1.Pod{}:                   managed,
			&corev1.PersistentVolumeClaim{}: managed,
			&policyv1.PodDisruptionBudget{}: managed,
			&networkingv1.NetworkPolicy{}:   managed,
		},
	}
	if len(namespaces) > 0 {
		options.DefaultNamespaces = map[string]cache.Config{}
		for _, namespace := range namespaces {
			options.DefaultNamespaces[namespace] = cache.Config{}
		}
	}
	return options
}

// ClientOptions keeps Secrets out of the cache: the operator may read those whose
// name it knows, and no others.
func ClientOptions() client.Options {
	return client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}}
}

// Reconcile is one pass: observe, decide, act, report.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	observed, err := r.observe(ctx, request.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	if observed == nil || observed.Cluster.DeletionTimestamp != nil {
		// The garbage collector deletes what the resource owns.
		r.sightings.forget(request.NamespacedName)
		return ctrl.Result{}, nil
	}
	plan := decide(observed, r.DefaultImage)
	if plan.view.leader != nil {
		r.sightings.note(request.NamespacedName, time.Now())
	}
	actErr := r.act(ctx, observed, plan.Step)
	r.log(ctx, observed, plan, actErr)
	if problem := (*refusedByMember)(nil); errors.As(actErr, &problem) {
		plan = plan.wait(verdictf(plan.Why.Reason, "%s: %v", plan.Why.Message, problem), lookAgainInProgress)
		actErr = nil
	}
	if refused(actErr) {
		// The status tells it; trying faster and faster wouldn't help.
		plan = plan.stall(verdictf(v1.ReasonRequestRefused, "%v", actErr))
		actErr = nil
	}
	return result(plan, errors.Join(actErr, r.report(ctx, observed, plan)))
}

// refused tells whether the API server understood a request and won't have it:
// trying again helps only once somebody has changed something.
func refused(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err)
}

// result turns a pass's errors into what the work queue should do. That the
// cluster has changed meanwhile is no error: the next pass comes soon.
func result(plan Plan, err error) (ctrl.Result, error) {
	switch {
	case err == nil:
		return ctrl.Result{RequeueAfter: plan.LookAgain}, nil
	case onlyOutdated(err):
		return ctrl.Result{RequeueAfter: lookAgainStarting}, nil
	default:
		return ctrl.Result{}, err
	}
}

// onlyOutdated tells whether all errors of a pass say that its view was old.
func onlyOutdated(err error) bool {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return errors.Is(err, errOutdated) || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
	}
	for _, part := range joined.Unwrap() {
		if !onlyOutdated(part) {
			return false
		}
	}
	return true
}

// log tells what the pass did, and announces restarts and changes of the
// membership.
func (r *Reconciler) log(ctx context.Context, o *Observed, plan Plan, actErr error) {
	log := ctrl.LoggerFrom(ctx)
	switch {
	case refused(actErr):
		log.Error(actErr, "Was refused a step", "reason", plan.Why.Reason)
		return
	case plan.Step == nil || actErr != nil:
		log.V(1).Info("Looked", "reason", plan.Why.Reason, "message", plan.Why.Message)
		return
	}
	log.Info("Took a step", "reason", plan.Why.Reason, "message", plan.Why.Message)
	switch step := plan.Step.(type) {
	case RestartPod:
		r.Events.Eventf(o.Cluster, o.Pods[step.Name], corev1.EventTypeNormal, eventRestarting, actionRollOut, "%s", plan.Why.Message)
	case ChangeMembership, TransferLeadership, Resize, DeleteClaim, DeletePod:
		r.Events.Eventf(o.Cluster, nil, corev1.EventTypeNormal, plan.Why.Reason, actionChangeMembers, "%s", plan.Why.Message)
	}
}
