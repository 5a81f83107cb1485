package controller

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
)

// Each test leaves one of the followers of an outdated cluster of three in touch
// with the leader and unfit for the quorum. The other two must stay.
func TestRolloutDoesNotCountOnMembersThatAreInTouchAndUnfit(t *testing.T) {
	own := func(change func(*admin.Status)) func(*world) {
		return func(w *world) { change(w.Reports["cfg-2"].Status) }
	}
	for name, breakIt := range map[string]func(w *world){
		"its disk is full, says the leader": func(w *world) { w.Reports["cfg-0"].Status.Members[2].DiskFull = true },
		"its disk is full, it says":         own(func(s *admin.Status) { s.Space = "full" }),
		"its disk hangs":                    own(func(s *admin.Status) { s.Stalled = true }),
		"it lacks what it acknowledged":     own(func(s *admin.Status) { s.Faulty = true }),
		"it is parked":                      own(func(s *admin.Status) { s.Parked = "its state differs" }),
		"it is stopping":                    own(func(s *admin.Status) { s.State = admin.StateStopping }),
		"it is in a state to be invented":   own(func(s *admin.Status) { s.State = "Invented" }),
		"its pod lost the volume":           own(func(s *admin.Status) { s.MemberID = "ffff" }),
		"only its successor is in touch": func(w *world) {
			leader := w.Reports["cfg-0"].Status
			successor := leader.Members[2]
			successor.MemberID, successor.Role = "ffff", "Learner"
			leader.Members[2].SinceContactMillis = nil
			leader.Members = append(leader.Members, successor)
			delete(w.Reports, "cfg-2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := settledWorld(t, 3)
			w.outdate()
			w.Reports["cfg-0"].Status.CommitIndex = 100 // a small store: nobody lags by much
			// cfg-2 has its new pod already, or would rightly be the first to go.
			w.startPod("cfg-2")
			breakIt(w)
			if plan := decide(w.Observed, testImage); plan.Step != nil {
				t.Errorf("takes step %T %v", plan.Step, plan.Why)
			}
			w.expectCondition(v1.ConditionQuorumAtRisk, metav1.ConditionTrue, v1.ReasonOneLossStopsWrites)
		})
	}
}

func TestRolloutWaitsWhileTheQuorumCannotBeTold(t *testing.T) {
	for naming, breakIt := range map[string]func(leader *admin.Status){
		"being changed":      func(leader *admin.Status) { leader.Joint = true },
		`the role "Witness"`: func(leader *admin.Status) { leader.Members[1].Role = "Witness" },
	} {
		t.Run(naming, func(t *testing.T) {
			w := settledWorld(t, 3)
			w.outdate()
			breakIt(w.Reports["cfg-0"].Status)
			w.react = false
			plan := w.run() // at most the disruption budget follows
			if strings.Contains(strings.Join(w.steps, ","), "restart") || plan.rollout.Reason != v1.ReasonRolloutBlocked || !strings.Contains(plan.rollout.Message, naming) {
				t.Errorf("takes steps %q, %s: %s", w.steps, plan.rollout.Reason, plan.rollout.Message)
			}
		})
	}
}

func TestRolloutLeavesPodsAloneThatAreNoMembersOfOurs(t *testing.T) {
	for name, stray := range map[string]func(w *world) (pod string){
		"beyond the number of members": func(w *world) string {
			w.startPod("cfg-3")
			return "cfg-3"
		},
		"beyond it and on its way out": func(w *world) string {
			w.startPod("cfg-3")
			w.Pods["cfg-3"].DeletionTimestamp = ptr.To(metav1.Now())
			return "cfg-3"
		},
		"of nobody": func(w *world) string {
			w.Pods["cfg-1"].OwnerReferences = nil
			return "cfg-1"
		},
		"of another StatefulSet": func(w *world) string {
			w.Pods["cfg-1"].OwnerReferences[0].UID = "another"
			w.crash("cfg-1", "ErrImagePull")
			return "cfg-1"
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := settledWorld(t, 3)
			pod := stray(w)
			w.Pods[pod].Labels = map[string]string{"controller-revision-hash": "another"}
			if plan := decide(w.Observed, testImage); plan.Step != nil {
				t.Errorf("takes step %T %v", plan.Step, plan.Why)
			}
		})
	}
}

func TestMemberThatLostItsLogIsNotTakenForANewcomer(t *testing.T) {
	w := settledWorld(t, 3)
	w.unready("cfg-2")
	w.Reports["cfg-2"] = Report{Status: &admin.Status{
		Name: "cfg-2", ClusterID: testClusterID, MemberID: memberID("cfg-2"), State: admin.StateAwaitingAdd,
		Faulty: true, NotReadyReason: "the disk lost the log",
	}}
	w.expectCondition(v1.ConditionMembersReady, metav1.ConditionFalse, v1.ReasonMemberNotReady)
	if told := membersReady(w.Observed, identity{members: 3}); !strings.Contains(told.Message, "the disk lost the log") {
		t.Errorf("people are told: %s", told.Message)
	}
}

func TestStatesOutOfTheOrdinaryAreTold(t *testing.T) {
	for state, want := range map[admin.State]struct{ reason, text string }{
		admin.StateRemoved: {v1.ReasonMemberRemoved, "was removed"},
		"Invented":         {v1.ReasonMemberNotReady, `the state "Invented", which this operator doesn't know`},
	} {
		w := settledWorld(t, 3)
		w.unready("cfg-2")
		w.Reports["cfg-2"] = Report{Status: &admin.Status{Name: "cfg-2", ClusterID: testClusterID, MemberID: memberID("cfg-2"), State: state}}
		told := membersReady(w.Observed, identity{members: 3})
		if told.Reason != want.reason || !strings.Contains(told.Message, want.text) {
			t.Errorf("state %s is told as %s: %s", state, told.Reason, told.Message)
		}
		if plan := decide(w.Observed, testImage); plan.Step != nil {
			t.Errorf("state %s: takes step %T", state, plan.Step)
		}
	}
}

