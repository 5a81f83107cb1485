package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

func TestAValueComesBackByteForByteWithItsTypeAndTag(t *testing.T) {
	base := newAPI(t, nil).serve()
	for target, value := range map[string]string{
		"/v1/kv/pay/text":         "postgres://x\n",
		"/v1/kv/pay/empty":        "",
		"/v1/kv/pay/bytes":        "\xff\x00\xfe",
		"/v1/kv/pay/big":          strings.Repeat("0123456789abcdef", config.MaxValueBytes/16),
		"/v1/kv/pay/a%20b/%C3%A9": "a name with a space and an accent",
	} {
		put := send(t, base, request{method: "PUT", target: target, body: value, header: []string{"Content-Type: text/x-test; a=b"}})
		put.want(t, 201, "")
		revision := put.header.Get("Conclave-Revision")
		put.wantHeader(t, map[string]string{"Etag": `"` + revision + `"`, "Conclave-Consistency": "linear"})

		for _, level := range []string{"", "?consistency=local", "?consistency=session&min-revision=" + revision} {
			got := send(t, base, request{method: "GET", target: target + level})
			got.want(t, 200, value)
			got.wantHeader(t, map[string]string{
				"Etag": `"` + revision + `"`, "Content-Type": "text/x-test; a=b", "Conclave-Revision": revision, "Vary": "Accept",
			})
		}
	}
}

func TestAPutWithoutATypeIsAnOctetStream(t *testing.T) {
	base := newAPI(t, nil).serve()
	send(t, base, request{method: "PUT", target: "/v1/kv/pay/a", body: "v"}).want(t, 201, "")
	send(t, base, request{method: "GET", target: "/v1/kv/pay/a"}).wantHeader(t, map[string]string{"Content-Type": "application/octet-stream"})
}

func TestAnEncodedSlashIsASlashAndPercentIsDecodedOnce(t *testing.T) {
	a := newAPI(t, nil)
	a.put("db/url", "one")
	a.put("db%2Furl", "another")
	base := a.serve()
	send(t, base, request{method: "GET", target: "/v1/kv/pay/db%2furl"}).want(t, 200, "one")
	send(t, base, request{method: "GET", target: "/v1/kv/pay%2Fdb/url"}).want(t, 200, "one")
	send(t, base, request{method: "GET", target: "/v1/kv/pay/db%252Furl"}).want(t, 200, "another")
}

func TestHeadIsGetWithoutTheBody(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "value")
	base := a.serve()
	for _, target := range []string{"/v1/kv/pay/a", "/v1/kv/pay/a?meta=1", "/v1/keys/pay", "/v1/cluster", "/v1/kv/pay/none"} {
		get, head := send(t, base, request{method: "GET", target: target}), send(t, base, request{method: "HEAD", target: target})
		head.want(t, get.status, "")
		for _, name := range []string{"Content-Length", "Content-Type", "Etag", "Conclave-Revision"} {
			if got, want := head.header.Get(name), get.header.Get(name); got != want {
				t.Errorf("%s: header %s = %q, and GET has %q", target, name, got, want)
			}
		}
	}
}

func TestOnAFullDiskKeysCanBeReadAndDeleted(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "1")
	a.fake.set(func(f *fakeReplicator) { f.full = true })
	base := a.serve()
	send(t, base, request{method: "PUT", target: "/v1/kv/pay/a", body: "2"}).wantProblem(t, 507, "disk_full")
	send(t, base, request{method: "GET", target: "/v1/kv/pay/a"}).want(t, 200, "1")
	send(t, base, request{method: "DELETE", target: "/v1/kv/pay/a"}).want(t, 204, "")
}

func TestCompareAndSetLetsOneWriterWin(t *testing.T) {
	a := newAPI(t, nil)
	first := a.put("a", "1")
	base := a.serve()
	put := func(tag, value string) reply {
		return send(t, base, request{method: "PUT", target: "/v1/kv/pay/a", body: value, header: []string{"If-Match: " + tag}})
	}
	second := put(quoted(first), "2")
	second.want(t, 200, "")
	put(quoted(first), "3").wantProblem(t, 412, "revision_mismatch")
	send(t, base, request{method: "GET", target: "/v1/kv/pay/a"}).want(t, 200, "2")
	// The tag of the envelope names the same write.
	put(strings.TrimSuffix(second.header.Get("ETag"), `"`)+`.meta"`, "4").want(t, 200, "")
	put("*", "5").want(t, 200, "")

	send(t, base, request{method: "DELETE", target: "/v1/kv/pay/a", header: []string{"If-Match: " + quoted(first)}}).
		wantProblem(t, 412, "revision_mismatch")
	send(t, base, request{method: "DELETE", target: "/v1/kv/pay/a", header: []string{"If-Match: *"}}).want(t, 204, "")
	put("*", "6").wantProblem(t, 412, "revision_mismatch")
	// An absent key has a tag like any other state.
	put(`"0"`, "7").want(t, 201, "")
	put(`"0"`, "8").wantProblem(t, 412, "revision_mismatch")
}

