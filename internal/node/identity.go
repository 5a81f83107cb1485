package node

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft/badgerlog"
)

// clusterID returns the cluster that the options speak of: the one that they
// name, else a hash of what all its nodes are told alike.
func (o *Options) clusterID() string {
	if o.ClusterID != "" {
		return o.ClusterID
	}
	parts := []string{o.ClusterName}
	if o.DiscoveryService != "" {
		parts = append(parts, "service", o.DiscoveryService, fmt.Sprint(o.InitialMembers))
	} else {
		names := make([]string, len(o.InitialPeers))
		for i, p := range o.InitialPeers {
			names[i] = p.Name
		}
		slices.Sort(names)
		parts = append(append(parts, "peers"), names...)
	}
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s,", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// ClusterInEffect returns the ID of the cluster that a node with these options belongs
// to, which certificates are made out to: what its data directory says, and before
// that is formatted, what the options speak of.
func (o Options) ClusterInEffect() string {
	if id, err := badgerlog.ReadIdentity(o.DataDir); err == nil {
		return id.ClusterID
	}
	o = o.withDefaults()
	return o.clusterID()
}

// identity reads who this node is from its data directory, which is formatted
// for a new member when it is empty. What the directory says holds; options that
// contradict it are an error.
func (o *Options) identity() (badgerlog.Identity, error) {
	id, err := badgerlog.ReadIdentity(o.DataDir)
	if errors.Is(err, badgerlog.ErrNotFormatted) {
		id = badgerlog.Identity{Member: badgerlog.NewMemberID(), ClusterID: o.clusterID(), Name: o.Name}
		if err := badgerlog.Format(o.DataDir, id); err != nil {
			return badgerlog.Identity{}, err
		}
		o.Logger.Info("formatted the data directory", "dir", o.DataDir, "member", id.Member.String(), "cluster", id.ClusterID)
		return id, nil
	}
	if err != nil {
		return badgerlog.Identity{}, err
	}
	if id.Name != o.Name {
		return badgerlog.Identity{}, fmt.Errorf("data directory %s belongs to node %q, this one is named %q: "+
			"name the directory or the node that was meant", o.DataDir, id.Name, o.Name)
	}
	if o.ClusterID != "" && id.ClusterID != o.ClusterID {
		return badgerlog.Identity{}, fmt.Errorf("data directory %s belongs to cluster %s, not to %s: "+
			"name the directory or the cluster ID that was meant", o.DataDir, id.ClusterID, o.ClusterID)
	}
	return id, nil
}
