package controller

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
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
		"image.tag=-1",
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
	if len(roles) != 1 || !reflect.DeepEqual(roles[0].Rules, want) {
		t.Errorf("for all namespaces the chart has ClusterRoles %+v", roles)
	}
	some := mustHelm(t, "template", "rel", chartDir, "--set", "watchNamespaces={a,b}", "--namespace", "ops")
	if strings.Contains(some, "kind: ClusterRole") {
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

// The type and the resources outlive an uninstalled release, and a release of
// another name may take them over.
func TestChartCanBeInstalledAgainUnderAnotherName(t *testing.T) {
	if os.Getenv(assetsVariable) == "" {
		t.Skip("needs a real API server: make envtest builds one and sets " + assetsVariable)
	}
	_, _ = helm(t, "version") // skips early without helm
	env := &envtest.Environment{ControlPlaneStartTimeout: time.Minute, ControlPlaneStopTimeout: time.Minute}
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	}()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, env.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)

	mustHelm(t, "install", "first", chartDir)
	admin, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	cluster := &v1.RaftCluster{ObjectMeta: metav1.ObjectMeta{Name: "cfg", Namespace: "default"}}
	eventually(t, func() string {
		if err := admin.Create(t.Context(), cluster); err != nil {
			return err.Error()
		}
		return ""
	})
	expectRestrictedPod(t, admin, "first-conclave")
	mustHelm(t, "uninstall", "first")
	mustHelm(t, "install", "second", chartDir, "--take-ownership")
	after := &v1.RaftCluster{}
	if err := admin.Get(t.Context(), types.NamespacedName{Namespace: "default", Name: "cfg"}, after); err != nil || after.UID != cluster.UID {
		t.Errorf("the RaftCluster hasn't outlived the first release: %v", err)
	}
}

// expectRestrictedPod makes a pod from the operator's Deployment where only
// restricted ones are admitted.
func expectRestrictedPod(t *testing.T, admin client.Client, deployment string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "restricted", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	if err := admin.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	var found appsv1.Deployment
	if err := admin.Get(t.Context(), types.NamespacedName{Namespace: "default", Name: deployment}, &found); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "operator", Namespace: namespace.Name}, Spec: found.Spec.Template.Spec}
	if err := admin.Create(t.Context(), pod); err != nil {
		t.Errorf("the operator's pod isn't admitted: %v", err)
	}
}
