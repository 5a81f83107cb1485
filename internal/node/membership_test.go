package node

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/internal/admin"
)

// admin returns a client for the operations port of node i.
func (c *trio) admin(i int) *admin.Client {
	return &admin.Client{BaseURL: "http://" + c.at(i, 2), Token: adminToken,
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

// formed starts the three and waits until they serve.
func (c *trio) formed() {
	c.t.Helper()
	for i := range 3 {
		c.start(i)
	}
	for i := range 3 {
		c.await(i, 2, "/readyz", http.StatusOK, "")
	}
	status := c.status(0)
	c.clusterID = status.ClusterID
	if got := status.ElectionTimeoutMaxMillis; got != 300 { // the default
		c.t.Errorf("the longest election timeout is told as %d ms", got)
	}
}

// grow starts one node more, which came later.
func (c *trio) grow() int {
	c.t.Helper()
	i := len(c.ports)
	c.ports = append(c.ports, [3]int{freePort(c.t), freePort(c.t), freePort(c.t)})
	c.stops, c.ended = append(c.stops, nil), append(c.ended, nil)
	c.start(i)
	c.awaitStatus(i, "waits to be added", func(s *admin.Status) bool { return s.State == admin.StateAwaitingAdd })
	return i
}

func (c *trio) status(i int) *admin.Status {
	c.t.Helper()
	status, err := c.admin(i).Status(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return status
}

// awaitStatus asks node i until its status is as it should be.
func (c *trio) awaitStatus(i int, what string, good func(*admin.Status) bool) *admin.Status {
	c.t.Helper()
	var last *admin.Status
	for range 600 {
		status, err := c.admin(i).Status(c.t.Context())
		if err == nil && good(status) {
			return status
		}
		last = status
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Fatalf("node %d does not come to this: it %s; its last status was %+v", i, what, last)
	return nil
}

// leader returns the position of the leader.
func (c *trio) leader() int {
	c.t.Helper()
	for range 600 {
		for i := range c.ports {
			status, err := c.admin(i).Status(c.t.Context())
			if err == nil && status.Role == "Leader" && status.Leader == status.Name {
				return i
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Fatal("no node leads")
	return 0
}

// change makes a change through whoever leads, and again while that may help.
func (c *trio) change(kind admin.ChangeKind, member admin.NewMember) *admin.Membership {
	c.t.Helper()
	var last error
	for range 600 {
		membership, err := c.admin(c.leader()).ChangeMembership(c.t.Context(), admin.Change{Kind: kind, Member: member})
		if err == nil {
			return membership
		}
		last = err
		if problem := (*admin.Problem)(nil); !errors.As(err, &problem) || !problem.Retryable && problem.Code != admin.CodeNotLeader {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Fatalf("%s of %+v: %v", kind, member, last)
	return nil
}

// newMember is what node i is added as.
func (c *trio) newMember(i int) admin.NewMember {
	c.t.Helper()
	status := c.status(i)
	return admin.NewMember{MemberID: status.MemberID, Name: status.Name, Address: c.at(i, 1)}
}

// put writes through node i, again when a change of leaders got in between.
func (c *trio) put(i int, key, value string) {
	c.t.Helper()
	url := "http://" + c.at(i, 0) + "/v1/kv/test/" + key
	last := ""
	for range 100 {
		code, body := ask(c.t, http.MethodPut, url, value)
		if code == http.StatusCreated || code == http.StatusOK {
			return
		}
		last = fmt.Sprintf("%d %s", code, body)
		if code != http.StatusServiceUnavailable && code != http.StatusGatewayTimeout {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Fatalf("PUT at node %d: %s", i, last)
}

// problemCode returns the code of a refusal.
func problemCode(err error) string {
	problem := (*admin.Problem)(nil)
	if !errors.As(err, &problem) {
		return fmt.Sprint(err)
	}
	return problem.Code
}

func TestANodeThatComesLaterCatchesUpVotesLeadsAndIsRemoved(t *testing.T) {
	c := newTrio(t)
	c.formed()
	for i := range 20 {
		c.put(0, fmt.Sprint("key-", i), "before")
	}
	late := c.grow()
	c.await(late, 2, "/readyz", http.StatusServiceUnavailable, "waiting to be added")

	member := c.newMember(late)
	if added := c.change(admin.AddLearner, member); len(added.Members) != 4 {
		t.Fatalf("with the learner there are %d members, want 4", len(added.Members))
	}
	c.await(late, 2, "/readyz", http.StatusOK, "")
	c.await(late, 0, "/v1/kv/test/key-19", http.StatusOK, "before")
	leader := c.leader()
	c.awaitStatus(leader, "reports that the learner may vote", func(s *admin.Status) bool {
		for _, m := range s.Members {
			if m.MemberID == member.MemberID {
				return m.Role == "Learner" && m.Promotable && m.Progress == "replicate" && m.LagEntries != nil
			}
		}
		return false
	})
	c.change(admin.Promote, member)

	transfer, err := c.admin(c.leader()).TransferLeadership(t.Context(), member.Name)
	if err != nil || transfer.Leader != member.Name {
		t.Fatalf("transfer to the new voter = %+v, %v", transfer, err)
	}
	c.put(late, "key", "written through the new leader")

	// It leads until its own removal is complete.
	removed := c.change(admin.Remove, member)
	if len(removed.Members) != 3 {
		t.Errorf("after the removal there are %d members, want 3", len(removed.Members))
	}
	c.awaitStatus(late, "knows that it was removed", func(s *admin.Status) bool {
		return s.State == admin.StateRemoved && !s.Ready && strings.Contains(s.NotReadyReason, "removed")
	})
	c.await(late, 0, "/v1/kv/test/key?consistency=local", http.StatusServiceUnavailable, "not_ready")
	c.put(0, "key", "after")
	for i := range c.ports {
		c.stop(i)
	}
}

func TestAWipedMemberComesBackAsANewOne(t *testing.T) {
	c := newTrio(t)
	c.formed()
	c.put(0, "key", "kept")
	wiped := (c.leader() + 1) % 3
	old := c.newMember(wiped)
	c.stop(wiped)
	if err := os.RemoveAll(c.dir(wiped)); err != nil {
		t.Fatal(err)
	}
	c.start(wiped)
	c.awaitStatus(wiped, "waits to be added", func(s *admin.Status) bool { return s.State == admin.StateAwaitingAdd })
	fresh := c.newMember(wiped)
	if fresh.MemberID == old.MemberID {
		t.Fatalf("the wiped disk is still member %s", old.MemberID)
	}
	c.change(admin.AddLearner, fresh)
	c.await(wiped, 2, "/readyz", http.StatusOK, "")
	_, err := c.admin(c.leader()).ChangeMembership(t.Context(), admin.Change{Kind: admin.Promote, Member: fresh})
	if code := problemCode(err); code != "already_member" {
		t.Errorf("promoting beside a voter of the same name: %s, want already_member", code)
	}
	c.change(admin.Remove, old)
	members := c.change(admin.Promote, fresh).Members
	for _, m := range members {
		if m.Role != "Voter" || m.MemberID == old.MemberID {
			t.Errorf("at the end there is %+v", m)
		}
	}
	c.await(wiped, 0, "/v1/kv/test/key?consistency=local", http.StatusOK, "kept")
	for i := range 3 {
		c.stop(i)
	}
}

func TestAMemberThatWasRemovedWhileItWasAwayLearnsOfItAndDisturbsNobody(t *testing.T) {
	c := newTrio(t)
	c.formed()
	away := (c.leader() + 1) % 3
	member := c.newMember(away)
	c.stop(away)
	c.change(admin.Remove, member)
	term := c.status(c.leader()).Term
	c.start(away)
	c.awaitStatus(away, "learns that it was removed", func(s *admin.Status) bool {
		return s.State == admin.StateRemoved && !s.Ready
	})
	c.await(away, 0, "/v1/kv/test/key?consistency=local", http.StatusServiceUnavailable, "not_ready")
	if now := c.status(c.leader()).Term; now != term {
		t.Errorf("the removed member moved the cluster from term %d to %d", term, now)
	}

	// The same member may come back with the disk that it has.
	c.change(admin.AddLearner, member)
	c.awaitStatus(away, "takes part again", func(s *admin.Status) bool { return s.State == admin.StateRunning && s.Ready })
	for i := range 3 {
		c.stop(i)
	}
}

func TestWhatIsNotAllowedIsRefusedWithTheReason(t *testing.T) {
	c := newTrio(t)
	c.formed()
	leader := c.leader()
	status := c.status(leader)
	stranger := admin.NewMember{MemberID: "00000000000000aa", Name: "stranger", Address: "127.0.0.1:1"}
	nobody := admin.NewMember{MemberID: "00000000000000bb"}
	voter := admin.NewMember{MemberID: status.MemberID}
	for want, change := range map[string]admin.Change{
		"already_member":     {Kind: admin.Promote, Member: voter},
		"not_member":         {Kind: admin.Promote, Member: nobody},
		"membership_changed": {Kind: admin.AddLearner, Member: stranger, IfIndex: status.MembershipIndex + 1},
		"invalid":            {Kind: admin.AddLearner, Member: admin.NewMember{MemberID: "aa", Name: "x", Address: "h:1"}},
	} {
		_, err := c.admin(leader).ChangeMembership(t.Context(), change)
		if code := problemCode(err); code != want {
			t.Errorf("%+v: %s, want %s", change, code, want)
		}
	}
	_, err := c.admin((leader+1)%3).ChangeMembership(t.Context(), admin.Change{Kind: admin.AddLearner, Member: stranger})
	problem := (*admin.Problem)(nil)
	if !errors.As(err, &problem) || problem.Code != admin.CodeNotLeader || problem.Leader != status.Name || problem.LeaderID != status.MemberID {
		t.Errorf("a follower answers %v, want not_leader with %s", err, status.Name)
	}
	if _, err := c.admin(leader).ChangeMembership(t.Context(), admin.Change{
		Kind: admin.AddLearner, Member: stranger, IfIndex: status.MembershipIndex,
	}); err != nil {
		t.Errorf("adding for the membership that is there: %v", err)
	}
	_, err = c.admin(leader).ChangeMembership(t.Context(), admin.Change{Kind: admin.Promote, Member: stranger})
	if code := problemCode(err); code != "no_contact" {
		t.Errorf("promoting a learner that does not run: %s, want no_contact", code)
	}
	_, err = c.admin(leader).TransferLeadership(t.Context(), "stranger")
	if code := problemCode(err); code != "not_member" {
		t.Errorf("transfer to a learner: %s, want not_member", code)
	}

	// With one voter away, the removal of another would leave one of two.
	away := (leader + 1) % 3
	c.stop(away)
	other := c.newMember(3 - leader - away)
	c.awaitStatus(leader, "misses the one that is away", func(s *admin.Status) bool {
		for _, m := range s.Members {
			if m.Name == fmt.Sprint("n", away) {
				return *m.SinceContactMillis > 2000
			}
		}
		return false
	})
	_, err = c.admin(leader).ChangeMembership(t.Context(), admin.Change{Kind: admin.Remove, Member: other})
	if code := problemCode(err); code != "would_lose_quorum" {
		t.Errorf("removing one of two voters that are left: %s, want would_lose_quorum", code)
	}
	for i := range 3 {
		if i != away {
			c.stop(i)
		}
	}
}

func TestSnapshotAndVerificationTellWhatIsOnTheDisk(t *testing.T) {
	c := newTrio(t)
	c.formed()
	for i := range 10 {
		c.put(i%3, fmt.Sprint("key-", i), "value")
	}
	applied := c.status(0).AppliedIndex
	snapshot, err := c.admin(0).Snapshot(t.Context())
	if err != nil || snapshot.Index < applied {
		t.Fatalf("Snapshot = %+v, %v; want one at %d or later", snapshot, err, applied)
	}
	v, err := c.admin(0).Verify(t.Context())
	if err != nil || v.FirstIndex != 1 || v.LastIndex < applied || v.Entries != v.LastIndex ||
		v.SnapshotIndex != snapshot.Index || v.SnapshotBytes == 0 || len(v.StateHashes) == 0 {
		t.Errorf("Verify = %+v, %v", v, err)
	}
	// Nothing is written, so all come to one index, and to one hash there.
	last := v.StateHashes[len(v.StateHashes)-1]
	for i := range 3 {
		c.awaitStatus(i, "has the state of node 0", func(s *admin.Status) bool {
			return s.StateHashes[len(s.StateHashes)-1] == last
		})
	}
	for i := range 3 {
		c.stop(i)
	}
}
