package controller

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// FieldManager is the name under which the operator owns fields.
const FieldManager = "conclave-operator"

// tokenBytes is the length of a token before it is written in hexadecimal.
const tokenBytes = 32

// errOutdated means that the cluster is no longer what the plan was based on.
// Nothing was changed; the next pass sees what is there now.
var errOutdated = errors.New("the cluster has changed since it was observed")

// act takes the step.
func (r *Reconciler) act(ctx context.Context, o *Observed, step Step) error {
	switch step := step.(type) {
	case nil:
		return nil
	case CreateSecrets:
		return r.createSecrets(ctx, step)
	case ApplyObjects:
		for _, object := range step.Objects {
			if err := r.apply(ctx, object, o.Owned[ownedKey(object, object.GetName())]); err != nil {
				return fmt.Errorf("apply %s: %w", describe(object), err)
			}
		}
		return nil
	case DeleteObjects:
		return r.deleteObjects(ctx, step)
	case StampClaims:
		return r.stampClaims(ctx, o, step)
	case RestartPod:
		return r.restartPod(ctx, o, step.Name)
	case WriteOperation:
		return r.writeOperation(ctx, o, step.Operation)
	case ChangeMembership:
		if step.Kind == admin.Remove {
			return r.alter(ctx, o, step)
		}
		return r.changeMembership(ctx, o, step)
	case TransferLeadership:
		return r.transferLeadership(ctx, o, step)
	case Resize, DeleteClaim, MarkClaim, DeletePod:
		return r.alter(ctx, o, step)
	default:
		panic(fmt.Sprintf("controller: a step of type %T has no act", step))
	}
}

// createSecrets makes Secrets with a new token each. Create refuses where one
// exists, so no token is ever overwritten.
func (r *Reconciler) createSecrets(ctx context.Context, step CreateSecrets) error {
	for _, name := range step.Names {
		token := make([]byte, tokenBytes)
		if _, err := rand.Read(token); err != nil {
			return fmt.Errorf("draw a token: %w", err)
		}
		secret := resources.TokenSecret(step.Input, name, hex.EncodeToString(token))
		if err := r.Client.Create(ctx, secret, client.FieldOwner(FieldManager)); err != nil {
			return fmt.Errorf("create Secret %s: %w", name, err)
		}
	}
	return nil
}

// apply sends an object by server-side apply. It is refused when the object has
// been replaced by another since it was observed and, for the ConfigMap and the
// StatefulSet, when it has changed at all: an old view must bring back neither an
// earlier initial state nor an earlier number of pods.
func (r *Reconciler) apply(ctx context.Context, object, live client.Object) error {
	request := &unstructured.Unstructured{Object: content(object)}
	if live != nil {
		request.SetUID(live.GetUID())
		switch object.(type) {
		case *corev1.ConfigMap, *appsv1.StatefulSet:
			request.SetResourceVersion(live.GetResourceVersion())
		}
	}
	return r.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(request), client.FieldOwner(FieldManager), client.ForceOwnership)
}

// deleteObjects deletes the very objects that were observed, and no others that
// have taken their names since.
func (r *Reconciler) deleteObjects(ctx context.Context, step DeleteObjects) error {
	for _, object := range step.Objects {
		uid := object.GetUID()
		if err := r.Client.Delete(ctx, object, client.Preconditions{UID: &uid}); err != nil {
			return fmt.Errorf("delete %s: %w", describe(object), err)
		}
	}
	return nil
}

// stampClaims adds the cluster ID to claims.
func (r *Reconciler) stampClaims(ctx context.Context, o *Observed, step StampClaims) error {
	for _, name := range step.Names {
		if err := r.annotateClaim(ctx, o.Claims[name], v1.AnnotationClusterID, step.ClusterID); err != nil {
			return err
		}
	}
	return nil
}

// annotateClaim adds an annotation to a claim, which belongs to the StatefulSet's
// controller otherwise.
func (r *Reconciler) annotateClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim, key, value string) error {
	marked := claim.DeepCopy()
	metav1.SetMetaDataAnnotation(&marked.ObjectMeta, key, value)
	patch := client.MergeFromWithOptions(claim, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, marked, patch, client.FieldOwner(FieldManager)); err != nil {
		return fmt.Errorf("annotate volume claim %s: %w", claim.Name, err)
	}
	return nil
}

// restartPod deletes a pod after a last look at the API server itself: the cache
// may be late, and two late looks could take two pods.
func (r *Reconciler) restartPod(ctx context.Context, o *Observed, name string) error {
	set := &appsv1.StatefulSet{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(o.Cluster), set); err != nil {
		return fmt.Errorf("read StatefulSet %s: %w", o.Cluster.Name, err)
	}
	pods, err := listPods(ctx, r.Live, o.Cluster)
	if err != nil {
		return err
	}
	fresh := *o
	fresh.Pods = pods
	fresh.Owned = map[string]client.Object{}
	for key, object := range o.Owned {
		fresh.Owned[key] = object
	}
	fresh.Owned[ownedKey(set, set.Name)] = set
	next := decide(&fresh, r.DefaultImage)
	if restart, ok := next.Step.(RestartPod); !ok || restart.Name != name {
		return errOutdated
	}
	pod := pods[name]
	err = r.Client.Delete(ctx, pod, client.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion})
	if err != nil {
		return fmt.Errorf("delete pod %s: %w", name, err)
	}
	return nil
}
