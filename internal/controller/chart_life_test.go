package controller

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// installation is an API server of a test's own, on which a chart is installed.
type installation struct {
	t     *testing.T
	admin client.Client
}

// bareAPIServer starts an API server that knows no RaftClusters, for helm and
// kubectl to use.
func bareAPIServer(t *testing.T) *installation {
	t.Helper()
	if os.Getenv(assetsVariable) == "" {
		t.Skip("needs a real API server: make envtest builds one and sets " + assetsVariable)
	}
	_, _ = helm(t, "version") // skips early without helm
	env := &envtest.Environment{ControlPlaneStartTimeout: time.Minute, ControlPlaneStopTimeout: time.Minute}
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, env.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)
	admin, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return &installation{t, admin}
}

// get reads an object of namespace default, or of none, that has to be there.
func (i *installation) get(object client.Object, namespace, name string) {
	i.t.Helper()
	if err := i.admin.Get(i.t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, object); err != nil {
		i.t.Fatal(err)
	}
}

// makeCluster makes a RaftCluster in namespace default, as soon as the type is
// served.
func (i *installation) makeCluster() *v1.RaftCluster {
	i.t.Helper()
	cluster := &v1.RaftCluster{ObjectMeta: metav1.ObjectMeta{Name: "cfg", Namespace: "default"}}
	eventually(i.t, func() string {
		if err := i.admin.Create(i.t.Context(), cluster); err != nil {
			return err.Error()
		}
		return ""
	})
	return cluster
}

// expectUntouched sees to it that a RaftCluster and its type are there as before,
// and not about to go.
func (i *installation) expectUntouched(when string, cluster *v1.RaftCluster) {
	i.t.Helper()
	var after v1.RaftCluster
	var crd apiextensionsv1.CustomResourceDefinition
	i.get(&after, cluster.Namespace, cluster.Name)
	i.get(&crd, "", "raftclusters.conclave.dev")
	if after.UID != cluster.UID || after.DeletionTimestamp != nil || crd.DeletionTimestamp != nil {
		i.t.Errorf("%s the RaftCluster or its type is another one or leaving", when)
	}
}

