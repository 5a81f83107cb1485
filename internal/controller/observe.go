package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// statusTimeout is how long a member has to answer. All are asked at once, so a
// pass spends no more than this on members that don't.
const statusTimeout = time.Second

// MemberClient asks one member. Calls run beside each other.
type MemberClient interface {
	// ChangeMembership and TransferLeadership make the leader at baseURL do what
	// their names say. An error that is no *admin.Problem leaves open whether it
	// was done.
	ChangeMembership(ctx context.Context, baseURL, token string, change admin.Change) error
	TransferLeadership(ctx context.Context, baseURL, token, successor string) error
	// Status asks the operations endpoint at baseURL, with a bearer token. It
	// returns when ctx ends.
	Status(ctx context.Context, baseURL, token string) (*admin.Status, error)
}

// Observed is all that a pass knows. The plan and the status depend on nothing
// else.
type Observed struct {
	// Cluster is the resource.
	Cluster *v1.RaftCluster
	// Owned are the objects that bear the names of the cluster's own, whoever
	// they belong to, by ownedKey. Secrets are among them, without their data.
	Owned map[string]client.Object
	// Pods are the pods with a member's name, by that name.
	Pods map[string]*corev1.Pod
	// Claims are all volume claims that carry the cluster's label, by name.
	Claims map[string]*corev1.PersistentVolumeClaim
	// Reports are the answers of the members whose pods run, by pod name.
	Reports map[string]Report
	// LeaderSeenLately is set while a leader with a quorum was seen a moment ago.
	LeaderSeenLately bool
	// Operator is where the operator itself runs.
	Operator resources.OperatorPods
}

// Report is a member's answer, or the reason why there is none.
type Report struct {
	Status *admin.Status
	Err    error
}

// StatefulSet returns the StatefulSet, nil when there is none.
func (o *Observed) StatefulSet() *appsv1.StatefulSet {
	set, _ := o.Owned[ownedKey(&appsv1.StatefulSet{}, o.Cluster.Name)].(*appsv1.StatefulSet)
	return set
}

// ConfigMap returns the ConfigMap, nil when there is none.
func (o *Observed) ConfigMap() *corev1.ConfigMap {
	config, _ := o.Owned[ownedKey(&corev1.ConfigMap{}, resources.ConfigMapName(o.Cluster.Name))].(*corev1.ConfigMap)
	return config
}

// claimOf returns a member's volume claim, nil when there is none.
func (o *Observed) claimOf(member string) *corev1.PersistentVolumeClaim {
	if ordinal, ok := resources.PodOrdinal(o.Cluster.Name, member); ok {
		return o.Claims[resources.ClaimName(o.Cluster.Name, ordinal)]
	}
	return nil
}

// ownedKey tells owned objects apart: type and name.
func ownedKey(kind client.Object, name string) string { return fmt.Sprintf("%T/%s", kind, name) }

// named gives an empty object the name that an owned one has.
func named[T client.Object](object T, cluster *v1.RaftCluster, name string) T {
	object.SetName(name)
	object.SetNamespace(cluster.Namespace)
	return object
}

// ownedObjects are empty objects of the kinds and names of all that a cluster
// owns, apart from its Secrets.
func ownedObjects(cluster *v1.RaftCluster) []client.Object {
	return []client.Object{
		named(&corev1.ServiceAccount{}, cluster, cluster.Name),
		named(&corev1.Service{}, cluster, resources.PeersServiceName(cluster.Name)),
		named(&corev1.Service{}, cluster, cluster.Name),
		named(&corev1.ConfigMap{}, cluster, resources.ConfigMapName(cluster.Name)),
		named(&policyv1.PodDisruptionBudget{}, cluster, cluster.Name),
		named(&networkingv1.NetworkPolicy{}, cluster, cluster.Name),
		named(&appsv1.StatefulSet{}, cluster, cluster.Name),
	}
}

// tokenSecrets are the names of the Secrets that a cluster owns.
func tokenSecrets(cluster string) []string {
	return []string{resources.AdminSecretName(cluster), resources.OperatorSecretName(cluster)}
}

// observe reads everything about one resource. It returns nil when the resource
// is gone.
func (r *Reconciler) observe(ctx context.Context, key types.NamespacedName) (*Observed, error) {
	return r.observeThrough(ctx, key, r.Client)
}

// observeThrough reads through the cache, or past it.
func (r *Reconciler) observeThrough(ctx context.Context, key types.NamespacedName, reader client.Reader) (*Observed, error) {
	cluster := &v1.RaftCluster{}
	if err := reader.Get(ctx, key, cluster); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	observed := &Observed{
		Cluster:  cluster,
		Owned:    map[string]client.Object{},
		Operator: resources.OperatorPods{Namespace: r.OwnNamespace, Labels: r.OwnLabels},

		LeaderSeenLately: r.sightings.lately(key, time.Now()),
	}
	for _, object := range ownedObjects(cluster) {
		found, err := r.read(ctx, reader, object)
		if err != nil {
			return nil, err
		}
		if found {
			observed.Owned[ownedKey(object, object.GetName())] = object
		}
	}
	token, err := r.observeSecrets(ctx, observed)
	if err != nil {
		return nil, err
	}
	if err := r.observePods(ctx, reader, observed); err != nil {
		return nil, err
	}
	if err := r.observeClaims(ctx, reader, observed); err != nil {
		return nil, err
	}
	observed.Reports = r.askMembers(ctx, observed, token)
	return observed, nil
}

