package node

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// writers write through nodes 1 and 2, without any condition, until wanted writes
// are acknowledged.
type writers struct {
	c      *trio
	wanted int64
	// begun counts requests; acknowledged, refused and unknown what became of them.
	begun, acknowledged, refused, unknown atomic.Int64
}

// run writes until enough is acknowledged. A write that is refused is made anew.
func (w *writers) run(writer int) {
	for w.acknowledged.Load() < w.wanted && !w.c.t.Failed() {
		n := w.begun.Add(1)
		url := fmt.Sprintf("http://%s/v1/kv/once/writer-%d", w.c.at(1+writer%2, 0), writer)
		request, err := http.NewRequestWithContext(w.c.t.Context(), http.MethodPut, url, strings.NewReader(fmt.Sprint("value ", n)))
		if err != nil {
			w.c.t.Error(err)
			return
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			w.c.t.Errorf("PUT %s: %v", url, err)
			return
		}
		_ = response.Body.Close()
		switch response.StatusCode {
		case http.StatusCreated, http.StatusOK:
			w.acknowledged.Add(1)
		case http.StatusServiceUnavailable:
			w.refused.Add(1)
		case http.StatusGatewayTimeout:
			w.unknown.Add(1)
		default:
			w.c.t.Errorf("PUT %s: %s", url, response.Status)
		}
	}
}

// TestForwardedWritesAreCarriedOutOnceWhileLeadersComeAndGo hands leadership around
// and stops a leader again and again. Each write that is carried out takes one
// revision, so the last one counts them.
func TestForwardedWritesAreCarriedOutOnceWhileLeadersComeAndGo(t *testing.T) {
	c := newTrio(t)
	c.formed()
	w := &writers{c: c, wanted: 2000}
	if testing.Short() {
		w.wanted = 500
	}
	var group sync.WaitGroup
	for writer := range 8 {
		group.Go(func() { w.run(writer) })
	}
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	moved, stopped := 0, 0
	for round := 0; ; round++ {
		select {
		case <-done:
		default:
			next := fmt.Sprintf("n%d", round%3)
			if _, err := c.admin(c.leader()).TransferLeadership(t.Context(), next); err == nil {
				moved++
			}
			if round%9 == 3 {
				c.stop(0)
				stopped++
				c.start(0)
				c.await(0, 2, "/readyz", http.StatusOK, "")
			}
			continue
		}
		break
	}
	http.DefaultClient.CloseIdleConnections()
	response, err := http.Get("http://" + c.at(1, 0) + "/v1/kv/once/writer-0")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	revision, err := strconv.ParseInt(response.Header.Get("Conclave-Revision"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	acknowledged, unknown := w.acknowledged.Load(), w.unknown.Load()
	if revision < acknowledged || revision > acknowledged+unknown {
		t.Errorf("%d writes are acknowledged, %d of unknown outcome, and %d were carried out", acknowledged, unknown, revision)
	}
	if moved == 0 || stopped == 0 {
		t.Errorf("leadership moved %d times and a node was stopped %d times while there were writes", moved, stopped)
	}
	t.Logf("%d acknowledged, %d refused, %d unknown, %d carried out; %d transfers, %d stops",
		acknowledged, w.refused.Load(), unknown, revision, moved, stopped)
	for i := range 3 {
		c.stop(i)
	}
}
