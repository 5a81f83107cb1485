package controller

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// helmVariable names the helm program; without it the one in PATH is used.
const helmVariable = "HELM"

var (
	chartDir = filepath.Join("..", "..", "charts", "conclave")
	crdFile  = filepath.Join("..", "..", "config", "crd", "conclave.dev_raftclusters.yaml")
)

// helm runs helm on a home of its own and returns what it prints.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	program := os.Getenv(helmVariable)
	if program == "" {
		var err error
		if program, err = exec.LookPath("helm"); err != nil {
			t.Skip("needs helm, in PATH or named by " + helmVariable)
		}
	}
	command := exec.CommandContext(t.Context(), program, args...)
	command.Env = append(os.Environ(), "HELM_CONFIG_HOME="+t.TempDir(), "HELM_CACHE_HOME="+t.TempDir(), "HELM_DATA_HOME="+t.TempDir())
	output, err := command.CombinedOutput()
	return string(output), err
}

func mustHelm(t *testing.T, args ...string) string {
	t.Helper()
	output, err := helm(t, args...)
	if err != nil {
		t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return output
}

// documents decodes those documents of a rendered chart that are of T's kind.
func documents[T any](t *testing.T, rendered, kind string) []T {
	t.Helper()
	var found []T
	for document := range strings.SplitSeq(rendered, "\n---") {
		var header metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &header); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if header.Kind != kind {
			continue
		}
		var object T
		if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		found = append(found, object)
	}
	return found
}

func TestChartHoldsTheGeneratedSchema(t *testing.T) {
	want, err := os.ReadFile(crdFile)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(chartDir, "files", "crd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("charts/conclave/files/crd.yaml differs from config/crd: run make generate")
	}
	rendered := mustHelm(t, "template", "rel", chartDir, "--show-only", "templates/crd.yaml")
	const keep = "    helm.sh/resource-policy: keep\n"
	if strings.Count(rendered, keep) != 1 {
		t.Errorf("the rendered schema isn't kept:\n%.400s", rendered)
	}
	_, body, _ := strings.Cut(strings.Replace(rendered, keep, "", 1), "apiVersion:")
	_, wantBody, _ := strings.Cut(string(want), "apiVersion:")
	if strings.TrimSpace(body) != strings.TrimSpace(wantBody) {
		t.Error("the rendered schema differs from config/crd in more than one annotation")
	}
}

func TestChartPassesLint(t *testing.T) {
	mustHelm(t, "lint", "--strict", chartDir)
}

