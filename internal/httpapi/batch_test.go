package httpapi_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

func TestABatchAnswersEachItemInItsPlaceAtOneRevision(t *testing.T) {
	a := newAPI(t, nil)
	for _, key := range []string{"db/url", "db/user", "api/url"} {
		a.put(key, "v-"+key)
	}
	got := send(t, a.serve(), jsonPost("/v1/batch", `{"items":[
		{"namespace":"pay","key":"api/url"}, {"namespace":"pay","prefix":"db/"}, {"namespace":"pay","key":"db"},
		{"namespace":"other","prefix":""}, {"prefix":"db/us","namespace":"pay"}]}`))
	entry := func(key string, revision int) string {
		return fmt.Sprintf(`{"namespace":"pay","key":%q,"revision":%d,"createRevision":%d,"version":1,"type":"text/plain","text":"v-%s"}`, key, revision, revision, key)
	}
	got.want(t, 200, `{"revision":3,"results":[{"entry":`+entry("api/url", 3)+`},{"entries":[`+entry("db/url", 1)+`,`+entry("db/user", 2)+
		`]},{"entry":null},{"entries":[]},{"entries":[`+entry("db/user", 2)+"]}]}\n")
	got.wantHeader(t, map[string]string{"Conclave-Revision": "3", "Conclave-Consistency": "linear", "Content-Type": "application/json"})
}

func TestABatchCanBeOfThePast(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "old")
	a.put("b", "old")
	a.put("a", "new")
	got := send(t, a.serve(), jsonPost("/v1/batch?revision=1", `{"items":[{"namespace":"pay","key":"a"},{"namespace":"pay","key":"b"},{"namespace":"pay","prefix":""}]}`))
	entry := `{"namespace":"pay","key":"a","revision":1,"createRevision":1,"version":1,"type":"text/plain","text":"old"}`
	got.want(t, 200, `{"revision":1,"results":[{"entry":`+entry+`},{"entry":null},{"entries":[`+entry+"]}]}\n")
	got.wantHeader(t, map[string]string{"Conclave-Revision": "1"})
}

func TestABatchIsAsFreshAsAskedFor(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "1")
	base := a.serve()
	batch := func(query string) reply {
		return send(t, base, jsonPost("/v1/batch"+query, `{"items":[{"namespace":"pay","key":"a"}]}`))
	}
	batch("?consistency=bounded&max-staleness=1h").wantHeader(t, map[string]string{"Conclave-Consistency": "bounded"})
	a.fake.set(func(f *fakeReplicator) { f.barrier = config.ErrNoLeader })
	batch("").wantProblem(t, 503, "no_leader")
	batch("?consistency=local").want(t, 200, "-")
	batch("?consistency=bounded&max-staleness=1h").want(t, 200, "-")
	batch("?consistency=session&min-revision=1").wantHeader(t, map[string]string{"Conclave-Consistency": "session"})
}

func TestABatchTakesSoManyItemsAndBytesAndNoMore(t *testing.T) {
	base := newAPI(t, nil).serve()
	items := func(n int) string {
		longest := strings.Repeat(`\u0061`, config.MaxKeyBytes) // escaped, a byte takes six
		item := fmt.Sprintf(`{"namespace":%q,"key":"%s"}`, strings.Repeat("n", 63), longest)
		return `{"items":[` + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + `]}`
	}
	const limit = 1 << 20
	full := items(256)
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"as many of the longest as may be": {full, 200, ""},
		"one more":                         {`{"items":[` + strings.Repeat(`{"namespace":"a","key":"a"},`, 256) + `{"namespace":"a","key":"a"}]}`, 400, "malformed"},
		"none":                             {`{"items":[]}`, 400, "malformed"},
		"at the limit of bytes":            {full + strings.Repeat(" ", limit-len(full)), 200, ""},
		"beyond it":                        {full + strings.Repeat(" ", limit-len(full)+1), 413, "too_large"},
	} {
		got := send(t, base, jsonPost("/v1/batch", c.body))
		if got.status != c.status {
			t.Errorf("%s: status %d, want %d: %.200s", name, got.status, c.status, got.body)
		}
		if c.code != "" {
			got.wantProblem(t, c.status, c.code)
		}
	}
}

// bigBatch asks for all of namespace pay.
var bigBatch = jsonPost("/v1/batch", `{"items":[{"namespace":"pay","prefix":""}]}`)

