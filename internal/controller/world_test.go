package controller

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

const (
	testImage = "example.test/conclave:1.0.0"
	testUID   = types.UID("6f1e2d3c-0000-4000-8000-00000000cf60")
	// testClusterID is what testUID becomes.
	testClusterID = "6f1e2d3c00004000800000000000cf60"
)

// testCluster is a valid resource as the schema's defaults leave it.
func testCluster(replicas int32) *v1.RaftCluster {
	return &v1.RaftCluster{
		ObjectMeta: metav1.ObjectMeta{Name: "cfg", Namespace: "prod", UID: testUID, Generation: 1},
		Spec: v1.RaftClusterSpec{
			Replicas:        replicas,
			Image:           v1.ImageSpec{PullPolicy: corev1.PullIfNotPresent},
			ReconcilePolicy: v1.ReconcileManaged,
			Recovery:        v1.RecoverySpec{MemberReplacement: v1.MemberReplacementSpec{Mode: v1.ReplacementAutomatic, AfterSeconds: 600}},
			Storage:         v1.StorageSpec{Size: resource.MustParse("1Gi"), Retention: v1.RetentionSpec{WhenDeleted: v1.RetentionRetain, WhenScaled: v1.RetentionDelete}},
			Raft: v1.RaftSpec{
				ElectionTimeoutMinMilliseconds: 500,
				ElectionTimeoutMaxMilliseconds: 1000,
				HeartbeatIntervalMilliseconds:  100,
				SnapshotThresholdEntries:       10000,
			},
			Client:        v1.ClientSpec{Service: v1.ServiceSpec{Type: corev1.ServiceTypeClusterIP}},
			NetworkPolicy: v1.NetworkPolicySpec{Mode: v1.NetworkPolicyManaged},
			Pod:           v1.PodSpec{TerminationGracePeriodSeconds: 30},
		},
	}
}

// world is a Kubernetes cluster in memory, as far as a plan can see and change
// it. Its StatefulSet controller, kubelet and Raft work at once and without
// fault; what a test wants broken it breaks.
type world struct {
	t *testing.T
	*Observed
	// templates are the pod templates so far; their order numbers them.
	templates []corev1.PodTemplateSpec
	steps     []string
	// react makes Raft follow each step; a test may tell the membership instead.
	react bool
	// membership is the Raft configuration, none before the cluster has formed.
	membership []admin.Member
	// wanted is the name of the member that leads if it can.
	wanted string
	// silent is for how long the leader has had no word from those who don't answer.
	silent map[string]int64
	// made counts what gets a UID or a member ID.
	made int
}

// newWorld holds a resource and nothing else.
func newWorld(t *testing.T, replicas int32) *world {
	return &world{t: t, react: true, Observed: &Observed{
		Cluster: testCluster(replicas),
		Owned:   map[string]client.Object{},
		Pods:    map[string]*corev1.Pod{},
		Claims:  map[string]*corev1.PersistentVolumeClaim{},
		Reports: map[string]Report{},
	}}
}

// settledWorld holds a cluster at rest, led by member 0.
func settledWorld(t *testing.T, replicas int32) *world {
	w := newWorld(t, replicas)
	w.run()
	w.steps = nil
	return w
}

// run takes steps until nothing is left to do or nothing more can be done.
func (w *world) run() Plan {
	w.t.Helper()
	for range 100 {
		plan := decide(w.Observed, testImage)
		w.Cluster.Status = statusOf(w.Observed, plan)
		if plan.Step == nil {
			return plan
		}
		w.take(plan)
	}
	w.t.Fatalf("no end after 100 steps: %q ...", w.steps[:20])
	return Plan{}
}

// take does what act would do, then lets the world react.
func (w *world) take(plan Plan) {
	switch step := plan.Step.(type) {
	case CreateSecrets:
		for _, name := range step.Names {
			secret := resources.TokenSecret(step.Input, name, "")
			w.Owned[ownedKey(secret, name)] = secret
		}
		w.steps = append(w.steps, "secrets")
	case ApplyObjects:
		for _, object := range step.Objects {
			w.apply(object)
		}
	case DeleteObjects:
		for _, object := range step.Objects {
			delete(w.Owned, ownedKey(object, object.GetName()))
			w.steps = append(w.steps, "delete "+describe(object))
		}
	case StampClaims:
		for _, name := range step.Names {
			metav1.SetMetaDataAnnotation(&w.Claims[name].ObjectMeta, v1.AnnotationClusterID, step.ClusterID)
		}
		w.steps = append(w.steps, "stamp")
	case RestartPod:
		w.startPod(step.Name)
		w.steps = append(w.steps, "restart "+step.Name)
	default:
		w.takeOnMembers(plan, step)
	}
	if w.react {
		w.elect()
	}
}

