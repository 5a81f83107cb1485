package wire

import "github.com/conclave-dev/conclave/pkg/raft"

// Bootstrap is what nodes tell each other until a cluster is formed: who they
// are and whom they have met.
type Bootstrap struct {
	Name      string
	MemberID  raft.MemberID
	Address   string
	ClusterID string
	// Initialized tells that the node has a first configuration already.
	Initialized bool
	// Members is everyone that the node has met, itself included, sorted by
	// name; of an initialised node, the members of its active configuration,
	// sorted by ID, and nobody while it has none.
	Members []raft.Member
	// FirstMembership is the configuration that the cluster began with, known
	// to initialised nodes.
	FirstMembership *raft.Membership
}

// bootstrap mirrors Bootstrap. Fields are only ever added, and only at the end.
type bootstrap struct {
	Name            string
	MemberID        raft.MemberID
	Address         string
	ClusterID       string
	Initialized     bool
	Members         []member
	FirstMembership *membership
}

// WriteBootstrap writes b.
func (w *Writer) WriteBootstrap(b *Bootstrap) error {
	v := bootstrap{
		Name:        b.Name,
		MemberID:    b.MemberID,
		Address:     b.Address,
		ClusterID:   b.ClusterID,
		Initialized: b.Initialized,
		Members:     newMembers(b.Members),
	}
	if b.FirstMembership != nil {
		m := newMembership(b.FirstMembership)
		v.FirstMembership = &m
	}
	return w.writeControl(KindBootstrap, &v, MaxBootstrapBytes)
}

// Bootstrap decodes a frame of KindBootstrap.
func (f *Frame) Bootstrap() (Bootstrap, error) {
	var v bootstrap
	if err := f.decodeControl(KindBootstrap, &v); err != nil {
		return Bootstrap{}, err
	}
	b := Bootstrap{
		Name:        v.Name,
		MemberID:    v.MemberID,
		Address:     v.Address,
		ClusterID:   v.ClusterID,
		Initialized: v.Initialized,
		Members:     raftMembers(v.Members),
	}
	if v.FirstMembership != nil {
		m := v.FirstMembership.raft()
		b.FirstMembership = &m
	}
	return b, nil
}
