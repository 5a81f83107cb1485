package controller

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
)

// Each test breaks a settled cluster of three, led by cfg-0, and names what
// people are told.
func TestConditionsTellWhatIsWrong(t *testing.T) {
	const yes, no, unknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	silent := func(w *world) {
		for name := range w.Reports {
			w.Reports[name] = Report{Err: errOutdated}
		}
	}
	for name, test := range map[string]struct {
		breakIt func(w *world)
		kind    string
		status  metav1.ConditionStatus
		reason  string
	}{
		"quorum out of touch": {func(w *world) {
			w.Reports["cfg-0"].Status.Members[1].SinceContactMillis = ptr.To[int64](5000)
			w.Reports["cfg-0"].Status.Members[2].SinceContactMillis = nil
		}, v1.ConditionAvailable, no, v1.ReasonQuorumLost},
		"leader silent":         {func(w *world) { w.Reports["cfg-0"] = Report{Err: errOutdated} }, v1.ConditionAvailable, unknown, v1.ReasonLeaderUnreachable},
		"all silent":            {silent, v1.ConditionAvailable, unknown, v1.ReasonMembersUnreachable},
		"all silent, risk":      {silent, v1.ConditionQuorumAtRisk, unknown, v1.ReasonVotersUnknown},
		"all silent, not ready": {silent, v1.ConditionReady, unknown, v1.ReasonMembersUnreachable},
		"no pod runs": {func(w *world) {
			for name := range w.Pods {
				w.crash(name, "CrashLoopBackOff")
			}
		}, v1.ConditionAvailable, no, v1.ReasonNoMemberRuns},
		"nobody leads": {func(w *world) {
			for _, report := range w.Reports {
				report.Status.Role, report.Status.Leader = "Follower", ""
			}
		}, v1.ConditionAvailable, no, v1.ReasonNoLeader},
		"answers of another cluster": {func(w *world) {
			for _, report := range w.Reports {
				report.Status.ClusterID = "another"
			}
		}, v1.ConditionAvailable, unknown, v1.ReasonMembersUnreachable},
		"one lost":        {func(w *world) { w.unready("cfg-2") }, v1.ConditionQuorumAtRisk, yes, v1.ReasonOneLossStopsWrites},
		"one lost, works": {func(w *world) { w.unready("cfg-2") }, v1.ConditionAvailable, yes, v1.ReasonLeaderHasQuorum},
		"one lost, sum":   {func(w *world) { w.unready("cfg-2") }, v1.ConditionReady, no, v1.ReasonMemberNotReady},
		"two silent":      {func(w *world) { w.unready("cfg-1"); w.unready("cfg-2") }, v1.ConditionAvailable, unknown, v1.ReasonMembersUnreachable},
		"nobody at risk":  {func(*world) {}, v1.ConditionQuorumAtRisk, no, v1.ReasonLossTolerated},
		"pod missing":     {func(w *world) { delete(w.Pods, "cfg-1") }, v1.ConditionMembersReady, no, v1.ReasonPodMissing},
		"crash loop":      {func(w *world) { w.crash("cfg-1", "CrashLoopBackOff") }, v1.ConditionMembersReady, no, v1.ReasonCrashLooping},
		"bad container":   {func(w *world) { w.crash("cfg-1", "CreateContainerConfigError") }, v1.ConditionMembersReady, no, v1.ReasonPodRejected},
		"image matters more than a crash": {func(w *world) {
			w.crash("cfg-0", "CrashLoopBackOff")
			w.crash("cfg-1", "InvalidImageName")
		}, v1.ConditionMembersReady, no, v1.ReasonImagePullFailed},
		"no node for a pod": {func(w *world) {
			w.unready("cfg-1")
			w.Pods["cfg-1"].Status.Conditions = append(w.Pods["cfg-1"].Status.Conditions,
				corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/3 nodes"})
		}, v1.ConditionMembersReady, no, v1.ReasonUnschedulable},
		"volume wiped": {func(w *world) {
			w.unready("cfg-1")
			w.Reports["cfg-1"] = Report{Status: &admin.Status{Name: "cfg-1", ClusterID: testClusterID, MemberID: "ffff", State: admin.StateAwaitingAdd}}
		}, v1.ConditionMembersReady, no, v1.ReasonAwaitingAdd},
		"claim pending": {func(w *world) { w.Claims["data-cfg-1"].Status.Phase = corev1.ClaimPending }, v1.ConditionVolumesReady, no, v1.ReasonVolumePending},
		"claim missing": {func(w *world) { delete(w.Claims, "data-cfg-1") }, v1.ConditionVolumesReady, no, v1.ReasonVolumeMissing},
		"volume lost":   {func(w *world) { w.Claims["data-cfg-1"].Status.Phase = corev1.ClaimLost }, v1.ConditionVolumesReady, no, v1.ReasonVolumeLost},
		"stalled, sum":  {func(w *world) { w.Cluster.Spec.Replicas = 4 }, v1.ConditionReady, no, v1.ReasonInvalidSpec},
	} {
		t.Run(name, func(t *testing.T) {
			w := settledWorld(t, 3)
			test.breakIt(w)
			w.expectCondition(test.kind, test.status, test.reason)
		})
	}
}

func TestNewerOfTwoLeadersCounts(t *testing.T) {
	w := settledWorld(t, 3)
	old := w.Reports["cfg-0"].Status
	newer := *old
	newer.Name, newer.MemberID, newer.Leader, newer.Term = "cfg-1", memberID("cfg-1"), "cfg-1", old.Term+1
	w.Reports["cfg-1"] = Report{Status: &newer}
	if v := look(w.Observed, testClusterID); v.leader.Name != "cfg-1" {
		t.Errorf("%s counts as the leader", v.leader.Name)
	}
	w.Reports = map[string]Report{"cfg-0": {Status: &newer}, "cfg-1": {Status: old}}
	if v := look(w.Observed, testClusterID); v.leader != nil {
		t.Errorf("an answer under another member's name counts: %+v", v.leader)
	}
}

func TestMemberWhoseVolumeWasLostIsNotReadyUnderItsOldID(t *testing.T) {
	w := settledWorld(t, 3)
	w.Reports["cfg-2"] = Report{Status: &admin.Status{
		Name: "cfg-2", ClusterID: testClusterID, MemberID: "ffff", Version: "2.0.0", State: admin.StateAwaitingAdd,
	}}
	members := look(w.Observed, testClusterID).members(w.Observed)
	if got := members[2]; got.MemberID != memberID("cfg-2") || got.Ready || got.Version != "1.0.0" {
		t.Errorf("cfg-2 is told as %+v", got)
	}
}

func TestMembersThatDoNotAnswerKeepTheirLastWords(t *testing.T) {
	w := settledWorld(t, 3)
	before := w.Cluster.Status.Members
	for name := range w.Reports {
		w.Reports[name] = Report{Err: errOutdated}
	}
	after := statusOf(w.Observed, decide(w.Observed, testImage))
	if len(after.Members) != 3 || after.Voters != 3 || after.Members[1] != before[1] {
		t.Errorf("members are told as %+v, want %+v", after.Members, before)
	}
	if after.Leader != "" {
		t.Errorf("%s is told as the leader, and nobody says so", after.Leader)
	}
}
