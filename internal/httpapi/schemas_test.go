package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// portSchema wants an object with a port.
const portSchema = `{"type":"object","required":["port"],"properties":{"port":{"type":"integer","maximum":65535}}}`

// jsonPut is a PUT of JSON as programs send it.
func jsonPut(target, body string, header ...string) request {
	return request{method: "PUT", target: target, header: append(header, "Content-Type: application/json"), body: body}
}

// problemErrors returns the field errors of a problem.
func problemErrors(t *testing.T, r reply) (list []map[string]string) {
	t.Helper()
	var p struct{ Errors []map[string]string }
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		t.Fatal(err)
	}
	return p.Errors
}

func TestASchemaIsAttachedReadListedAndDetached(t *testing.T) {
	a := newAPI(t, nil)
	base := a.serve()
	none := send(t, base, request{method: "GET", target: "/v1/schemas/pay/db/"})
	none.wantProblem(t, 404, "schema_not_found")
	none.wantHeader(t, map[string]string{"Etag": `"0"`})
	send(t, base, request{method: "GET", target: "/v1/schemas/pay"}).want(t, 200, `{"namespace":"pay","schemas":[]}`)

	created := send(t, base, jsonPut("/v1/schemas/pay/db/", portSchema, "If-None-Match: *"))
	created.want(t, 201, "")
	created.wantHeader(t, map[string]string{"Etag": `"1"`, "Conclave-Revision": "1"})
	got := send(t, base, request{method: "GET", target: "/v1/schemas/pay/db/"})
	got.want(t, 200, portSchema)
	got.wantHeader(t, map[string]string{"Etag": `"1"`, "Content-Type": "application/schema+json"})
	send(t, base, request{method: "GET", target: "/v1/schemas/pay/db/", header: []string{`If-None-Match: "1"`}}).want(t, 304, "")

	send(t, base, jsonPut("/v1/schemas/pay/db/", "true", `If-Match: "9"`)).wantProblem(t, 412, "revision_mismatch")
	send(t, base, jsonPut("/v1/schemas/pay/db/", "true", `If-Match: "1"`)).want(t, 200, "")
	send(t, base, jsonPut("/v1/schemas/pay/", "{}")).want(t, 201, "") // the whole namespace
	send(t, base, request{method: "GET", target: "/v1/schemas/pay/"}).want(t, 200, "{}")
	send(t, base, request{method: "GET", target: "/v1/schemas/pay"}).want(t, 200, `{"namespace":"pay","schemas":[`+
		`{"prefix":"","revision":3,"time":"1970-01-01T00:00:00Z","bytes":2},{"prefix":"db/","revision":2,"time":"1970-01-01T00:00:00Z","bytes":4}]}`)

	send(t, base, request{method: "DELETE", target: "/v1/schemas/pay/db/", header: []string{`If-Match: "1"`}}).wantProblem(t, 412, "revision_mismatch")
	send(t, base, request{method: "DELETE", target: "/v1/schemas/pay/db/"}).want(t, 204, "")
	send(t, base, request{method: "DELETE", target: "/v1/schemas/pay/db/"}).wantProblem(t, 404, "schema_not_found")
	send(t, base, request{method: "GET", target: "/v1/schemas/pay/db/"}).wantProblem(t, 404, "schema_not_found")
}