// A number in a file of values comes as one with a fraction.
func TestChartTakesATagOfDigitsFromAFile(t *testing.T) {
	for tag, want := range map[string]string{"20240101": "conclave:20240101", "0": "conclave:0", `"007"`: "conclave:007", `""`: "conclave:0.1.0", "null": "conclave:0.1.0"} {
		values := filepath.Join(t.TempDir(), "values.yaml")
		if err := os.WriteFile(values, []byte("image:\n  tag: "+tag+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		rendered := mustHelm(t, "template", "rel", chartDir, "--values", values)
		if got := documents[appsv1.Deployment](t, rendered, "Deployment")[0].Spec.Template.Spec.Containers[0].Image; got != want {
			t.Errorf("tag: %s becomes image %s, want %s", tag, got, want)
		}
	}
}

func TestChartRefusesValuesThatItDoesNotKnow(t *testing.T) {
	for _, value := range []string{
		"bogus=1", "image.name=x", "crd.install=true", "replicaCount=many", "image.pullPolicy=Sometimes",
		"image.digest=abc", "watchNamespaces={Not_A_Namespace}", "concurrency=0", "metrics.port=8081", "log.level=loud",
		`podLabels.app\.kubernetes\.io/name=x`, `podLabels.helm\.sh/chart=x`, `podAnnotations.kubectl\.kubernetes\.io/default-container=x`,
		"image.tag=-1", "image.repository=null", "image.pullSecrets={A B}", "fullnameOverride=1a", "serviceAccount.name=A_B",
		"metrics.enabled=false,metrics.service.enabled=true", "rbac.create=null", "test.storageClassName=A", "test.image=x",
	} {
		if output, err := helm(t, "template", "rel", chartDir, "--set", value); err == nil || !strings.Contains(output, "schema") {
			t.Errorf("--set %s: got %v\n%.300s", value, err, output)
		}
	}
}

func TestChartGrantsTheShippedRulesAndNoMore(t *testing.T) {
	want, err := shippedRules()
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range want {
		for _, verb := range rule.Verbs {
			for _, resource := range rule.Resources {
				switch {
				case verb == "*" || resource == "*", resource == "pods/exec",
					resource == "secrets" && (verb == "list" || verb == "watch"):
					t.Errorf("the rules allow to %s %s", verb, resource)
				}
			}
		}
	}
	everywhere := mustHelm(t, "template", "rel", chartDir)
	roles := documents[rbacv1.ClusterRole](t, everywhere, "ClusterRole")
	bindings := documents[rbacv1.ClusterRoleBinding](t, everywhere, "ClusterRoleBinding")
	if len(bindings) != 1 || !slices.ContainsFunc(roles, func(role rbacv1.ClusterRole) bool {
		return role.Name == bindings[0].RoleRef.Name && reflect.DeepEqual(role.Rules, want)
	}) {
		t.Errorf("for all namespaces the chart has ClusterRoles %+v", roles)
	}
	some := mustHelm(t, "template", "rel", chartDir, "--set", "watchNamespaces={a,b}", "--namespace", "ops")
	if strings.Contains(some, "kind: ClusterRoleBinding") {
		t.Error("for some namespaces the chart has rights across the cluster")
	}
	var namespaces []string
	for _, role := range documents[rbacv1.Role](t, some, "Role") {
		if reflect.DeepEqual(role.Rules, want) {
			namespaces = append(namespaces, role.Namespace)
		}
	}
	if !reflect.DeepEqual(namespaces, []string{"a", "b"}) {
		t.Errorf("the rules are granted in %q, want a and b", namespaces)
	}
	if got := documents[appsv1.Deployment](t, some, "Deployment")[0].Spec.Template.Spec.Containers[0].Args; !strings.Contains(strings.Join(got, " "), "--watch-namespaces=a,b") {
		t.Errorf("the operator's arguments are %q", got)
	}
}

// The roles that Kubernetes brings for people gain what they say, no more, and only
// where that is wanted.
func TestChartLetsPeopleOfANamespaceUseRaftClusters(t *testing.T) {
	for _, mode := range []string{"watchNamespaces=null", "watchNamespaces={a}"} {
		granted := map[string][]string{}
		for _, role := range documents[rbacv1.ClusterRole](t, mustHelm(t, "template", "rel", chartDir, "--set", mode), "ClusterRole") {
			for label := range role.Labels {
				to, aggregated := strings.CutPrefix(label, "rbac.authorization.k8s.io/aggregate-to-")
				if !aggregated {
					continue
				}
				for _, rule := range role.Rules {
					if !slices.Equal(rule.APIGroups, []string{"conclave.dev"}) || slices.Contains(rule.Resources, "*") {
						t.Errorf("%s gains %+v", to, rule)
					}
					granted[to] = append(granted[to], rule.Verbs...)
				}
			}
		}
		edit := []string{"create", "update", "patch", "delete", "deletecollection", "update", "patch"}
		if want := map[string][]string{"view": {"get", "list", "watch"}, "edit": edit, "admin": edit}; !reflect.DeepEqual(granted, want) {
			t.Errorf("%s: granted are %v, want %v", mode, granted, want)
		}
	}
	without := mustHelm(t, "template", "rel", chartDir, "--set", "rbac.aggregateToDefaultRoles=false,watchNamespaces={a}")
	if strings.Contains(without, "kind: ClusterRole") {
		t.Error("not wanted, and still there are roles across the cluster")
	}
}

// Helm takes releases of digits and dots; names and labels must stay text.
func TestChartMakesNamesOfAnyRelease(t *testing.T) {
	for release, want := range map[string]string{
		"rel": "rel-conclave", "conclave": "conclave", "007": "r007-conclave", "1e3": "r1e3-conclave", "true": "true-conclave",
		"a.b": "a-b-conclave", strings.Repeat("x", 53): strings.Repeat("x", 53),
	} {
		rendered := mustHelm(t, "template", release, chartDir, "--set", "metrics.service.enabled=true", "--set-string", "watchNamespaces={123}", "--namespace", "456")
		deployment := documents[appsv1.Deployment](t, rendered, "Deployment")[0]
		service := documents[corev1.Service](t, rendered, "Service")[0]
		test := documents[v1.RaftCluster](t, rendered, v1.KindRaftCluster)[0]
		for problem, is := range map[string]bool{
			"Deployment is " + deployment.Name:                                                   deployment.Name != want,
			"its namespace is " + deployment.Namespace:                                           deployment.Namespace != "456",
			"the label is " + deployment.Spec.Selector.MatchLabels["app.kubernetes.io/instance"]: deployment.Spec.Selector.MatchLabels["app.kubernetes.io/instance"] != release,
			"Service is " + service.Name:                                                         len(validation.IsDNS1035Label(service.Name)) > 0,
			"the test's RaftCluster is " + test.Name:                                             len(validation.IsDNS1035Label(test.Name)) > 0 || len(test.Name) > v1.MaxNameLength,
			"the test's namespace is " + test.Namespace:                                          test.Namespace != "123",
			"its Role is in " + documents[rbacv1.Role](t, rendered, "Role")[0].Namespace:         documents[rbacv1.Role](t, rendered, "Role")[0].Namespace != "123",
		} {
			if is {
				t.Errorf("release %s: %s", release, problem)
			}
		}
	}
}

// NetworkPolicies let the operator's pods in by the labels that it is told, and
// nobody else may bear them.
func TestChartTellsTheOperatorItsOwnLabels(t *testing.T) {
	rendered := mustHelm(t, "template", "rel", chartDir, "--namespace", "ops")
	deployment := documents[appsv1.Deployment](t, rendered, "Deployment")[0]
	args := deployment.Spec.Template.Spec.Containers[0].Args
	selector := labels.FormatLabels(deployment.Spec.Selector.MatchLabels)
	told := ""
	for _, arg := range args {
		if list, ok := strings.CutPrefix(arg, "--own-labels="); ok {
			own, err := labels.ConvertSelectorToLabelsMap(list)
			if err != nil {
				t.Fatal(err)
			}
			told = labels.FormatLabels(own)
		}
	}
	if told != selector || !slices.Contains(args, "--own-namespace=ops") {
		t.Errorf("the operator is told %q, want the labels %s in ops", args, selector)
	}
	test := documents[corev1.Pod](t, rendered, "Pod")[0]
	if labels.SelectorFromSet(deployment.Spec.Selector.MatchLabels).Matches(labels.Set(test.Labels)) {
		t.Errorf("the test's pod has the operator's labels: %v", test.Labels)
	}
}

func TestChartGivesNodesTheOperatorsImage(t *testing.T) {
	const digest = "sha256:0123456789012345678901234567890123456789012345678901234567890123"
	for want, values := range map[string][]string{
		"conclave:0.1.0":          {},
		"r.test:5000/c:12345678":  {"--set", "image.repository=r.test:5000/c,image.tag=12345678"},
		"conclave@" + digest:      {"--set", "image.tag=2,image.digest=" + digest},
		"mirror.test/conclave:v9": {"--set", "image.repository=mirror.test/conclave,image.tag=v9"},
	} {
		rendered := mustHelm(t, append([]string{"template", "rel", chartDir}, values...)...)
		container := documents[appsv1.Deployment](t, rendered, "Deployment")[0].Spec.Template.Spec.Containers[0]
		if container.Image != want || container.Env[0].Name != "CONCLAVE_NODE_IMAGE" || container.Env[0].Value != want {
			t.Errorf("image %s and environment %v, want both %s", container.Image, container.Env, want)
		}
	}
}
