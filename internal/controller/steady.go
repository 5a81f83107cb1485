package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// leaderGrace is how long after a leader was last seen its silence may be that of
// a slow answer. Two looks fall into it.
const leaderGrace = 10 * time.Second

// sightings remembers when the leader of each cluster was last seen. The zero
// value works. What a restart of the operator forgets is only the grace.
type sightings struct {
	mu   sync.Mutex
	last map[types.NamespacedName]time.Time
}

// note says that a leader with a quorum is seen now.
func (s *sightings) note(cluster types.NamespacedName, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[types.NamespacedName]time.Time{}
	}
	s.last[cluster] = now
}

// lately tells whether a leader was seen within the grace.
func (s *sightings) lately(cluster types.NamespacedName, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.last[cluster]
	return ok && now.Sub(last) < leaderGrace
}

// forget drops a cluster that is gone.
func (s *sightings) forget(cluster types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, cluster)
}

// isMomentary tells whether the operator lacks nothing but an answer that it had a
// moment ago. Nobody has said that the cluster is worse.
func isMomentary(o *Observed, plan Plan) bool {
	return o.LeaderSeenLately && available(o, plan).Status == metav1.ConditionUnknown
}

// steady keeps what was last told in place of a condition that only says so again:
// one slow answer would otherwise make several conditions Unknown, and the next
// one make them as they were.
func steady(o *Observed, now metav1.Condition) metav1.Condition {
	before := meta.FindStatusCondition(o.Cluster.Status.Conditions, now.Type)
	waits := now.Type == v1.ConditionReconciling && now.Reason == v1.ReasonWaitingForLeader
	if before == nil || before.ObservedGeneration != o.Cluster.Generation || now.Status != metav1.ConditionUnknown && !waits {
		return now
	}
	return *before
}
