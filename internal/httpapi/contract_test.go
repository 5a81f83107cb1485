package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/conclave-dev/conclave/internal/httpapi"
)

// contract holds what the handler does to what its document says.
type contract struct {
	document *openapi3.T
	// seen are the answers that came, as answer names them.
	mu   sync.Mutex
	seen map[string]bool
}

var shared struct {
	once     sync.Once
	contract *contract
}

// theContract is the one that all replies to send are held to.
func theContract(t testing.TB) *contract {
	t.Helper()
	shared.once.Do(func() { shared.contract = newContract(t) })
	if shared.contract == nil {
		t.Fatal("the document can't be used; the first test that needs it tells why")
	}
	return shared.contract
}

// answer names one documented way in which an operation ends. code is that of
// the problem, empty for a success.
func answer(method, path, status, code string) string {
	return strings.TrimSpace(method + " " + path + ": " + status + " " + code)
}

func newContract(t testing.TB) *contract {
	t.Helper()
	served := newAPI(t, nil).do(request{method: "GET", target: "/openapi.json"})
	document, err := openapi3.NewLoader().LoadFromData([]byte(served.body))
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !document.IsOpenAPI31OrLater() {
		t.Fatalf("the document is of OpenAPI %s", document.OpenAPI)
	}
	return &contract{document: document, seen: map[string]bool{}}
}

// check validates a reply, and the request too if it was granted.
func (c *contract) check(t testing.TB, q request, got reply) {
	t.Helper()
	where, err := url.Parse(q.target)
	if err != nil {
		t.Fatal(err)
	}
	path, names := httpapi.PathOf(where.Path)
	if prefix, has := names["prefix"]; has && prefix == "" {
		names["prefix"] = "empty" // which the library takes for missing
	}
	r, err := http.NewRequest(q.method, q.target, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	setHeader(r, q.header)
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: names, QueryParams: where.Query(), Route: c.route(path, q.method),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, RejectWhenRequestBodyNotSpecified: true, SkipSettingDefaults: true},
	}
	if got.status < 400 {
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			t.Errorf("%s %s was granted, and by the document: %v", q.method, q.target, err)
		}
	}
	code := ""
	if got.status >= 400 && q.method != http.MethodHead {
		code = got.problem(t).Code
	}
	c.mu.Lock()
	c.seen[answer(q.method, path, strconv.Itoa(got.status), code)] = true
	c.mu.Unlock()
	c.checkReply(t, input, got)
	if q.method == http.MethodHead {
		return
	}
	switch got.header.Get("Content-Type") {
	case "application/x-ndjson":
		c.checkLines(t, path, got.body)
	case "text/event-stream":
		c.checkEvents(t, got.body)
	}
}

// checkLines validates a stream, which the library can't.
func (c *contract) checkLines(t testing.TB, path, body string) {
	t.Helper()
	all := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	for i, line := range all {
		schema := "EntryLine"
		if strings.HasPrefix(path, "/v1/watch/") {
			schema = "WatchLine"
		} else if i == len(all)-1 {
			schema = "StreamEnd"
		}
		c.checkLine(t, schema, line)
	}
}

func (c *contract) checkLine(t testing.TB, schema, line string) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(line), &value); err != nil {
		t.Fatalf("%.200q: %v", line, err)
	}
	if err := c.document.Components.Schemas[schema].Value.VisitJSON(value, openapi3.EnableJSONSchema2020()); err != nil {
		t.Errorf("%.200q: %v", line, err)
	}
}

// checkEvents validates server-sent events as the lines that they would be.
func (c *contract) checkEvents(t testing.TB, body string) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(body))
	for {
		e, ok := readEvent(t, r, false)
		switch {
		case !ok:
			return
		case e.data == "":
		case e.Event == "change":
			c.checkLine(t, "WatchLine", `{"event":"change","changes":`+e.data+"}")
		default:
			c.checkLine(t, "WatchLine", fmt.Sprintf(`{"event":%q,%s`, e.Event, e.data[1:]))
		}
	}
}

// everywhere are the responses to what no operation takes.
var everywhere = map[int]string{404: "NoSuchEndpoint", 405: "MethodNotAllowed"}

// route finds the operation of a request. What no operation takes must get one
// of two responses that are documented for all paths.
func (c *contract) route(path, method string) *routers.Route {
	route := &routers.Route{Spec: c.document, Path: path, Method: method, PathItem: c.document.Paths.Value(path)}
	status := 404
	if route.PathItem != nil {
		if method != http.MethodConnect { // which the library takes for none at all
			route.Operation = route.PathItem.GetOperation(method)
		}
		status = 405
	}
	if route.Operation == nil {
		response := c.document.Components.Responses[everywhere[status]]
		hosts := c.document.Components.Responses["UnknownHost"]
		origins := c.document.Components.Responses["CrossOrigin"]
		route.PathItem = &openapi3.PathItem{}
		route.Operation = &openapi3.Operation{Responses: openapi3.NewResponses(
			openapi3.WithStatus(status, response), openapi3.WithStatus(421, hosts), openapi3.WithStatus(403, origins))}
	}
	return route
}

