package resources

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

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
		{3, 5, "3"}, // of five voters two have no pod
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

// An operator outside the Kubernetes cluster has no pods to be let in by name.
func TestOperationsPortIsOpenOnlyToAnOperatorThatCannotBeNamed(t *testing.T) {
	for namespace, open := range map[string]bool{"": true, "ops": false} {
		in := full()
		in.Operator.Namespace = namespace
		for _, rule := range NetworkPolicy(in).Spec.Ingress {
			isOpen := len(rule.From) == 0
			if port := rule.Ports[0].Port.IntValue(); isOpen != (open && port == PortOps) {
				t.Errorf("operator in namespace %q: port %d is open to all: %v", namespace, port, isOpen)
			}
		}
	}
}

func TestNoNetworkPolicyIsMadeWhereNoneIsWanted(t *testing.T) {
	in := full()
	in.Cluster.Spec.NetworkPolicy.Mode = v1.NetworkPolicyDisabled
	if policy := NetworkPolicy(in); policy != nil {
		t.Errorf("got %+v", policy)
	}
}

func TestSpreadConstraintsKeepAnEmptyListEmpty(t *testing.T) {
	in := full()
	in.Cluster.Spec.Pod.TopologySpreadConstraints = in.Cluster.Spec.Pod.TopologySpreadConstraints[:0]
	if got := StatefulSet(in).Spec.Template.Spec.TopologySpreadConstraints; len(got) != 0 {
		t.Errorf("got %d constraints, want none", len(got))
	}
}

// Another amount than the one that the API server keeps would be applied again in
// every pass.
func TestAmountsAreThoseThatTheAPIServerKeeps(t *testing.T) {
	for given, kept := range map[string]string{"100u": "1m", "1500u": "2m", "1n": "1m", "1m": "1m", "0.5": "500m", "1Gi": "1Gi", "1000000001n": "1001m"} {
		in := plain()
		amount := resource.MustParse(given)
		in.Cluster.Spec.Storage.Size = amount
		in.Cluster.Spec.Pod.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: amount}
		in.Cluster.Spec.Pod.Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: amount}
		spec := StatefulSet(in).Spec
		container := spec.Template.Spec.Containers[0].Resources
		for where, got := range map[string]resource.Quantity{
			"request": container.Requests[corev1.ResourceCPU],
			"limit":   container.Limits[corev1.ResourceCPU],
			"volume":  spec.VolumeClaimTemplates[0].Spec.Resources.Requests[corev1.ResourceStorage],
		} {
			if got.String() != kept {
				t.Errorf("%s: the %s is %s, want %s", given, where, got.String(), kept)
			}
		}
		if left := in.Cluster.Spec.Pod.Resources.Limits[corev1.ResourceCPU]; left.Cmp(resource.MustParse(given)) != 0 {
			t.Errorf("%s: the resource itself says %s now", given, left.String())
		}
	}
}

// handOver and serve are the node's own limits on the two parts of a stop that
// the drain period isn't: see internal/node.
func TestStopFitsIntoTheTimeThatAPodHas(t *testing.T) {
	const handOver, serve, closing = 2 * time.Second, 5 * time.Second, time.Second
	for seconds := int64(10); seconds <= 600; seconds++ {
		in := plain()
		in.Cluster.Spec.Pod.TerminationGracePeriodSeconds = seconds
		drain, err := time.ParseDuration(drainPeriod(in))
		if err != nil {
			t.Fatal(err)
		}
		if total := handOver + drain + serve + closing; total > time.Duration(seconds)*time.Second || drain < 2*time.Second {
			t.Errorf("of %d s a drain of %v makes %v", seconds, drain, total)
		}
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
