package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	conclave "github.com/conclave-dev/conclave/pkg/client"
	"github.com/conclave-dev/conclave/test/e2e/history"
)

// witnessNamespace is the namespace of the store that writers write to.
const witnessNamespace = "e2e"

// enoughWrites is how many writes have to go through before the next thing is
// done to the cluster: four workers, each many times.
const enoughWrites = 200

// notablePause is a pause of writes that the output tells of.
const notablePause = 200 * time.Millisecond

// witness is a pod with test/e2e/writer in it.
type witness struct {
	*story
	name string
}

// startWitness starts a writer on a node, or on any when that is empty, and
// returns once its writes go through.
func (s *story) startWitness(t *testing.T, name, node string) *witness {
	t.Helper()
	s.startPod(t, name, s.writerImage, node, corev1.RestartPolicyNever, "/writer", "--namespace="+witnessNamespace, "--name="+name)
	s.awaitPhase(t, name, corev1.PodRunning)
	w := &witness{s, name}
	w.awaitWrites(t, enoughWrites)
	return w
}

// mark notes the moment in the history.
func (w *witness) mark(t *testing.T, name string) {
	t.Helper()
	w.await(t, "the writer to set a mark", settleTimeout, func(ctx context.Context) (bool, any) {
		request := w.clientset.CoreV1().RESTClient().Post().Param("name", name)
		err := request.Namespace(storyNamespace).Resource("pods").Name(w.name + ":8080").SubResource("proxy").Suffix("mark").Do(ctx).Error()
		return err == nil, err
	})
}

// awaitWrites waits until the store has acknowledged n writes since the latest
// mark.
func (w *witness) awaitWrites(t *testing.T, n int) {
	t.Helper()
	w.await(t, fmt.Sprintf("%d more writes", n), settleTimeout, func(ctx context.Context) (bool, any) {
		body, err := w.clientset.CoreV1().Pods(storyNamespace).ProxyGet("http", w.name, "8080", "count", nil).DoRaw(ctx)
		if err != nil {
			return false, err
		}
		var count history.Count
		err = json.Unmarshal(body, &count)
		return err == nil && count.Acknowledged >= n, fmt.Sprint(count, err)
	})
}

// stop sets the mark "stopped" and ends the writer, reads all keys that it wrote
// from each member, and judges the whole. It returns the history for its figures.
func (w *witness) stop(t *testing.T) *history.History {
	t.Helper()
	w.mark(t, "stopped")
	request := w.clientset.CoreV1().RESTClient().Post().Namespace(storyNamespace).Resource("pods")
	body, err := request.Name(w.name + ":8080").SubResource("proxy").Suffix("stop").DoRaw(t.Context())
	if err != nil {
		t.Fatalf("stop the writer: %v", err)
	}
	h := new(history.History)
	if err := json.Unmarshal(body, h); err != nil {
		t.Fatalf("the writer's history: %v", err)
	}
	told := len(h.Operations)
	pods, err := w.pods(t.Context(), sampleCluster)
	if err != nil || len(pods) == 0 {
		t.Fatalf("%d pods, %v", len(pods), err)
	}
	for i, pod := range pods {
		h.Operations = append(h.Operations, w.finalReads(t, pod.Name, len(pods)+i, h.Operations[:told])...)
	}
	if err := h.Check(); err != nil {
		t.Errorf("what the writer saw isn't what one store would do:\n%v", err)
	}
	t.Logf("%s: %v; every acknowledged write is there on %d members", w.name, h.Count(0), len(pods))
	for _, mark := range h.Marks {
		t.Logf("  %v: %s", mark.At.Round(time.Millisecond), mark.Name)
	}
	for _, pause := range h.Pauses(0, h.At("stopped")) {
		if pause.Length() >= notablePause {
			t.Logf("  %v: nothing acknowledged for %v", pause.From.Round(time.Millisecond), pause.Length().Round(time.Millisecond))
		}
	}
	for _, o := range slices.DeleteFunc(slices.Clone(h.Operations), func(o history.Operation) bool { return o.Error == "" }) {
		t.Logf("  failed: %v", o)
	}
	return h
}

// finalReads are what one member holds of the keys that a writer wrote, as reads
// after all that the writer did. A key that isn't there is read as absent.
func (w *witness) finalReads(t *testing.T, pod string, worker int, told []history.Operation) []history.Operation {
	t.Helper()
	output, err := w.askMember(t.Context(), pod, "list", witnessNamespace, "--prefix", w.name+"/", "--output", "json", "--timeout", "30s")
	if err != nil {
		t.Fatal(err)
	}
	reads := make(map[string]history.Operation)
	var end time.Duration
	for _, o := range told {
		end = max(end, o.End)
		reads[o.Key] = history.Operation{Key: o.Key}
	}
	for lines := json.NewDecoder(strings.NewReader(output)); ; {
		var entry conclave.Entry
		if err := lines.Decode(&entry); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s: list: %v", pod, err)
		}
		reads[entry.Key] = history.Operation{Key: entry.Key, Value: string(entry.Value), Revision: entry.Revision}
	}
	var operations []history.Operation
	for _, o := range reads {
		o.Worker, o.Kind, o.Outcome, o.Start, o.End = worker, history.Get, history.Done, end+1, end+2
		operations = append(operations, o)
	}
	return operations
}
