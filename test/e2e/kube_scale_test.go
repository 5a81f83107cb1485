package e2e

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// scaleCluster asks for five members, three, one and three again, while a writer
// goes on. The operator is replaced in the middle of it, and goes on from there.
func (s *story) scaleCluster(t *testing.T) {
	s.needWriter(t)
	w := s.startWitness(t, "while-scaling", "")
	steps := []struct {
		replicas int
		mark     string
	}{{5, "from 3 to 5"}, {3, "from 5 to 3"}, {1, "from 3 to 1"}, {3, "from 1 to 3"}}
	for i, step := range steps {
		w.mark(t, step.mark)
		began := time.Now()
		s.kubectl(t, "scale", "raftcluster", sampleCluster, "--replicas", strconv.Itoa(step.replicas))
		if i == 0 {
			s.awaitOperation(t)
			s.replaceOperator(t)
		}
		s.awaitSize(t, step.replicas)
		s.measured("scaled "+step.mark, time.Since(began))
		w.awaitWrites(t, enoughWrites)
	}
	h := w.stop(t)
	for i, step := range steps {
		until := "stopped"
		if i+1 < len(steps) {
			until = steps[i+1].mark
		}
		s.measured("  longest pause of writes "+step.mark, h.LongestPause(h.At(step.mark), h.At(until)).Length())
	}
	s.measured("  meanwhile", h.Count(0))
}

// awaitOperation waits until the operator has begun to change the membership.
func (s *story) awaitOperation(t *testing.T) {
	t.Helper()
	s.await(t, "an operation to begin", settleTimeout, func(ctx context.Context) (bool, any) {
		cluster, err := s.cluster(ctx, sampleCluster)
		if err != nil {
			return false, err
		}
		return cluster.Status.Operation != nil, cluster.Status.Conditions
	})
}

// awaitSize waits until so many members vote, each with a pod and a volume claim,
// and nothing else is left.
func (s *story) awaitSize(t *testing.T, replicas int) {
	t.Helper()
	s.await(t, fmt.Sprintf("%d members", replicas), settleTimeout, func(ctx context.Context) (bool, any) {
		cluster, err := s.cluster(ctx, sampleCluster)
		if err != nil {
			return false, err
		}
		status := cluster.Status
		ready := meta.FindStatusCondition(status.Conditions, v1.ConditionReady)
		pods, podsErr := s.pods(ctx, sampleCluster)
		claims, claimsErr := s.objects(ctx, sampleCluster, claimKind)
		seen := fmt.Sprintf("%d voters, %d learners, %d pods, %d claims, operation %+v, %+v, %v %v",
			status.Voters, status.Learners, len(pods), len(claims), status.Operation, ready, podsErr, claimsErr)
		done := podsErr == nil && claimsErr == nil && ready != nil && ready.Status == "True" && ready.ObservedGeneration == cluster.Generation &&
			int(status.Voters) == replicas && status.Learners == 0 && status.Operation == nil && len(pods) == replicas && len(claims) == replicas
		return done, seen
	})
}
