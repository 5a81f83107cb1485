package opsapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/opsapi"
)

// steward writes down what it is told to do.
type steward struct {
	mu    sync.Mutex
	calls []string
	// err is what it answers with; block makes it wait until ctx ends.
	err   error
	block bool
}

func (s *steward) told(ctx context.Context, what string, args ...any) error {
	s.mu.Lock()
	s.calls = append(s.calls, fmt.Sprintf(what, args...))
	block, err := s.block, s.err
	s.mu.Unlock()
	if block {
		<-ctx.Done()
		return &admin.Problem{Status: 504, Code: admin.CodeOutcomeUnknown, Title: "Unknown", Outcome: admin.OutcomeUnknown}
	}
	return err
}

func (s *steward) ChangeMembership(ctx context.Context, c admin.Change) (admin.Membership, error) {
	err := s.told(ctx, "%s %s %s %s if %d", c.Kind, c.Member.MemberID, c.Member.Name, c.Member.Address, c.IfIndex)
	return admin.Membership{Index: 17, Members: []admin.Member{{MemberID: "a", Role: "Voter"}}}, err
}

func (s *steward) TransferLeadership(ctx context.Context, target string) (admin.Transfer, error) {
	return admin.Transfer{Leader: "cfg-2"}, s.told(ctx, "transfer to %q", target)
}

func (s *steward) TakeSnapshot(ctx context.Context) (admin.Snapshot, error) {
	return admin.Snapshot{Index: 40}, s.told(ctx, "snapshot")
}

func (s *steward) Verify(ctx context.Context) (admin.Verification, error) {
	return admin.Verification{LastIndex: 40}, s.told(ctx, "verify")
}

func TestTheClientOfPackageAdminTellsTheStewardWhatToDo(t *testing.T) {
	node := &fakeNode{}
	server := httptest.NewServer(port(t, options(t, node)))
	defer server.Close()
	client := &admin.Client{BaseURL: server.URL, Token: operatorToken, HTTPClient: server.Client()}
	learner := admin.NewMember{MemberID: "00000000000000aa", Name: "cfg-3", Address: "cfg-3:8401"}
	for _, change := range []admin.Change{
		{Kind: admin.AddLearner, Member: learner, IfIndex: 12},
		{Kind: admin.Promote, Member: admin.NewMember{MemberID: learner.MemberID}},
		{Kind: admin.Remove, Member: admin.NewMember{MemberID: learner.MemberID}, IfIndex: 14},
	} {
		if m, err := client.ChangeMembership(t.Context(), change); err != nil || m.Index != 17 || len(m.Members) != 1 {
			t.Errorf("%+v = %+v, %v", change, m, err)
		}
	}
	if got, err := client.TransferLeadership(t.Context(), "cfg-2"); err != nil || got.Leader != "cfg-2" {
		t.Errorf("TransferLeadership = %+v, %v", got, err)
	}
	if got, err := client.Snapshot(t.Context()); err != nil || got.Index != 40 {
		t.Errorf("Snapshot = %+v, %v", got, err)
	}
	if got, err := client.Verify(t.Context()); err != nil || got.LastIndex != 40 {
		t.Errorf("Verify = %+v, %v", got, err)
	}
	want := `AddLearner 00000000000000aa cfg-3 cfg-3:8401 if 12
Promote 00000000000000aa   if 0
Remove 00000000000000aa   if 14
transfer to "cfg-2"
snapshot
verify`
	if got := strings.Join(node.calls, "\n"); got != want {
		t.Errorf("the steward was told\n%s\nwant\n%s", got, want)
	}
	if _, err := client.ChangeMembership(t.Context(), admin.Change{Kind: "Rename"}); err == nil {
		t.Error("the client asked for a change that there isn't")
	}
}

func TestRefusalsOfTheStewardArePassedOnAsTheyAre(t *testing.T) {
	refusal := &admin.Problem{Status: 409, Code: "not_leader", Title: "Only the leader does this", Leader: "cfg-1", LeaderID: "b"}
	node := &fakeNode{steward: steward{err: refusal}}
	response, body := post(t, options(t, node), "/admin/v1/snapshot", "")
	p := problem(t, response, body)
	if p.Status != 409 || p.Code != "not_leader" || p.Leader != "cfg-1" || p.LeaderID != "b" || p.Outcome != admin.OutcomeRejected {
		t.Errorf("problem = %+v", p)
	}
	node.err = errors.New("the disk burns")
	response, body = post(t, options(t, node), "/admin/v1/snapshot", "")
	if p := problem(t, response, body); p.Status != 500 || p.Outcome != admin.OutcomeUnknown || !strings.Contains(p.Detail, "burns") {
		t.Errorf("problem = %+v, want a failure with an unknown outcome", p)
	}
}

// post sends a JSON body with the operator's token.
func post(t *testing.T, o opsapi.Options, path, body string) (*http.Response, string) {
	t.Helper()
	request := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+operatorToken)
	request.Header.Set("Content-Type", "application/json")
	return send(port(t, o), request)
}

