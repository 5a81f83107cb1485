package controller

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// fromYAML makes a RaftCluster of a name and the YAML of its spec.
func fromYAML(t *testing.T, namespace, name, spec string) *unstructured.Unstructured {
	t.Helper()
	fields := map[string]any{}
	if err := yaml.Unmarshal([]byte(spec), &fields); err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{Object: map[string]any{"spec": fields}}
	object.SetGroupVersionKind(v1.GroupVersion.WithKind(v1.KindRaftCluster))
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

func TestDefaultsAreVisible(t *testing.T) {
	e := apiServer(t)
	namespace := e.namespace(t)
	object := fromYAML(t, namespace, "cfg", "{}")
	unstructured.RemoveNestedField(object.Object, "spec")
	if err := e.admin.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	var cluster v1.RaftCluster
	if err := e.admin.Get(t.Context(), client.ObjectKeyFromObject(object), &cluster); err != nil {
		t.Fatal(err)
	}
	want := testCluster(3).Spec
	if got, want := fmt.Sprintf("%+v", cluster.Spec), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("the defaults are\n%s\nwant\n%s", got, want)
	}
	if problems := cluster.Validate(); len(problems) > 0 {
		t.Errorf("the defaults are invalid: %v", problems)
	}
}

func TestSchemaRefusesNewResources(t *testing.T) {
	e := apiServer(t)
	namespace := e.namespace(t)
	long := strings.Repeat("x", 600)
	for name, test := range map[string]struct{ name, spec, want string }{
		"even":                       {"", "replicas: 2", "Unsupported value"},
		"none":                       {"", "replicas: 0", "Unsupported value"},
		"too many":                   {"", "replicas: 9", "Unsupported value"},
		"long name":                  {strings.Repeat("a", 46), "{}", "at most 45 characters"},
		"name with a dot":            {"a.b", "{}", "DNS-1035"},
		"name with a digit first":    {"1a", "{}", "DNS-1035"},
		"unknown field":              {"", "replica: 3", "unknown field"},
		"long image":                 {"", "image: {reference: " + long + "}", "Too long"},
		"image with a space":         {"", "image: {reference: 'a b'}", "should match"},
		"unknown pull policy":        {"", "image: {pullPolicy: Sometimes}", "Unsupported value"},
		"pull secret twice":          {"", "image: {pullSecrets: [{name: a}, {name: a}]}", "Duplicate value"},
		"unknown reconcile policy":   {"", "reconcilePolicy: Maybe", "Unsupported value"},
		"no size":                    {"", "storage: {size: 0}", "above zero"},
		"negative size":              {"", "storage: {size: -1Gi}", "above zero"},
		"size of letters":            {"", "storage: {size: large}", "size"},
		"unknown retention":          {"", "storage: {retention: {whenDeleted: Shred}}", "Unsupported value"},
		"unknown end of a volume":    {"", "storage: {retention: {whenScaled: Shred}}", "Unsupported value"},
		"election below heartbeats":  {"", "raft: {electionTimeoutMinMilliseconds: 490}", "five times"},
		"equal election timeouts":    {"", "raft: {electionTimeoutMaxMilliseconds: 500}", "votes keep splitting"},
		"timeout between two ticks":  {"", "raft: {electionTimeoutMaxMilliseconds: 1005}", "multiple of 10"},
		"too few entries":            {"", "raft: {snapshotThresholdEntries: 1}", "greater than or equal to 100"},
		"host with a scheme":         {"", "client: {hosts: ['http://a']}", "should match"},
		"host twice":                 {"", "client: {hosts: [a, a]}", "Duplicate value"},
		"unknown Service type":       {"", "client: {service: {type: ExternalName}}", "Unsupported value"},
		"own annotation on Service":  {"", "client: {service: {annotations: {conclave.dev/x: z}}}", "belong to the operator"},
		"own label on pods":          {"", "pod: {labels: {conclave.dev/cluster: other}}", "belong to the operator"},
		"common label on pods":       {"", "pod: {labels: {app.kubernetes.io/name: other}}", "belong to the operator"},
		"own annotation on pods":     {"", "pod: {annotations: {conclave.dev/config-hash: x}}", "belong to the operator"},
		"unknown policy mode":        {"", "networkPolicy: {mode: Open}", "Unsupported value"},
		"peer of nothing":            {"", "networkPolicy: {clientFrom: [{}]}", "either an ipBlock or selected"},
		"peer of two kinds":          {"", "networkPolicy: {monitoringFrom: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}", "either an ipBlock or selected"},
		"block without a length":     {"", "networkPolicy: {clientFrom: [{ipBlock: {cidr: 10.0.0.1}}]}", "must be a block of addresses"},
		"exception that is no block": {"", "networkPolicy: {clientFrom: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.1]}}]}", "must be a part of cidr"},
		"exception from elsewhere":   {"", "networkPolicy: {clientFrom: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}", "must be a part of cidr"},
		"exception of all":           {"", "networkPolicy: {clientFrom: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}", "must be a part of cidr"},
		"too short a grace period":   {"", "pod: {terminationGracePeriodSeconds: 1}", "greater than or equal to 10"},
		"container of somebody else": {"", "pod: {containers: []}", "unknown field"},
		"resource claims":            {"", "pod: {resources: {claims: []}}", "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.name == "" {
				test.name = "cfg"
			}
			object := fromYAML(t, namespace, test.name, test.spec)
			err := client.WithFieldValidation(e.admin, metav1.FieldValidationStrict).Create(t.Context(), object, client.DryRunAll)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want it to mention %q", err, test.want)
			}
		})
	}
}

