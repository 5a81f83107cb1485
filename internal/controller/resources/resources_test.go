package resources

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

func TestPodTemplateDoesNotDependOnSizeOrBootstrap(t *testing.T) {
	want := StatefulSet(plain()).Spec.Template
	for _, members := range []int32{1, 3, 5, 7} {
		for _, state := range []InitialState{StateInitial, StateExisting} {
			in := plain()
			in.Cluster.Spec.Replicas, in.Members, in.Voters, in.InitialState = members, members, members, state
			if got := StatefulSet(in).Spec.Template; !reflect.DeepEqual(got, want) {
				t.Errorf("the pod template of %d members in state %s differs", members, state)
			}
		}
	}
}

func TestConfigHashFollowsSettingsReadAtStart(t *testing.T) {
	hash := func(change func(*Input)) string {
		in := plain()
		change(&in)
		return StatefulSet(in).Spec.Template.Annotations[v1.AnnotationConfigHash]
	}
	same := hash(func(*Input) {})
	for name, change := range map[string]func(*Input){
		"election timeout": func(in *Input) { in.Cluster.Spec.Raft.ElectionTimeoutMaxMilliseconds = 2000 },
		"heartbeat":        func(in *Input) { in.Cluster.Spec.Raft.HeartbeatIntervalMilliseconds = 50 },
		"snapshots":        func(in *Input) { in.Cluster.Spec.Raft.SnapshotThresholdEntries = 500 },
		"hosts":            func(in *Input) { in.Cluster.Spec.Client.Hosts = []string{"b.test"} },
	} {
		if hash(change) == same {
			t.Errorf("a change of the %s leaves the hash as it was", name)
		}
	}
	for name, change := range map[string]func(*Input){
		"Service type": func(in *Input) { in.Cluster.Spec.Client.Service.Type = "NodePort" },
		"cluster ID":   func(in *Input) { in.ClusterID = strings.Repeat("0", 32) },
	} {
		if hash(change) != same {
			t.Errorf("a change of the %s changes the hash", name)
		}
	}
	ab := hash(func(in *Input) { in.Cluster.Spec.Client.Hosts = []string{"a.test", "b.test"} })
	ba := hash(func(in *Input) { in.Cluster.Spec.Client.Hosts = []string{"b.test", "a.test"} })
	if ab != ba {
		t.Error("the order of the hosts, which is a set, changes the hash")
	}
}

func TestDisruptionBudgetProtectsTheQuorum(t *testing.T) {
	for _, test := range []struct {
		pods, voters int32
		want         string // minAvailable, or empty for no budget
	}{
		{1, 1, ""}, {3, 3, "2"}, {5, 5, "3"}, {7, 7, "4"},
		{4, 3, "3"}, // a learner beside three voters must stay as well
		{2, 1, ""},
	} {
		t.Run(fmt.Sprintf("%d pods %d voters", test.pods, test.voters), func(t *testing.T) {
			in := plain()
			in.Members, in.Voters = test.pods, test.voters
			got := ""
			if budget := PodDisruptionBudget(in); budget != nil {
				got = budget.Spec.MinAvailable.String()
			}
			if got != test.want {
				t.Errorf("minAvailable is %q, want %q", got, test.want)
			}
		})
	}
}

func TestSpreadConstraintsKeepAnEmptyListEmpty(t *testing.T) {
	in := full()
	in.Cluster.Spec.Pod.TopologySpreadConstraints = in.Cluster.Spec.Pod.TopologySpreadConstraints[:0]
	if got := StatefulSet(in).Spec.Template.Spec.TopologySpreadConstraints; len(got) != 0 {
		t.Errorf("got %d constraints, want none", len(got))
	}
}

func TestBuildersLeaveTheResourceAsItWas(t *testing.T) {
	in := full()
	before := in.Cluster.DeepCopy()
	StatefulSet(in)
	ClientService(in)
	ConfigMap(in)
	if !reflect.DeepEqual(in.Cluster, before) {
		t.Error("building the objects changed the resource")
	}
}

func TestOrdinalsAreReadBackFromNames(t *testing.T) {
	for ordinal := range int32(v1.MaxReplicas) {
		if got, ok := ClaimOrdinal("cfg", ClaimName("cfg", ordinal)); !ok || got != ordinal {
			t.Errorf("ClaimOrdinal(%q) = %d, %v", ClaimName("cfg", ordinal), got, ok)
		}
	}
	for _, name := range []string{"cfg", "cfg-", "cfg-7", "cfg-00", "cfg-x", "other-0", "cfg-peers-0", ""} {
		if got, ok := PodOrdinal("cfg", name); ok {
			t.Errorf("PodOrdinal(%q) = %d, want none", name, got)
		}
	}
}
