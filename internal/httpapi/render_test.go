package httpapi_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

// remove deletes a key past the HTTP API.
func (a *api) remove(key string) {
	a.t.Helper()
	if _, err := a.store.Delete(context.Background(), config.Delete{Namespace: "pay", Key: key}); err != nil {
		a.t.Fatal(err)
	}
}

func TestAPrefixIsRenderedInEachFormatWithItsType(t *testing.T) {
	a := newAPI(t, nil)
	a.put("api/db/url", "postgres://x")
	a.put("api/name", "it's")
	a.put("apix", "other")
	base := a.serve()
	for format, want := range map[string][2]string{
		"":             {`{"db":{"url":"postgres://x"},"name":"it's"}` + "\n", "application/json"},
		"&format=json": {`{"db":{"url":"postgres://x"},"name":"it's"}` + "\n", "application/json"},
		"&format=yaml": {"db:\n  url: \"postgres://x\"\nname: \"it's\"\n", "application/yaml"},
		"&format=env":  {"DB_URL='postgres://x'\nNAME='it'\\''s'\n", "text/plain"},
	} {
		got := send(t, base, request{method: "GET", target: "/v1/render/pay?prefix=api/" + format})
		got.want(t, 200, want[0])
		got.wantHeader(t, map[string]string{"Content-Type": want[1], "Conclave-Revision": "3", "Conclave-Consistency": "linear"})
		head := send(t, base, request{method: "HEAD", target: "/v1/render/pay?prefix=api/" + format})
		head.want(t, 200, "")
		head.wantHeader(t, map[string]string{"Etag": got.header.Get("ETag"), "Content-Length": fmt.Sprint(len(want[0]))})
	}
	for format, want := range map[string]string{"json": "{}\n", "yaml": "{}\n", "env": ""} {
		send(t, base, request{method: "GET", target: "/v1/render/none?format=" + format}).want(t, 200, want)
	}
}

func TestTheTagOfARenderedPrefixChangesExactlyWhenItsBytesDo(t *testing.T) {
	a := newAPI(t, nil)
	base := a.serve()
	tags := map[string]string{}
	look := func(query string) {
		t.Helper()
		got := send(t, base, request{method: "GET", target: "/v1/render/pay?prefix=api/" + query})
		got.want(t, 200, "-")
		tag := got.header.Get("ETag")
		for otherTag, other := range tags {
			if (otherTag == tag) != (other == got.body) {
				t.Errorf("%q has tag %s, and %q has %s", got.body, tag, other, otherTag)
			}
		}
		tags[tag] = got.body
		send(t, base, request{method: "GET", target: "/v1/render/pay?prefix=api/" + query, header: []string{"If-None-Match: " + tag}}).want(t, 304, "")
	}
	for _, change := range []func(){
		func() {}, func() { a.put("api/a", "1") }, func() { a.put("api/a", "1") }, func() { a.put("api/a", "2") }, func() { a.put("other", "1") },
		func() { a.put("api/b", "1") }, func() { a.remove("api/b") }, func() { a.put("api/a", "1") }, func() { a.remove("api/a") },
	} {
		change()
		look("")
		look("&consistency=local")
		look("&format=yaml")
		look("&format=env")
	}
	if len(tags) != 3*4-1 { // JSON and YAML of nothing are alike
		t.Errorf("%d documents: %q", len(tags), tags)
	}
}

func TestARenderedPrefixCanBeOfThePast(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "1")
	a.put("b", "1")
	a.put("a", "2")
	a.remove("b")
	base := a.serve()
	for revision, want := range map[int]string{1: `{"a":"1"}`, 2: `{"a":"1","b":"1"}`, 3: `{"a":"2","b":"1"}`, 4: `{"a":"2"}`} {
		got := send(t, base, request{method: "GET", target: fmt.Sprint("/v1/render/pay?revision=", revision)})
		got.want(t, 200, want+"\n")
		got.wantHeader(t, map[string]string{"Conclave-Revision": fmt.Sprint(revision)})
	}
}

