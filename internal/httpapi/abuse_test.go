package httpapi_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestEveryMethodOnEveryPathIsAnsweredByTheTable(t *testing.T) {
	base := newAPI(t, nil).serve()
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "BREW", "get", "M-SEARCH", strings.Repeat("X", 1000)}
	paths := map[string][]string{}
	for _, o := range allOperations() {
		at := o.aim("pay", "a")
		paths[at] = append(paths[at], o.method)
	}
	paths["/"], paths["/v1"], paths["/v1/kv"], paths["/v2/kv/pay/a"], paths["/V1/kv/pay/a"], paths["/metrics"] = nil, nil, nil, nil, nil, nil
	for path, served := range paths {
		for _, method := range methods {
			if slices.Contains(served, method) {
				continue
			}
			c := dial(t, base)
			c.say(t, method+" "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			got := c.answerTo(t, method)
			checkEveryReply(t, got)
			want, code := 405, "method_not_allowed"
			if served == nil {
				want, code = 404, "no_such_endpoint"
			}
			if method == "HEAD" {
				got.want(t, want, "")
				continue
			}
			got.wantProblem(t, want, code)
			if allow := got.header.Get("Allow"); served != nil && !sameSet(strings.Split(allow, ", "), served) {
				t.Errorf("%.20s %s: Allow is %q, and %v are served", method, path, allow, served)
			}
		}
	}
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// What TestStrangeRequests sends: a put that must not happen, heads to go before it,
// and a body in chunks.
const (
	hiddenPut = "PUT /v1/kv/pay/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
	putHead   = "PUT /v1/kv/pay/a HTTP/1.1\r\nHost: localhost\r\n"
	getHead   = "GET /v1/kv/pay/a HTTP/1.1\r\nHost: localhost\r\n"
)

func inChunks(body string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body) }

// strange is what a client sends on one connection, with the statuses of the replies
// until that is closed.
type strange struct {
	text string
	want []int
}

// strangeFrames are requests whose end isn't clear, or not the same to everybody.
var strangeFrames = map[string]strange{
	"length and chunks":            {putHead + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hiddenPut, []int{201}},
	"chunks and more":              {putHead + "Transfer-Encoding: chunked\r\n\r\n" + inChunks("v") + hiddenPut, []int{201}},
	"two lengths":                  {putHead + "Content-Length: 0\r\nContent-Length: 60\r\n\r\n" + hiddenPut, []int{400}},
	"list of lengths":              {putHead + "Content-Length: 0, 60\r\n\r\n" + hiddenPut, []int{400}},
	"negative length":              {putHead + "Content-Length: -1\r\n\r\n" + hiddenPut, []int{400}},
	"length with a sign":           {putHead + "Content-Length: +0\r\n\r\n" + hiddenPut, []int{400}},
	"hexadecimal length":           {putHead + "Content-Length: 0x1\r\n\r\n" + hiddenPut, []int{400}},
	"huge length":                  {putHead + "Content-Length: 99999999999999999999\r\n\r\n" + hiddenPut, []int{400}},
	"unknown coding":               {putHead + "Transfer-Encoding: gzip, chunked\r\n\r\n" + hiddenPut, []int{501}},
	"identity coding":              {putHead + "Transfer-Encoding: identity\r\n\r\n" + hiddenPut, []int{501}},
	"coding with a tab":            {putHead + "Transfer-Encoding:\tchunked\v\r\n\r\n" + hiddenPut, []int{400}},
	"two codings":                  {putHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + hiddenPut, []int{501}},
	"coding named with a space":    {putHead + "Transfer-Encoding : chunked\r\n\r\n" + hiddenPut, []int{400}},
	"folded header":                {putHead + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n", []int{201}},
	"header without a colon":       {putHead + "Garbage\r\n\r\n" + hiddenPut, []int{400}},
	"header with a NUL":            {putHead + "X: a\x00b\r\n\r\n" + hiddenPut, []int{400}},
	"name with a NUL":              {putHead + "X\x00: a\r\n\r\n" + hiddenPut, []int{400}},
	"bare carriage return":         {putHead + "X: a\rContent-Length: 60\r\n\r\n" + hiddenPut, []int{400}},
	"chunk that isn't hexadecimal": {putHead + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + hiddenPut, []int{400}},
	"chunk that ends early":        {putHead + "Transfer-Encoding: chunked\r\n\r\n1\r\nvv\r\n0\r\n\r\n" + hiddenPut, []int{400}},
	"endless chunk header":         {putHead + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 10<<10) + "\r\nv\r\n0\r\n\r\n" + hiddenPut, []int{400}},
	"garbage first":                {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []int{400}},
	"garbage after a request":      {getHead + "\r\n\x00\x01garbage\r\n\r\n" + hiddenPut, []int{404, 400}},
}

