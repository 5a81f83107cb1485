//go:build linux

package e2e

import (
	"errors"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/internal/admin"
)

// recoverNode runs "node recover" on a node's directory and returns what it said.
func recoverNode(t *testing.T, n *node, flags ...string) (string, error) {
	t.Helper()
	said, err := exec.Command(nodeBinary(t), append([]string{"recover", "--data-dir", n.dir}, flags...)...).CombinedOutput()
	return string(said), err
}

// TestSurvivorOfALostMajorityIsRecoveredAndGrowsAgain loses two disks of three,
// and makes a cluster of the third.
func TestSurvivorOfALostMajorityIsRecoveredAndGrowsAgain(t *testing.T) {
	c := startCluster(t, 3, append(tokenFile(t), "--snapshot-entries", "100")...)
	survivor, wiped, away := c.nodes[0], c.nodes[1], c.nodes[2]
	var newest uint64
	for range 250 { // Two snapshots and more.
		newest = c.put(survivor, "kept", "value")
	}
	c.awaitAgreement()
	before, err := survivor.status()
	if err != nil {
		t.Fatal(err)
	}

	const id = "0123456789abcdef0123456789abcdef"
	confirmed := []string{"--cluster-id", id, "--confirm", survivor.dir, "--accept-data-loss"}
	if said, err := recoverNode(t, survivor, confirmed...); err == nil || !strings.Contains(said, "in use by process") {
		t.Fatalf("recovering a running node: %v\n%s", err, said)
	}
	for _, n := range c.nodes {
		n.kill()
	}
	wiped.wipe()
	survivor.start()
	await(t, "the survivor answers", func() error { _, err := survivor.status(); return err })
	if a := c.do(survivor, request{method: http.MethodPut, key: "kept", value: "alone", timeout: manyElections}); a.status == http.StatusOK {
		t.Fatalf("one member of three wrote: %v", a)
	}
	survivor.stop()
	demandsConfirmation(t, survivor, id)

	if said, err := recoverNode(t, survivor, confirmed...); err != nil || !strings.Contains(said, id) {
		t.Fatalf("recover: %v\n%s", err, said)
	}
	if said, err := recoverNode(t, survivor, confirmed...); err != nil { // As a container does that starts anew.
		t.Errorf("recovering again: %v\n%s", err, said)
	}

	// The others of old come back, one of them with its disk, and meet a stranger.
	survivor.start()
	away.start()
	survivor.awaitReady()
	after, err := survivor.status()
	if err != nil {
		t.Fatal(err)
	}
	if after.ClusterID != id || after.MemberID == before.MemberID || len(after.Members) != 1 {
		t.Fatalf("recovered as %+v", after)
	}
	if a := c.do(survivor, request{method: http.MethodGet, key: "kept"}); a.value != "value" || a.etag != newest {
		t.Errorf("the key is %v, its last write was %d", a, newest)
	}
	if next := c.put(survivor, "new", "value"); next < newest+1_000_000_000 || next < uint64(time.Now().Add(-time.Hour).UnixMicro()) {
		t.Errorf("the first new revision is %d, the last old one was %d", next, newest)
	}
	await(t, "the member of old is told why", func() error {
		if !strings.Contains(away.logTail(), "another cluster") && !strings.Contains(away.logTail(), id) {
			return errors.New(away.logTail())
		}
		return nil
	})
	refusesToWrite(t, c, away)
	away.kill()
	growAgain(t, c, survivor, id)
}

// demandsConfirmation checks that nothing is recovered by accident, and that the
// command shows what would be lost.
func demandsConfirmation(t *testing.T, n *node, id string) {
	t.Helper()
	shown, err := recoverNode(t, n)
	if err != nil {
		t.Fatalf("recover without a cluster ID: %v\n%s", err, shown)
	}
	for _, part := range []string{"last entry", "known to be committed up to", "b, member ", "c, member ", "Nothing was recovered", "--accept-data-loss"} {
		if !strings.Contains(shown, part) {
			t.Errorf("it doesn't show %q:\n%s", part, shown)
		}
	}
	for want, flags := range map[string][]string{
		"confirm: repeat":   {"--cluster-id", id, "--accept-data-loss"},
		"accept-data-loss:": {"--cluster-id", id, "--confirm", n.dir},
		"cluster-id: ":      {"--cluster-id", "new", "--confirm", n.dir, "--accept-data-loss"},
	} {
		if said, err := recoverNode(t, n, flags...); err == nil || !strings.Contains(said, want) {
			t.Errorf("recover %v: %v\n%s", flags, err, said)
		}
	}
	if made, err := filepath.Glob(filepath.Join(n.dir, "*recovery*")); err != nil || len(made) > 0 {
		t.Errorf("without confirmation it made %v (%v)", made, err)
	}
}

// refusesToWrite expects that a node without its cluster writes nothing.
func refusesToWrite(t *testing.T, c *cluster, n *node) {
	t.Helper()
	if a := c.do(n, request{method: http.MethodPut, key: "kept", value: "by a node of old", timeout: manyElections}); a.status == http.StatusOK || a.status == http.StatusCreated {
		t.Errorf("a member of the lost cluster wrote: %v", a)
	}
}

// growAgain takes the cluster of one back to three, with empty disks.
func growAgain(t *testing.T, c *cluster, survivor *node, id string) {
	t.Helper()
	all := c.nodes
	m := &membershipChanges{t: t, cluster: c, members: []*node{survivor}}
	for _, n := range all[1:] {
		n.wipe()
		n.args = append(n.args, "--initial-state", "existing", "--cluster-id", id)
		n.start()
		awaitWaiting(t, n)
		status, err := n.status()
		if err != nil {
			t.Fatal(err)
		}
		member := admin.NewMember{MemberID: status.MemberID, Name: n.name, Address: n.peer}
		m.change(admin.Change{Kind: admin.AddLearner, Member: member})
		m.change(admin.Change{Kind: admin.Promote, Member: member})
		n.awaitReady()
		m.members = append(m.members, n)
	}
	leader := c.awaitLeader(all)
	leader.kill()
	rest := c.without(leader.name)
	c.awaitPut(rest[0], "kept", "by three again")
	leader.start()
	c.awaitReady()
	c.awaitAgreement()
	for _, n := range all {
		if a := c.do(n, request{method: http.MethodGet, key: "kept"}); a.value != "by three again" {
			t.Errorf("node %s has %v", n.name, a)
		}
	}
}