func (c *contract) checkReply(t testing.TB, input *openapi3filter.RequestValidationInput, got reply) {
	t.Helper()
	q, operation := input.Request, input.Route.Operation
	documented := operation.Responses.Status(got.status)
	if documented == nil {
		t.Errorf("%s %s: status %d isn't documented: %.300s", q.Method, q.URL, got.status, got.body)
		return
	}
	for name := range got.header {
		if !slices.Contains(undocumentedHeaders, name) && !hasHeader(documented.Value, name) {
			t.Errorf("%s %s, status %d: header %s isn't documented", q.Method, q.URL, got.status, name)
		}
	}
	options := *input.Options
	answered := *input
	if q.Method == http.MethodHead || got.status == http.StatusNotModified {
		// The library passes over what has no body. Its headers count too.
		options.ExcludeResponseBody = true
		answered.Request = q.Clone(context.Background())
		answered.Request.Method = http.MethodGet
		route := *input.Route
		route.Operation = &openapi3.Operation{Responses: openapi3.NewResponses(openapi3.WithStatus(200, documented))}
		answered.Route = &route
		got.status = 200
	}
	err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &answered, Status: got.status, Header: got.header, Options: &options,
		Body: io.NopCloser(strings.NewReader(got.body)),
	})
	if err != nil {
		t.Errorf("%s %s: by the document: %v", q.Method, q.URL, err)
	}
}

// hasHeader tells whether a response documents a header, in whatever case.
func hasHeader(response *openapi3.Response, name string) bool {
	for documented := range response.Headers {
		if strings.EqualFold(documented, name) {
			return true
		}
	}
	return false
}

// undocumentedHeaders belong to HTTP itself or are told once for all replies.
var undocumentedHeaders = []string{
	"Content-Type", "Content-Length", "Date", "Connection", "Transfer-Encoding",
	"X-Content-Type-Options", "Content-Security-Policy", "Cache-Control",
}

// operations calls visit with each operation of the document.
func (c *contract) operations(visit func(method, path string, item *openapi3.PathItem, operation *openapi3.Operation)) {
	for path, item := range c.document.Paths.Map() {
		for method, operation := range item.Operations() {
			visit(method, path, item, operation)
		}
	}
}

// wantAllSeen fails for each documented answer that no request got.
func (c *contract) wantAllSeen(t *testing.T) {
	t.Helper()
	c.operations(func(method, path string, _ *openapi3.PathItem, operation *openapi3.Operation) {
		for status, response := range operation.Responses.Map() {
			codes := problemCodes(response.Value)
			if len(codes) == 0 || method == http.MethodHead {
				codes = []string{""}
			}
			for _, code := range codes {
				if !c.seen[answer(method, path, status, code)] {
					t.Errorf("documented, and no test gets it: %s", answer(method, path, status, code))
				}
			}
		}
	})
}

// problemCodes returns the codes of a documented problem.
func problemCodes(response *openapi3.Response) (codes []string) {
	media := response.Content["application/problem+json"]
	if media == nil {
		return nil
	}
	schema := media.Schema.Value
	parts := append([]*openapi3.Schema{schema}, schemasOf(schema.AllOf)...)
	for _, part := range parts {
		if code := part.Properties["code"]; code != nil {
			for _, one := range code.Value.Enum {
				codes = append(codes, fmt.Sprint(one))
			}
		}
	}
	return codes
}

func schemasOf(refs openapi3.SchemaRefs) (list []*openapi3.Schema) {
	for _, one := range refs {
		list = append(list, one.Value)
	}
	return list
}

func TestTheDocumentHasTheRoutesOfTheHandlerAndNoOthers(t *testing.T) {
	c := theContract(t)
	served := map[string]httpapi.Route{}
	for _, row := range httpapi.Routes() {
		for _, method := range row.Methods {
			served[method+" "+row.Path] = row
		}
	}
	c.operations(func(method, path string, item *openapi3.PathItem, operation *openapi3.Operation) {
		name := method + " " + path
		row, ok := served[name]
		delete(served, name)
		if !ok {
			t.Errorf("%s is documented and not served", name)
			return
		}
		parameters := map[string][]string{}
		for _, p := range slices.Concat(item.Parameters, operation.Parameters) {
			if p.Value.In != "header" || slices.Contains(httpapi.Meaningful(), p.Value.Name) {
				parameters[p.Value.In] = append(parameters[p.Value.In], p.Value.Name)
			}
		}
		for in, want := range map[string][]string{"query": row.Query, "header": row.Headers} {
			if got := parameters[in]; !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
				t.Errorf("%s: the document has these %s parameters: %q; served are %q", name, in, got, want)
			}
		}
		body := operation.RequestBody
		if (body != nil) != row.HasBody || row.JSON != (body != nil && body.Value.Content["application/json"] != nil) {
			t.Errorf("%s: the document doesn't tell the body of the table's row: %+v", name, row)
		}
	})
	for name := range served {
		t.Errorf("%s is served and not documented", name)
	}
}

func TestTheDocumentHasTheProblemCodesOfTheHandlerAndNoOthers(t *testing.T) {
	documented := map[string]int{}
	note := func(status string, response *openapi3.ResponseRef) {
		for _, code := range problemCodes(response.Value) {
			if number, err := strconv.Atoi(status); err == nil {
				documented[code] = number
			}
		}
	}
	c := theContract(t)
	c.operations(func(_, _ string, _ *openapi3.PathItem, operation *openapi3.Operation) {
		for status, response := range operation.Responses.Map() {
			note(status, response)
		}
	})
	for status, name := range everywhere {
		note(strconv.Itoa(status), c.document.Components.Responses[name])
	}
	maps.DeleteFunc(documented, func(code string, status int) bool { return httpapi.IsInvalid(code) && status == 400 })
	served := httpapi.Codes()
	delete(served, "invalid") // a code each for what is invalid stands in its place
	if !maps.Equal(documented, served) {
		t.Errorf("the document has the codes\n%v\nand served are\n%v", documented, served)
	}
}
