package controller

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// staticObjects are the objects that must stand before the StatefulSet does, in
// the order in which they are applied.
func staticObjects(in resources.Input) []client.Object {
	objects := []client.Object{
		resources.ServiceAccount(in),
		resources.ConfigMap(in),
		resources.PeersService(in),
		resources.ClientService(in),
	}
	if budget := resources.PodDisruptionBudget(in); budget != nil {
		objects = append(objects, budget)
	}
	if policy := resources.NetworkPolicy(in); policy != nil {
		objects = append(objects, policy)
	}
	return objects
}

// votersToProtect is the number of voters as the leader tells it or, while none
// does, as the last one told it. Nobody has told it before the first leader: then
// every member is to be one. A voter that is about to be removed isn't counted,
// but of two: one alone has no budget, and so far they are two. So they are once a
// second one is about to get its vote.
func votersToProtect(o *Observed, plan Plan) int32 {
	if plan.view.leader != nil {
		voters := int32(len(plan.view.voters()))
		change, _ := plan.move.step.(ChangeMembership)
		switch {
		case voters > 2:
			voters -= plan.move.leaving
		case voters == 1 && change.Kind == admin.Promote:
			voters = 2
		}
		return voters
	}
	var voters int32
	for _, member := range o.Cluster.Status.Members {
		if member.Role == v1.MemberVoter {
			voters++
		}
	}
	if voters == 0 {
		return plan.identity.members
	}
	return voters
}

// isOptional tells whether a cluster may do without an object of this kind.
func isOptional(object client.Object) bool {
	switch object.(type) {
	case *policyv1.PodDisruptionBudget, *networkingv1.NetworkPolicy:
		return true
	}
	return false
}

// unwantedObjects are the cluster's own objects that its spec and size no longer
// ask for.
func unwantedObjects(o *Observed, wanted []client.Object) []client.Object {
	keep := map[string]bool{}
	for _, object := range wanted {
		keep[ownedKey(object, object.GetName())] = true
	}
	var unwanted []client.Object
	for _, key := range sortedNames(o.Owned) {
		if object := o.Owned[key]; isOptional(object) && !keep[key] && metav1.IsControlledBy(object, o.Cluster) {
			unwanted = append(unwanted, object)
		}
	}
	return unwanted
}

// changedObjects seals the wanted objects and returns those that aren't there as
// wanted.
func changedObjects(o *Observed, wanted []client.Object) []client.Object {
	var changed []client.Object
	for _, object := range wanted {
		seal(object)
		if !isAsWanted(object, o.Owned[ownedKey(object, object.GetName())]) {
			changed = append(changed, object)
		}
	}
	return changed
}

// seal notes on an object a hash of all that is wanted of it.
func seal(object client.Object) {
	content, err := json.Marshal(object)
	if err != nil {
		panic(fmt.Sprintf("controller: %s can't be written as JSON: %v", describe(object), err))
	}
	sum := sha256.Sum256(content)
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1.AnnotationAppliedHash] = hex.EncodeToString(sum[:16])
	object.SetAnnotations(annotations)
}

// isAsWanted tells whether applying an object would change nothing. Asking the
// API server instead would cost a write request for each object in each pass. The
// hash tells whether the operator wants something else than it applied last, the
// comparison whether somebody has changed a field that it wants. What others add
// is theirs.
func isAsWanted(wanted, live client.Object) bool {
	if live == nil || live.GetAnnotations()[v1.AnnotationAppliedHash] != wanted.GetAnnotations()[v1.AnnotationAppliedHash] {
		return false
	}
	want, have := content(wanted), content(live)
	delete(want, "apiVersion") // typed objects from the cache lack both
	delete(want, "kind")
	return covers(have, want)
}

// content is what the operator says of an object: all of it but the status.
func content(object client.Object) map[string]any {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		panic(fmt.Sprintf("controller: %s can't be written as JSON: %v", describe(object), err))
	}
	unstructured.RemoveNestedField(fields, "status")
	unstructured.RemoveNestedField(fields, "metadata", "creationTimestamp")
	return fields
}

// covers tells whether a JSON value has all that another one says. Lists are
// compared from their beginning; what follows was added by somebody else.
func covers(have, want any) bool {
	switch want := want.(type) {
	case nil:
		return true
	case map[string]any:
		fields, ok := have.(map[string]any)
		if !ok {
			return len(want) == 0
		}
		for key, value := range want {
			if !covers(fields[key], value) {
				return false
			}
		}
		return true
	case []any:
		items, _ := have.([]any)
		if len(items) < len(want) {
			return false
		}
		for i := range want {
			if !covers(items[i], want[i]) {
				return false
			}
		}
		return true
	default:
		return reflect.DeepEqual(have, want)
	}
}

func missingSecrets(o *Observed) []string {
	var names []string
	for _, name := range tokenSecrets(o.Cluster.Name) {
		if o.Owned[ownedKey(&corev1.Secret{}, name)] == nil {
			names = append(names, name)
		}
	}
	return names
}

// unstampedClaims are the claims of members that don't carry the cluster ID yet.
// A stamp says that the volume may hold acknowledged writes, so there is none
// before the first leader.
func unstampedClaims(o *Observed, in resources.Input) []string {
	if in.InitialState != resources.StateExisting {
		return nil
	}
	var names []string
	for ordinal := range in.Members {
		claim := o.Claims[resources.ClaimName(o.Cluster.Name, ordinal)]
		if claim != nil && claim.DeletionTimestamp == nil && claim.Annotations[v1.AnnotationClusterID] == "" {
			names = append(names, claim.Name)
		}
	}
	return names
}

func describeAll(objects []client.Object) string {
	names := make([]string, len(objects))
	for i, object := range objects {
		names[i] = describe(object)
	}
	return strings.Join(names, ", ")
}