func TestAValueThatDoesNotSatisfyItsSchemaIsRefusedWithPlacesAndWithoutValues(t *testing.T) {
	a := newAPI(t, nil)
	base := a.serve()
	send(t, base, jsonPut("/v1/kv/pay/db/main", `{"port":1}`)).want(t, 201, "")
	send(t, base, jsonPut("/v1/schemas/pay/db/", portSchema)).want(t, 201, "")
	patch := elsewhere(patchOf(`{"port":"secret"}`, "If-Match: *"), "/v1/kv/pay/db/main")
	dry := patch
	dry.target += "?dry-run=1"
	for name, c := range map[string]struct {
		request                         request
		pointer, schemaPointer, message string
	}{
		"type":           {jsonPut("/v1/kv/pay/db/a", `{"port":"secret"}`), "/port", "/properties/port/type", "is of type string and must be integer"},
		"range":          {jsonPut("/v1/kv/pay/db/a", `{"port":65536}`), "/port", "/properties/port/maximum", "is more than 65535"},
		"missing":        {jsonPut("/v1/kv/pay/db/a", `{"name":"secret"}`), "", "/required", `lacks "port"`},
		"other type":     {request{method: "PUT", target: "/v1/kv/pay/db/a", body: "secret"}, "", "", "its media type must be that of JSON or YAML, such as application/json or application/yaml"},
		"dry run":        {jsonPut("/v1/kv/pay/db/a?dry-run=1", `{"name":"secret"}`), "", "/required", `lacks "port"`},
		"patch":          {patch, "/port", "/properties/port/type", "is of type string and must be integer"},
		"dry patch":      {dry, "/port", "/properties/port/type", "is of type string and must be integer"},
		"with a key":     {jsonPut("/v1/kv/pay/db/a", `{"name":"secret"}`, "Idempotency-Key: x"), "", "/required", `lacks "port"`},
		"whole document": {jsonPut("/v1/kv/pay/db/a", `["secret"]`), "", "/type", "is of type array and must be object"},
	} {
		t.Run(name, func(t *testing.T) {
			got := send(t, base, c.request)
			got.wantProblem(t, 422, "schema_violation")
			want := map[string]string{"pointer": c.pointer, "schemaPointer": c.schemaPointer, "message": c.message}
			if list := problemErrors(t, got); len(list) != 1 || fmt.Sprint(list[0]) != fmt.Sprint(want) {
				t.Errorf("errors %v, want %v", list, want)
			}
			if strings.Contains(got.body, "secret") || strings.Contains(a.log.String(), "secret") {
				t.Errorf("the value is told: %s", got.body)
			}
		})
	}
	send(t, base, jsonPut("/v1/kv/pay/db/a", `{"port":443}`)).want(t, 201, "")
	send(t, base, jsonPut("/v1/kv/pay/dbx", `[]`)).want(t, 201, "") // not under the prefix
	send(t, base, request{method: "GET", target: "/v1/kv/pay/db/main"}).want(t, 200, `{"port":1}`)
}

func TestASchemaThatLiveValuesDoNotSatisfyIsNotAttached(t *testing.T) {
	a := newAPI(t, nil)
	for i := range 25 {
		a.putJSON(fmt.Sprintf("db/%02d", i), `{"name":"secret"}`)
	}
	a.putJSON("db/good", `{"port":1}`)
	base := a.serve()
	got := send(t, base, jsonPut("/v1/schemas/pay/db/", portSchema))
	got.wantProblem(t, 422, "schema_violation")
	list := problemErrors(t, got)
	if len(list) != 20 || list[0]["key"] != "db/00" || list[19]["key"] != "db/19" || list[0]["message"] != `lacks "port"` || strings.Contains(got.body, "secret") {
		t.Errorf("errors %v, want the first 20 keys and no value", list)
	}
	send(t, base, request{method: "GET", target: "/v1/schemas/pay/db/"}).wantProblem(t, 404, "schema_not_found")
}

func TestASchemaSentAgainWithItsKeyIsAttachedOnce(t *testing.T) {
	a := newAPI(t, nil)
	base := a.serve()
	attach := jsonPut("/v1/schemas/pay/db/", portSchema, "Idempotency-Key: s", "If-None-Match: *")
	first := send(t, base, attach)
	first.want(t, 201, "")
	send(t, base, request{method: "DELETE", target: "/v1/schemas/pay/db/"}).want(t, 204, "")
	a.putJSON("db/a", `[]`) // which no longer satisfies it
	sameAnswer(t, first, send(t, base, attach))
	send(t, base, request{method: "GET", target: "/v1/schemas/pay/db/"}).wantProblem(t, 404, "schema_not_found")
}

// attach puts a schema into the store past the HTTP API.
func attach(a *api) {
	if _, err := a.store.AttachSchema(context.Background(), config.AttachSchema{Namespace: "pay", Prefix: "db/", Document: []byte("{}")}); err != nil {
		a.t.Fatal(err)
	}
}

// refuseAll attaches a schema that nothing satisfies.
func refuseAll(a *api) {
	if _, err := a.store.AttachSchema(context.Background(), config.AttachSchema{Namespace: "pay", Prefix: "db/", Document: []byte("false")}); err != nil {
		a.t.Fatal(err)
	}
}

