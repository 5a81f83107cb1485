package httpapi_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// probe is a request at a limit and the same one beyond it.
type probe struct {
	// limit is the name in docs/api.md.
	limit    string
	at, over request
	// status and code are those of the one that is over. The other gets another
	// code, or success.
	status int
	code   string
	// says is what tells the refusal from others of the same code.
	says string
}

// n is a name of some length.
func n(length int) string { return strings.Repeat("n", length) }

// probes are those of all limits that one request can meet, for each operation that
// has them.
func probes() (list []probe) {
	add := func(limit string, status int, code, says string, make func(n int) request, most int) {
		list = append(list, probe{limit, make(most), make(most + 1), status, code, says})
	}
	for _, o := range allOperations() {
		path := func(namespace, name string) request {
			q := request{method: o.method, target: o.aim(namespace, name)}
			switch {
			case o.JSON:
				q.header, q.body = []string{"Content-Type: application/json"}, "{}"
			case o.method == "PATCH":
				q.header, q.body = []string{"Content-Type: application/merge-patch+json", `If-Match: "1"`}, "{}"
			}
			return q
		}
		with := func(header string) request {
			q := path("pay", "a")
			q.header = append(q.header, header)
			return q
		}
		asking := func(query string) request {
			q := path("pay", "a")
			q.target += "?" + query
			if strings.Contains(o.Path, "/diff/") && len(query) < 1000 {
				q.target += "&from=0"
			}
			return q
		}
		if o.method == "HEAD" {
			continue // whose reply shows no code
		}
		if strings.Contains(o.Path, "{namespace}") {
			add("name of a namespace", 400, "invalid_namespace", "", func(i int) request { return path(n(i), "a") }, 63)
		}
		for name, code := range map[string]string{"{key}": "invalid_key", "{prefix}": "invalid_prefix"} {
			if strings.Contains(o.Path, name) {
				add("key, and prefix", 400, code, "", func(i int) request { return path("pay", n(i)) }, 512)
			}
		}
		for _, parameter := range o.Query {
			switch parameter {
			case "prefix":
				add("key, and prefix", 400, "invalid_prefix", "", func(i int) request { return asking("prefix=" + n(i)) }, 512)
			case "limit":
				add("items of a page, at most", 400, "invalid_limit", "", func(i int) request { return asking(fmt.Sprint("limit=", i)) }, 1000)
				add("query", 400, "malformed", "8192", func(i int) request { return asking("limit=" + strings.Repeat("0", i-7) + "1") }, 8192)
			case "wait":
				add("wait for a change", 400, "unsupported", "", func(i int) request {
					q := asking(fmt.Sprintf("wait=%dms", i))
					q.header = []string{`If-None-Match: "none"`}
					return q
				}, 600_000)
			}
		}
		for _, name := range o.Headers {
			switch {
			case name == "Idempotency-Key":
				add("idempotency key", 400, "invalid_idempotency_key", "", func(i int) request { return with("Idempotency-Key: " + n(i)) }, 255)
			case name == "If-None-Match" && o.method == "GET":
				add("entity tags in one header", 400, "malformed", "entity tags", func(i int) request {
					return with("If-None-Match: " + strings.TrimSuffix(strings.Repeat(`"x",`, i), ","))
				}, 32)
			}
		}
		if o.JSON && !strings.Contains(o.Path, "schemas") {
			list = append(list, jsonProbes(o, path("pay", "a"))...)
		}
	}
	return append(list, bodyProbes()...)
}

// jsonProbes are those of a body that is one JSON value.
func jsonProbes(o operation, q request) []probe {
	bodied := func(body string) request {
		q.body = body
		return q
	}
	nested := func(i int) request { return bodied(strings.Repeat("[", i) + strings.Repeat("]", i)) }
	items := func(i int) request {
		return bodied("[" + strings.TrimSuffix(strings.Repeat("1,", i), ",") + "]")
	}
	limit, most := "body of settings", 4<<10
	switch o.Path {
	case "/v1/txn":
		limit, most = "body of a transaction", 8<<20
	case "/v1/batch":
		limit, most = "body of a batch", 1<<20
	case "/v1/rollback/{namespace}":
		limit, most = "body of a rollback", 16<<10
	}
	return []probe{
		{"nesting of JSON in a request", nested(16), nested(17), 400, "malformed", "nested"},
		{"items of an array in a request", items(1024), items(1025), 400, "malformed", "items"},
		{limit, bodied(strings.Repeat(" ", most)), bodied(strings.Repeat(" ", most+1)), 413, "too_large", ""},
	}
}

