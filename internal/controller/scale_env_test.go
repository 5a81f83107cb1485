package controller

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// group is a Raft group that works at once: its configuration, the index of the
// entry that made it so, who leads, and all that was changed.
type group struct {
	members []admin.Member
	index   uint64
	leader  string
	done    []string
}

func (g *group) change(change admin.Change) error {
	if change.IfIndex != g.index {
		return &admin.Problem{Status: 412, Code: admin.CodeMembershipChanged, Title: "The membership is another one"}
	}
	at := slices.IndexFunc(g.members, func(m admin.Member) bool { return m.MemberID == change.Member.MemberID })
	switch {
	case change.Kind == admin.AddLearner && at < 0:
		g.members = append(g.members, admin.Member{
			MemberID: change.Member.MemberID, Name: change.Member.Name, Address: change.Member.Address, Role: "Learner", Promotable: true})
		at = len(g.members) - 1
	case change.Kind == admin.Promote && at >= 0 && g.members[at].Role == "Learner":
		g.members[at].Role = "Voter"
	case change.Kind == admin.Remove && at >= 0 && g.members[at].MemberID != g.leader:
	default:
		return &admin.Problem{Status: 409, Code: "refused", Title: "The request is refused", Detail: fmt.Sprintf("%+v", change)}
	}
	g.index++
	g.done = append(g.done, fmt.Sprint(change.Kind, " ", g.members[at].Name))
	if change.Kind == admin.Remove {
		g.members = slices.Delete(g.members, at, at+1)
	}
	return nil
}

// idOn is the member ID on a volume: as random as the claim's UID.
func idOn(claim *corev1.PersistentVolumeClaim) string {
	return string(claim.UID)[:8] + string(claim.UID)[28:]
}

// play does once what the StatefulSet's controller, the kubelets and the members
// would do by themselves.
func (c *fakeCluster) play(g *group) {
	c.t.Helper()
	set := &appsv1.StatefulSet{}
	c.must(c.get(set, c.name))
	if set.Status.ObservedGeneration != set.Generation || set.Status.UpdateRevision == "" {
		set = c.roll("revision-1")
	}
	for ordinal := range int32(v1.MaxReplicas) {
		claim := c.playVolume(set, ordinal)
		url := c.url(ordinal)
		if ordinal >= *set.Spec.Replicas || claim == nil {
			c.members.set(url, nil)
			continue
		}
		c.members.speak(url, g, &admin.Status{
			Name: resources.PodName(c.name, ordinal), MemberID: idOn(claim), ClusterID: set.Annotations[v1.AnnotationClusterID],
			Address: resources.PodName(c.name, ordinal) + ":8401", Version: "1.0.0",
		})
	}
}

// playVolume makes the pod and the claim of an ordinal be as the StatefulSet asks,
// and returns the claim if its pod may use it.
func (c *fakeCluster) playVolume(set *appsv1.StatefulSet, ordinal int32) *corev1.PersistentVolumeClaim {
	c.t.Helper()
	pod, claim := &corev1.Pod{}, &corev1.PersistentVolumeClaim{}
	podMissing := c.get(pod, resources.PodName(c.name, ordinal)) != nil
	claimMissing := c.get(claim, resources.ClaimName(c.name, ordinal)) != nil
	if ordinal >= *set.Spec.Replicas && !podMissing {
		c.must(client.IgnoreNotFound(c.admin.Delete(c.t.Context(), pod, client.GracePeriodSeconds(0))))
		podMissing = true
	}
	if !claimMissing && claim.DeletionTimestamp != nil {
		if podMissing && len(claim.Finalizers) > 0 {
			claim.Finalizers = nil // pvc-protection lets go
			c.must(client.IgnoreNotFound(c.admin.Update(c.t.Context(), claim)))
		}
		return nil
	}
	if ordinal >= *set.Spec.Replicas {
		return nil
	}
	if claimMissing {
		c.makeClaim(set, ordinal)
		c.must(c.get(claim, resources.ClaimName(c.name, ordinal)))
	}
	if podMissing {
		c.makePod(set, ordinal)
	}
	return claim
}

