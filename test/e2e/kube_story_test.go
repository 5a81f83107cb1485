package e2e

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// Variables that tell the story where to play.
const (
	// variableImage names the image of the product, NAME:TAG. Naming it is also
	// the consent to install it: KUBECONFIG alone is set on many machines.
	variableImage = "CONCLAVE_IMAGE"
	// variableWriterImage names the image of ./writer.
	variableWriterImage = "CONCLAVE_WRITER_IMAGE"
	// variableKube is set by `kube exec` of test/kube. It means that the command
	// kube is in the PATH and can cut nodes off.
	variableKube = "CONCLAVE_KUBE_NAME"
)

// Where the story plays: the release has the name of the chart.
const (
	release           = "conclave"
	operatorNamespace = "conclave-system"
	storyNamespace    = "conclave-e2e"
	// sampleCluster is the name in config/samples/raftcluster.yaml.
	sampleCluster = "cfg"
)

// story is what the steps share: a Kubernetes, what is installed on it, and what
// the steps have measured.
type story struct {
	image, writerImage string
	// ownKube is set on the project's own Kubernetes, whose nodes can be cut off.
	ownKube   bool
	client    client.Client
	clientset *kubernetes.Clientset
	figures   []figure
}

// TestKube tells the life of a cluster on a real Kubernetes, as those see it who
// install, use and break it. Each step builds on those before.
func TestKube(t *testing.T) {
	s := newStory(t)
	s.prepare(t)
	t.Cleanup(func() { s.printFigures() })
	for _, step := range []struct {
		name string
		tell func(*story, *testing.T)
	}{
		{"install the chart", (*story).installChart},
		{"test the chart", (*story).testChart},
		{"form a cluster of three", (*story).formCluster},
		{"write in one pod and read in another", (*story).useCluster},
		{"delete the leader's pod", (*story).deleteLeaderPod},
		{"restart the operator", (*story).restartOperator},
		{"scale to five, three, one and three", (*story).scaleCluster},
		{"cut off the leader's node", (*story).cutLeaderNode},
		{"refuse an invalid resource", (*story).refuseInvalid},
		{"name an image that doesn't exist", (*story).nameMissingImage},
		{"delete the cluster and take its volumes up again", (*story).deleteAndAdopt},
		{"delete the cluster with its volumes", (*story).deleteWithVolumes},
		{"uninstall the chart and keep the type", (*story).uninstallChart},
	} {
		began := time.Now()
		ok := t.Run(step.name, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					s.printEvidence(t)
				}
			})
			step.tell(s, t)
		})
		t.Logf("%s: %v", step.name, time.Since(began).Round(time.Millisecond))
		if !ok {
			t.Fatalf("the story ends at %q, since the rest builds on it", step.name)
		}
	}
}

// newStory finds the Kubernetes to play on, or skips the test with what is
// missing.
func newStory(t *testing.T) *story {
	s := &story{image: os.Getenv(variableImage), writerImage: os.Getenv(variableWriterImage), ownKube: os.Getenv(variableKube) != ""}
	switch {
	case testing.Short():
		t.Skip("end-to-end on Kubernetes: not in a short run")
	case os.Getenv("KUBECONFIG") == "" || s.image == "":
		t.Skipf("end-to-end on Kubernetes: needs KUBECONFIG and %s; `make e2e` provides them", variableImage)
	}
	for _, program := range []string{"kubectl", "helm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("end-to-end on Kubernetes: needs %s in the PATH", program)
		}
	}
	if _, _, err := splitImage(s.image); err != nil {
		t.Fatalf("%s: %v", variableImage, err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1 // the test asks no more often than it polls
	connections, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(connections.Transport) })
	if s.clientset, err = kubernetes.NewForConfigAndClient(config, connections); err != nil {
		t.Fatal(err)
	}
	if err := v1.AddToScheme(clientgoscheme.Scheme); err != nil {
		t.Fatal(err)
	}
	if s.client, err = client.New(config, client.Options{Scheme: clientgoscheme.Scheme, HTTPClient: connections}); err != nil {
		t.Fatal(err)
	}
	return s
}

// splitImage parts an image's name from its tag.
func splitImage(image string) (name, tag string, err error) {
	colon := strings.LastIndex(image, ":")
	if colon <= strings.LastIndex(image, "/") || colon == len(image)-1 {
		return "", "", fmt.Errorf("%q is not NAME:TAG", image)
	}
	return image[:colon], image[colon+1:], nil
}

// needWriter skips a step that isn't worth much without a witness.
func (s *story) needWriter(t *testing.T) {
	if s.writerImage == "" {
		t.Skipf("needs %s, an image of test/e2e/writer", variableWriterImage)
	}
}

// needCables skips a step that cuts nodes off.
func (s *story) needCables(t *testing.T) {
	if !s.ownKube {
		t.Skip("needs `kube cut`, which only the Kubernetes in test/kube has")
	}
}

// figure is something that was measured on the way.
type figure struct{ name, value string }

// measured notes a figure for the closing block.
func (s *story) measured(name string, value any) {
	if d, ok := value.(time.Duration); ok {
		value = d.Round(time.Millisecond)
	}
	s.figures = append(s.figures, figure{name, fmt.Sprint(value)})
}

// printFigures prints the closing block, whether or not the story came to its
// end. Nothing in the test depends on these times.
func (s *story) printFigures() {
	width := 0
	for _, f := range s.figures {
		width = max(width, len(f.name))
	}
	where := "the Kubernetes of KUBECONFIG"
	if s.ownKube {
		where = "the Kubernetes of test/kube, with the image on the nodes"
	}
	fmt.Printf("\nFigures, on %s:\n", where)
	for _, f := range s.figures {
		fmt.Printf("  %-*s  %s\n", width, f.name, cmp.Or(f.value, "-"))
	}
	fmt.Println()
}
