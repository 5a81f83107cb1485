package httpapi

import (
	"fmt"
	"net/http"
)

// ClusterStatus is what one member sees of its cluster.
type ClusterStatus struct {
	ClusterID string `json:"clusterID"`
	// Name is the member that answers, Version its program's.
	Name    string `json:"name"`
	Version string `json:"version"`
	// Ready tells whether this member serves clients, with the reason when not.
	Ready          bool   `json:"ready"`
	NotReadyReason string `json:"notReadyReason,omitempty"`
	// Leader is the name of the leader that the member follows, empty when it
	// knows none; Term is the newest that it knows.
	Leader string `json:"leader"`
	Term   uint64 `json:"term"`
	// Revision is filled in by this package: the store's, at this member.
	Revision uint64 `json:"revision"`
	// CommitIndex and AppliedIndex are positions in the member's log.
	CommitIndex  uint64          `json:"commitIndex"`
	AppliedIndex uint64          `json:"appliedIndex"`
	Members      []ClusterMember `json:"members"`
}

// ClusterMember is one place in the cluster.
type ClusterMember struct {
	MemberID string `json:"memberID"`
	Name     string `json:"name"`
	// Role is Voter or Learner.
	Role string `json:"role"`
	// MatchIndex is how far the member's log is known to agree with the
	// leader's, and SinceContactMillis how long ago the leader last heard from
	// it. Only a leader knows them.
	MatchIndex         uint64 `json:"matchIndex,omitempty"`
	SinceContactMillis *int64 `json:"sinceContactMillis,omitempty"`
}

// getCluster serves /v1/cluster.
func (h *Handler) getCluster(w http.ResponseWriter, r *http.Request, _ target) error {
	status, err := h.Cluster.Cluster(r.Context())
	if err != nil {
		return fmt.Errorf("ask for the cluster's status: %w", err)
	}
	if status.Members == nil {
		status.Members = []ClusterMember{}
	}
	standing := h.Store.Standing()
	status.Revision = standing.Revision
	return writeJSON(w, standing, status)
}
