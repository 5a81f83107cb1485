package controller

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// This file checks the planning of the membership in all states of a small model
// of the world: whatever the spec asks for, whichever write was the operator's
// last, and whatever happened meanwhile. Each state is a value; the operator's
// next step is what planMembership makes of it.

// volume is a generation of a member's volume: what is on it has a member ID of
// its own. 0 is none. In a state they are numbered anew, ordinal by ordinal, as
// they are first mentioned, so that there are only so many states.
type volume uint8

// place is what there is of an ordinal.
type place struct {
	// claim is the volume; going is set while it is being deleted and its pod
	// still has it. stamped is set once the operator has noted the cluster ID on it,
	// and was once its member has been one.
	claim               volume
	going, stamped, was bool
	// pod is set while there is one, which runs on the claim.
	pod bool
	// voter and learner are the members that bear the name.
	voter, learner volume
}

// model is a state of the world.
type model struct {
	// want is what the spec asks for, recorded the StatefulSet's number of pods.
	want, recorded uint8
	places         [v1.MaxReplicas]place
	// leader and down are ordinals plus one: who leads, and whose pod neither
	// answers nor is heard of.
	leader, down uint8
	// silent is set once the one that is down has been so for long.
	silent bool
	// losses is how many volumes have been lost so far.
	losses uint8
	// changing is set while a change of voters isn't committed, seen once the
	// StatefulSet's controller has noticed its last change.
	changing, seen bool
	journal        journal
	// late is a change of the membership on its way to the leader, which the
	// operator knows nothing of any more.
	late change
}

// journal is status.operation; an empty one has no kind. pod tells whether the pod
// is the one that the journal means.
type journal struct {
	kind          v1.OperationType
	step          v1.OperationStep
	ordinal       uint8
	member, claim volume
	pod           podMeant
}

type podMeant uint8

const (
	podNone podMeant = iota
	podThis
	podOther
)

// change is a change of the membership; an empty one has no kind.
type change struct {
	kind    admin.ChangeKind
	ordinal uint8
	member  volume
}

// fresh is the volume that a new claim gets, until it is numbered.
const fresh volume = 15

// names are those that an observation of the model has for everything, and
// volumes tells which one a member ID is on.
var (
	names struct {
		pods, claims [v1.MaxReplicas]string
		ids          [v1.MaxReplicas][fresh + 1]string
	}
	volumes = map[string]volume{}
)

func init() {
	for i := range names.pods {
		names.pods[i], names.claims[i] = resources.PodName("cfg", int32(i)), resources.ClaimName("cfg", int32(i))
		for g := volume(1); g <= fresh; g++ {
			names.ids[i][g] = fmt.Sprintf("%08x%08x", i, g)
			volumes[names.ids[i][g]] = g
		}
	}
}

// healthy tells whether the voter of an ordinal can be counted on.
func (m *model) healthy(i int) bool {
	at := &m.places[i]
	return at.voter != 0 && at.pod && at.claim == at.voter && int(m.down) != i+1
}

// voters counts all voters, and the healthy ones.
func (m *model) voters() (all, healthy int32) {
	for i := range m.places {
		if m.places[i].voter != 0 {
			all++
		}
		if m.healthy(i) {
			healthy++
		}
	}
	return all, healthy
}

func (m *model) hasQuorum() bool {
	all, healthy := m.voters()
	return healthy >= resources.Quorum(all)
}

// observe is what the operator sees of a state.
func (m *model) observe() *Observed {
	cluster := &v1.RaftCluster{ObjectMeta: metav1.ObjectMeta{Name: "cfg", Namespace: "prod", UID: testUID}}
	cluster.Spec.Replicas = int32(m.want)
	cluster.Spec.Raft.ElectionTimeoutMaxMilliseconds = 1000
	cluster.Spec.Recovery.MemberReplacement = v1.MemberReplacementSpec{Mode: v1.ReplacementAutomatic, AfterSeconds: 600}
	cluster.Spec.Storage.Retention.WhenScaled = v1.RetentionDelete
	cluster.Status.Operation = m.journal.operation()
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
	if m.seen {
		set.Status.ObservedGeneration = 2
	}
	o := &Observed{
		Cluster: cluster, Owned: map[string]client.Object{ownedKey(set, "cfg"): set},
		Pods: map[string]*corev1.Pod{}, Claims: map[string]*corev1.PersistentVolumeClaim{}, Reports: map[string]Report{},
	}
	for i := range m.places {
		at := &m.places[i]
		if at.claim != 0 {
			claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: names.claims[i], UID: types.UID(names.ids[i][at.claim])}}
			if at.stamped {
				claim.Annotations = map[string]string{v1.AnnotationClusterID: testClusterID}
			}
			if at.going {
				claim.DeletionTimestamp = &metav1.Time{}
			}
			o.Claims[claim.Name] = claim
		}
		if at.pod {
			o.Pods[names.pods[i]] = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: names.pods[i], UID: types.UID(m.podUID(i))}}
			if int(m.down) != i+1 {
				o.Reports[names.pods[i]] = Report{Status: m.status(i)}
			}
		}
	}
	return o
}

