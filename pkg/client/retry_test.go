package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/pkg/client"
)

// members are the nodes of a cluster by host name, each a function. They are
// asked without a network, so that a test can own the clock.
type members map[string]func(w http.ResponseWriter, r *http.Request)

// errDown is what a member answers with that doesn't run.
var errDown = syscall.ECONNREFUSED

// RoundTrip asks a member as http.Transport does: it tells of the connection first.
// A member that is nil refuses it.
func (m members) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := httptrace.ContextClientTrace(r.Context())
	trace.GetConn(r.URL.Host)
	serve := m[r.URL.Host]
	if serve == nil {
		return nil, errDown
	}
	trace.GotConn(httptrace.GotConnInfo{})
	body, to := io.Pipe()
	w := &pipedReply{header: http.Header{}, body: to, answered: make(chan int, 1)}
	go func() {
		defer func() {
			if recover() != nil {
				_ = to.CloseWithError(io.ErrUnexpectedEOF) // it never fails
				close(w.answered)
			}
		}()
		serve(w, r)
		w.WriteHeader(http.StatusOK)
		_ = to.Close() // it never fails
	}()
	// A body that is abandoned ends, as the request's context does.
	stop := context.AfterFunc(r.Context(), func() { _ = body.CloseWithError(r.Context().Err()) })
	select {
	case status, ok := <-w.answered:
		if !ok {
			stop()
			return nil, io.ErrUnexpectedEOF
		}
		return &http.Response{StatusCode: status, Header: w.header.Clone(), Body: body, Request: r}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// pipedReply is a reply that is read while it is written.
type pipedReply struct {
	header   http.Header
	body     *io.PipeWriter
	once     sync.Once
	answered chan int
}

func (p *pipedReply) Header() http.Header { return p.header }

func (p *pipedReply) WriteHeader(status int) { p.once.Do(func() { p.answered <- status }) }

func (p *pipedReply) Write(data []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	return p.body.Write(data)
}

// client returns a client of these members, a first.
func (m members) client(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	for _, host := range []string{"a", "b", "c"} {
		if _, ok := m[host]; ok {
			o.Endpoints = append(o.Endpoints, "http://"+host)
		}
	}
	o.HTTPClient = &http.Client{Transport: m}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// written answers as a node to a write.
func written(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Conclave-Revision", "7")
	w.WriteHeader(http.StatusCreated)
}

// found answers as a node to a read.
func found(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"key":"k","text":"v"}`)
}

// leaderless refuses as a node without a leader, which asks for a pause.
func leaderless(seconds int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", fmt.Sprint(seconds))
		problem(w, 503, `"code":"no_leader","outcome":"rejected","retryable":true`)
	}
}

func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func breaks(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func unsure(w http.ResponseWriter, _ *http.Request) {
	problem(w, 504, `"code":"outcome_unknown","outcome":"unknown"`)
}

func TestAnotherMemberIsAskedWhereTheOutcomeAllows(t *testing.T) {
	for name, c := range map[string]struct {
		first func(http.ResponseWriter, *http.Request)
		// writes, named and reads tell what the second member must be asked for: a
		// write without an idempotency key, one with it, and a read.
		writes, named, reads bool
	}{
		"down":              {nil, true, true, true},
		"without a leader":  {leaderless(1), true, true, true},
		"hanging":           {hangs, false, true, true},
		"breaking off":      {breaks, false, true, true},
		"unsure":            {unsure, false, true, false},
		"a gateway between": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "bad gateway", 502) }, false, true, true},
		"refusing for good": {func(w http.ResponseWriter, _ *http.Request) {
			problem(w, 400, `"code":"malformed","outcome":"rejected"`)
		}, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				store := members{"a": c.first, "b": written}.client(t, client.Options{})
				if _, err := store.Put(ctx, "pay", "k", nil, client.PutOptions{}); (err == nil) != c.writes {
					t.Errorf("Put = %v, want an answer of the second member: %v", err, c.writes)
				}
				store = members{"a": c.first, "b": written}.client(t, client.Options{})
				if _, err := store.Put(t.Context(), "pay", "k", nil, client.PutOptions{IdempotencyKey: "one"}); (err == nil) != c.named {
					t.Errorf("Put with a key = %v, want an answer of the second member: %v", err, c.named)
				}
				store = members{"a": c.first, "b": found}.client(t, client.Options{})
				if _, err := store.Get(t.Context(), "pay", "k", client.ReadOptions{}); (err == nil) != c.reads {
					t.Errorf("Get = %v, want an answer of the second member: %v", err, c.reads)
				}
			})
		})
	}
}

func TestTheMemberThatAnsweredIsAskedFirst(t *testing.T) {
	asked := 0
	m := members{"b": found, "a": func(w http.ResponseWriter, r *http.Request) { asked++; leaderless(0)(w, r) }}
	store := m.client(t, client.Options{})
	for range 5 {
		if _, err := store.Get(t.Context(), "pay", "k", client.ReadOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 1 {
		t.Errorf("the member without an answer was asked %d times, want once", asked)
	}
}

func TestPausesGrowWithinTheirLimitAndHonourRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asks := 0
		m := members{"a": func(w http.ResponseWriter, r *http.Request) {
			asks++
			leaderless([]int{0, 0, 2, 3600, 0, 0}[asks-1])(w, r)
		}}
		var pauses []time.Duration
		var told []*client.Error
		store := m.client(t, client.Options{Attempts: 6, PauseMax: 4 * time.Second, OnRetry: func(failure *client.Error, pause time.Duration) {
			pauses, told = append(pauses, pause), append(told, failure)
		}})
		began := time.Now()
		_, err := store.Put(t.Context(), "pay", "k", nil, client.PutOptions{})
		if !errors.Is(err, client.CodeNoLeader) || asks != 6 || len(pauses) != 5 {
			t.Fatalf("Put = %v after %d attempts and %d pauses, want the refusal after 6 and 5", err, asks, len(pauses))
		}
		var sum time.Duration
		for i, least := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 2 * time.Second, 4 * time.Second, 1600 * time.Millisecond} {
			if pauses[i] < least || pauses[i] > least+least/4 {
				t.Errorf("pause %d was %v, want %v and up to a quarter more", i, pauses[i], least)
			}
			if told[i].Endpoint != "http://a" || told[i].Code != client.CodeNoLeader {
				t.Errorf("told of %+v", told[i])
			}
			sum += pauses[i]
		}
		if waited := time.Since(began); waited != sum {
			t.Errorf("waited %v, want the pauses, %v", waited, sum)
		}
	})
}

func TestAPauseComesOnlyAfterAllMembersWereAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		refuse := func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.Host)
			leaderless(1)(w, r)
		}
		var pauses []bool
		store := members{"a": refuse, "b": refuse, "c": refuse}.client(t, client.Options{Attempts: 7,
			OnRetry: func(_ *client.Error, pause time.Duration) { pauses = append(pauses, pause > 0) }})
		if _, err := store.Get(t.Context(), "pay", "k", client.ReadOptions{}); !errors.Is(err, client.CodeNoLeader) {
			t.Errorf("Get = %v", err)
		}
		if want := []string{"a", "b", "c", "a", "b", "c", "a"}; !slices.Equal(asked, want) {
			t.Errorf("asked %q, want %q", asked, want)
		}
		if want := []bool{false, false, true, false, false, true}; !slices.Equal(pauses, want) {
			t.Errorf("pauses %v, want %v", pauses, want)
		}
	})
}

func TestAPauseThatLeavesNoTimeIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began := time.Now()
		_, err := members{"a": leaderless(3)}.client(t, client.Options{}).Get(ctx, "pay", "k", client.ReadOptions{})
		if !errors.Is(err, client.CodeNoLeader) || time.Since(began) != 0 {
			t.Errorf("Get = %v after %v, want the refusal at once", err, time.Since(began))
		}
	})
}

func TestAnEndedContextEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		time.AfterFunc(time.Second, cancel)
		_, err := members{"a": leaderless(3)}.client(t, client.Options{}).Get(ctx, "pay", "k", client.ReadOptions{})
		if !errors.Is(err, client.CodeNoLeader) || time.Since(began) != time.Second {
			t.Errorf("Get = %v after %v, want the refusal after a second", err, time.Since(began))
		}
	})
}

// silent hides from a client what becomes of its connections.
type silent struct{ members }

func (s silent) RoundTrip(r *http.Request) (*http.Response, error) {
	if serve := s.members[r.URL.Host]; serve != nil {
		serve(httptest.NewRecorder(), r) // and the answer is lost
	}
	return nil, io.EOF
}

func TestATransportThatTellsNothingLeavesAWriteUnknown(t *testing.T) {
	served := 0
	m := members{"a": func(http.ResponseWriter, *http.Request) { served++ }}
	c, err := client.New(client.Options{Endpoints: []string{"http://a"}, HTTPClient: &http.Client{Transport: silent{m}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(t.Context(), "pay", "k", nil, client.PutOptions{}); !errors.Is(err, client.ErrOutcomeUnknown) || served != 1 {
		t.Errorf("Put = %v after it was served %d times, want it unknown after once", err, served)
	}
}

func TestOptionsThatMeanNothingAreRefused(t *testing.T) {
	one := []string{"http://a"}
	for _, o := range []client.Options{
		{},
		{Endpoints: slices.Repeat(one, 65)},
		{Endpoints: []string{"http://a", "b"}},
		{Endpoints: one, Attempts: -1},
		{Endpoints: one, PauseMax: -1},
		{Endpoints: one, AttemptTimeout: -1},
	} {
		if _, err := client.New(o); err == nil || !strings.HasPrefix(err.Error(), "client: ") {
			t.Errorf("New(%+v) = %v, want a refusal", o, err)
		}
	}
}

func TestAWriteThatOneNodeMayHaveAppliedStaysUnknownWhenTheOthersRefuseIt(t *testing.T) {
	for _, test := range []struct {
		name    string
		refuse  func(http.ResponseWriter)
		outcome client.Outcome
	}{
		{"no leader", func(w http.ResponseWriter) {
			problem(w, http.StatusServiceUnavailable, `"code":"no_leader","outcome":"rejected","retryable":true`)
		}, client.Unknown},
		{"over the quota", func(w http.ResponseWriter) {
			problem(w, http.StatusInsufficientStorage, `"code":"quota_exceeded","outcome":"rejected"`)
		}, client.Unknown},
		{"a condition, which the store answers for both", func(w http.ResponseWriter) {
			problem(w, http.StatusPreconditionFailed, `"code":"revision_mismatch","outcome":"rejected"`)
		}, client.Rejected},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := members{
					"a": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
					"b": func(w http.ResponseWriter, _ *http.Request) { test.refuse(w) },
				}.client(t, client.Options{Attempts: 2})
				_, err := c.Put(t.Context(), "pay", "k", nil, client.PutOptions{IdempotencyKey: "one"})
				var failure *client.Error
				if !errors.As(err, &failure) || failure.Outcome != test.outcome {
					t.Errorf("got %v, want an outcome that is %s", err, test.outcome)
				}
				if errors.Is(err, client.ErrOutcomeUnknown) != (test.outcome == client.Unknown) {
					t.Errorf("%v: errors.Is doesn't tell", err)
				}
			})
		})
	}
}
