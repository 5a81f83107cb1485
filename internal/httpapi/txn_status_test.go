package httpapi_test

import (
	"strings"

	"github.com/conclave-dev/conclave/pkg/config"
)

// txnPost is a transaction in the namespace pay.
func txnPost(rest string) request { return jsonPost("/v1/txn", `{"namespace":"pay",`+rest+`}`) }

func txnSuccesses() []documented {
	return []documented{
		{name: "transaction", request: txnPost(`"if":[{"key":"a","revision":1},{"key":"b","exists":false}],"then":[{"op":"put","key":"b","text":"x"},{"op":"get","key":"a"},{"op":"delete","key":"c"},{"op":"get","key":"d"}]`), status: 200},
		{name: "transaction that takes its else", request: txnPost(`"if":[{"key":"a","version":2}],"then":[{"op":"put","key":"b","base64":"/w=="}],"else":[{"op":"get","key":"a"}]`), status: 200},
		{name: "rollback", request: jsonPost("/v1/rollback/pay", `{"to":0,"reason":"it was wrong"}`), status: 200},
		{name: "dry run of a rollback", request: jsonPost("/v1/rollback/pay?dry-run=1", `{"to":0,"prefix":"a"}`), status: 200},
	}
}

func txnRefusals() (list []documented) {
	add := func(status int, code string, requests ...request) {
		list = append(list, refused(status, code, requests...)...)
	}
	const op = `{"op":"put","key":"a","text":"2"}`
	add(400, "malformed", txnPost(`"then":{}`), txnPost(`"then":[{"op":"put","key":"a"}]`), txnPost(`"then":[{"op":"put","key":"a","text":"","base64":""}]`),
		txnPost(`"then":[{"op":"get","key":"a","text":"x"}]`), txnPost(`"then":[{"op":"swap","key":"a"}]`), txnPost(`"if":[{"key":"a"}],"then":[`+op+`]`),
		txnPost(`"if":[{"key":"a","exists":true,"version":1}],"then":[`+op+`]`), txnPost(`"than":[]`), jsonPost("/v1/rollback/pay", `{}`),
		jsonPost("/v1/rollback/pay", `{"to":-1}`), jsonPost("/v1/rollback/pay?dry-run=2", `{"to":1}`))
	add(400, "unsupported", jsonPost("/v1/rollback/pay?dry-run=1", `{"to":1}`, "Idempotency-Key: x"), jsonPost("/v1/txn", "{}", `If-Match: "1"`))
	add(400, "invalid_namespace", jsonPost("/v1/txn", `{"namespace":"Pay","then":[`+op+`]}`), jsonPost("/v1/rollback/Pay", `{"to":1}`))
	add(400, "invalid_key", txnPost(`"then":[{"op":"get","key":""}]`))
	add(400, "invalid_media_type", txnPost(`"then":[{"op":"put","key":"a","type":"text","text":""}]`))
	add(400, "invalid_transaction", txnPost(`"then":[]`), txnPost(`"then":[`+op+strings.Repeat(`,`+op, 128)+`]`))
	add(400, "invalid_operation", txnPost(`"then":[`+op+`,`+op+`]`))
	add(400, "invalid_idempotency_key", jsonPost("/v1/txn", "{}", "Idempotency-Key:  "), jsonPost("/v1/rollback/pay", "{}", "Idempotency-Key:  "))
	add(400, "invalid_prefix", jsonPost("/v1/rollback/pay", `{"to":1,"prefix":"/"}`))
	add(400, "invalid_revision", jsonPost("/v1/rollback/pay", `{"to":10000000000000000}`))
	add(400, "invalid_reason", jsonPost("/v1/rollback/pay", `{"to":1,"reason":"a\u0000"}`))
	add(412, "revision_mismatch", txnPost(`"if":[{"key":"a","exists":false}],"then":[`+op+`]`))
	add(413, "too_large", txnPost(`"then":[{"op":"put","key":"a","text":"`+strings.Repeat("v", config.MaxValueBytes+1)+`"}]`), txnPost(strings.Repeat(" ", 8<<20)),
		jsonPost("/v1/rollback/pay", strings.Repeat(" ", 16<<10+1)))
	add(415, "unsupported_media_type", request{method: "POST", target: "/v1/txn", body: "{}"}, request{method: "POST", target: "/v1/rollback/pay", body: "{}"})
	add(415, "unsupported_encoding", jsonPost("/v1/txn", "x", "Content-Encoding: gzip"), jsonPost("/v1/rollback/pay", "x", "Content-Encoding: gzip"))
	for _, q := range []request{txnPost(`"then":[` + op + `]`), jsonPost("/v1/rollback/pay", `{"to":0}`)} {
		full := refused(507, "quota_exceeded", q)
		full[0].fault = func(f *fakeReplicator) { f.outcome = config.OutcomeQuota }
		list = append(list, full...)
	}
	for _, query := range []string{"", "?dry-run=1"} {
		late := refused(504, "revision_not_reached", jsonPost("/v1/rollback/pay"+query, `{"to":2}`))
		late[0].retry = true
		gone := documented{name: "rollback to what is pruned" + query, request: jsonPost("/v1/rollback/pay"+query, `{"to":1}`), status: 410, code: "pruned", outcome: "rejected", prepare: forget}
		list = append(list, late[0], gone)
	}
	for err, d := range map[error]documented{config.ErrNotCaughtUp: {status: 504, code: "not_caught_up", retry: true}, errBroken: {status: 500, code: "internal"}} {
		d.name, d.request, d.outcome = "dry run of a rollback: "+d.code, jsonPost("/v1/rollback/pay?dry-run=1", `{"to":0}`), "rejected"
		d.fault = func(f *fakeReplicator) { f.barrier = err }
		list = append(list, d)
	}
	return list
}