func TestSchemaRefusesChanges(t *testing.T) {
	e := apiServer(t)
	namespace := e.namespace(t)
	withClass, withoutClass := "withclass", "withoutclass"
	for name, spec := range map[string]string{withClass: "storage: {storageClassName: a}", withoutClass: "{}"} {
		if err := e.admin.Create(t.Context(), fromYAML(t, namespace, name, spec)); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct{ resource, patch, want string }{
		"scaling":        {withoutClass, `{"spec":{"replicas":5}}`, ""},
		"scaling to two": {withoutClass, `{"spec":{"replicas":2}}`, "Unsupported value"},
		"larger volume":  {withoutClass, `{"spec":{"storage":{"size":"2Gi"}}}`, "size can't be changed"},
		"other class":    {withClass, `{"spec":{"storage":{"storageClassName":"b"}}}`, "storageClassName can't be changed"},
		"class removed":  {withClass, `{"spec":{"storage":{"storageClassName":null}}}`, "storageClassName can't be changed"},
		"class set":      {withoutClass, `{"spec":{"storage":{"storageClassName":"b"}}}`, "storageClassName can't be changed"},
		"same size anew": {withoutClass, `{"spec":{"storage":{"size":"1024Mi"}}}`, ""},
		"retention":      {withoutClass, `{"spec":{"storage":{"retention":{"whenDeleted":"Delete"}}}}`, ""},
		"image":          {withoutClass, `{"spec":{"image":{"reference":"a/b:c"}}}`, ""},
		"spec removed":   {withoutClass, `{"spec":null}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			object := fromYAML(t, namespace, test.resource, "{}")
			err := e.admin.Patch(t.Context(), object, client.RawPatch("application/merge-patch+json", []byte(test.patch)), client.DryRunAll)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want it to mention %q", err, test.want)
			}
		})
	}
}

func TestScaleSubresourceRefusesWhatTheSchemaRefuses(t *testing.T) {
	e := apiServer(t)
	c := e.create(t, e.namespace(t), v1.RaftClusterSpec{})
	scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 4}}
	err := e.admin.SubResource("scale").Update(t.Context(), c.resource(), client.WithSubResourceBody(scale))
	if err == nil || !strings.Contains(err.Error(), "Unsupported value") {
		t.Errorf("got %v, want the reason", err)
	}
}

// What the schema refuses of a single resource, Validate refuses too: it is what
// stands between the operator and a resource that is older than a rule.
func TestValidateRefusesWhatTheSchemaRefuses(t *testing.T) {
	if problems := testCluster(3).Validate(); len(problems) > 0 {
		t.Fatalf("a valid resource is refused: %v", problems)
	}
	for field, breakIt := range map[string]func(*v1.RaftCluster){
		"metadata.name":                            func(c *v1.RaftCluster) { c.Name = strings.Repeat("a", 46) },
		"spec.replicas":                            func(c *v1.RaftCluster) { c.Spec.Replicas = 2 },
		"spec.image.reference":                     func(c *v1.RaftCluster) { c.Spec.Image.Reference = "a b" },
		"spec.storage.size":                        func(c *v1.RaftCluster) { c.Spec.Storage.Size = resource.MustParse("-1") },
		"spec.raft.electionTimeoutMinMilliseconds": func(c *v1.RaftCluster) { c.Spec.Raft.ElectionTimeoutMinMilliseconds = 490 },
		"spec.raft.electionTimeoutMaxMilliseconds": func(c *v1.RaftCluster) { c.Spec.Raft.ElectionTimeoutMaxMilliseconds = 500 },
		"spec.raft.heartbeatIntervalMilliseconds":  func(c *v1.RaftCluster) { c.Spec.Raft.HeartbeatIntervalMilliseconds = 0 },
		"spec.raft.snapshotThresholdEntries":       func(c *v1.RaftCluster) { c.Spec.Raft.SnapshotThresholdEntries = 0 },
		"spec.networkPolicy.mode":                  func(c *v1.RaftCluster) { c.Spec.NetworkPolicy.Mode = "Open" },
		"spec.networkPolicy.clientFrom[0]":         func(c *v1.RaftCluster) { c.Spec.NetworkPolicy.ClientFrom = []v1.NetworkPeer{{}} },
		"spec.networkPolicy.clientFrom[0].ipBlock.cidr": func(c *v1.RaftCluster) {
			c.Spec.NetworkPolicy.ClientFrom = []v1.NetworkPeer{{IPBlock: &v1.IPBlock{CIDR: "10.0.0.1"}}}
		},
		"spec.networkPolicy.monitoringFrom[0].ipBlock.except[1]": func(c *v1.RaftCluster) {
			c.Spec.NetworkPolicy.MonitoringFrom = []v1.NetworkPeer{{IPBlock: &v1.IPBlock{CIDR: "2001:db8::/32", Except: []string{"2001:db8:1::/48", "10.0.0.0/8"}}}}
		},
		"spec.networkPolicy.clientFrom[0].podSelector.matchExpressions[0].operator": func(c *v1.RaftCluster) {
			c.Spec.NetworkPolicy.ClientFrom = []v1.NetworkPeer{{PodSelector: &metav1.LabelSelector{
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}},
			}}}
		},
		"spec.pod.labels[conclave.dev/cluster]":  func(c *v1.RaftCluster) { c.Spec.Pod.Labels = map[string]string{"conclave.dev/cluster": "x"} },
		"spec.pod.annotations[conclave.dev/x]":   func(c *v1.RaftCluster) { c.Spec.Pod.Annotations = map[string]string{"conclave.dev/x": "x"} },
		"spec.pod.terminationGracePeriodSeconds": func(c *v1.RaftCluster) { c.Spec.Pod.TerminationGracePeriodSeconds = 0 },
		"spec.client.service.annotations[conclave.dev/x]": func(c *v1.RaftCluster) {
			c.Spec.Client.Service.Annotations = maps.Clone(map[string]string{"conclave.dev/x": "x"})
		},
	} {
		cluster := testCluster(3)
		breakIt(cluster)
		problems := cluster.Validate()
		if len(problems) != 1 || problems[0].Field != field {
			t.Errorf("want %s to be refused, got %v", field, problems)
		}
	}
}

func TestPodsMeetTheRestrictedStandard(t *testing.T) {
	e := apiServer(t)
	c := e.create(t, e.namespace(t), v1.RaftClusterSpec{Replicas: 1, Pod: v1.PodSpec{
		Labels:       map[string]string{"team": "platform"},
		Tolerations:  []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		NodeSelector: map[string]string{"pool": "config"},
		Resources:    v1.PodResources{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")}},
	}})
	c.start() // the namespace admits no other pods
	c.awaitCondition(v1.ConditionReady, metav1.ConditionTrue, v1.ReasonAllGood)
	c.awaitCondition(v1.ConditionQuorumAtRisk, metav1.ConditionTrue, v1.ReasonSingleVoter)
}
