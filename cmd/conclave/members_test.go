package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/conclave-dev/conclave/internal/admin"
)

// opsNode is the operations port of a node whose answers the test sets.
type opsNode struct {
	mu     sync.Mutex
	status admin.Status
	// looked, if not nil, is called for each request for the status.
	looked func()
	// answer answers everything but the status.
	answer func(n *opsNode, request string) (status int, body any)
	// heard holds the requests other than for the status, with If-Match and body.
	heard []string
}

func (n *opsNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	status, answer := http.StatusOK, any(n.status)
	switch {
	case r.Header.Get("Authorization") != "Bearer token-0123456789abcdef":
		status, answer = http.StatusUnauthorized, admin.Problem{Title: "The admin endpoints need a valid token", Code: "unauthorized"}
	case r.URL.Path != "/admin/v1/status":
		request := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/admin/v1/")
		n.heard = append(n.heard, strings.TrimSpace(request+" "+r.Header.Get("If-Match")+" "+string(body)))
		status, answer = n.answer(n, request)
	case n.looked != nil:
		n.looked()
	}
	w.Header().Set("Content-Type", "application/json")
	if status != http.StatusOK {
		w.Header().Set("Content-Type", admin.ProblemType)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// members runs one command line against operations ports.
func members(t *testing.T, nodes []*opsNode, args ...string) outcome {
	t.Helper()
	return membersUntil(t.Context(), nodes, args...)
}

// membersUntil does so until it ends or is interrupted.
func membersUntil(ctx context.Context, nodes []*opsNode, args ...string) outcome {
	var urls []string
	for _, n := range nodes {
		server := httptest.NewServer(n)
		defer server.Close()
		urls = append(urls, server.URL)
	}
	var out, err bytes.Buffer
	for i := range args {
		for k, url := range urls {
			args[i] = strings.ReplaceAll(args[i], fmt.Sprint("NODE-", k), url)
		}
	}
	p := program{name: "conclave", env: environment(strings.Join(urls, ",")), out: &out, err: &err}
	status := p.run(ctx, append([]string{"members"}, args...))
	text := out.String() + err.String()
	for k, url := range urls {
		text = strings.ReplaceAll(text, url, fmt.Sprint("NODE-", k))
	}
	return outcome{status: status, out: text}
}

// leaderStatus is the status of a leader with one voter and one learner beside it.
func leaderStatus() admin.Status {
	contact, lag := int64(12), uint64(3)
	return admin.Status{
		Name: "cfg-1", MemberID: "000000000000000b", Address: "cfg-1:8401", ClusterID: "3f0c", State: admin.StateRunning,
		Role: "Leader", Leader: "cfg-1", LeaderID: "000000000000000b", Term: 7, Ready: true, MembershipIndex: 17,
		Members: []admin.Member{
			{MemberID: "000000000000000a", Name: "cfg-0", Address: "cfg-0:8401", Role: "Voter", Progress: "replicate", LagEntries: &lag, SinceContactMillis: &contact},
			{MemberID: "000000000000000b", Name: "cfg-1", Address: "cfg-1:8401", Role: "Voter"},
			{MemberID: "000000000000000c", Name: "cfg-2", Address: "cfg-2:8401", Role: "Learner", Progress: "probe", LagEntries: &lag, SinceContactMillis: &contact, NotPromotableReason: "the member has not been heard lately"},
		},
	}
}

// followerStatus is the status of a node that follows that leader.
func followerStatus() admin.Status {
	status := leaderStatus()
	status.Name, status.MemberID, status.Role = "cfg-0", "000000000000000a", "Follower"
	return status
}

// done answers every change with a membership of two voters.
func done(*opsNode, string) (int, any) {
	return http.StatusOK, admin.Membership{Index: 18, Members: []admin.Member{{Role: "Voter"}, {Role: "Voter"}}}
}

func TestMembersListShowsWhatTheLeaderKnows(t *testing.T) {
	got := members(t, []*opsNode{{status: followerStatus()}, {status: leaderStatus()}}, "list")
	for _, line := range []string{
		"Cluster: 3f0c", "Leader: cfg-1, term 7", "Answered by: cfg-1 (member 000000000000000b at cfg-1:8401), Running",
		"NAME ID ROLE ADDRESS PROGRESS LAG HEARD FROM",
		"cfg-0 000000000000000a Voter cfg-0:8401 replicate 3 12 ms ago",
		"cfg-1 000000000000000b Voter, leader cfg-1:8401 - - -",
		"cfg-2 000000000000000c Learner cfg-2:8401 probe, can't vote yet: the member has not been heard lately 3 12 ms ago",
	} {
		if !strings.Contains(oneSpace(got.out), line+"\n") {
			t.Errorf("there is no line %q in\n%s", line, got.out)
		}
	}
	if got.status != exitOK {
		t.Errorf("status %d, want %d", got.status, exitOK)
	}
}

// oneSpace makes every run of spaces one.
func oneSpace(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		lines = append(lines, strings.Join(strings.Fields(line), " ")+"\n")
	}
	return strings.Join(lines, "")
}

func TestChangesGoToTheLeaderForTheMembershipThatItHas(t *testing.T) {
	for args, c := range map[string]struct{ heard, says string }{
		"add 00000000000000dd cfg-3 cfg-3:8401": {`POST members "17" {"memberID":"00000000000000dd","name":"cfg-3","address":"cfg-3:8401"}`,
			"added cfg-3 (00000000000000dd) as a learner; the cluster has 2 voters and 0 learners\n"},
		"promote cfg-0":                 {`POST members/000000000000000a/promote "17"`, "cfg-0 votes; the cluster has 2 voters and 0 learners\n"},
		"remove cfg-2 --yes":            {`DELETE members/000000000000000c "17"`, "removed cfg-2; the cluster has 2 voters and 0 learners\n"},
		"remove 000000000000000a --yes": {`DELETE members/000000000000000a "17"`, "removed 000000000000000a; the cluster has 2 voters and 0 learners\n"},
	} {
		leader := &opsNode{status: leaderStatus(), answer: done}
		got := members(t, []*opsNode{{status: followerStatus()}, leader}, strings.Fields(args)...)
		if got.status != exitOK || got.out != c.says || strings.Join(leader.heard, "\n") != c.heard {
			t.Errorf("%s: %+v, the leader heard %q, want %q", args, got, leader.heard, c.heard)
		}
	}
}

func TestAddWithPromoteWaitsUntilTheLearnerMayVote(t *testing.T) {
	waiting := &opsNode{status: admin.Status{State: admin.StateAwaitingAdd, Name: "cfg-3", MemberID: "00000000000000dd", Address: "cfg-3:8401"}}
	leader := &opsNode{status: leaderStatus()}
	looks := 0
	leader.answer = func(n *opsNode, request string) (int, any) {
		switch looks++; {
		case request == "POST members":
			n.status.MembershipIndex = 18
			n.status.Members = append(n.status.Members, admin.Member{MemberID: "00000000000000dd", Name: "cfg-3", Role: "Learner", Promotable: true})
		case looks == 2:
			return http.StatusConflict, admin.Problem{Code: "not_caught_up", Retryable: true}
		case looks == 3:
			n.status.MembershipIndex = 19
			return http.StatusPreconditionFailed, admin.Problem{Code: admin.CodeMembershipChanged}
		}
		return done(n, request)
	}
	got := members(t, []*opsNode{leader, waiting}, "add", "--node", "NODE-1", "--promote")
	want := `POST members "17" {"memberID":"00000000000000dd","name":"cfg-3","address":"cfg-3:8401"}
POST members/00000000000000dd/promote "18"
POST members/00000000000000dd/promote "18"
POST members/00000000000000dd/promote "19"`
	if heard := strings.Join(leader.heard, "\n"); got.status != exitOK || heard != want {
		t.Errorf("%+v, the leader heard\n%s\nwant\n%s", got, heard, want)
	}
}

func TestTransferNamesTheNewLeader(t *testing.T) {
	leader := &opsNode{status: leaderStatus(), answer: func(*opsNode, string) (int, any) {
		return http.StatusOK, admin.Transfer{Leader: "cfg-0"}
	}}
	got := members(t, []*opsNode{leader}, "transfer", "cfg-0")
	if want := (outcome{status: 0, out: "cfg-1 made way; the leader is cfg-0\n"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if heard := strings.Join(leader.heard, "\n"); heard != `POST transfer  {"target":"000000000000000a"}` {
		t.Errorf("the leader heard %q", heard)
	}
}

// verifying answers a verification with one hash.
func verifying(index uint64, hash string) func(*opsNode, string) (int, any) {
	return func(*opsNode, string) (int, any) {
		return http.StatusOK, admin.Verification{FirstIndex: 1, LastIndex: 40, LogBytes: 9000,
			StateHashes: []admin.StateHash{{Index: index, Hash: hash}}}
	}
}

func TestVerifyComparesTheStatesOfAllNodes(t *testing.T) {
	late := &opsNode{status: admin.Status{StateHashes: []admin.StateHash{{Index: 40, Hash: "aa"}}}, answer: verifying(39, "99")}
	got := members(t, []*opsNode{{answer: verifying(40, "aa")}, late}, "verify")
	if got.status != exitOK || !strings.Contains(got.out, "State: the same, compared on 2 nodes up to index 40") ||
		!strings.Contains(got.out, "NODE-1   1 to 40   9000") {
		t.Errorf("equal states: %+v", got)
	}
	got = members(t, []*opsNode{{answer: verifying(40, "aa")}, {answer: verifying(40, "bb")}}, "verify")
	if got.status != exitDamaged || !strings.Contains(got.out, "State: DIFFERENT at 40") {
		t.Errorf("different states: %+v", got)
	}
	got = members(t, []*opsNode{{answer: func(*opsNode, string) (int, any) {
		return http.StatusConflict, admin.Problem{Code: "damaged", Title: "The data is damaged"}
	}}}, "verify")
	if got.status != exitDamaged || !strings.Contains(got.out, "FAILED") || !strings.Contains(got.out, "The data is damaged") {
		t.Errorf("damage: %+v", got)
	}
}

func TestErrorsAboutMembersSayWhatToDoNext(t *testing.T) {
	refuse := func(status int, p admin.Problem) func(*opsNode, string) (int, any) {
		return func(*opsNode, string) (int, any) { return status, p }
	}
	for name, c := range map[string]struct {
		status admin.Status
		answer func(*opsNode, string) (int, any)
		args   string
		exit   int
		says   string
	}{
		"another leads":     {followerStatus(), done, "promote cfg-2", 1, "Name the operations port of cfg-1 too"},
		"no such member":    {leaderStatus(), done, "remove cfg-9 --yes", 3, "conclave members list"},
		"no promotion yet":  {leaderStatus(), done, "promote cfg-2", 1, "cfg-2 can't vote yet: the member has not been heard lately"},
		"two of one name":   {twoOfOneName(), done, "remove cfg-0 --yes", 1, "2 members are named \"cfg-0\": give the ID of the one that is meant, 000000000000000a or 000000000000000d"},
		"not confirmed":     {leaderStatus(), done, "remove cfg-2", 2, "repeat with --yes"},
		"managed":           {leaderStatus(), refuse(409, admin.Problem{Code: "managed", Title: "An operator runs this cluster"}), "remove cfg-2 --yes", 1, "An operator runs this cluster"},
		"unknown":           {leaderStatus(), refuse(504, admin.Problem{Code: "outcome_unknown", Outcome: "unknown"}), "remove cfg-2 --yes", 5, "Look before you try again"},
		"not waiting":       {leaderStatus(), done, "add --node NODE-0", 1, "does not wait to be added: its state is Running"},
		"wrong token":       {leaderStatus(), done, "list --token wrong-0123456789", 1, "Give another with --token-file"},
		"no token":          {leaderStatus(), done, "list --token-file /dev/null", 2, "holds no token"},
		"bad output":        {leaderStatus(), done, "list -o xml", 2, "want text, json or yaml"},
		"bad ops":           {leaderStatus(), done, "list --ops localhost", 2, "scheme, host and port"},
		"bad timeout":       {leaderStatus(), done, "list --timeout -1s", 2, "want a time to wait"},
		"nobody there":      {leaderStatus(), done, "list --ops http://127.0.0.1:1", 1, "Name others with --ops"},
		"too few arguments": {leaderStatus(), done, "add cfg-3", 2, "accepts 3 arg(s)"},
	} {
		t.Run(name, func(t *testing.T) {
			node := &opsNode{status: c.status, answer: c.answer}
			got := members(t, []*opsNode{node}, strings.Fields(c.args)...)
			if got.status != c.exit || !strings.Contains(got.out, c.says) {
				t.Errorf("got %+v, want status %d and %q", got, c.exit, c.says)
			}
		})
	}
}

func TestWhoeverStopsWaitingForALeaderIsToldWhatItTakes(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	looks := 0
	alone := &opsNode{looked: func() {
		if looks++; looks == 3 {
			interrupt()
		}
	}}
	got := membersUntil(ctx, []*opsNode{alone}, "transfer", "--timeout", "10m")
	if got.status != exitFailure || !strings.Contains(got.out, "no leader is known") || !strings.Contains(got.out, "A majority of the voters must run") {
		t.Errorf("got %+v, want that no leader is known, and what it takes", got)
	}
}

func TestALostAnswerToAChangeIsAnUnknownOutcome(t *testing.T) {
	leader := &opsNode{status: leaderStatus(), answer: func(*opsNode, string) (int, any) { panic(http.ErrAbortHandler) }}
	if got := members(t, []*opsNode{leader}, "remove", "cfg-2", "--yes"); got.status != exitUnknown {
		t.Errorf("got %+v, want status %d", got, exitUnknown)
	}
}

func TestTheTokenComesFromTheFileThatIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("\ntoken-0123456789abcdef\nanother\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := members(t, []*opsNode{{status: leaderStatus()}}, "list", "--token-file", file, "-o", "json")
	var status admin.Status
	if err := json.Unmarshal([]byte(got.out), &status); err != nil || got.status != exitOK || status.MembershipIndex != 17 {
		t.Errorf("got %+v (%v)", got, err)
	}
}

// twoOfOneName is the status of a leader while one node replaces another.
func twoOfOneName() admin.Status {
	status := leaderStatus()
	status.Members = append(status.Members, admin.Member{MemberID: "000000000000000d", Name: "cfg-0", Address: "cfg-0:8401", Role: "Learner"})
	return status
}

func TestAMemberThatTookTheNameOfAnotherIsNotRemovedInItsPlace(t *testing.T) {
	leader := &opsNode{status: leaderStatus()}
	leader.answer = func(n *opsNode, _ string) (int, any) {
		n.status.MembershipIndex, n.status.Members[0].MemberID = 20, "00000000000000dd"
		return http.StatusPreconditionFailed, admin.Problem{Code: admin.CodeMembershipChanged}
	}
	got := members(t, []*opsNode{leader}, "remove", "cfg-0", "--yes")
	if want := `DELETE members/000000000000000a "17"`; got.status != exitNotFound || strings.Join(leader.heard, "\n") != want {
		t.Errorf("%+v, the leader heard %q, want %q", got, leader.heard, want)
	}
}

func TestANodeThatIsSilentKeepsNobodyFromTheLeader(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it accepts and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	leader := &opsNode{status: leaderStatus(), answer: done}
	for _, command := range []string{"list", "remove cfg-0 --yes"} {
		args := strings.Fields(command + " --timeout 30s --ops http://" + silent.Addr().String() + ",NODE-0")
		if got := members(t, []*opsNode{leader}, args...); got.status != exitOK {
			t.Errorf("%s: %+v", command, got)
		}
	}
}