// bodyProbes are those of limits of one operation, in what it is sent.
func bodyProbes() (list []probe) {
	add := func(limit string, status int, code string, make func(n int) request, most int) {
		list = append(list, probe{limit, make(most), make(most + 1), status, code, ""})
	}
	add("value", 413, "too_large", func(i int) request { return request{method: "PUT", target: "/v1/kv/pay/v", body: n(i)} }, config.MaxValueBytes)
	add("value", 413, "too_large", func(i int) request { return txnPost(`"then":[{"op":"put","key":"v","text":"` + n(i) + `"}]`) }, config.MaxValueBytes)
	add("media type", 400, "invalid_media_type", func(i int) request {
		return request{method: "PUT", target: "/v1/kv/pay/v", header: []string{"Content-Type: a/" + n(i-2)}}
	}, 255)
	add("schema", 413, "too_large", func(i int) request { return jsonPut("/v1/schemas/pay/s/", "{}"+strings.Repeat(" ", i-2)) }, 256<<10)
	add("key, and prefix", 400, "invalid_key", func(i int) request {
		return jsonPost("/v1/batch", `{"items":[{"namespace":"pay","key":"`+n(i)+`"}]}`)
	}, 512)
	add("key, and prefix", 400, "invalid_prefix", func(i int) request { return jsonPost("/v1/rollback/pay", `{"to":0,"prefix":"`+n(i)+`"}`) }, 512)
	add("name of a namespace", 400, "invalid_namespace", func(i int) request {
		return jsonPost("/v1/txn", `{"namespace":"`+n(i)+`","then":[{"op":"get","key":"a"}]}`)
	}, 63)
	add("reason of a rollback", 400, "invalid_reason", func(i int) request { return jsonPost("/v1/rollback/pay", `{"to":0,"reason":"`+n(i)+`"}`) }, 1024)
	each := func(i int, one func(int) string) string {
		var all []string
		for k := range i {
			all = append(all, one(k))
		}
		return strings.Join(all, ",")
	}
	add("items of a batch", 400, "malformed", func(i int) request {
		return jsonPost("/v1/batch", `{"items":[`+each(i, func(int) string { return `{"namespace":"pay","key":"a"}` })+`]}`)
	}, 256)
	add("operations of a transaction, and conditions", 400, "invalid_transaction", func(i int) request {
		return txnPost(`"then":[` + each(i, func(k int) string { return fmt.Sprintf(`{"op":"get","key":"k%d"}`, k) }) + `]`)
	}, 128)
	add("operations of a transaction, and conditions", 400, "invalid_transaction", func(i int) request {
		return txnPost(`"if":[` + each(i, func(k int) string { return fmt.Sprintf(`{"key":"k%d","exists":false}`, k) }) + `],"then":[{"op":"get","key":"a"}]`)
	}, 128)
	return list
}