// speak lets a node answer as what its place in the group makes it. The first
// three to speak form a group.
func (f *fakeMembers) speak(url string, g *group, status *admin.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.statuses == nil {
		f.statuses = map[string]*admin.Status{}
	}
	if f.groups == nil {
		f.groups = map[string]*group{}
	}
	f.groups[url], f.statuses[url] = g, status
	if g.index == 0 {
		g.members = append(g.members, admin.Member{MemberID: status.MemberID, Name: status.Name, Role: "Voter"})
		g.leader = g.members[0].MemberID
		if len(g.members) == 3 {
			g.index = 1
		}
	}
	status.State, status.Term, status.Role, status.Ready = admin.StateRunning, 3, "Follower", true
	at := slices.IndexFunc(g.members, func(m admin.Member) bool { return m.MemberID == g.leader })
	status.Leader = g.members[at].Name
	switch {
	case !slices.ContainsFunc(g.members, func(m admin.Member) bool { return m.MemberID == status.MemberID }):
		status.State, status.Leader, status.Ready = admin.StateAwaitingAdd, "", false
	case status.MemberID == g.leader && g.index > 0:
		status.Role, status.CommitIndex, status.MembershipIndex = "Leader", g.index+100, g.index
		for _, member := range g.members {
			member.MatchIndex, member.SinceContactMillis = status.CommitIndex, ptr.To[int64](10)
			status.Members = append(status.Members, member)
		}
	}
}

// playUntil plays until the cluster is at rest with a number of members.
func (c *fakeCluster) playUntil(g *group, replicas int32) {
	c.t.Helper()
	eventually(c.t, func() string {
		c.play(g)
		cluster := c.resource()
		ready := meta.FindStatusCondition(cluster.Status.Conditions, v1.ConditionReady)
		if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != cluster.Generation ||
			cluster.Status.Voters != replicas || cluster.Status.Replicas != replicas || cluster.Status.Operation != nil {
			return fmt.Sprintf("%d voters, %d pods, operation %+v, %+v", cluster.Status.Voters, cluster.Status.Replicas, cluster.Status.Operation, ready)
		}
		return ""
	})
	var claims corev1.PersistentVolumeClaimList
	c.must(c.admin.List(c.t.Context(), &claims, client.InNamespace(c.namespace)))
	if len(claims.Items) != int(replicas) {
		c.t.Errorf("%d replicas have %d volume claims", replicas, len(claims.Items))
	}
}

// scaleTo asks for another size through the scale subresource, as kubectl does.
func (c *fakeCluster) scaleTo(replicas int32) {
	c.t.Helper()
	scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}
	c.must(c.admin.SubResource("scale").Update(c.t.Context(), c.resource(), client.WithSubResourceBody(scale)))
}

func TestScaleSubresourceScalesOutAndIn(t *testing.T) {
	e := apiServer(t)
	c := e.create(t, e.namespace(t), v1.RaftClusterSpec{})
	awaitObject(c, &appsv1.StatefulSet{}, "cfg", nil)
	g := &group{}
	c.playUntil(g, 3)
	c.scaleTo(5)
	c.playUntil(g, 5)
	c.scaleTo(1)
	c.playUntil(g, 1)
	c.scaleTo(3)
	c.playUntil(g, 3)
	want := "AddLearner cfg-3, Promote cfg-3, AddLearner cfg-4, Promote cfg-4, " +
		"Remove cfg-4, Remove cfg-3, Remove cfg-2, Remove cfg-1, " +
		"AddLearner cfg-1, Promote cfg-1, AddLearner cfg-2, Promote cfg-2"
	if got := strings.Join(g.done, ", "); got != want {
		t.Errorf("changes of the membership:\n got %s\nwant %s", got, want)
	}
	c.awaitEvent(v1.ReasonScalingIn)
}

func TestLostVolumeIsReplacedOnAnAPIServer(t *testing.T) {
	e := apiServer(t)
	c := e.create(t, e.namespace(t), v1.RaftClusterSpec{})
	awaitObject(c, &appsv1.StatefulSet{}, "cfg", nil)
	g := &group{}
	c.playUntil(g, 3)
	claim := &corev1.PersistentVolumeClaim{}
	c.must(c.get(claim, "data-cfg-1"))
	lost := idOn(claim)
	c.must(c.admin.Delete(t.Context(), claim))
	pod := &corev1.Pod{}
	c.must(c.get(pod, "cfg-1"))
	c.must(c.admin.Delete(t.Context(), pod, client.GracePeriodSeconds(0)))
	eventually(t, func() string {
		c.play(g)
		if slices.ContainsFunc(g.members, func(m admin.Member) bool { return m.MemberID == lost }) {
			return "the lost member is still one"
		}
		return ""
	})
	c.playUntil(g, 3)
	if got, want := strings.Join(g.done, ", "), "Remove cfg-1, AddLearner cfg-1, Promote cfg-1"; got != want {
		t.Errorf("changes of the membership: %s, want %s", got, want)
	}
}
