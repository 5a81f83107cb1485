package httpapi_test

import "fmt"

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
