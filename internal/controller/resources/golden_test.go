package resources

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew; review the difference")

// plain is a cluster as the schema's defaults leave it.
func plain() Input {
	return Input{
		Cluster: &v1.RaftCluster{
			ObjectMeta: metav1.ObjectMeta{Name: "cfg", Namespace: "prod", UID: "6f1e2d3c-0000-4000-8000-00000000cf60"},
			Spec: v1.RaftClusterSpec{
				Replicas:        3,
				Image:           v1.ImageSpec{PullPolicy: corev1.PullIfNotPresent},
				ReconcilePolicy: v1.ReconcileManaged,
				Storage:         v1.StorageSpec{Size: resource.MustParse("1Gi"), Retention: v1.RetentionSpec{WhenDeleted: v1.RetentionRetain}},
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
		},
		ClusterID:    "3f0c3f0c3f0c3f0c3f0c3f0c3f0c3f0c",
		InitialState: StateInitial,
		Members:      3,
		Voters:       3,
		DefaultImage: "example.test/conclave:1.0.0",
		Operator:     OperatorPods{Namespace: "ops", Labels: map[string]string{"app.kubernetes.io/name": "conclave-operator"}},
	}
}

// full is a cluster that uses every field.
func full() Input {
	in := plain()
	in.InitialState = StateExisting
	spec := &in.Cluster.Spec
	spec.RestartedTime = ptr.To(metav1.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	spec.Image = v1.ImageSpec{
		Reference:   "mirror.test:5000/conclave@sha256:0000000000000000000000000000000000000000000000000000000000000001",
		PullPolicy:  corev1.PullAlways,
		PullSecrets: []v1.PullSecret{{Name: "mirror"}},
	}
	spec.Storage = v1.StorageSpec{
		Size:             resource.MustParse("10Gi"),
		StorageClassName: ptr.To("fast"),
		Retention:        v1.RetentionSpec{WhenDeleted: v1.RetentionDelete},
	}
	spec.Raft.ElectionTimeoutMaxMilliseconds = 2000
	spec.Client = v1.ClientSpec{
		Hosts:   []string{"config.example.test"},
		Service: v1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Annotations: map[string]string{"lb.test/internal": "true"}},
	}
	spec.NetworkPolicy.ClientFrom = []v1.NetworkPeer{
		{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "shop"}}, PodSelector: &metav1.LabelSelector{}},
		{IPBlock: &v1.IPBlock{CIDR: "10.0.0.0/8", Except: []string{"10.9.0.0/16"}}},
	}
	spec.NetworkPolicy.MonitoringFrom = []v1.NetworkPeer{
		{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "monitoring"}}},
	}
	spec.Pod = v1.PodSpec{
		Labels:      map[string]string{"team": "platform"},
		Annotations: map[string]string{"note": "hello"},
		Resources: v1.PodResources{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")},
		},
		Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpIn, Values: []string{"ssd"}}},
			}}},
		}},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{
			{MaxSkew: 1, TopologyKey: "rack", WhenUnsatisfiable: corev1.DoNotSchedule},
		},
		Tolerations:                   []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpExists}},
		NodeSelector:                  map[string]string{"pool": "config"},
		PriorityClassName:             "important",
		TerminationGracePeriodSeconds: 45,
	}
	return in
}

func TestObjectsMatchGoldenFiles(t *testing.T) {
	for name, in := range map[string]Input{"plain": plain(), "full": full()} {
		for file, object := range map[string]any{
			"statefulset":         StatefulSet(in),
			"service-peers":       PeersService(in),
			"service-client":      ClientService(in),
			"configmap":           ConfigMap(in),
			"serviceaccount":      ServiceAccount(in),
			"poddisruptionbudget": PodDisruptionBudget(in),
			"networkpolicy":       NetworkPolicy(in),
			"secret-admin":        TokenSecret(in, AdminSecretName(in.Cluster.Name), "not-a-secret"),
		} {
			t.Run(name+"/"+file, func(t *testing.T) {
				compare(t, filepath.Join("testdata", name, file+".yaml"), object)
			})
		}
	}
}

func compare(t *testing.T, path string, object any) {
	t.Helper()
	got, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with -rewrite)", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from what is built (accept it with -rewrite):\n%s", path, firstDifference(want, got))
	}
}

func firstDifference(want, got []byte) string {
	wantLines, gotLines := bytes.Split(want, []byte("\n")), bytes.Split(got, []byte("\n"))
	for i := range min(len(wantLines), len(gotLines)) {
		if !bytes.Equal(wantLines[i], gotLines[i]) {
			return fmt.Sprintf("line %d: want %q, got %q", i+1, wantLines[i], gotLines[i])
		}
	}
	return fmt.Sprintf("want %d lines, got %d", len(wantLines), len(gotLines))
}
