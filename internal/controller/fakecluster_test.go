package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// fakeMembers answers for members by their address. Those not set don't answer.
type fakeMembers struct {
	mu       sync.Mutex
	statuses map[string]*admin.Status
	tokens   map[string]string
	asked    map[string]int
	// groups are the Raft groups behind the addresses, where a test has set any.
	groups map[string]*group
}

// Status implements MemberClient.
func (f *fakeMembers) Status(_ context.Context, baseURL, token string) (*admin.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked == nil {
		f.asked, f.tokens = map[string]int{}, map[string]string{}
	}
	f.asked[baseURL]++
	f.tokens[baseURL] = token
	if status := f.statuses[baseURL]; status != nil {
		return status, nil
	}
	return nil, errors.New("connection refused")
}

// ChangeMembership implements MemberClient.
func (f *fakeMembers) ChangeMembership(_ context.Context, baseURL, _ string, change admin.Change) error {
	return f.order(baseURL, func(g *group) error { return g.change(change) })
}

// TransferLeadership implements MemberClient.
func (f *fakeMembers) TransferLeadership(_ context.Context, baseURL, _, successor string) error {
	return f.order(baseURL, func(g *group) error { g.leader = successor; return nil })
}

// order lets the leader at an address do something.
func (f *fakeMembers) order(baseURL string, do func(*group) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.groups[baseURL]
	switch status := f.statuses[baseURL]; {
	case g == nil || status == nil:
		return errors.New("connection refused")
	case status.MemberID != g.leader:
		return &admin.Problem{Status: 409, Code: admin.CodeNotLeader, Title: "Only the leader does this"}
	}
	return do(g)
}

func (f *fakeMembers) set(baseURL string, status *admin.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.statuses == nil {
		f.statuses = map[string]*admin.Status{}
	}
	f.statuses[baseURL] = status
}

// lastAsked tells how often a member was asked and with which token at last.
func (f *fakeMembers) lastAsked(baseURL string) (int, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[baseURL], f.tokens[baseURL]
}

// fakeCluster stands in for what no bare API server has: the StatefulSet's
// controller, the kubelets and the members of one RaftCluster.
type fakeCluster struct {
	t *testing.T
	*environment
	namespace, name string
}

// create makes a RaftCluster in a namespace.
func (e *environment) create(t *testing.T, namespace string, spec v1.RaftClusterSpec) *fakeCluster {
	t.Helper()
	c := &fakeCluster{t: t, environment: e, namespace: namespace, name: "cfg"}
	cluster := &v1.RaftCluster{ObjectMeta: metav1.ObjectMeta{Name: c.name, Namespace: namespace}, Spec: spec}
	c.must(e.admin.Create(t.Context(), cluster))
	return c
}