func TestTheEnvelopeHoldsEverythingAndHasItsOwnTag(t *testing.T) {
	a := newAPI(t, nil)
	base := a.serve()
	created := a.put("db/url", "old")
	revision := a.put("db/url", "new <&>")
	tag := strings.TrimSuffix(quoted(revision), `"`) + `.meta"`
	for _, q := range []request{
		{method: "GET", target: "/v1/kv/pay/db/url?meta=1"},
		{method: "GET", target: "/v1/kv/pay/db/url", header: []string{"Accept: text/html;q=0.1, application/vnd.conclave.entry+json;q=0.5"}},
	} {
		got := send(t, base, q)
		got.wantHeader(t, map[string]string{"Etag": tag, "Content-Type": "application/vnd.conclave.entry+json"})
		var e map[string]any
		if err := json.Unmarshal([]byte(got.body), &e); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]any{
			"namespace": "pay", "key": "db/url", "revision": float64(revision), "createRevision": float64(created),
			"version": float64(2), "type": "text/plain", "text": "new <&>", "base64": nil,
		} {
			if e[name] != want {
				t.Errorf("%s = %v, want %v", name, e[name], want)
			}
		}
	}
	send(t, base, request{method: "GET", target: "/v1/kv/pay/db/url", header: []string{"Accept: application/vnd.conclave.entry+json;q=0, */*"}}).
		want(t, 200, "new <&>")
	send(t, base, request{method: "GET", target: "/v1/kv/pay/db/url?meta=1", header: []string{"If-None-Match: " + quoted(revision)}}).want(t, 200, "-")
	send(t, base, request{method: "GET", target: "/v1/kv/pay/db/url?meta=1", header: []string{"If-None-Match: " + tag}}).want(t, 304, "")
}

func TestAnEnvelopeShowsBytesThatAreNoTextAsBase64(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "\xff\x00")
	a.put("empty", "")
	base := a.serve()
	var e struct{ Text, Base64 *string }
	if err := json.Unmarshal([]byte(send(t, base, request{method: "GET", target: "/v1/kv/pay/a?meta=1"}).body), &e); err != nil {
		t.Fatal(err)
	}
	if e.Text != nil || e.Base64 == nil || *e.Base64 != base64.StdEncoding.EncodeToString([]byte("\xff\x00")) {
		t.Errorf("text %v, base64 %v", e.Text, e.Base64)
	}
	if got := send(t, base, request{method: "GET", target: "/v1/kv/pay/empty?meta=1"}); !strings.Contains(got.body, `"text":""`) {
		t.Errorf("an empty value is shown as %s, want an empty text", got.body)
	}
}

func TestIfNoneMatchTakesListsWeakTagsAndStar(t *testing.T) {
	a := newAPI(t, nil)
	tag := quoted(a.put("a", "1"))
	base := a.serve()
	for match, status := range map[string]int{
		tag: 304, "W/" + tag: 304, `"9", ` + tag: 304, `"9" ,W/` + tag: 304, "*": 304,
		`"9"`: 200, `"9", "10"`: 200, `"other"`: 200,
	} {
		got := send(t, base, request{method: "GET", target: "/v1/kv/pay/a", header: []string{"If-None-Match: " + match}})
		got.want(t, status, map[int]string{200: "1", 304: ""}[status])
		got.wantHeader(t, map[string]string{"Etag": tag})
	}
	several := send(t, base, request{method: "GET", target: "/v1/kv/pay/a", header: []string{`If-None-Match: "9"`, "If-None-Match: " + tag}})
	several.want(t, 304, "")
}

func TestAnAbsentKeyHasOneTagUntilItIsWritten(t *testing.T) {
	a := newAPI(t, nil)
	base := a.serve()
	for range 2 {
		got := send(t, base, request{method: "GET", target: "/v1/kv/pay/none"})
		got.wantProblem(t, 404, "key_not_found")
		got.wantHeader(t, map[string]string{"Etag": `"0"`})
		a.put("other", "v")
	}
	send(t, base, request{method: "GET", target: "/v1/kv/pay/none", header: []string{`If-None-Match: "0"`}}).want(t, 304, "")
	send(t, base, request{method: "GET", target: "/v1/kv/pay/none", header: []string{"If-None-Match: *"}}).wantProblem(t, 404, "key_not_found")
}

