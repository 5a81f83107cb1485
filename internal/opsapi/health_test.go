package opsapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// expectHealth asks a health endpoint and compares the whole answer.
func expectHealth(t *testing.T, handler http.Handler, path string, status int, text string) {
	t.Helper()
	response, body := ask(handler, "GET", path)
	if response.StatusCode != status || body != text {
		t.Errorf("GET %s = %d %q, want %d %q", path, response.StatusCode, body, status, text)
	}
}

func TestLivenessIsTheLoopAlone(t *testing.T) {
	node := &fakeNode{unready: "no leader", probe: func(context.Context) error { return errors.New("no quorum") }}
	handler := port(t, options(t, node))
	expectHealth(t, handler, "/livez", 200, "ok\n")

	node.dead = errors.New("the loop last turned 31 s ago")
	expectHealth(t, handler, "/livez", 503, "not alive: the loop last turned 31 s ago\n")
	if node.probes != 0 {
		t.Errorf("liveness asked the cluster %d times, want never", node.probes)
	}
}

func TestReadinessSaysWhyNotAndWhetherALeaderIsKnown(t *testing.T) {
	node := &fakeNode{unready: "awaiting its addition to the cluster"}
	handler := port(t, options(t, node))
	expectHealth(t, handler, "/readyz", 503, "not ready: awaiting its addition to the cluster\n")

	node.unready = ""
	for leader, want := range map[bool]string{false: "unknown", true: "known"} {
		node.leader = leader
		expectHealth(t, handler, "/readyz", 200, "ok\n")
		if response, _ := ask(handler, "GET", "/readyz"); response.Header.Get("Conclave-Leader") != want {
			t.Errorf("leader known %v: Conclave-Leader = %q, want %q", leader, response.Header.Get("Conclave-Leader"), want)
		}
	}
}

// TestHealthWaitsForNoStatus has a node whose loop hangs, and answers no more.
func TestHealthWaitsForNoStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &fakeNode{hung: make(chan struct{}), leader: true}
		handler := port(t, options(t, node))
		began := time.Now()
		expectHealth(t, handler, "/livez", 200, "ok\n")
		expectHealth(t, handler, "/readyz", 200, "ok\n")
		if took := time.Since(began); took != 0 {
			t.Errorf("the node's health took %v", took)
		}
	})
}

func TestQuorumIsAProbeThatGoesThrough(t *testing.T) {
	node := &fakeNode{}
	handler := port(t, options(t, node))
	expectHealth(t, handler, "/quorumz", 200, "ok\n")
	node.probe = func(context.Context) error { return errors.New("no leader is known") }
	expectHealth(t, handler, "/quorumz", 503, "no quorum: no leader is known\n")
	if node.probes != 2 {
		t.Errorf("%d probes for 2 requests, one after the other", node.probes)
	}
}

func TestAProbeWithoutAnAnswerEndsAfterTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &fakeNode{probe: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		handler := port(t, options(t, node))
		began := time.Now()
		expectHealth(t, handler, "/quorumz", 503, "no quorum: context deadline exceeded\n")
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("the probe ended after %v, want 2 s", took)
		}
	})
}

func TestAllWhoAskAtTheSameTimeShareOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan error)
		node := &fakeNode{probe: func(ctx context.Context) error {
			select {
			case err := <-answer:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		handler := port(t, options(t, node))
		first, leave := context.WithCancel(t.Context())

		var callers sync.WaitGroup
		for i := range 50 {
			request := httptest.NewRequest("GET", "/quorumz", nil)
			if i == 0 {
				request = request.WithContext(first)
			}
			callers.Go(func() {
				if response, body := send(handler, request); response.StatusCode != 200 || body != "ok\n" {
					t.Errorf("caller %d got %d %q, want 200 ok", i, response.StatusCode, body)
				}
			})
			synctest.Wait() // the first caller is the one that probes
		}
		leave() // whose going away is nobody else's affair
		synctest.Wait()
		answer <- nil
		callers.Wait()
		if node.probes != 1 {
			t.Errorf("%d probes for 50 callers at the same time, want 1", node.probes)
		}
	})
}