// schemaAnswers are what the endpoints of schemas alone answer.
func schemaAnswers() []documented {
	get := request{method: "GET", target: "/v1/schemas/pay/db/"}
	known := get
	known.header = []string{"If-None-Match: *"}
	put := func(body string, header ...string) request { return jsonPut("/v1/schemas/pay/db/", body, header...) }
	gone := request{method: "DELETE", target: get.target}
	at := func(method, target string, header ...string) request {
		return jsonPut(target, "{}", header...).as(method)
	}
	txn := jsonPost("/v1/txn", `{"namespace":"pay","then":[{"op":"put","key":"db/x","text":"1"}]}`)
	outcome := func(o config.Outcome) func(*fakeReplicator) { return func(f *fakeReplicator) { f.outcome = o } }
	return slices.Concat([]documented{
		{name: "list of schemas", request: request{method: "GET", target: "/v1/schemas/pay"}, status: 200, prepare: attach},
		{name: "schema", request: get, status: 200, prepare: attach},
		{name: "unchanged schema", request: known, status: 304, prepare: attach},
		{name: "attach", request: put("{}"), status: 201},
		{name: "attach another", request: put("{}"), status: 200, prepare: attach},
		{name: "detach", request: gone, status: 204, prepare: attach},
		failure("attach when there are too many", outcome(config.OutcomeTooMany), put("{}"), 507, "too_many", "rejected", false),
		failure("attach beside others", outcome(config.OutcomeSchemaRace), put("{}"), 503, "schema_race", "rejected", true),
		failure("put beside others", outcome(config.OutcomeSchemaRace), jsonPut("/v1/kv/pay/a", "{}"), 503, "schema_race", "rejected", true),
		failure("patch beside others", outcome(config.OutcomeSchemaRace), patchOf("{}", "If-Match: *"), 503, "schema_race", "rejected", true),
		failure("transaction beside others", outcome(config.OutcomeSchemaRace), txn, 503, "schema_race", "rejected", true),
		failure("rollback beside others", outcome(config.OutcomeSchemaRace), jsonPost("/v1/rollback/pay", `{"to":1}`), 503, "schema_race", "rejected", true),
		{
			name: "transaction against a schema", request: txn, status: 422, code: "schema_violation", outcome: "rejected",
			prepare: refuseAll,
		},
		{
			name: "rollback against a schema", request: jsonPost("/v1/rollback/pay", `{"to":2}`), status: 422, code: "schema_violation", outcome: "rejected",
			prepare: func(a *api) {
				a.put("db/x", "1")
				a.remove("db/x")
				refuseAll(a)
			},
		},
		{
			name: "patch against a schema", request: patchOf(`{"v":1}`, "If-Match: *"), status: 422, code: "schema_violation", outcome: "rejected",
			prepare: func(a *api) {
				schema := []byte(`{"properties":{"v":{"type":"string"}}}`)
				if _, err := a.store.AttachSchema(context.Background(), config.AttachSchema{Namespace: "pay", Document: schema}); err != nil {
					a.t.Fatal(err)
				}
			},
		},
		{
			name: "attach with all turns taken", request: put("{}"), status: 503, code: "overloaded", outcome: "rejected", retry: true,
			prepare: func(a *api) { a.handler.OccupyDocuments(2) },
		},
		{
			name: "put against a schema", request: jsonPut("/v1/kv/pay/db/x", "{}"), status: 422, code: "schema_violation", outcome: "rejected",
			prepare: refuseAll,
		},
	},
		refused(422, "schema_violation", jsonPut("/v1/schemas/pay/a", `{"properties":{"v":false}}`)),
		refused(404, "schema_not_found", get, gone),
		refused(400, "invalid_namespace", at("GET", "/v1/schemas/Pay"), at("GET", "/v1/schemas/"), at("GET", "/v1/schemas/Pay/a"), at("PUT", "/v1/schemas/Pay/a"), at("DELETE", "/v1/schemas//a")),
		refused(400, "invalid_prefix", at("GET", "/v1/schemas/pay//a"), at("PUT", "/v1/schemas/pay/a//"), at("DELETE", "/v1/schemas/pay/a/../b")),
		refused(400, "invalid_schema", put(""), put("{"), put("[]"), put(`{"type":"text"}`), put(`{"$ref":"http://evil.example/x"}`)),
		refused(400, "invalid_idempotency_key", put("{}", "Idempotency-Key: "), at("DELETE", get.target, "Idempotency-Key: ")),
		refused(400, "malformed", put("{}", `If-Match: "1"`, "If-None-Match: *"), at("GET", get.target, "If-None-Match: 1"), at("DELETE", get.target, "If-Match: 1")),
		refused(400, "unsupported", at("GET", get.target+"?revision=1"), put("{}", `If-None-Match: "1"`), at("GET", "/v1/schemas/pay", "If-None-Match: *")),
		refused(405, "method_not_allowed", at("PUT", "/v1/schemas/pay"), at("PATCH", get.target), at("POST", get.target)),
		refused(412, "revision_mismatch", put("{}", `If-Match: "9"`), at("DELETE", get.target, "If-Match: *")),
		refused(413, "too_large", put(strings.Repeat(" ", config.MaxSchemaBytes+1))),
		refused(415, "unsupported_media_type", request{method: "PUT", target: get.target, body: "{}"}),
		refused(415, "unsupported_encoding", put("{}", "Content-Encoding: gzip")),
	)
}

// as is the request with another method, and without a body where that has none.
func (q request) as(method string) request {
	if q.method = method; method == "GET" || method == "DELETE" {
		q.body, q.header = "", slices.DeleteFunc(q.header, func(line string) bool { return strings.HasPrefix(line, "Content-Type") })
	}
	return q
}
