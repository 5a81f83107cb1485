package controller

import (
	"strings"
	"testing"

	"k8s.io/client-go/tools/events"
)

// watch runs a world and returns the events that its status gives rise to.
func (w *world) watch(recorder *events.FakeRecorder, change func()) []string {
	r := &Reconciler{Events: recorder}
	before := *w.Cluster.Status.DeepCopy()
	change()
	w.Cluster.Status = statusOf(w.Observed, decide(w.Observed, testImage))
	r.announce(w.Cluster, before, w.Cluster.Status)
	var told []string
	for {
		select {
		case event := <-recorder.Events:
			kind, rest, _ := strings.Cut(event, " ")
			reason, _, _ := strings.Cut(rest, " ")
			told = append(told, kind+" "+reason)
		default:
			return told
		}
	}
}

func TestEventsTellWhatMattersAndNothingTwice(t *testing.T) {
	w := settledWorld(t, 3)
	recorder := events.NewFakeRecorder(100)
	for _, step := range []struct {
		name   string
		change func()
		want   string
	}{
		{"nothing", func() {}, ""},
		{"a restart", func() { w.unready("cfg-2") }, ""},
		{"a bad image", func() { w.crash("cfg-2", "ImagePullBackOff") }, "Warning ImagePullFailed"},
		{"the same again", func() {}, ""},
		{"quorum lost", func() { w.unready("cfg-1") }, "Warning NoLeader"},
		{"both are back", func() { w.startPod("cfg-1"); w.startPod("cfg-2"); w.elect() }, "Normal LeaderHasQuorum, Normal AllMembersReady, Normal LeaderChanged"},
		{"a bad spec", func() { w.Cluster.Spec.Replicas = 2 }, "Warning InvalidSpec"},
		{"a good one", func() { w.Cluster.Spec.Replicas = 3 }, "Normal NotStalled"},
	} {
		if got := strings.Join(w.watch(recorder, step.change), ", "); got != step.want {
			t.Errorf("%s: events %q, want %q", step.name, got, step.want)
		}
	}
}

func TestNewClusterIsAnnouncedWhenItIsAvailable(t *testing.T) {
	w := newWorld(t, 3)
	recorder := events.NewFakeRecorder(100)
	if got := w.watch(recorder, func() {}); len(got) > 0 {
		t.Errorf("a cluster that has just been made gives %q", got)
	}
	got := strings.Join(w.watch(recorder, func() { w.run() }), ", ")
	if !strings.Contains(got, "Normal LeaderHasQuorum") {
		t.Errorf("its first leader gives %q", got)
	}
}