// read fills an object through a reader. What the cache doesn't have is looked up
// at the API server: the cache may lag behind, and it holds no object of anybody
// else's that bears the same name.
func (r *Reconciler) read(ctx context.Context, reader client.Reader, object client.Object) (found bool, err error) {
	key := client.ObjectKeyFromObject(object)
	err = reader.Get(ctx, key, object)
	if apierrors.IsNotFound(err) {
		err = r.Live.Get(ctx, key, object)
	}
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %T %s: %w", object, key, err)
	}
	return true, nil
}

// observeSecrets notes which Secrets exist and returns the operator's token. The
// tokens are read live, since the operator has no right to list or watch Secrets,
// and are kept nowhere.
func (r *Reconciler) observeSecrets(ctx context.Context, observed *Observed) (token string, err error) {
	name := observed.Cluster.Name
	for _, secretName := range tokenSecrets(name) {
		secret := named(&corev1.Secret{}, observed.Cluster, secretName)
		err := r.Live.Get(ctx, client.ObjectKeyFromObject(secret), secret)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("read Secret %s: %w", secretName, err)
		}
		if secretName == resources.OperatorSecretName(name) && metav1.IsControlledBy(secret, observed.Cluster) {
			token = firstToken(secret)
		}
		secret.Data = nil
		observed.Owned[ownedKey(secret, secretName)] = secret
	}
	return token, nil
}

// firstToken returns the token that the operator presents, empty when there is
// none. Nodes take a Secret of several tokens, one a line, so that one can follow
// another; the first is the one in use.
func firstToken(secret *corev1.Secret) string {
	for line := range strings.Lines(string(secret.Data[resources.TokenKey])) {
		if token := strings.TrimSpace(line); token != "" {
			return token
		}
	}
	return ""
}

// errNoToken names the Secret that should hold the operator's token and doesn't.
// Nobody was asked then.
type errNoToken string

func (name errNoToken) Error() string {
	return "Secret " + string(name) + " holds no token for the operator"
}

func (r *Reconciler) observePods(ctx context.Context, reader client.Reader, observed *Observed) error {
	pods, err := listPods(ctx, reader, observed.Cluster)
	if err != nil {
		return err
	}
	observed.Pods = pods
	return nil
}

// listPods returns the pods with a member's name, by that name.
func listPods(ctx context.Context, reader client.Reader, cluster *v1.RaftCluster) (map[string]*corev1.Pod, error) {
	var list corev1.PodList
	if err := reader.List(ctx, &list, client.InNamespace(cluster.Namespace), selector(cluster)); err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	pods := make(map[string]*corev1.Pod, len(list.Items))
	for i := range list.Items {
		pod := &list.Items[i]
		if _, ok := resources.PodOrdinal(cluster.Name, pod.Name); ok {
			pods[pod.Name] = pod
		}
	}
	return pods, nil
}

// observeClaims lists the claims. While there is no ConfigMap or no StatefulSet
// they are what tells a new cluster from an old one, so the cache isn't good
// enough then.
func (r *Reconciler) observeClaims(ctx context.Context, reader client.Reader, observed *Observed) error {
	if observed.ConfigMap() == nil || observed.StatefulSet() == nil {
		reader = r.Live
	}
	var list corev1.PersistentVolumeClaimList
	if err := reader.List(ctx, &list, client.InNamespace(observed.Cluster.Namespace), selector(observed.Cluster)); err != nil {
		return fmt.Errorf("list volume claims: %w", err)
	}
	observed.Claims = make(map[string]*corev1.PersistentVolumeClaim, len(list.Items))
	for i := range list.Items {
		observed.Claims[list.Items[i].Name] = &list.Items[i]
	}
	return nil
}

func selector(cluster *v1.RaftCluster) client.MatchingLabels {
	return client.MatchingLabels(resources.SelectorLabels(cluster.Name))
}

// askMembers asks all members whose pods run for their status, at once.
func (r *Reconciler) askMembers(ctx context.Context, observed *Observed, token string) map[string]Report {
	reports := make(map[string]Report, len(observed.Pods))
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var mu sync.Mutex
	var asking sync.WaitGroup
	for name, pod := range observed.Pods {
		if pod.Status.PodIP == "" || !containerRuns(pod) {
			continue
		}
		if token == "" {
			reports[name] = Report{Err: errNoToken(resources.OperatorSecretName(observed.Cluster.Name))}
			continue
		}
		asking.Go(func() {
			status, err := r.Members.Status(ctx, resources.OpsURL(observed.Cluster.Name, observed.Cluster.Namespace, name), token)
			mu.Lock()
			defer mu.Unlock()
			reports[name] = Report{Status: status, Err: err}
		})
	}
	asking.Wait()
	return reports
}

// sortedNames returns the keys of a map of things by name, in order.
func sortedNames[T any](byName map[string]T) []string {
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