func TestTheReplyToABatchHasALimit(t *testing.T) {
	const limit = 16 << 20
	a := newAPI(t, nil)
	for i := range 8 {
		a.put(fmt.Sprint("big", i), strings.Repeat("v", limit/9))
	}
	for range 3 { // so that no number gets longer
		a.put("last", "")
	}
	base := a.serve()
	room := limit - len(send(t, base, bigBatch).body)
	a.put("last", strings.Repeat("v", room))
	got := send(t, base, bigBatch)
	if got.status != 200 || len(got.body) != limit || !json.Valid([]byte(got.body)) {
		t.Errorf("status %d with %d bytes, want 200 with %d", got.status, len(got.body), limit)
	}
	a.put("last", strings.Repeat("v", room+1))
	send(t, base, bigBatch).wantProblem(t, 413, "reply_too_large")
}

func TestRepliesInMemoryAreLimitedTogether(t *testing.T) {
	a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) { o.MaxReplyBytes = 16 << 20 })
	// Shown in JSON a control character takes six bytes, so two don't fit.
	a.put("big", strings.Repeat("\x01", config.MaxValueBytes))
	base := a.serve()
	connection, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprintf(connection, "POST /v1/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(bigBatch.body), bigBatch.body)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%v, %v", response, err)
	}
	// Most of the first reply waits for its reader.
	send(t, base, bigBatch).wantProblem(t, 503, "overloaded")
	connection.Close()
	for a.handler.Serving() > 0 {
		time.Sleep(time.Millisecond)
	}
	send(t, base, bigBatch).want(t, 200, "-")
}

func TestABodyOfJSONIsReadStrictly(t *testing.T) {
	base := newAPI(t, nil).serve()
	item := func(s string) string { return `{"items":[{"namespace":"pay",` + s + `}]}` }
	for body, says := range map[string]string{
		"":                                "ends before",
		"{":                               "ends before",
		"null x":                          "null stands at byte 4",
		`{"items":[]}{}`:                  "follows",
		`[]`:                              "no array can stand there",
		`{"items":7654321}`:               "no number can stand there",
		`{"items":[{"namespace":true}]}`:  "no bool can stand there",
		item(`"key":"a","colour":"red"`):  `unknown field "colour"`,
		item(`"key":"a","key":"b"`):       `"key" stands twice`,
		item(`"key":"a","KEY":"b"`):       `unknown field "KEY"`,
		item(`"key":"a","\u212aey":"b"`):  `unknown field "`, // the sign for kelvin
		item(`"Key":"a"`):                 `unknown field "Key"`,
		item(`"items":[]`):                `unknown field "items"`,
		item(`"key":"a","prefix":"b"`):    "items[0]: it must have either",
		item(`"x":1`):                     `unknown field "x"`,
		`{"items":[{"namespace":"pay"}]}`: "items[0]: it must have either",
		item("\"key\":\"\xff\""):          "not UTF-8",
		item(`"key":"\ud800"`):            `"\\ud800" at byte 36 is half`,
		item(`"key":"\uDC00\ud800"`):      "is half",
		item(`"key":"\ud800\ud800"`):      "is half",
		item(`"key":"\ud800` + "\xf0\x9f\x98\x80" + `"`):    "is half",
		item(`"key":`) + "\x00":                             "invalid character",
		strings.Repeat(`{"items":[`, 9):                     "nested more than 16",
		strings.Repeat("[", 500_000):                        "nested more than 16",
		`{"items":[` + strings.Repeat("{},", 300_000):       "an array has more than 1024 items",
		`{"items":[` + strings.Repeat("{},", 1023) + "{}]}": "there are 1024 and must be 1 to 256",
	} {
		got := send(t, base, jsonPost("/v1/batch", body))
		got.wantProblem(t, 400, "malformed")
		if p := got.problem(t); !strings.Contains(p.Detail, says) || strings.Contains(p.Detail, "7654321") || len(p.Detail) > 600 {
			t.Errorf("%.100q: detail %q, want one that says %q", body, p.Detail, says)
		}
	}
	for _, body := range []string{item(`"key":"\ud83d\ude00"`), item(`"key":"\\ud800"`), item(`"key":"😀"`), item(`"prefix":""`), " \n" + item(`"key":"a"`) + "\t"} {
		send(t, base, jsonPost("/v1/batch", body)).want(t, 200, "-")
	}
	send(t, base, request{method: "POST", target: "/v1/batch", header: []string{"Content-Type: Application/JSON; charset=utf-8"}, body: item(`"key":"a"`)}).want(t, 200, "-")
}