func (c *fakeCluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// get reads an object by name.
func (c *fakeCluster) get(object client.Object, name string) error {
	return c.admin.Get(c.t.Context(), client.ObjectKey{Namespace: c.namespace, Name: name}, object)
}

// awaitObject waits until an object is there, and is as ok wants it.
func awaitObject[T client.Object](c *fakeCluster, object T, name string, ok func(T) bool) T {
	c.t.Helper()
	eventually(c.t, func() string {
		if err := c.get(object, name); err != nil {
			return err.Error()
		}
		if ok != nil && !ok(object) {
			return fmt.Sprintf("%s isn't as it should be", describe(object))
		}
		return ""
	})
	return object
}

func (c *fakeCluster) resource() *v1.RaftCluster {
	c.t.Helper()
	cluster := &v1.RaftCluster{}
	c.must(c.get(cluster, c.name))
	return cluster
}

// awaitCondition waits until a condition of the resource is as wanted.
func (c *fakeCluster) awaitCondition(kind string, status metav1.ConditionStatus, reason string) *metav1.Condition {
	c.t.Helper()
	var condition *metav1.Condition
	eventually(c.t, func() string {
		cluster := c.resource()
		condition = meta.FindStatusCondition(cluster.Status.Conditions, kind)
		if condition == nil || condition.Status != status || condition.Reason != reason || condition.ObservedGeneration != cluster.Generation {
			return fmt.Sprintf("condition %s is %+v, want %s/%s", kind, condition, status, reason)
		}
		return ""
	})
	return condition
}

// start does what the StatefulSet's controller and the kubelets do for a new
// StatefulSet, then lets member 0 lead.
func (c *fakeCluster) start() *appsv1.StatefulSet {
	c.t.Helper()
	set := c.roll("revision-1")
	for ordinal := range *set.Spec.Replicas {
		c.makeClaim(set, ordinal)
		c.makePod(set, ordinal)
	}
	c.lead(*set.Spec.Replicas)
	return set
}

// roll says that the pod template as it is now has a revision.
func (c *fakeCluster) roll(revision string) *appsv1.StatefulSet {
	c.t.Helper()
	set := awaitObject(c, &appsv1.StatefulSet{}, c.name, nil)
	before := set.DeepCopy()
	set.Status.UpdateRevision, set.Status.ObservedGeneration, set.Status.Replicas = revision, set.Generation, *set.Spec.Replicas
	c.must(c.admin.Status().Patch(c.t.Context(), set, client.MergeFrom(before)))
	return set
}

func (c *fakeCluster) makeClaim(set *appsv1.StatefulSet, ordinal int32) {
	c.t.Helper()
	claim := set.Spec.VolumeClaimTemplates[0].DeepCopy()
	claim.Name, claim.Namespace = resources.ClaimName(c.name, ordinal), c.namespace
	c.must(c.admin.Create(c.t.Context(), claim))
	before := claim.DeepCopy()
	claim.Status.Phase = corev1.ClaimBound
	c.must(c.admin.Status().Patch(c.t.Context(), claim, client.MergeFrom(before)))
}

// makePod makes a pod from the template, running and ready.
func (c *fakeCluster) makePod(set *appsv1.StatefulSet, ordinal int32) {
	c.t.Helper()
	pod := &corev1.Pod{ObjectMeta: *set.Spec.Template.ObjectMeta.DeepCopy(), Spec: *set.Spec.Template.Spec.DeepCopy()}
	pod.Name, pod.Namespace = resources.PodName(c.name, ordinal), c.namespace
	pod.Labels[appsv1.ControllerRevisionHashLabelKey] = set.Status.UpdateRevision
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))}
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: resources.ClaimName(c.name, ordinal)},
	}})
	pod.Spec.TerminationGracePeriodSeconds = ptr.To[int64](0) // no kubelet is there to finish a deletion
	c.must(c.admin.Create(c.t.Context(), pod))
	c.setPod(pod.Name, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, corev1.ConditionTrue)
}

// setPod says what a kubelet says of a pod.
func (c *fakeCluster) setPod(name string, state corev1.ContainerState, ready corev1.ConditionStatus) {
	c.t.Helper()
	pod := &corev1.Pod{}
	c.must(c.get(pod, name))
	before := pod.DeepCopy()
	pod.Status.Phase, pod.Status.PodIP = corev1.PodRunning, "10.0.0.1"
	pod.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.1"}}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: resources.ContainerName, State: state, Image: podImage(pod)}}
	c.must(c.admin.Status().Patch(c.t.Context(), pod, client.MergeFrom(before)))
}

func (c *fakeCluster) url(ordinal int32) string {
	return resources.OpsURL(c.name, c.namespace, resources.PodName(c.name, ordinal))
}

// lead lets all members answer, with member 0 as the leader, under the cluster ID
// that the ConfigMap tells them.
func (c *fakeCluster) lead(replicas int32) {
	c.t.Helper()
	config := awaitObject(c, &corev1.ConfigMap{}, resources.ConfigMapName(c.name), nil)
	leader := &admin.Status{Role: "Leader", CommitIndex: 10}
	for ordinal := range replicas {
		status := &admin.Status{Role: "Follower"}
		member := admin.Member{Role: "Voter", MatchIndex: 10, SinceContactMillis: ptr.To[int64](20)}
		if ordinal == 0 {
			status = leader
		}
		member.Name = resources.PodName(c.name, ordinal)
		member.MemberID = memberID(member.Name)
		leader.Members = append(leader.Members, member)
		status.Name, status.MemberID, status.ClusterID = member.Name, member.MemberID, config.Annotations[v1.AnnotationClusterID]
		status.State, status.Version, status.Term = admin.StateRunning, "1.0.0", 3
		status.Leader, status.Ready = resources.PodName(c.name, 0), true
		c.members.set(c.url(ordinal), status)
	}
}

// clear deletes all that the garbage collector would after the resource is gone.
func (c *fakeCluster) clear() {
	c.t.Helper()
	for _, object := range append(ownedObjects(c.resource()), &corev1.Pod{}, &corev1.Secret{}) {
		c.must(c.admin.DeleteAllOf(c.t.Context(), object, client.InNamespace(c.namespace), client.GracePeriodSeconds(0),
			client.MatchingLabels(resources.SelectorLabels(c.name))))
	}
}
