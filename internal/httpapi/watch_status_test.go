package httpapi_test

import (
	"fmt"
	"strings"
)

// refused are requests that are refused with a status and code.
func refused(status int, code string, requests ...request) (list []documented) {
	for _, q := range requests {
		list = append(list, documented{
			name: fmt.Sprintf("%s %.60s %.60s", q.method, q.target, q.header), request: q,
			status: status, code: code, outcome: "rejected",
		})
	}
	return list
}

func watchRefusals() (list []documented) {
	add := func(status int, code string, requests ...request) {
		list = append(list, refused(status, code, requests...)...)
	}
	get := func(target string, header ...string) request {
		return request{method: "GET", target: target, header: header}
	}
	add(400, "invalid_prefix", get("/v1/watch/pay?prefix=/"))
	add(400, "invalid_namespace", get("/v1/watch/"), get("/v1/watch/pay/a"))
	add(400, "invalid_revision", get("/v1/watch/pay?from=10000000000000000"))
	add(400, "malformed", get("/v1/watch/pay?from=x"), get("/v1/watch/pay?from=-1"), get("/v1/watch/pay?initial=2"),
		get("/v1/watch/pay?from=1&initial=1"), get("/v1/watch/pay", "Last-Event-ID: x"), get("/v1/watch/pay?consistency=session"))
	add(400, "unsupported", get("/v1/watch/pay?wait=1s"), get("/v1/watch/pay", `If-None-Match: "1"`))
	return list
}

// pastSuccesses are reads of what was: a is at revision 1.
func pastSuccesses() []documented {
	get := func(target string, header ...string) request {
		return request{method: "GET", target: target, header: header}
	}
	more := func(a *api) {
		a.put("a", "2")
		a.together(map[string]string{"a": "", "b": "\xff"})
		a.put("a", "4")
	}
	return []documented{
		{name: "read of the past", request: get("/v1/kv/pay/a?revision=1"), status: 200, prepare: more},
		{name: "listing of the past", request: get("/v1/keys/pay?revision=1"), status: 200, prepare: more},
		{name: "stream of the past", request: get("/v1/keys/pay?revision=2", "Accept: application/x-ndjson"), status: 200, prepare: more},
		{name: "history", request: get("/v1/history/pay/a"), status: 200, prepare: more},
		{name: "history of bytes", request: get("/v1/history/pay/b?consistency=local"), status: 200, prepare: more},
		{name: "page of a history", request: get("/v1/history/pay/a?limit=1&cursor=3"), status: 200, prepare: more},
		{name: "diff", request: get("/v1/diff/pay?from=1"), status: 200, prepare: more},
		{name: "page of a diff", request: get("/v1/diff/pay?from=0&to=3&limit=1"), status: 200, prepare: more},
		{name: "diff with what was deleted", request: get("/v1/diff/pay?from=2&to=3"), status: 200, prepare: more},
	}
}

func pastRefusals() (list []documented) {
	get := func(targets ...string) (list []request) {
		for _, target := range targets {
			list = append(list, request{method: "GET", target: target})
		}
		return list
	}
	add := func(status int, code string, targets ...string) {
		list = append(list, refused(status, code, get(targets...)...)...)
	}
	add(400, "malformed", "/v1/kv/pay/a?revision=0", "/v1/kv/pay/a?revision=x", "/v1/keys/pay?revision=-1", "/v1/history/pay/a?limit=0", "/v1/diff/pay",
		"/v1/diff/pay?from=x", "/v1/diff/pay?from=1&to=0", "/v1/history/pay/a?consistency=session")
	add(400, "unsupported", "/v1/history/pay/a?prefix=a", "/v1/diff/pay?revision=1")
	add(400, "invalid_namespace", "/v1/history/Pay/a", "/v1/diff/Pay?from=0")
	add(400, "invalid_key", "/v1/history/pay/")
	add(400, "invalid_prefix", "/v1/diff/pay?from=0&prefix=/")
	add(400, "invalid_limit", "/v1/history/pay/a?limit=1001", "/v1/history/pay/a?limit=-1", "/v1/diff/pay?from=0&limit=1001")
	add(400, "invalid_cursor", "/v1/history/pay/a?cursor=x", "/v1/diff/pay?from=0&cursor=!", "/v1/diff/pay?from=0&cursor=eHh4", "/v1/diff/pay?from=0&cursor=MSAxIGE",
		"/v1/diff/pay?from=0&cursor="+strings.Repeat("a", 2000))
	add(400, "invalid_revision", "/v1/kv/pay/a?revision=10000000000000000", "/v1/keys/pay?revision=10000000000000000", "/v1/diff/pay?from=10000000000000000")
	add(404, "key_not_found", "/v1/history/pay/none")
	add(504, "revision_not_reached", "/v1/kv/pay/a?revision=2", "/v1/keys/pay?revision=2", "/v1/diff/pay?from=2", "/v1/diff/pay?from=0&to=2")
	for i := range list {
		list[i].retry = list[i].status == 504
	}
	for _, q := range get("/v1/kv/pay/a?revision=1", "/v1/keys/pay?revision=1", "/v1/diff/pay?from=1") {
		list = append(list, documented{name: q.target + " of what is pruned", request: q, status: 410, code: "pruned", outcome: "rejected", prepare: forget})
	}
	return list
}
