package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// raftCluster is a manifest with one line of a spec.
func raftCluster(name, spec string) string {
	return fmt.Sprintf("apiVersion: conclave.dev/v1\nkind: RaftCluster\nmetadata: {name: %s}\nspec: {%s}\n", name, spec)
}

// refuseInvalid applies what can't work. kubectl says why, at once.
func (s *story) refuseInvalid(t *testing.T) {
	for want, manifest := range map[string]string{
		`spec.replicas: Unsupported value: 2: supported values: "1", "3", "5", "7"`: raftCluster("even", "replicas: 2"),
		"electionTimeoutMinMilliseconds must be at least five times":                raftCluster("hasty", "raft: {heartbeatIntervalMilliseconds: 400}"),
		"the name must be a DNS-1035 label":                                         raftCluster("1st", "replicas: 1"),
		`unknown field "spec.replica"`:                                              raftCluster("typo", "replica: 3"),
		"storageClassName can't be changed, set or removed after creation":          raftCluster(sampleCluster, "storage: {storageClassName: other}"),
	} {
		if err := s.apply(t, manifest); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to mention %q, for\n%s", err, want, manifest)
		}
	}
}

// nameMissingImage asks for an image that nobody has. The status says which, and
// the cluster can be deleted all the same.
func (s *story) nameMissingImage(t *testing.T) {
	const image = "127.0.0.1:1/no-such-image:1" // where nobody listens, so that the refusal comes at once
	err := s.apply(t, raftCluster("imageless", "replicas: 1, image: {reference: "+image+"}, storage: {retention: {whenDeleted: Delete}}"))
	if err != nil {
		t.Fatal(err)
	}
	s.await(t, "the status to name the image", settleTimeout, func(ctx context.Context) (bool, any) {
		cluster, err := s.cluster(ctx, "imageless")
		if err != nil {
			return false, err
		}
		for _, condition := range cluster.Status.Conditions {
			if condition.Type == v1.ConditionMembersReady {
				return condition.Reason == v1.ReasonImagePullFailed && strings.Contains(condition.Message, image), condition
			}
		}
		return false, "no condition MembersReady"
	})
	s.kubectl(t, "delete", "raftcluster", "imageless")
	s.awaitGone(t, "imageless", append(ownedKinds, claimKind)...)
}

// deleteAndAdopt deletes the cluster and makes it again. In between its volumes
// are all that is left, and then it has its data again.
func (s *story) deleteAndAdopt(t *testing.T) {
	before, err := s.cluster(t.Context(), sampleCluster)
	if err != nil {
		t.Fatal(err)
	}
	s.kubectl(t, "delete", "raftcluster", sampleCluster)
	s.awaitGone(t, sampleCluster, ownedKinds...)
	claims, err := s.objects(t.Context(), sampleCluster, claimKind)
	if err != nil || len(claims) != 3 {
		t.Fatalf("want three volume claims to stay: %d, %v", len(claims), err)
	}
	for _, claim := range claims {
		if id := claim.Annotations[v1.AnnotationClusterID]; id != before.Status.ClusterID {
			t.Errorf("%s notes the cluster ID %q, want %q", claim.Name, id, before.Status.ClusterID)
		}
	}

	began := time.Now()
	s.applySample(t)
	s.awaitCondition(t, sampleCluster, v1.ConditionReady, metav1.ConditionTrue)
	s.measured("made again -> Ready, with its old volumes", time.Since(began))
	after, err := s.cluster(t.Context(), sampleCluster)
	if err != nil {
		t.Fatal(err)
	}
	if after.UID == before.UID || after.Status.ClusterID != before.Status.ClusterID {
		t.Errorf("cluster ID %s became %s, UID %s became %s", before.Status.ClusterID, after.Status.ClusterID, before.UID, after.UID)
	}
	if got := s.inPod(t, "get-again", "get", "app", "greeting"); !strings.Contains(got, "RaftCluster") {
		t.Errorf("the value from before is now %q", got)
	}
}

// deleteWithVolumes asks for the volumes to go with the cluster.
func (s *story) deleteWithVolumes(t *testing.T) {
	s.kubectl(t, "patch", "raftcluster", sampleCluster, "--type=merge", "--patch", `{"spec":{"storage":{"retention":{"whenDeleted":"Delete"}}}}`)
	s.awaitCondition(t, sampleCluster, v1.ConditionReady, metav1.ConditionTrue)
	s.kubectl(t, "delete", "raftcluster", sampleCluster)
	s.awaitGone(t, sampleCluster, append(ownedKinds, claimKind)...)
}
