//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/conclave-dev/conclave/internal/admin"
)

// adminToken is what these tests show to the operations ports.
const adminToken = "token-of-tests-that-guard-nothing"

// admin returns a client of the node's operations port.
func (n *node) admin() *admin.Client {
	return &admin.Client{BaseURL: "http://" + n.ops, Token: adminToken, HTTPClient: observer}
}

// status returns what a node says of itself.
func (n *node) status() (*admin.Status, error) { return n.admin().Status(context.Background()) }

// tokenFile writes the token into a file and returns the flags that tell of it.
func tokenFile(t testing.TB) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(adminToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--admin-token-file", path}
}

// TestMembershipGrowsAndShrinksUnderLoad takes a cluster from one member to five
// and back, while clients use it.
func TestMembershipGrowsAndShrinksUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("runs up to five nodes; runs without -short")
	}
	c := newCluster(t, 5, append(tokenFile(t), "--snapshot-entries", "300")...)
	all := c.nodes
	// The first node forms the cluster; the others come to what exists.
	c.nodes = all[:1]
	all[0].setFlag("--initial-peers", all[0].name+"="+all[0].peer)
	c.start()
	c.awaitReady()
	first, err := all[0].status()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range all[1:] {
		n.dropFlag("--initial-peers")
		n.args = append(n.args, "--initial-state", "existing", "--cluster-id", first.ClusterID, "--address", n.peer)
	}
	m := &membershipChanges{t: t, cluster: c, members: all[:1]}
	m.load = startLoad(t, c, requestTimeout)
	m.load.use(m.members)
	for _, size := range []int{3, 5, 3, 1} {
		for len(m.members) < size {
			m.add(all[slices.IndexFunc(all, func(n *node) bool { return n.process() == nil })])
		}
		for len(m.members) > size {
			leader := among(c, m.members).awaitLeader(m.members)
			victim := leader
			if len(m.members)%2 == 0 { // In turns the leader and a follower.
				victim = m.others(leader)[0]
			}
			m.remove(victim)
		}
	}
	c.nodes = m.members
	m.load.awaitWrites(20)
	m.load.finish(t)
	t.Logf("EVIDENCE membership 1 to 3 to 5 to 3 to 1 under load: %d changes; %s", m.changes, m.load.record.figures())
}

// membershipChanges takes a cluster through changes of its membership.
type membershipChanges struct {
	t       *testing.T
	cluster *cluster
	load    *load
	members []*node
	changes int
}

// others returns the members but for one.
func (m *membershipChanges) others(than *node) []*node {
	return slices.DeleteFunc(slices.Clone(m.members), func(n *node) bool { return n == than })
}

// add starts a node and makes it a learner, then a voter.
func (m *membershipChanges) add(n *node) {
	m.t.Helper()
	m.load.era.Add(1)
	m.load.awaitWrites(20)
	n.start()
	var id string
	await(m.t, "node "+n.name+" waits to be added", func() error {
		status, err := n.status()
		if err == nil && status.State != admin.StateAwaitingAdd {
			err = fmt.Errorf("it is %s", status.State)
		}
		if err == nil {
			id = status.MemberID
		}
		return err
	})
	m.change(admin.Change{Kind: admin.AddLearner, Member: admin.NewMember{MemberID: id, Name: n.name, Address: n.peer}})
	m.load.awaitWrites(5)
	m.change(admin.Change{Kind: admin.Promote, Member: admin.NewMember{MemberID: id}})
	n.awaitReady()
	m.members = append(slices.Clone(m.members), n)
	m.load.use(m.members)
}

// remove removes a member and throws its disk away.
func (m *membershipChanges) remove(n *node) {
	m.t.Helper()
	m.load.era.Add(1)
	m.load.awaitWrites(20)
	status, err := n.status()
	if err != nil {
		m.t.Fatal(err)
	}
	rest := m.others(n)
	m.load.use(rest)
	m.change(admin.Change{Kind: admin.Remove, Member: admin.NewMember{MemberID: status.MemberID}})
	m.members = rest
	m.load.awaitWrites(5)
	n.stop()
	n.wipe()
}

// change makes a change of the membership through the leader. What
// can't be done yet, or has an unknown outcome, is looked at and tried again.
func (m *membershipChanges) change(change admin.Change) {
	m.t.Helper()
	await(m.t, fmt.Sprintf("%s of member %s", change.Kind, change.Member.MemberID), func() error {
		asked, err := among(m.cluster, m.members).leaderOf(m.members)
		if err != nil {
			return err
		}
		if status, err := asked.status(); err == nil && isMade(change, status) {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_, err = asked.admin().ChangeMembership(ctx, change)
		var refusal *admin.Problem
		if errors.As(err, &refusal) && refusal.Status < 500 && refusal.Status != 409 {
			m.t.Fatal(err) // Nothing that time changes.
		}
		return err
	})
	m.changes++
}

// isMade tells whether the membership is as a change makes it.
func isMade(change admin.Change, status *admin.Status) bool {
	at := slices.IndexFunc(status.Members, func(m admin.Member) bool { return m.MemberID == change.Member.MemberID })
	switch {
	case status.Joint:
		return false
	case change.Kind == admin.Remove:
		return at < 0
	case change.Kind == admin.Promote:
		return at >= 0 && status.Members[at].Role == "Voter"
	default:
		return at >= 0
	}
}

// setFlag replaces the value of a flag.
func (n *node) setFlag(flag, value string) { n.args[slices.Index(n.args, flag)+1] = value }

// dropFlag removes a flag and its value.
func (n *node) dropFlag(flag string) {
	at := slices.Index(n.args, flag)
	n.args = slices.Delete(n.args, at, at+2)
}

// among is the cluster of these members only.
func among(c *cluster, members []*node) *cluster {
	return &cluster{t: c.t, nodes: members, http: c.http}
}