// takeOnMembers takes the steps that change the membership.
func (w *world) takeOnMembers(plan Plan, step Step) {
	switch step := step.(type) {
	case WriteOperation:
		w.Cluster.Status.Operation = step.Operation
		return // the journal tells of what comes
	case ChangeMembership:
		w.changeMembership(step.Change)
	case TransferLeadership:
		for _, member := range w.membership {
			if member.MemberID == step.Successor {
				w.wanted = member.Name
				w.steps = append(w.steps, "transfer to "+member.Name)
			}
		}
	case Resize:
		in := plan.input
		in.Members = step.Pods
		set := resources.StatefulSet(in)
		seal(set)
		w.apply(set)
		w.steps[len(w.steps)-1] = fmt.Sprintf("resize to %d", step.Pods)
	case DeleteClaim:
		delete(w.Claims, step.Name)
		w.steps = append(w.steps, "delete "+step.Name)
	case MarkClaim:
		metav1.SetMetaDataAnnotation(&w.Claims[step.Name].ObjectMeta, v1.AnnotationRemovedMember, step.MemberID)
		w.steps = append(w.steps, "mark "+step.Name)
	case DeletePod:
		ordinal, _ := resources.PodOrdinal("cfg", step.Name)
		w.addClaim(ordinal)
		w.startPod(step.Name)
		w.steps = append(w.steps, "delete "+step.Name)
	default:
		w.t.Fatalf("a step of type %T", step)
	}
}

func (w *world) changeMembership(change admin.Change) {
	at := slices.IndexFunc(w.membership, func(m admin.Member) bool { return m.MemberID == change.Member.MemberID })
	switch {
	case change.Kind == admin.AddLearner && at < 0:
		w.membership = append(w.membership, admin.Member{
			MemberID: change.Member.MemberID, Name: change.Member.Name, Address: change.Member.Address, Role: "Learner", Promotable: true})
		w.steps = append(w.steps, "add "+change.Member.Name)
	case change.Kind == admin.Promote && at >= 0:
		w.membership[at].Role = "Voter"
		w.steps = append(w.steps, "promote "+w.membership[at].Name)
	case change.Kind == admin.Remove && at >= 0:
		w.steps = append(w.steps, "remove "+w.membership[at].Name)
		w.membership = slices.Delete(w.membership, at, at+1)
	default:
		w.t.Fatalf("%+v of %+v", change, w.membership)
	}
}

func (w *world) apply(object client.Object) {
	w.steps = append(w.steps, "apply "+describe(object))
	w.Owned[ownedKey(object, object.GetName())] = object
	set, ok := object.(*appsv1.StatefulSet)
	if !ok {
		return
	}
	revision := slices.IndexFunc(w.templates, func(template corev1.PodTemplateSpec) bool {
		return reflect.DeepEqual(template, set.Spec.Template)
	})
	if revision < 0 {
		revision = len(w.templates)
		w.templates = append(w.templates, set.Spec.Template)
	}
	set.Status.UpdateRevision = fmt.Sprint("cfg-", revision)
	set.Status.Replicas = *set.Spec.Replicas
	for ordinal := range *set.Spec.Replicas {
		name := resources.PodName("cfg", ordinal)
		w.addClaim(ordinal)
		if w.Pods[name] == nil {
			w.startPod(name)
		}
	}
	for name := range w.Pods {
		if ordinal, _ := resources.PodOrdinal("cfg", name); ordinal >= *set.Spec.Replicas {
			delete(w.Pods, name)
			delete(w.Reports, name)
		}
	}
}

// addClaim makes a member's claim unless there is one.
func (w *world) addClaim(ordinal int32) *corev1.PersistentVolumeClaim {
	name := resources.ClaimName("cfg", ordinal)
	if w.Claims[name] == nil {
		w.made++
		w.Claims[name] = &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "prod", UID: types.UID(fmt.Sprint(w.made)), Labels: resources.Labels("cfg")},
			Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
		}
	}
	return w.Claims[name]
}

// startPod makes a ready pod of the current template, whose member answers. Once
// there is a cluster, one that isn't a member of it waits to be added, or knows
// that it was removed.
func (w *world) startPod(name string) {
	w.made++
	w.Pods[name] = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "prod", UID: types.UID(fmt.Sprint(w.made)),
			Labels:          map[string]string{appsv1.ControllerRevisionHashLabelKey: w.StatefulSet().Status.UpdateRevision},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(w.StatefulSet(), appsv1.SchemeGroupVersion.WithKind("StatefulSet"))}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: resources.ContainerName, Image: testImage}}},
		Status: corev1.PodStatus{
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: resources.ContainerName, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			}},
		},
	}
	w.Reports[name] = Report{Status: &admin.Status{
		Name: name, MemberID: w.memberOn(name), Address: name + ":8401", Version: "1.0.0", State: admin.StateRunning, Role: "Follower", Ready: true,
	}}
}

func memberID(name string) string { return fmt.Sprintf("%016x", name) }