func TestKeysThatCannotBeOneDocumentAreNamedWithoutTheirValues(t *testing.T) {
	a := newAPI(t, nil)
	a.put("leaf/a", "secret")
	a.put("leaf/a/b", "secret")
	a.put("one/a-b", "secret")
	a.put("one/a_b", "secret")
	a.put("shell/path", "secret")
	a.put("nul/a", "sec\x00ret")
	if _, err := a.store.Put(t.Context(), config.Put{Namespace: "pay", Key: "type/a", Value: []byte(`{"secret`), MediaType: "application/json"}); err != nil {
		t.Fatal(err)
	}
	base := a.serve()
	for query, keys := range map[string][]string{
		"prefix=leaf/": {`"leaf/a"`, `"leaf/a/b"`}, "prefix=leaf/&format=yaml": {`"leaf/a"`, `"leaf/a/b"`},
		"prefix=one/&format=env": {`"one/a-b"`, `"one/a_b"`}, "prefix=shell/&format=env": {`"shell/path"`}, "prefix=nul/&format=env": {`"nul/a"`},
		"prefix=type/": {`"type/a"`},
	} {
		for range 2 { // made, and kept
			got := send(t, base, request{method: "GET", target: "/v1/render/pay?" + query})
			got.wantProblem(t, 409, "render_conflict")
			for _, key := range keys {
				if detail := got.problem(t).Detail; !strings.Contains(detail, key) || strings.Contains(got.body, "secret") {
					t.Errorf("%s: detail %q, want it to name %s and no value", query, detail, key)
				}
			}
		}
	}
	a.remove("leaf/a")
	send(t, base, request{method: "GET", target: "/v1/render/pay?prefix=leaf/"}).want(t, 200, `{"a":{"b":"secret"}}`+"\n")
}

func TestAWaitingRenderIsAnsweredWhenItsBytesChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil)
		a.put("api/a", "1")
		tag := a.do(request{method: "GET", target: "/v1/render/pay?prefix=api/"}).header.Get("ETag")
		linear := a.poll("/v1/render/pay?prefix=api/&wait=60s", "If-None-Match: "+tag)
		wish := a.poll("/v1/render/pay?prefix=api/", "If-None-Match: "+tag, "Prefer: wait=60")
		past := a.poll("/v1/render/pay?prefix=api/&revision=1", "If-None-Match: "+tag, "Prefer: wait=60")
		if past.waiting() {
			t.Error("it waits for the past to change")
		}
		a.put("other", "1")
		a.put("api/a", "1") // the same bytes
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if !linear.waiting() || !wish.waiting() {
			t.Fatal("answered before the bytes changed")
		}
		a.put("api/b", "2")
		for p, applied := range map[*polling]string{linear: "", wish: "wait=60"} {
			got := <-p.answer
			got.want(t, 200, `{"a":"1","b":"2"}`+"\n")
			got.wantHeader(t, map[string]string{"Conclave-Revision": "4", "Preference-Applied": applied})
		}
		a.remove("api/b")
		got := <-a.poll("/v1/render/pay?prefix=api/&wait=60s", "If-None-Match: "+tag).answer
		got.want(t, 304, "")
		got.wantHeader(t, map[string]string{"Etag": tag, "Conclave-Revision": "5"})
	})
}

func TestAWaitingRenderIsToldThatTheKeysAreNoDocumentAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil)
		a.put("api/a", "1")
		tag := a.do(request{method: "GET", target: "/v1/render/pay?prefix=api/"}).header.Get("ETag")
		p := a.poll("/v1/render/pay?prefix=api/&wait=60s", "If-None-Match: "+tag)
		a.put("api/a/b", "1")
		got := <-p.answer
		got.wantProblem(t, 409, "render_conflict")
	})
}