func TestLocalReadsAreServedWithoutAQuorumAndTellTheirAge(t *testing.T) {
	clock := &manualClock{now: time.Unix(1_000_000, 0)}
	a := newAPI(t, func(s *config.StoreOptions, _ *httpapi.Options) { s.Now = clock.Now })
	a.put("a", "1")
	base := a.serve()
	local := request{method: "GET", target: "/v1/kv/pay/a?consistency=local"}
	before := send(t, base, local)
	before.want(t, 200, "1")
	before.wantHeader(t, map[string]string{"Conclave-Staleness-Ms": "unknown", "Conclave-Consistency": "local"})

	send(t, base, request{method: "GET", target: "/v1/kv/pay/a"}).wantHeader(t, map[string]string{"Conclave-Staleness-Ms": "", "Conclave-Consistency": "linear"})
	clock.advance(1500*time.Millisecond + time.Nanosecond)
	send(t, base, local).wantHeader(t, map[string]string{"Conclave-Staleness-Ms": "1501"})
	bounded := func(max string) reply {
		return send(t, base, request{method: "GET", target: "/v1/keys/pay?consistency=bounded&max-staleness=" + max})
	}
	bounded("2s").wantHeader(t, map[string]string{"Conclave-Staleness-Ms": "1501", "Conclave-Consistency": "bounded"})

	a.fake.set(func(f *fakeReplicator) {
		f.barrier, f.refusal, f.leaderless = config.ErrNoLeader, config.ErrNoLeader, true
	})
	linear := send(t, base, request{method: "GET", target: "/v1/kv/pay/a"})
	linear.wantProblem(t, 503, "no_leader")
	linear.wantHeader(t, map[string]string{"Conclave-Leader": "unknown"})
	clock.advance(time.Second)
	alone := send(t, base, local)
	alone.want(t, 200, "1")
	alone.wantHeader(t, map[string]string{"Conclave-Staleness-Ms": "2501", "Conclave-Leader": "unknown"})
	bounded("3s").want(t, 200, "-")
	bounded("2s").wantProblem(t, 503, "too_stale")
}

func TestASessionReadWaitsForItsRevision(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "1")
	base := a.serve()
	answer := make(chan reply)
	go func() {
		got, err := trySend(t.Context(), base, request{method: "GET", target: "/v1/kv/pay/a?consistency=session&min-revision=2"})
		if err != nil {
			t.Error(err)
		}
		answer <- got
	}()
	a.put("a", "2")
	got := <-answer
	got.want(t, 200, "2")
	got.wantHeader(t, map[string]string{"Conclave-Consistency": "session", "Conclave-Revision": "2"})
}

func TestADryRunTellsWhatAPutWouldDoAndDoesNothing(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "1")
	base := a.serve()
	before := a.store.Standing()
	try := func(target, body string, header ...string) reply {
		return send(t, base, request{method: "PUT", target: target + "?dry-run=1", body: body, header: header})
	}
	over := try("/v1/kv/pay/a", "2", `If-Match: "1"`)
	over.want(t, 200, "")
	over.wantHeader(t, map[string]string{"Conclave-Revision": "1", "Conclave-Dry-Run": "1", "Etag": "", "Conclave-Consistency": "linear"})
	try("/v1/kv/pay/new", "2").want(t, 201, "")
	conflict := try("/v1/kv/pay/a", "2", `If-Match: "7"`)
	conflict.wantProblem(t, 412, "revision_mismatch")
	if p := conflict.problem(t); p.CurrentETag != `"1"` {
		t.Errorf("problem %+v", p)
	}
	try("/v1/kv/pay/a", "2", "If-None-Match: *").wantProblem(t, 412, "revision_mismatch")
	try("/v1/kv/pay/a", strings.Repeat("v", config.MaxValueBytes+1)).wantProblem(t, 413, "too_large")
	try("/v1/kv/pay/a", "2", "Content-Type: text").wantProblem(t, 400, "invalid_media_type")
	if after := a.store.Standing(); after.Revision != before.Revision {
		t.Errorf("revision %d became %d", before.Revision, after.Revision)
	}
	send(t, base, request{method: "GET", target: "/v1/kv/pay/a"}).want(t, 200, "1")
	a.fake.set(func(f *fakeReplicator) {
		if f.proposals != 1 { // the put of this test
			t.Errorf("%d proposals", f.proposals)
		}
	})
}