// strangeTargets are requests whose meaning isn't clear, or not the same to
// everybody.
var strangeTargets = map[string]strange{
	"no host":                       {"GET /v1/kv/pay/a HTTP/1.1\r\n\r\n", []int{400}},
	"two hosts":                     {"GET /v1/kv/pay/a HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", []int{400}},
	"host with a path":              {"GET /v1/kv/pay/a HTTP/1.1\r\nHost: localhost/x\r\n\r\n", []int{400}},
	"host of an absolute target":    {"GET http://evil.example/v1/kv/pay/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", []int{421}},
	"own host in the target":        {"GET http://localhost/v1/kv/pay/a HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", []int{404}},
	"asterisk":                      {"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{404}},
	"options of the server":         {"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", []int{200}},
	"target without a slash":        {"GET v1/kv/pay/a HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{400}},
	"HTTP/1.0":                      {"GET /v1/kv/pay/a HTTP/1.0\r\nHost: localhost\r\n\r\n", []int{404}},
	"HTTP/1.0 without a host":       {"GET /v1/kv/pay/a HTTP/1.0\r\n\r\n", []int{421}},
	"HTTP/0.9":                      {"GET /v1/kv/pay/a\r\n\r\n", []int{400}},
	"HTTP/2":                        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{421}},
	"HTTP/3":                        {"GET /v1/kv/pay/a HTTP/3.0\r\nHost: localhost\r\n\r\n", []int{505}},
	"expectation that isn't known":  {putHead + "Expect: miracles\r\nContent-Length: 60\r\n\r\n" + hiddenPut, []int{417}},
	"expectation that is refused":   {"PUT /v1/kv/Pay/a HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 60\r\n\r\n", []int{400}},
	"expectation of nothing":        {putHead + "Expect: 100-continue\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", []int{201}},
	"body of a read":                {getHead + "Content-Length: 75\r\n\r\n" + hiddenPut, []int{400}},
	"chunks of a read":              {getHead + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + inChunks(hiddenPut), []int{400}},
	"pipelined":                     {getHead + "\r\n" + putHead + "Content-Length: 1\r\n\r\nv" + getHead + "\r\n" + getHead + "Connection: close\r\n\r\n", []int{404, 201, 200, 200}},
	"upgrade":                       {getHead + "Connection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n", []int{404}},
	"upgrade to HTTP/2":             {getHead + "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", []int{404}},
	"more headers than fit":         {getHead + strings.Repeat("X: y\r\n", 8000) + "\r\n", []int{431}},
	"as many headers as fit":        {getHead + strings.Repeat("X: y\r\n", 300) + "Connection: close\r\n\r\n", []int{404}},
	"target that doesn't fit":       {"GET /v1/kv/pay/" + strings.Repeat("a", 64<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{431}},
	"method that doesn't fit":       {strings.Repeat("A", 64<<10) + " / HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{431}},
	"method override":               {getHead + "X-HTTP-Method-Override: DELETE\r\nConnection: close\r\n\r\n", []int{404}},
	"forwarded for another":         {getHead + "X-Forwarded-Host: evil.example\r\nX-Original-URL: /v1/settings\r\nConnection: close\r\n\r\n", []int{404}},
	"percent-encoded twice":         {"PUT /v1/kv/pay/%2561 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", []int{201}},
	"percent-encoded dots":          {"PUT /v1/kv/pay/%2e%2e/shop/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", []int{400}},
	"percent-encoded slash, dots":   {"PUT /v1/kv/pay/a%2F..%2Fb HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", []int{400}},
	"percent-encoded NUL":           {"PUT /v1/kv/pay/a%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", []int{400}},
	"percent-encoded half":          {"PUT /v1/kv/pay/a%2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", []int{400}},
	"overlong slash":                {"PUT /v1/kv/pay/a%c0%afb HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", []int{400}},
	"backslashes":                   {"PUT /v1/kv/..\\..\\a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", []int{400}},
	"namespace of another spelling": {"PUT /v1/kv/p%61y%2Fa HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", []int{201}},
	"semicolon in the query":        {"GET /v1/kv/pay/a?meta=1;wait=1s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", []int{400}},
}

// TestStrangeRequestsAreRefusedAndLeaveTheNextAlone sends, on one connection each,
// what intermediaries and servers have been known to understand differently, with a
// put behind it that must not happen.
func TestStrangeRequestsAreRefusedAndLeaveTheNextAlone(t *testing.T) {
	all := maps.Clone(strangeFrames)
	maps.Copy(all, strangeTargets)
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, nil)
			c2 := dial(t, a.serve())
			c2.say(t, c.text)
			_ = c2.Conn.(interface{ CloseWrite() error }).CloseWrite() // unless the server has closed it
			var got []int
			for {
				response, err := http.ReadResponse(c2.Reader, nil)
				if err != nil {
					break
				}
				body, _ := io.ReadAll(response.Body)
				response.Body.Close()
				got = append(got, response.StatusCode)
				if response.StatusCode >= 400 && response.Header.Get("Conclave-Revision") != "" {
					reply{response.StatusCode, response.Header, string(body)}.problem(t)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("the replies are %v, want %v", got, c.want)
			}
			if a.do(request{method: "GET", target: "/v1/kv/pay/smuggled"}).status != 404 {
				t.Error("the hidden request was carried out")
			}
		})
	}
}