// shownElsewhere are the limits that it takes more than a request to meet, with the
// tests that do, here or in pkg/config.
var shownElsewhere = map[string]string{
	"schemas of a namespace":                             "TestLimitsOfWhatIsThereAreMetExactly",
	"answers kept for idempotency keys of a namespace":   "TestANamespaceWithTooManyKeptResultsRefusesMore",
	"keys that one revision changes":                     "TestLimitsOfWhatIsThereAreMetExactly",
	"their keys and values together":                     "TestLimitsOfWhatIsThereAreMetExactly",
	"all live keys and values, unless set otherwise":     "TestAQuotaThatIsFullIs507AndDeletesGoOn",
	"history is kept for, unless set otherwise":          "TestHistoryIsKeptForSevenDaysOrTenThousandRevisions",
	"or for so many revisions, if they are more":         "TestHistoryIsKeptForSevenDaysOrTenThousandRevisions",
	"and takes at most":                                  "TestHistoryStaysWithinItsBytesAndStopsNoWrite",
	"items of a page, unless asked for":                  "TestAllPagesOfAListingAreOfOneRevision",
	"values of a page together, beyond the first":        "TestAPageOfAHistoryIsLimitedInBytes",
	"reply that isn't a stream":                          "TestTheReplyToABatchHasALimit",
	"stream of a listing":                                "TestAStreamThatIsNotReadIsCutOffWithoutItsEnd",
	"bookmark of a watch, at the latest after":           "TestAWatchTellsHowFarItHasCome",
	"64 KiB of a watch, until its client has taken them": "TestAStuckReaderIsDroppedAndASlowOneIsNot",
	"linear, session or bounded read":                    "TestADocumentIsMadeOnceForAllWhoWantItOfTheSameEntries",
	"write, until its outcome is called unknown":         "TestEveryStatusIsAnsweredAsDocumented",
	"head of a request":                                  "TestStrangeRequestsAreRefusedAndLeaveTheNextAlone",
	"connections to a node":                              "TestConnectionsNobodyUsesMakeRoomForOthers",
	"requests that a node serves at a time":              "TestRequestsAtATimeAreLimited",
	"listings that a node streams at a time":             "TestStreamsTakeNoPlaceOfOtherRequests",
	"watches and waiting requests at a node":             "TestWatchersAreLimitedAndLeaveTheirPlaceWhenTheyGo",
	"values that a node renders or patches at a time":    "TestADocumentIsMadeOnceForAllWhoWantItOfTheSameEntries",
	"rendered prefixes that a node keeps":                "TestRenderedPrefixesInMemoryAreLimitedTogether",
	"bodies that a node takes at a time":                 "TestBodiesInMemoryAreLimitedTogether",
	"replies that a node gathers at a time":              "TestRepliesInMemoryAreLimitedTogether",
}

