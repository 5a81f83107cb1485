package controller

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// assetsVariable names the directory with kube-apiserver and etcd. When it is set
// it has to be right; the tests that need a real API server skip only without it.
const assetsVariable = "KUBEBUILDER_ASSETS"

// operatorAccount is the ServiceAccount that the operator under test runs as.
const operatorAccount = "conclave-operator"

// suite runs the tests and stops what they have started, before goleak looks.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	ctrl.SetLogger(klog.Background())
	code := s.m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the API server:", err)
		return max(code, 1)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	return code
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(suite{m})
}

// shared is the API server that the tests share, each in namespaces of its own,
// with one operator for all namespaces.
var shared environment

type environment struct {
	start sync.Once
	err   error

	env      *envtest.Environment
	scheme   *runtime.Scheme
	admin    client.Client
	members  *fakeMembers
	writes   atomic.Int64
	stopping context.CancelFunc
	stopped  chan error
}

// apiServer starts the shared environment at its first call.
func apiServer(t *testing.T) *environment {
	t.Helper()
	if os.Getenv(assetsVariable) == "" {
		t.Skip("needs a real API server: make envtest builds one and sets " + assetsVariable)
	}
	shared.start.Do(func() { shared.err = shared.run() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return &shared
}

func (e *environment) run() error {
	e.scheme = runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1.AddToScheme} {
		if err := add(e.scheme); err != nil {
			return err
		}
	}
	e.env = &envtest.Environment{
		CRDDirectoryPaths:        []string{filepath.Join("..", "..", "config", "crd")},
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	adminConfig, err := e.env.Start()
	if err != nil {
		return fmt.Errorf("start the API server of $%s: %w", assetsVariable, err)
	}
	if e.admin, err = client.New(adminConfig, client.Options{Scheme: e.scheme}); err != nil {
		return err
	}
	if err := e.grant("", operatorAccount); err != nil {
		return err
	}
	e.members = &fakeMembers{}
	operator := e.operatorConfig(operatorAccount)
	operator.Wrap(func(next http.RoundTripper) http.RoundTripper { return countWrites{next, &e.writes} })
	ctx, cancel := context.WithCancel(context.Background())
	e.stopping = cancel
	e.stopped, err = e.runOperator(ctx, operator, nil)
	return err
}

// stop ends the operator and the API server, if they were started.
func (e *environment) stop() error {
	if e.stopping != nil {
		e.stopping()
		<-e.stopped
	}
	if e.env == nil {
		return nil
	}
	return e.env.Stop()
}

// operatorConfig is how a ServiceAccount in namespace default reaches the API
// server.
func (e *environment) operatorConfig(account string) *rest.Config {
	config := rest.CopyConfig(e.env.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:default:" + account}
	config.QPS = -1
	return config
}

// grant gives an account the rules that the chart ships, in one namespace or, with
// none, in all.
func (e *environment) grant(namespace, account string) error {
	rules, err := shippedRules()
	if err != nil {
		return err
	}
	meta := metav1.ObjectMeta{Name: account, Namespace: namespace}
	role := client.Object(&rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules})
	subjects := []rbacv1.Subject{{Kind: "ServiceAccount", Name: account, Namespace: "default"}}
	reference := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: account}
	binding := client.Object(&rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: reference})
	if namespace != "" {
		reference.Kind = "Role"
		role = &rbacv1.Role{ObjectMeta: meta, Rules: rules}
		binding = &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: reference}
	}
	for _, object := range []client.Object{role, binding} {
		if err := e.admin.Create(context.Background(), object); err != nil {
			return err
		}
	}
	return nil
}

// shippedRules are those that the chart grants where clusters are managed.
func shippedRules() ([]rbacv1.PolicyRule, error) { return rulesOf("rules.yaml") }

// rulesOf reads the rules in a file of the chart.
func rulesOf(name string) ([]rbacv1.PolicyRule, error) {
	file, err := os.ReadFile(filepath.Join(chartDir, "files", name))
	if err != nil {
		return nil, err
	}
	var rules []rbacv1.PolicyRule
	return rules, yaml.UnmarshalStrict(file, &rules)
}

// runOperator starts an operator as cmd/operator does and returns where it will
// say that it has ended.
func (e *environment) runOperator(ctx context.Context, operator *rest.Config, namespaces []string) (chan error, error) {
	mgr, err := ctrl.NewManager(operator, ctrl.Options{
		Scheme:     e.scheme,
		Cache:      CacheOptions(namespaces),
		Client:     ClientOptions(),
		Metrics:    server.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
	})
	if err != nil {
		return nil, err
	}
	reconciler := &Reconciler{
		Client:       mgr.GetClient(),
		Live:         mgr.GetAPIReader(),
		Members:      e.members,
		Events:       mgr.GetEventRecorder(operatorAccount),
		DefaultImage: testImage,
	}
	if err := reconciler.SetupWithManager(mgr, Options{}); err != nil {
		return nil, err
	}
	stopped := make(chan error, 1)
	go func() { stopped <- mgr.Start(ctx) }()
	return stopped, nil
}

// countWrites counts the requests that could change something, apart from events,
// which tell of changes and are none.
type countWrites struct {
	next  http.RoundTripper
	count *atomic.Int64
}

func (c countWrites) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodGet && filepath.Base(filepath.Dir(request.URL.Path)) != "events" && filepath.Base(request.URL.Path) != "events" {
		c.count.Add(1)
	}
	return c.next.RoundTrip(request)
}

// namespace makes one for a test, in which only restricted pods are admitted.
func (e *environment) namespace(t *testing.T) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "test-",
		Labels:       map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	if err := e.admin.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

// patience is how long a test waits for something that should come soon. It is
// long because it ends only tests that fail.
const patience = 30 * time.Second

// eventually waits until check returns "", and fails with what it last returned.
func eventually(t *testing.T, check func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		complaint := check()
		if complaint == "" {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("after %v still: %s", patience, complaint)
		}
	}
}