// expectSchema waits until RaftClusters have a field networkPolicy or have it not.
func (i *installation) expectSchema(when string, want bool) {
	i.t.Helper()
	eventually(i.t, func() string {
		object := fromYAML(i.t, "default", "probe", "networkPolicy: {mode: Disabled}")
		err := i.admin.Create(i.t.Context(), object, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
		if (err == nil) != want {
			return fmt.Sprintf("%s a resource with the newer field gets %v", when, err)
		}
		return ""
	})
}

func (i *installation) image(deployment string) string {
	i.t.Helper()
	var found appsv1.Deployment
	i.get(&found, "default", deployment)
	return found.Spec.Template.Spec.Containers[0].Image
}

// olderChart is the chart as it could have been before: of a lower version, with a
// type that lacks a field.
func olderChart(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(chartDir)); err != nil {
		t.Fatal(err)
	}
	rewrite := func(name string, change func(string) string) {
		path := filepath.Join(dir, name)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		after := change(string(before))
		if after == string(before) {
			t.Fatalf("%s has nothing to change", name)
		}
		if err := os.WriteFile(path, []byte(after), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rewrite("Chart.yaml", func(text string) string { return strings.ReplaceAll(text, "0.1.0", "0.0.9") })
	rewrite(filepath.Join("files", "crd.yaml"), func(text string) string {
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict([]byte(text), &crd); err != nil {
			t.Fatal(err)
		}
		delete(crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties, "networkPolicy")
		older, err := yaml.Marshal(crd)
		if err != nil {
			t.Fatal(err)
		}
		return string(older)
	})
	return dir
}

func TestChartIsInstalledUpgradedRolledBackAndUninstalled(t *testing.T) {
	i := bareAPIServer(t)
	mustHelm(t, "install", "rel", olderChart(t))
	cluster := i.makeCluster()
	i.expectSchema("installed,", false)

	mustHelm(t, "upgrade", "rel", chartDir)
	i.expectSchema("upgraded,", true)
	i.expectUntouched("upgraded,", cluster)
	if got := i.image("rel-conclave"); got != "conclave:0.1.0" {
		t.Errorf("upgraded, the operator runs %s", got)
	}

	mustHelm(t, "rollback", "rel", "1")
	i.expectSchema("rolled back,", false)
	i.expectUntouched("rolled back,", cluster)
	if got := i.image("rel-conclave"); got != "conclave:0.0.9" {
		t.Errorf("rolled back, the operator runs %s", got)
	}

	// From all namespaces to one, and the type in other hands.
	mustHelm(t, "upgrade", "rel", chartDir, "--set", "watchNamespaces={default},crd.enabled=false,rbac.aggregateToDefaultRoles=false")
	i.expectUntouched("without the type,", cluster)
	i.get(&rbacv1.Role{}, "default", "rel-conclave")
	i.expectNothingOf("across the cluster", "rel", &rbacv1.ClusterRoleList{}, &rbacv1.ClusterRoleBindingList{})

	mustHelm(t, "uninstall", "rel")
	i.expectUntouched("uninstalled,", cluster)
	i.expectNothingOf("uninstalled", "rel", &appsv1.DeploymentList{}, &corev1.ServiceAccountList{}, &corev1.ServiceList{},
		&rbacv1.RoleList{}, &rbacv1.RoleBindingList{}, &rbacv1.ClusterRoleList{}, &rbacv1.ClusterRoleBindingList{})
}

// expectNothingOf sees to it that a release has left no objects of some kinds.
func (i *installation) expectNothingOf(when, release string, lists ...client.ObjectList) {
	i.t.Helper()
	for _, list := range lists {
		if err := i.admin.List(i.t.Context(), list, client.MatchingLabels{"app.kubernetes.io/instance": release}); err != nil {
			i.t.Fatal(err)
		}
		items, err := runtime.DefaultUnstructuredConverter.ToUnstructured(list)
		if err != nil {
			i.t.Fatal(err)
		}
		if left, _ := items["items"].([]any); len(left) > 0 {
			i.t.Errorf("%s: %d objects are left in a %T", when, len(left), list)
		}
	}
}

// The type and the resources outlive an uninstalled release, and a release of
// another name may take them over.
func TestChartCanBeInstalledAgainUnderAnotherName(t *testing.T) {
	i := bareAPIServer(t)
	mustHelm(t, "install", "first", chartDir)
	cluster := i.makeCluster()
	var operator appsv1.Deployment
	i.get(&operator, "default", "first-conclave")
	i.expectAdmitted(operator.Spec.Template.Spec)
	i.expectAdmitted(documents[corev1.Pod](t, mustHelm(t, "template", "first", chartDir), "Pod")[0].Spec)
	i.expectTestAccepted()
	mustHelm(t, "uninstall", "first")
	mustHelm(t, "install", "second", chartDir, "--take-ownership")
	i.expectUntouched("installed again,", cluster)
}

// expectTestAccepted asks for the resource of the chart's test. That the test
// passes is shown where pods run.
func (i *installation) expectTestAccepted() {
	i.t.Helper()
	for _, values := range []string{"image.pullSecrets={a,b}", "test.storageClassName=fast", "test.storageClassName="} {
		rendered := mustHelm(i.t, "template", "rel", chartDir, "--namespace", "default", "--set", values)
		test := documents[v1.RaftCluster](i.t, rendered, v1.KindRaftCluster)[0]
		if err := i.admin.Create(i.t.Context(), &test, client.DryRunAll); err != nil {
			i.t.Errorf("%s: %v", values, err)
		}
	}
}

// expectAdmitted makes a pod where only restricted ones are admitted.
func (i *installation) expectAdmitted(spec corev1.PodSpec) {
	i.t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "restricted-", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	if err := i.admin.Create(i.t.Context(), namespace); err != nil {
		i.t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod", Namespace: namespace.Name}, Spec: spec}
	if err := i.admin.Create(i.t.Context(), pod); err != nil {
		i.t.Errorf("the pod isn't admitted: %v", err)
	}
}

func TestOperatorIsInstalledFromOneFileWithoutHelm(t *testing.T) {
	i := bareAPIServer(t)
	file := filepath.Join(t.TempDir(), "install.yaml")
	program := os.Getenv(helmVariable)
	mustRun(t, "make", "-C", filepath.Join("..", ".."), "install.yaml", "IMAGE=r.test:5000/conclave:1.2.3", "INSTALL="+file, "HELM="+program)
	kubectl := filepath.Join(os.Getenv(assetsVariable), "kubectl")
	for range 2 {
		mustRun(t, kubectl, "apply", "--server-side", "--filename", file)
	}
	var operator appsv1.Deployment
	i.get(&operator, "conclave-system", "conclave")
	if got := operator.Spec.Template.Spec.Containers[0].Image; got != "r.test:5000/conclave:1.2.3" {
		t.Errorf("the operator runs %s", got)
	}
	i.makeCluster()
	for _, image := range []string{"conclave", "r.test:5000/conclave", "conclave@sha256:0"} {
		if output, err := run(t, "make", "-C", filepath.Join("..", ".."), "install.yaml", "IMAGE="+image, "INSTALL="+file+"2", "HELM="+program); err == nil {
			t.Errorf("IMAGE=%s is taken: %s", image, output)
		}
	}
}

// run runs a program and returns all that it prints.
func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	return string(output), err
}

func mustRun(t *testing.T, name string, args ...string) {
	t.Helper()
	if output, err := run(t, name, args...); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
}