// testSources is the text of all tests here and in pkg/config.
func testSources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range []string{"*_test.go", "../../pkg/config/*_test.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}

func TestEveryDocumentedLimitIsShown(t *testing.T) {
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	met, rows, sources := map[string]bool{}, 0, testSources(t)
	for _, p := range probes() {
		met[p.limit] = true
	}
	_, table, _ := strings.Cut(string(page), "## Limits")
	for line := range strings.Lines(table) {
		name, _, isRow := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		if !isRow || name == "what" {
			continue
		}
		if rows++; !met[name] && shownElsewhere[name] == "" {
			t.Errorf("nobody shows the limit %q", name)
		}
	}
	for name, test := range shownElsewhere {
		if !strings.Contains(table, "| "+name+" | ") || !strings.Contains(sources, "func "+test+"(") {
			t.Errorf("the limit %q or its test %s is gone", name, test)
		}
	}
	if rows < 40 {
		t.Errorf("only %d limits are documented: is it still a table?", rows)
	}
}

func TestEveryLimitOfARequestIsMetExactly(t *testing.T) {
	a := newAPI(t, nil)
	if _, err := a.store.Put(t.Context(), config.Put{Namespace: "pay", Key: "a", Value: []byte(`{}`), MediaType: "application/json"}); err != nil {
		t.Fatal(err)
	}
	base := a.serve()
	for _, p := range probes() {
		at, over := p.at, p.over
		if strings.Contains(at.target, "/watch/") {
			at.method = "HEAD" // or it would not end
		}
		name := fmt.Sprintf("%s: %s %.40s", p.limit, over.method, over.target)
		got := send(t, base, at)
		if got.status >= 400 && got.header.Get("Content-Type") == "application/problem+json" && at.method != "HEAD" {
			if reached := got.problem(t); reached.Code == p.code && (p.says == "" || strings.Contains(reached.Detail, p.says)) {
				t.Errorf("%s: at the limit it is refused: %s", name, got.body)
			}
		}
		got = send(t, base, over)
		got.wantProblem(t, p.status, p.code)
		if problem := got.problem(t); !strings.Contains(problem.Detail, p.says) || problem.Outcome != "rejected" {
			t.Errorf("%s: %s", name, got.body)
		}
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

func TestLimitsOfWhatIsThereAreMetExactly(t *testing.T) {
	a := newAPI(t, nil)
	base := a.serve()
	for i := range 256 {
		a.do(jsonPut(fmt.Sprintf("/v1/schemas/pay/s%d/", i), "{}")).want(t, 201, "")
	}
	send(t, base, jsonPut("/v1/schemas/pay/one-more/", "{}")).wantProblem(t, 507, "too_many")
	send(t, base, jsonPut("/v1/schemas/pay/s1/", "true")).want(t, 200, "")

	back := func(prefix string, to uint64) request {
		return jsonPost("/v1/rollback/pay", fmt.Sprintf(`{"to":%d,"prefix":%q}`, to, prefix))
	}
	before := a.store.Revision()
	for i := range config.MaxRevisionChanges {
		a.put(fmt.Sprint("many/", i), "")
	}
	last := a.put("many/one-more", "")
	send(t, base, back("many/", before)).wantProblem(t, 413, "too_large")
	a.remove("many/one-more")
	send(t, base, back("many/", before)).want(t, 200, fmt.Sprintf(`{"to":%d,"revision":%d,"changed":%d}`, before, last+2, config.MaxRevisionChanges))

	var full uint64
	for i := range 5 {
		full = a.put(fmt.Sprint("big/", i), strings.Repeat("v", config.MaxRevisionBytes/5-128-len("big/0text/plain")))
	}
	for i := range 5 {
		a.put(fmt.Sprint("big/", i), "")
	}
	send(t, base, back("big/", full)).want(t, 200, "-")
	full = a.put("big/more", strings.Repeat("v", 10))
	for i := range 5 {
		a.put(fmt.Sprint("big/", i), "")
	}
	a.remove("big/more")
	send(t, base, back("big/", full)).wantProblem(t, 413, "too_large")
}

// TestHostileDocumentsAreRefused sends what makes careless readers of JSON, YAML and
// patterns use up time, stack or memory.
func TestHostileDocumentsAreRefused(t *testing.T) {
	a := newAPI(t, nil)
	a.putJSON("a", `{"x":"`+strings.Repeat("a", 50_000)+`"}`)
	base := a.serve()
	deep := strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000)
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 9), ","))
	}
	send(t, base, jsonPut("/v1/schemas/pay/", deep[450_000:550_000])).wantProblem(t, 400, "invalid_schema")
	for _, schema := range []string{
		`{"pattern":"(a{1,1000}){1,1000}"}`, `{"pattern":"(?=a)"}`, `{"pattern":"((("}`, `{"$ref":"file:///etc/passwd"}`, `{"$dynamicRef":"http://evil.example/"}`,
	} {
		send(t, base, jsonPut("/v1/schemas/pay/", schema)).wantProblem(t, 400, "invalid_schema")
	}
	// Of RE2 the time is linear: elsewhere this one takes longer than the world stands.
	send(t, base, jsonPut("/v1/schemas/pay/", `{"properties":{"x":{"pattern":"^(a+)+$"}}}`)).want(t, 201, "")
	send(t, base, patchOf(`{"y":1}`, "If-Match: *")).want(t, 200, "")
	for mediaType, body := range map[string]string{"application/json": deep, "application/yaml": bomb} {
		q := request{method: "PUT", target: "/v1/kv/pay/hostile", header: []string{"Content-Type: " + mediaType}, body: body}
		send(t, base, q).wantProblem(t, 422, "schema_violation")
	}
	send(t, base, patchOf(strings.Repeat(`{"a":`, 200_000)+"1"+strings.Repeat("}", 200_000), "If-Match: *")).wantProblem(t, 400, "invalid_merge_patch")
	send(t, base, request{method: "DELETE", target: "/v1/schemas/pay/"}).want(t, 204, "")
	if _, err := a.store.Put(t.Context(), config.Put{Namespace: "pay", Key: "hostile", Value: []byte(bomb), MediaType: "application/yaml"}); err != nil {
		t.Fatal(err)
	}
	send(t, base, request{method: "GET", target: "/v1/render/pay?prefix=" + url.QueryEscape("host")}).wantProblem(t, 409, "render_conflict")
	for _, cursor := range []string{"x", "AAAA", strings.Repeat("A", 4000), "gqFh", "!!!!", url.QueryEscape("\x00\xff")} {
		for _, target := range []string{"/v1/keys/pay?cursor=", "/v1/history/pay/a?cursor=", "/v1/diff/pay?from=0&cursor="} {
			send(t, base, request{method: "GET", target: target + cursor}).wantProblem(t, 400, "invalid_cursor")
		}
	}
}
