package controller

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// hush makes members not answer, as they do when they are slow.
func (w *world) hush(names ...string) {
	for _, name := range names {
		w.Reports[name] = Report{Err: errOutdated}
	}
}

func TestOneMissedAnswerChangesNothingThatIsTold(t *testing.T) {
	for name, silent := range map[string][]string{"of the leader": {"cfg-0"}, "of all": {"cfg-0", "cfg-1", "cfg-2"}} {
		w := settledWorld(t, 3)
		before := w.Cluster.Status
		w.hush(silent...)
		w.LeaderSeenLately = true
		w.Cluster.Status = statusOf(w.Observed, decide(w.Observed, testImage))
		if !reflect.DeepEqual(w.Cluster.Status, before) {
			t.Errorf("an answer %s missed changes the status to\n%+v\nfrom\n%+v", name, w.Cluster.Status, before)
		}
		w.LeaderSeenLately = false
		w.expectCondition(v1.ConditionReady, metav1.ConditionUnknown, map[int]string{1: v1.ReasonLeaderUnreachable, 3: v1.ReasonMembersUnreachable}[len(silent)])
		w.expectCondition(v1.ConditionQuorumAtRisk, metav1.ConditionUnknown, v1.ReasonVotersUnknown)
	}
}

// What somebody says is told at once, and so is what the operator has to do.
func TestBadNewsIsToldWithoutDelay(t *testing.T) {
	for name, test := range map[string]struct {
		change func(w *world)
		kind   string
		status metav1.ConditionStatus
		reason string
	}{
		"nobody leads": {func(w *world) {
			for _, report := range w.Reports {
				report.Status.Role, report.Status.Leader = "Follower", ""
			}
		}, v1.ConditionAvailable, metav1.ConditionFalse, v1.ReasonNoLeader},
		"nobody runs": {func(w *world) {
			for name := range w.Pods {
				w.crash(name, "CrashLoopBackOff")
			}
		}, v1.ConditionAvailable, metav1.ConditionFalse, v1.ReasonNoMemberRuns},
		"a pod isn't ready": {func(w *world) {
			w.unready("cfg-1")
			w.hush("cfg-0")
		}, v1.ConditionMembersReady, metav1.ConditionFalse, v1.ReasonMemberNotReady},
		"a new spec": {func(w *world) {
			w.hush("cfg-0")
			w.Cluster.Generation++
		}, v1.ConditionAvailable, metav1.ConditionUnknown, v1.ReasonLeaderUnreachable},
		"an invalid spec": {func(w *world) {
			w.hush("cfg-0")
			w.Cluster.Spec.Replicas = 2
		}, v1.ConditionStalled, metav1.ConditionTrue, v1.ReasonInvalidSpec},
	} {
		t.Run(name, func(t *testing.T) {
			w := settledWorld(t, 3)
			w.LeaderSeenLately = true
			test.change(w)
			w.expectCondition(test.kind, test.status, test.reason)
		})
	}
}

func TestSightingsLastForTheGrace(t *testing.T) {
	var s sightings
	a, b := types.NamespacedName{Namespace: "x", Name: "a"}, types.NamespacedName{Namespace: "y", Name: "a"}
	now := time.Unix(1000, 0)
	s.note(a, now)
	for after, want := range map[time.Duration]bool{0: true, leaderGrace - 1: true, leaderGrace: false} {
		if got := s.lately(a, now.Add(after)); got != want {
			t.Errorf("%v after a sighting: seen lately is %v", after, got)
		}
	}
	if s.lately(b, now) {
		t.Error("a sighting counts for another cluster")
	}
	s.forget(a)
	if s.lately(a, now) {
		t.Error("a cluster that is gone is remembered")
	}
}