// memberOn is the ID on a member's volume: each of the first volumes has the
// member ID of its name.
func (w *world) memberOn(name string) string {
	claim := w.claimOf(name)
	if claim == nil {
		return memberID(name)
	}
	if claim.Annotations["test/member"] == "" {
		id := memberID(name)
		if w.membership != nil {
			w.made++
			id = fmt.Sprintf("%016x", w.made)
		}
		metav1.SetMetaDataAnnotation(&claim.ObjectMeta, "test/member", id)
	}
	return claim.Annotations["test/member"]
}

// setStates lets each answering member be what its place in the membership makes
// it.
func (w *world) setStates(id identity) (running []string) {
	for _, name := range sortedNames(w.Reports) {
		status := w.Reports[name].Status
		if status == nil {
			continue
		}
		if status.State == admin.StateRunning || status.State == admin.StateAwaitingAdd || status.State == admin.StateRemoved {
			at := slices.IndexFunc(w.membership, func(m admin.Member) bool { return m.MemberID == status.MemberID })
			switch {
			case at >= 0 || w.membership == nil:
				status.State, status.ClusterID = admin.StateRunning, id.clusterID
			case w.claimOf(name) != nil && w.claimOf(name).Annotations["test/was-member"] != "":
				status.State = admin.StateRemoved
			default:
				status.State, status.ClusterID = admin.StateAwaitingAdd, id.clusterID
			}
			if at >= 0 && w.claimOf(name) != nil {
				metav1.SetMetaDataAnnotation(&w.claimOf(name).ObjectMeta, "test/was-member", "true")
			}
		}
		if status.State == admin.StateRunning {
			status.ClusterID, status.Role, status.Leader, status.Members = id.clusterID, "Follower", "", nil
			running = append(running, name)
		}
	}
	return running
}

// elect lets the answering member with the lowest name lead, or the one that is
// wanted, if they are a quorum.
func (w *world) elect() {
	id, _ := identify(w.Observed)
	running := w.setStates(id)
	if w.membership == nil && int32(len(running)) >= resources.Quorum(id.members) {
		for ordinal := range id.members {
			name := resources.PodName("cfg", ordinal)
			w.membership = append(w.membership, admin.Member{Name: name, MemberID: memberID(name), Role: "Voter"})
		}
		running = w.setStates(id)
	}
	var voters []string
	var all int32
	for _, member := range w.membership {
		if member.Role != "Voter" {
			continue
		}
		all++
		if slices.Contains(running, member.Name) && w.Reports[member.Name].Status.MemberID == member.MemberID {
			voters = append(voters, member.Name)
		}
	}
	if all == 0 || int32(len(voters)) < resources.Quorum(all) {
		return
	}
	lead := voters[0]
	if slices.Contains(voters, w.wanted) {
		lead = w.wanted
	}
	for _, name := range running {
		w.Reports[name].Status.Leader = lead
		w.Reports[name].Status.Term = 5
	}
	leader := w.Reports[lead].Status
	leader.Role, leader.CommitIndex = "Leader", 5000
	for _, member := range w.membership {
		if member.Name != leader.Name && slices.Contains(running, member.Name) && w.Reports[member.Name].Status.MemberID == member.MemberID {
			member.MatchIndex, member.SinceContactMillis = 5000, ptr.To[int64](40)
		} else if millis, ok := w.silent[member.Name]; ok {
			member.SinceContactMillis = &millis
		}
		leader.Members = append(leader.Members, member)
	}
}

// unready makes a pod run without being ready, with its member silent.
func (w *world) unready(name string) {
	w.Pods[name].Status.Conditions[0].Status = corev1.ConditionFalse
	w.Reports[name] = Report{Err: errOutdated}
	w.elect()
}

// crash keeps a pod's program from running, for the reason that a kubelet gives.
func (w *world) crash(name, reason string) {
	w.unready(name)
	w.Pods[name].Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}
	delete(w.Reports, name)
}

// forget deletes all objects of the resource, as a deletion of it would, and
// leaves the claims.
func (w *world) forget() {
	clear(w.Owned)
	clear(w.Pods)
	clear(w.Reports)
	w.Cluster = testCluster(w.Cluster.Spec.Replicas)
	w.Cluster.UID = "11111111-2222-4333-8444-555555555555"
	w.membership = nil
	w.steps = nil
}

// copied returns an observation that a test may change without touching this one.
func (w *world) copied() *Observed {
	o := *w.Observed
	o.Pods = maps.Clone(o.Pods)
	return &o
}

// expectSteps compares the steps taken so far.
func (w *world) expectSteps(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.steps, want) {
		w.t.Errorf("steps taken:\n got %q\nwant %q", w.steps, want)
	}
}

// expectCondition compares one condition of the present.
func (w *world) expectCondition(kind string, status metav1.ConditionStatus, reason string) {
	w.t.Helper()
	for _, condition := range conditionsOf(w.Observed, decide(w.Observed, testImage)) {
		if condition.Type != kind {
			continue
		}
		if condition.Status != status || condition.Reason != reason {
			w.t.Errorf("%s is %s/%s (%s), want %s/%s", kind, condition.Status, condition.Reason, condition.Message, status, reason)
		}
		return
	}
	w.t.Errorf("there is no condition %s", kind)
}