// TestADocumentIsMadeOnceForAllWhoWantItOfTheSameEntries: with no turn to be had,
// a document that was made is served all the same, and no other.
func TestADocumentIsMadeOnceForAllWhoWantItOfTheSameEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) { o.MaxDocuments = 1 })
		a.put("api/a", "1")
		a.put("b", "1")
		ask := func(query string) reply { return a.do(request{method: "GET", target: "/v1/render/pay?" + query}) }
		ask("prefix=api/").want(t, 200, "{\"a\":\"1\"}\n")
		if !a.handler.OccupyDocuments(1) {
			t.Fatal("the turn was not given back")
		}
		a.put("b", "2")
		ask("prefix=api/").want(t, 200, "{\"a\":\"1\"}\n")
		began := time.Now()
		ask("prefix=api/&format=env").wantProblem(t, 503, "overloaded")
		a.put("api/a", "2")
		ask("prefix=api/").wantProblem(t, 503, "overloaded")
		if waited := time.Since(began); waited != 10*time.Second {
			t.Errorf("two requests were refused after %v, want after the time of two reads", waited)
		}
		// Many come, and the first of them leaves before its turn.
		ctx, leave := context.WithCancel(context.Background())
		var all sync.WaitGroup
		all.Go(func() {
			r := httptest.NewRequestWithContext(ctx, "GET", "/v1/render/pay?prefix=api/", nil)
			r.Host = "localhost"
			a.handler.ServeHTTP(httptest.NewRecorder(), r)
		})
		synctest.Wait()
		for range 50 {
			all.Go(func() { ask("prefix=api/").want(t, 200, "{\"a\":\"2\"}\n") })
		}
		synctest.Wait()
		leave()
		synctest.Wait()
		a.handler.LeaveDocuments(1)
		all.Wait()
		if !a.handler.OccupyDocuments(1) {
			t.Error("a turn was not given back")
		}
	})
}

func TestRenderedPrefixesInMemoryAreLimitedTogether(t *testing.T) {
	a := newAPI(t, nil)
	const most = 64 << 20
	value := strings.Repeat("v", config.MaxValueBytes)
	for i := range 40 {
		a.put(fmt.Sprintf("%d/value", i), value)
		a.do(request{method: "GET", target: fmt.Sprintf("/v1/render/pay?prefix=%d/", i)}).want(t, 200, `{"value":"`+value+"\"}\n")
		if held := a.handler.RenderedBytes(); held > most || held < config.MaxValueBytes {
			t.Fatalf("after %d documents %d bytes are held", i+1, held)
		}
	}
	if held := a.handler.RenderedBytes(); held < most/2 {
		t.Errorf("only %d bytes are kept", held)
	}
}

// renderRefusals are what a rendered prefix alone is refused for.
func renderRefusals() (list []documented) {
	add := func(status int, code string, requests ...request) {
		list = append(list, refused(status, code, requests...)...)
	}
	at := func(target string, header ...string) request {
		return request{method: "GET", target: target, header: header}
	}
	add(400, "invalid_namespace", at("/v1/render/"), at("/v1/render/pay/a"))
	add(400, "invalid_prefix", at("/v1/render/pay?prefix=/a"))
	add(400, "invalid_revision", at("/v1/render/pay?revision=10000000000000000"))
	add(400, "unsupported", at("/v1/render/pay?format=toml"), at("/v1/render/pay?format="), at("/v1/render/pay", `If-Match: "1"`))
	add(400, "malformed", at("/v1/render/pay?wait=1s"), at("/v1/render/pay?revision=0"), at("/v1/render/pay?wait=1s&revision=1", "If-None-Match: *"))
	add(409, "render_conflict", at("/v1/render/pay?prefix=a"))
	add(504, "revision_not_reached", at("/v1/render/pay?revision=2"))
	list[len(list)-1].retry = true
	return list
}