// The operator hears from a minority only. The others run, and may well have a
// leader.
func TestOperatorBesideAMinorityDoesNotClaimToKnow(t *testing.T) {
	for name, told := range map[string]func(*admin.Status){
		"that has no leader":             func(s *admin.Status) { s.Role, s.Leader = "Follower", "" },
		"with a leader that lost touch":  func(s *admin.Status) { s.Members[1].SinceContactMillis, s.Members[2].SinceContactMillis = nil, nil },
		"with a member that isn't added": func(s *admin.Status) { s.State, s.Role, s.Leader = admin.StateAwaitingAdd, "Follower", "" },
	} {
		t.Run(name, func(t *testing.T) {
			w := settledWorld(t, 3)
			w.Reports["cfg-1"], w.Reports["cfg-2"] = Report{Err: errOutdated}, Report{Err: errOutdated}
			told(w.Reports["cfg-0"].Status)
			w.expectCondition(v1.ConditionAvailable, metav1.ConditionUnknown, v1.ReasonMembersUnreachable)
			w.expectCondition(v1.ConditionQuorumAtRisk, metav1.ConditionUnknown, v1.ReasonVotersUnknown)
		})
	}
}

func TestMajorityThatDoesNotRunHasNoLeader(t *testing.T) {
	w := settledWorld(t, 3)
	for _, name := range []string{"cfg-1", "cfg-2"} {
		w.crash(name, "CrashLoopBackOff")
	}
	w.elect()
	w.expectCondition(v1.ConditionAvailable, metav1.ConditionFalse, v1.ReasonNoLeader)
}

func TestLeaderOfTheHighestTermCountsMoreThanOneThatLostTouch(t *testing.T) {
	w := settledWorld(t, 3)
	old := w.Reports["cfg-0"].Status
	old.Members[1].SinceContactMillis, old.Members[2].SinceContactMillis = nil, nil
	w.Reports["cfg-1"].Status.Leader, w.Reports["cfg-1"].Status.Term = "cfg-2", old.Term+1
	w.Reports["cfg-2"] = Report{Err: errOutdated}
	w.expectCondition(v1.ConditionAvailable, metav1.ConditionUnknown, v1.ReasonLeaderUnreachable)
}

func TestFollowerOfALeaderEndsTheTimeInWhichAClusterMayForm(t *testing.T) {
	w := newWorld(t, 3)
	for w.StatefulSet() == nil {
		w.take(decide(w.Observed, testImage))
	}
	w.Reports["cfg-0"] = Report{Err: errOutdated} // the leader itself is out of the operator's reach
	w.expectCondition(v1.ConditionAvailable, metav1.ConditionUnknown, v1.ReasonLeaderUnreachable)
	w.take(decide(w.Observed, testImage))
	if file := w.ConfigMap().Data["node.yaml"]; !strings.Contains(file, "initial-state: existing") {
		t.Errorf("with a leader that others follow, empty volumes are told:\n%s", file)
	}
}

func TestRefusedOperatorSaysSo(t *testing.T) {
	for want, err := range map[string]error{
		"refuses the operator: Not known here (unauthorized)": &admin.Problem{Title: "Not known here", Code: "unauthorized", Status: 401},
		"Secret cfg-operator": errNoToken("cfg-operator"),
	} {
		w := settledWorld(t, 3)
		for name := range w.Reports {
			w.Reports[name] = Report{Err: errors.Join(err)}
		}
		told := available(w.Observed, decide(w.Observed, testImage))
		if told.Reason != v1.ReasonMembersUnreachable || !strings.Contains(told.Message, want) {
			t.Errorf("people are told %s: %s; want it to say %s", told.Reason, told.Message, want)
		}
	}
}

func TestTokenIsTheFirstOfItsSecret(t *testing.T) {
	for content, want := range map[string]string{"one": "one", " one \n": "one", "\n\r\none\r\ntwo\n": "one", " \n": "", "": ""} {
		if got := firstToken(&corev1.Secret{Data: map[string][]byte{"token": []byte(content)}}); got != want {
			t.Errorf("of %q the operator presents %q, want %q", content, got, want)
		}
	}
}

// A leader is judged by the election timeout that it runs with, not by the one
// that its next pod will have.
func TestContactIsJudgedByTheTimeoutThatTheLeaderRunsWith(t *testing.T) {
	for _, test := range []struct {
		runs      int64
		asks      int32
		since     int64
		available metav1.ConditionStatus
	}{
		{runs: 1000, asks: 60, since: 90, available: metav1.ConditionTrue},
		{runs: 1000, asks: 120000, since: 1500, available: metav1.ConditionFalse},
		{runs: 0, asks: 2000, since: 1500, available: metav1.ConditionTrue}, // a node that doesn't say
	} {
		w := settledWorld(t, 3)
		w.Cluster.Spec.Raft.ElectionTimeoutMaxMilliseconds = test.asks
		leader := w.Reports["cfg-0"].Status
		leader.ElectionTimeoutMaxMillis = test.runs
		for i := range leader.Members[1:] {
			leader.Members[1+i].SinceContactMillis = ptr.To(test.since)
		}
		reason := v1.ReasonLeaderHasQuorum
		if test.available == metav1.ConditionFalse {
			reason = v1.ReasonQuorumLost
		}
		w.expectCondition(v1.ConditionAvailable, test.available, reason)
	}
}