func TestWhereAnOperatorRunsTheClusterItAloneChangesTheMembership(t *testing.T) {
	node := &fakeNode{}
	o := options(t, node)
	ask := func(method, path, token string) admin.Problem {
		request := httptest.NewRequest(method, path, strings.NewReader("{}"))
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", "application/json")
		response, body := send(port(t, o), request)
		if response.StatusCode == 200 {
			return admin.Problem{}
		}
		return problem(t, response, body)
	}
	changes := [][2]string{{"POST", "/admin/v1/members"}, {"DELETE", "/admin/v1/members/a"}, {"POST", "/admin/v1/members/a/promote"}}
	for _, change := range changes {
		if p := ask(change[0], change[1], adminToken); p.Status != 409 || p.Code != "managed" {
			t.Errorf("%s %s by a person: %+v, want managed", change[0], change[1], p)
		}
		if p := ask(change[0], change[1], operatorToken); p.Code != "" {
			t.Errorf("%s %s by the operator: %+v", change[0], change[1], p)
		}
		if p := ask(change[0], change[1], "stranger-0123456789"); p.Code != "unauthorized" {
			t.Errorf("%s %s by a stranger: %+v", change[0], change[1], p)
		}
	}
	for _, path := range []string{"/admin/v1/transfer", "/admin/v1/snapshot", "/admin/v1/verify"} {
		if p := ask("POST", path, adminToken); p.Code != "" {
			t.Errorf("POST %s by a person: %+v", path, p)
		}
		if p := ask("POST", path, "stranger-0123456789"); p.Code != "unauthorized" {
			t.Errorf("POST %s by a stranger: %+v", path, p)
		}
	}
	o.OperatorTokenFile = ""
	for _, change := range changes {
		if p := ask(change[0], change[1], adminToken); p.Code != "" {
			t.Errorf("%s %s where no operator is: %+v", change[0], change[1], p)
		}
	}
}

func TestRequestsThatCannotBeReadReachNobody(t *testing.T) {
	for name, c := range map[string]struct {
		body, header, says string
		status             int
	}{
		"no JSON":           {"name=x", "", "is not what is expected", 400},
		"another field":     {`{"memberId2":"a"}`, "", "unknown field", 400},
		"two objects":       {`{}{}`, "", "goes on behind", 400},
		"a number":          {`{"name":7}`, "", "is not what is expected", 400},
		"a long body":       {`{"name":"` + strings.Repeat("x", 64<<10) + `"}`, "", "65536 bytes", 413},
		"a form":            {"{}", "Content-Type: text/plain", "application/json", 415},
		"If-Match unquoted": {"{}", "If-Match: 17", "in quotes", 400},
		"If-Match of zero":  {"{}", `If-Match: "0"`, "in quotes", 400},
		"If-Match of any":   {"{}", "If-Match: *", "in quotes", 400},
	} {
		node := &fakeNode{}
		request := httptest.NewRequest(http.MethodPost, "/admin/v1/members", strings.NewReader(c.body))
		request.Header.Set("Authorization", "Bearer "+operatorToken)
		request.Header.Set("Content-Type", "application/json")
		if name, value, ok := strings.Cut(c.header, ": "); ok {
			request.Header.Set(name, value)
		}
		response, body := send(port(t, options(t, node)), request)
		if p := problem(t, response, body); p.Status != c.status || !strings.Contains(p.Detail, c.says) || p.Outcome != admin.OutcomeRejected {
			t.Errorf("%s: %+v, want %d that says %q", name, p, c.status, c.says)
		}
		if len(node.calls) != 0 {
			t.Errorf("%s: the steward was told %q", name, node.calls)
		}
	}
}

func TestVerbsAreBoundedInTimeAndNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &fakeNode{steward: steward{block: true}}
		o := options(t, node)
		o.VerbTimeout = 3 * time.Second
		handler := port(t, o)
		snapshot := func() admin.Problem {
			request := httptest.NewRequest(http.MethodPost, "/admin/v1/snapshot", nil)
			request.Header.Set("Authorization", "Bearer "+operatorToken)
			response, body := send(handler, request)
			return problem(t, response, body)
		}
		var waiting sync.WaitGroup
		for range 16 {
			waiting.Go(func() {
				begun := time.Now()
				if p := snapshot(); p.Code != admin.CodeOutcomeUnknown || p.Outcome != admin.OutcomeUnknown {
					t.Errorf("problem = %+v, want an unknown outcome", p)
				}
				if took := time.Since(begun); took != o.VerbTimeout {
					t.Errorf("it took %v, want %v", took, o.VerbTimeout)
				}
			})
		}
		synctest.Wait()
		if p := snapshot(); p.Status != 503 || !p.Retryable {
			t.Errorf("the seventeenth got %+v, want a refusal", p)
		}
		waiting.Wait()
	})
}
