package httpapi_test

import (
	"slices"
	"testing"
)

// form are the headers that a browser sends with a form on a page of another
// site, with one of the three content types that need no leave.
func form(contentType string) []string {
	return []string{
		"Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document",
		"Referer: http://evil.example/", "Content-Type: " + contentType,
	}
}

func TestNoPageOfAnotherOriginCanWrite(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "1")
	a.put("b", "1")
	base := a.serve()
	for _, header := range [][]string{
		form("application/x-www-form-urlencoded"), form("multipart/form-data; boundary=x"), form("text/plain"), form("application/json"),
		{"Sec-Fetch-Site: same-site"}, {"Origin: null"}, {"Origin: http://localhost:1"}, {"Origin: http://evil.example", "Host: localhost"},
	} {
		for _, method := range []string{"PUT", "DELETE"} {
			send(t, base, request{method: method, target: "/v1/kv/pay/a", header: header}).wantProblem(t, 403, "cross_origin")
		}
		send(t, base, request{method: "POST", target: "/v1/kv/pay/a", header: header, body: "a=1"}).wantProblem(t, 403, "cross_origin")
	}
	send(t, base, request{method: "GET", target: "/v1/kv/pay/a", header: form("text/plain")}).want(t, 200, "1")
	// Programs send none of these headers, a page of this origin sends the others.
	for _, header := range [][]string{nil, {"Sec-Fetch-Site: same-origin", "Origin: http://x"}, {"Sec-Fetch-Site: none"}, {"Origin: http://localhost", "Host: localhost"}} {
		send(t, base, request{method: "PUT", target: "/v1/kv/pay/b", header: header, body: "2"}).want(t, 200, "")
	}
}

func TestNoPageMayAskForMore(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "1")
	base := a.serve()
	ask := append(slices.Clone(form("text/plain")), "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: content-type")
	for _, method := range []string{"OPTIONS", "GET"} {
		got := send(t, base, request{method: method, target: "/v1/kv/pay/a", header: ask})
		got.wantHeader(t, map[string]string{"Access-Control-Allow-Origin": "", "Access-Control-Allow-Methods": "", "Access-Control-Allow-Headers": ""})
	}
}
