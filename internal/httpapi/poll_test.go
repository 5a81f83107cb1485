package httpapi_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

// polling is a request that waits, and its answer.
type polling struct {
	answer chan reply
	began  time.Time
}

// poll begins a request and returns when it waits, or has been answered.
func (a *api) poll(target string, header ...string) *polling {
	p := &polling{answer: make(chan reply, 1), began: time.Now()}
	go func() { p.answer <- a.do(request{method: "GET", target: target, header: header}) }()
	synctest.Wait()
	return p
}

// waiting tells whether there is no answer yet.
func (p *polling) waiting() bool { return len(p.answer) == 0 }

func TestAWaitingReadIsAnsweredByTheChange(t *testing.T) {
	for name, c := range map[string]struct {
		target, tag string
		change      func(*api)
		status      int
		body, etag  string
	}{
		"written":     {"/v1/kv/pay/a?wait=60s", `"1"`, func(a *api) { a.put("a", "2") }, 200, "2", `"2"`},
		"local":       {"/v1/kv/pay/a?wait=60s&consistency=local", `"1"`, func(a *api) { a.put("a", "2") }, 200, "2", `"2"`},
		"by envelope": {"/v1/kv/pay/a?wait=60s&meta=1", `"1.meta"`, func(a *api) { a.put("a", "2") }, 200, "-", `"2.meta"`},
		"created":     {"/v1/kv/pay/new?wait=60s", `"0"`, func(a *api) { a.put("new", "n") }, 200, "n", `"2"`},
		"one of many": {"/v1/kv/pay/a?wait=60s", `"0", "1"`, func(a *api) { a.put("a", "2") }, 200, "2", `"2"`},
		"deleted": {"/v1/kv/pay/a?wait=60s", `"1"`, func(a *api) {
			if _, err := a.store.Delete(context.Background(), config.Delete{Namespace: "pay", Key: "a"}); err != nil {
				a.t.Error(err)
			}
		}, 404, "-", `"0"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAPI(t, nil)
				a.put("a", "1")
				p := a.poll(c.target, "If-None-Match: "+c.tag)
				if !p.waiting() {
					t.Fatalf("answered before the change: %+v", <-p.answer)
				}
				time.Sleep(20 * time.Second)
				c.change(a)
				got := <-p.answer
				if waited := time.Since(p.began); waited != 20*time.Second {
					t.Errorf("answered after %v, want at the change after 20s", waited)
				}
				got.want(t, c.status, c.body)
				got.wantHeader(t, map[string]string{"Etag": c.etag, "Conclave-Revision": "2"})
			})
		})
	}
}

func TestAWaitingReadIgnoresOtherKeysAndEndsUnchanged(t *testing.T) {
	for name, c := range map[string]struct {
		target  string
		header  []string
		longest time.Duration
		applied string
	}{
		"parameter":            {"/v1/kv/pay/a?wait=60s", nil, time.Minute, ""},
		"preference":           {"/v1/kv/pay/a", []string{"Prefer: respond-async, wait=60"}, time.Minute, "wait=60"},
		"preference too long":  {"/v1/kv/pay/a", []string{"Prefer: wait=86400"}, 10 * time.Minute, "wait=600"},
		"parameter goes first": {"/v1/kv/pay/a?wait=30s", []string{"Prefer: wait=60"}, 30 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAPI(t, nil)
				a.put("a", "1")
				p := a.poll(c.target, append(c.header, `If-None-Match: "1"`)...)
				a.put("b", "1")
				a.put("a/b", "1")
				got := <-p.answer
				if waited := time.Since(p.began); waited > c.longest || waited < c.longest*9/10 {
					t.Errorf("waited %v, want up to a tenth less than %v", waited, c.longest)
				}
				got.want(t, 304, "")
				got.wantHeader(t, map[string]string{"Etag": `"1"`, "Conclave-Revision": "3", "Preference-Applied": c.applied})
			})
		})
	}
}

func TestAReadThatHasSomethingNewDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil)
		a.put("a", "1")
		for _, header := range [][]string{{`If-None-Match: "9"`}, {`If-None-Match: "0"`}, {"Prefer: wait=60"}} {
			p := a.poll("/v1/kv/pay/a", append(header, "Prefer: wait=60")...)
			got := <-p.answer
			got.want(t, 200, "1")
			if waited := time.Since(p.began); waited != 0 {
				t.Errorf("%s: waited %v", header, waited)
			}
		}
	})
}

func TestAWaitingReadOfAMemberThatIsCutOffDoesNotEndAsUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil)
		a.put("a", "1")
		linear := a.poll("/v1/kv/pay/a?wait=60s", `If-None-Match: "1"`)
		local := a.poll("/v1/kv/pay/a?wait=60s&consistency=local", `If-None-Match: "1"`)
		a.fake.set(func(f *fakeReplicator) { f.barrier = config.ErrNoLeader })
		got := <-linear.answer
		got.wantProblem(t, 503, "no_leader")
		got = <-local.answer
		got.want(t, 304, "")
	})
}

func TestDrainingEndsWaitingReadsSpreadOverTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil)
		a.put("a", "1")
		var all []*polling
		for range 50 {
			all = append(all, a.poll("/v1/kv/pay/a?wait=60s", `If-None-Match: "1"`))
		}
		a.handler.Drain()
		drained := time.Now()
		time.Sleep(time.Second)
		synctest.Wait()
		still := 0
		for _, p := range all {
			if p.waiting() {
				still++
			}
		}
		if still == 0 || still == len(all) {
			t.Errorf("after one second %d of %d still wait, want some", still, len(all))
		}
		for _, p := range all {
			got := <-p.answer
			got.want(t, 304, "")
		}
		if took := time.Since(drained); took > 2*time.Second {
			t.Errorf("the last one ended after %v", took)
		}
		// The member goes on serving, and asks clients to go elsewhere.
		got := a.do(request{method: "PUT", target: "/v1/kv/pay/a", body: "2"})
		got.want(t, 200, "")
		got.wantHeader(t, map[string]string{"Connection": "close"})
	})
}

func TestMoreWaitingReadsThanAllowedAreTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, func(s *config.StoreOptions, _ *httpapi.Options) { s.MaxWatches = 2 })
		a.put("a", "1")
		first := a.poll("/v1/kv/pay/a?wait=60s", `If-None-Match: "1"`)
		second := a.poll("/v1/kv/pay/b?wait=60s", `If-None-Match: "0"`)
		got := a.do(request{method: "GET", target: "/v1/kv/pay/a?wait=60s", header: []string{`If-None-Match: "1"`}})
		got.wantProblem(t, 429, "too_many_watchers")
		got = a.do(request{method: "GET", target: "/v1/kv/pay/a"})
		got.want(t, 200, "1")
		<-first.answer
		<-second.answer
		third := a.poll("/v1/kv/pay/a?wait=60s", `If-None-Match: "1"`)
		if !third.waiting() {
			t.Error("no place was given back")
		}
		<-third.answer
	})
}

func TestWaitingReadsTakeNoPlaceAmongTheRequestsBeingServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) { o.MaxRequests = 1 })
		a.put("a", "1")
		var all []*polling
		for range 10 {
			all = append(all, a.poll("/v1/kv/pay/a?wait=60s", `If-None-Match: "1"`))
		}
		got := a.do(request{method: "GET", target: "/v1/kv/pay/a"})
		got.want(t, 200, "1")
		for _, p := range all {
			got := <-p.answer
			got.want(t, 304, "")
		}
		if n := a.handler.Serving(); n != 0 {
			t.Errorf("%d requests count as being served", n)
		}
	})
}
