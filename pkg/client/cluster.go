package client

import (
	"context"
	"net/http"
)

// Cluster is what the node that answered knows of its cluster. It answers
// without a quorum too, so it may be old.
type Cluster struct {
	// ClusterID is the identity that all members share, Name the node that
	// answered, Version its program's version.
	ClusterID string `json:"clusterID"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	// Ready tells whether that node serves clients, NotReadyReason why not.
	Ready          bool   `json:"ready"`
	NotReadyReason string `json:"notReadyReason,omitempty"`
	// Leader is the name of the leader, empty when none is known, Term its term.
	Leader string `json:"leader"`
	Term   uint64 `json:"term"`
	// Revision is the store's revision at this node; CommitIndex and
	// AppliedIndex are positions in its log.
	Revision     uint64   `json:"revision"`
	CommitIndex  uint64   `json:"commitIndex"`
	AppliedIndex uint64   `json:"appliedIndex"`
	Members      []Member `json:"members"`
}

// Member is one node's place in the cluster.
type Member struct {
	MemberID string `json:"memberID"`
	Name     string `json:"name"`
	// Role is Voter or Learner.
	Role string `json:"role"`
	// SinceContactMillis is how long ago the leader last heard from the member;
	// only the leader itself tells.
	SinceContactMillis *int64 `json:"sinceContactMillis,omitempty"`
}

// Cluster asks the node that answers for its view of the cluster.
func (c *Client) Cluster(ctx context.Context) (*Cluster, error) {
	get := call{method: http.MethodGet, path: "/v1/cluster"}
	reply, err := c.do(ctx, get)
	if err != nil {
		return nil, err
	}
	cluster := new(Cluster)
	if err := reply.decode(get, cluster); err != nil {
		return nil, err
	}
	return cluster, nil
}