// podUID names a pod by whether the journal means it.
func (m *model) podUID(i int) string {
	if m.journal.kind != "" && int(m.journal.ordinal) == i && m.journal.pod == podOther {
		return "another"
	}
	return "this"
}

func (j *journal) operation() *v1.Operation {
	if j.kind == "" {
		return nil
	}
	return &v1.Operation{
		Type: j.kind, Step: j.step, Target: names.pods[j.ordinal], TargetMemberID: names.ids[j.ordinal][j.member],
		PVCUID: names.ids[j.ordinal][j.claim], PodUID: [...]string{podNone: "", podThis: "this", podOther: "this"}[j.pod],
	}
}

// status is what the node of an ordinal says of itself.
func (m *model) status(i int) *admin.Status {
	at := &m.places[i]
	status := &admin.Status{
		Name: names.pods[i], MemberID: names.ids[i][at.claim], ClusterID: testClusterID, State: admin.StateRunning, Role: "Follower", Term: 1,
	}
	switch {
	case at.claim != at.voter && at.claim != at.learner && at.was:
		status.State = admin.StateRemoved
	case at.claim != at.voter && at.claim != at.learner:
		status.State = admin.StateAwaitingAdd
	case int(m.leader) == i+1:
		status.Role, status.Joint, status.CommitIndex, status.MembershipIndex = "Leader", m.changing, 100, 10
		for j := range m.places {
			for role, member := range map[string]volume{"Voter": m.places[j].voter, "Learner": m.places[j].learner} {
				if member == 0 {
					continue
				}
				told := admin.Member{MemberID: names.ids[j][member], Name: names.pods[j], Role: role}
				if m.places[j].pod && m.places[j].claim == member && int(m.down) != j+1 {
					told.MatchIndex, told.SinceContactMillis, told.Promotable = 100, ptr.To[int64](1), role == "Learner"
				} else if m.silent && int(m.down) == j+1 {
					told.SinceContactMillis = ptr.To[int64](600_000)
				}
				status.Members = append(status.Members, told)
			}
		}
		slices.SortFunc(status.Members, func(a, b admin.Member) int { return strings.Compare(a.MemberID, b.MemberID) })
	}
	return status
}

// next is what the operator does in a state. It stamps claims before it looks at
// the membership.
func (m *model) next() Step {
	o := m.observe()
	id := identity{clusterID: testClusterID, bootstrapped: true, members: int32(m.recorded)}
	if unstamped := unstampedClaims(o, resources.Input{Cluster: o.Cluster, InitialState: resources.StateExisting, Members: id.members}); len(unstamped) > 0 {
		return StampClaims{Names: unstamped}
	}
	return planMembership(o, id, look(o, testClusterID)).take(o.Cluster.Status.Operation)
}

// canonical numbers the volumes of each ordinal anew, forgets what nobody refers
// to any more, and takes leadership from who can't lead.
func (m model) canonical() model {
	for i := range m.places {
		at := &m.places[i]
		known := map[volume]volume{0: 0}
		renumber := func(g *volume) {
			if _, ok := known[*g]; !ok {
				known[*g] = volume(len(known))
			}
			*g = known[*g]
		}
		for _, g := range []*volume{&at.claim, &at.voter, &at.learner} {
			renumber(g)
		}
		if m.journal.kind != "" && int(m.journal.ordinal) == i {
			renumber(&m.journal.member)
			renumber(&m.journal.claim)
		}
		if m.late.kind != "" && int(m.late.ordinal) == i {
			renumber(&m.late.member)
		}
		at.was = at.claim != 0 && (at.was || at.claim == at.voter || at.claim == at.learner)
		at.going, at.stamped = at.going && at.claim != 0, at.stamped && at.claim != 0
	}
	m.silent = m.silent && m.down != 0
	if m.leader != 0 && (!m.healthy(int(m.leader)-1) || !m.hasQuorum()) {
		m.leader = 0
	}
	return m
}
