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

const defaultSettings = `{"quotaBytes":268435456,"historyAgeMillis":604800000,"historyRevisions":10000,"historyBytes":268435456,"idempotencyWindowMillis":600000,"featureLevel":1}`

func TestSettingsAreReadReplacedOnConditionAndReset(t *testing.T) {
	base := newAPI(t, nil).serve()
	get := request{method: "GET", target: "/v1/settings"}
	first := send(t, base, get)
	first.want(t, 200, defaultSettings)
	first.wantHeader(t, map[string]string{"Etag": `"0"`, "Conclave-Consistency": "linear"})

	// What was read can be sent back.
	changed := strings.Replace(defaultSettings, `"historyRevisions":10000`, `"historyRevisions":50`, 1)
	put := send(t, base, jsonPut("/v1/settings", changed, `If-Match: "0"`))
	put.want(t, 200, "")
	put.wantHeader(t, map[string]string{"Etag": `"1"`, "Conclave-Revision": "1"})
	late := send(t, base, jsonPut("/v1/settings", defaultSettings, `If-Match: "0"`))
	late.wantProblem(t, 412, "revision_mismatch")
	if p := late.problem(t); p.CurrentETag != `"1"` {
		t.Errorf("problem %+v", p)
	}
	got := send(t, base, get)
	got.want(t, 200, changed)
	got.wantHeader(t, map[string]string{"Etag": `"1"`})
	send(t, base, request{method: "GET", target: "/v1/settings?consistency=local", header: []string{`If-None-Match: "1"`}}).want(t, 304, "")

	// What is absent has its default again.
	send(t, base, jsonPut("/v1/settings", `{"quotaBytes":1048576}`)).want(t, 200, "")
	send(t, base, get).want(t, 200, strings.Replace(defaultSettings, `"quotaBytes":268435456`, `"quotaBytes":1048576`, 1))
	send(t, base, request{method: "DELETE", target: "/v1/settings"}).want(t, 204, "")
	reset := send(t, base, get)
	reset.want(t, 200, defaultSettings)
	reset.wantHeader(t, map[string]string{"Etag": `"3"`})
}

func TestANamespaceHasAQuotaWhileItsSettingsSaySo(t *testing.T) {
	a := newAPI(t, nil)
	base := a.serve()
	get := request{method: "GET", target: "/v1/settings/pay"}
	none := send(t, base, get)
	none.wantProblem(t, 404, "settings_not_found")
	none.wantHeader(t, map[string]string{"Etag": `"0"`})
	send(t, base, jsonPut("/v1/settings/pay", `{"quotaBytes":4096}`, "If-None-Match: *")).want(t, 201, "")
	got := send(t, base, get)
	got.want(t, 200, `{"quotaBytes":4096}`)
	got.wantHeader(t, map[string]string{"Etag": `"1"`})

	big := request{method: "PUT", target: "/v1/kv/pay/a", body: strings.Repeat("v", 4096)}
	full := send(t, base, big)
	full.wantProblem(t, 507, "quota_exceeded")
	if detail := full.problem(t).Detail; !strings.Contains(detail, "namespace") {
		t.Errorf("detail %q doesn't tell which quota", detail)
	}
	send(t, base, elsewhere(big, "/v1/kv/shop/a")).want(t, 201, "")
	send(t, base, jsonPut("/v1/settings/pay", `{"quotaBytes":8192}`, `If-Match: "1"`)).want(t, 200, "")
	send(t, base, big).want(t, 201, "")
	send(t, base, request{method: "DELETE", target: "/v1/settings/pay", header: []string{`If-Match: "1"`}}).wantProblem(t, 412, "revision_mismatch")
	send(t, base, request{method: "DELETE", target: "/v1/settings/pay"}).want(t, 204, "")
	send(t, base, request{method: "DELETE", target: "/v1/settings/pay"}).wantProblem(t, 404, "settings_not_found")
	send(t, base, get).wantProblem(t, 404, "settings_not_found")
}

func TestUsageIsToldBesideWhatItMayBe(t *testing.T) {
	a := newAPI(t, nil)
	base := a.serve()
	usage := func(target string) map[string]any {
		t.Helper()
		got := send(t, base, request{method: "GET", target: target})
		got.want(t, 200, "-")
		var u map[string]any
		if err := json.Unmarshal([]byte(got.body), &u); err != nil {
			t.Fatal(err)
		}
		return u
	}
	send(t, base, request{method: "GET", target: "/v1/usage/none"}).want(t, 200, `{"namespace":"none","keys":0,"bytes":0,"schemas":0}`)
	a.put("a", "1")
	a.put("a", "2")
	send(t, base, request{method: "PUT", target: "/v1/kv/shop/a", body: strings.Repeat("v", 1000), header: []string{"Idempotency-Key: x"}}).want(t, 201, "")
	send(t, base, jsonPut("/v1/settings/shop", `{"quotaBytes":4096}`)).want(t, 201, "")
	send(t, base, jsonPut("/v1/schemas/shop/none/", "true")).want(t, 201, "")
	whole, pay, shop := usage("/v1/usage"), usage("/v1/usage/pay"), usage("/v1/usage/shop?consistency=local")
	if whole["keys"] != 2.0 || pay["keys"] != 1.0 || shop["keys"] != 1.0 || shop["quotaBytes"] != 4096.0 || pay["quotaBytes"] != nil || shop["schemas"] != 1.0 {
		t.Errorf("the store has %v, pay %v, shop %v", whole, pay, shop)
	}
	sum := pay["bytes"].(float64) + shop["bytes"].(float64)
	if whole["bytes"] != sum || shop["bytes"].(float64) < 1000 || whole["quotaBytes"] != 268435456.0 || whole["historyBytes"] == 0.0 || whole["idempotencyKeys"] != 1.0 {
		t.Errorf("the store has %v, pay %v, shop %v", whole, pay, shop)
	}
}

// FuzzSettings sends arbitrary bytes as settings. What is granted is granted by the
// document too, and read back is a document that can be sent again.
func FuzzSettings(f *testing.F) {
	c := theContract(f)
	for _, seed := range []string{
		defaultSettings, `{}`, `{"quotaBytes":1048576,"featureLevel":0}`, `{"quotaBytes":null}`, `{"historyBytes":-1}`, `{"historyRevisions":1e3}`,
		`{"quotaBytes":1.5}`, `[]`, `null`, ``, `{"quotaBytes":18446744073709551616}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, target := range []string{"/v1/settings", "/v1/settings/pay"} {
			a := fuzzAPI(t)
			q := jsonPut(target, body)
			got := a.do(q)
			c.check(t, q, got)
			switch got.status {
			case 200, 201:
				read := a.do(request{method: "GET", target: target})
				a.do(jsonPut(target, read.body)).want(t, 200, "")
				a.do(request{method: "GET", target: target}).want(t, 200, read.body)
			case 400, 413:
			default:
				t.Errorf("%q: status %d", body, got.status)
			}
		}
	})
}

// settle gives a namespace settings past the HTTP API.
func settle(a *api) {
	put := config.PutNamespaceSettings{Namespace: "pay", NamespaceSettings: config.NamespaceSettings{QuotaBytes: 1 << 20}}
	if _, err := a.store.PutNamespaceSettings(context.Background(), put); err != nil {
		a.t.Fatal(err)
	}
}

// settingsAnswers are what the endpoints of settings and usage alone answer.
func settingsAnswers() (list []documented) {
	const all, one = "/v1/settings", "/v1/settings/pay"
	at := func(method, target string, header ...string) request {
		return jsonPut(target, `{"quotaBytes":1048576}`, header...).as(method)
	}
	outcome := func(o config.Outcome) func(*fakeReplicator) { return func(f *fakeReplicator) { f.outcome = o } }
	list = []documented{
		{name: "settings", request: at("GET", all), status: 200},
		{name: "unchanged settings", request: at("GET", all, `If-None-Match: "0"`), status: 304},
		{name: "put settings", request: at("PUT", all), status: 200},
		{name: "reset settings", request: at("DELETE", all), status: 204},
		{name: "settings of a namespace", request: at("GET", one), status: 200, prepare: settle},
		{name: "unchanged settings of a namespace", request: at("GET", one, "If-None-Match: *"), status: 304, prepare: settle},
		{name: "first settings of a namespace", request: at("PUT", one), status: 201},
		{name: "other settings of a namespace", request: at("PUT", one), status: 200, prepare: settle},
		{name: "no more settings of a namespace", request: at("DELETE", one), status: 204, prepare: settle},
		{name: "usage", request: at("GET", "/v1/usage"), status: 200},
		{name: "usage of a namespace", request: at("GET", "/v1/usage/pay"), status: 200, prepare: settle},
		failure("settings of a lower level", outcome(config.OutcomeFeatureLevel), at("PUT", all), 409, "feature_level", "rejected", false),
		failure("settings of too many", outcome(config.OutcomeTooMany), at("PUT", one), 507, "too_many", "rejected", false),
	}
	for _, target := range []string{all, one} {
		list = slices.Concat(list,
			refused(400, "invalid_settings", jsonPut(target, `{"quotaBytes":1}`), jsonPut(target, `{"quotaBytes":-1}`)),
			refused(400, "malformed", jsonPut(target, `{"quotaBytes":"1"}`), jsonPut(target, `{"quota":1}`), jsonPut(target, ``), jsonPut(target, `[]`),
				at("GET", target, "If-None-Match: 1"), at("DELETE", target, "If-Match: 1"), at("PUT", target, "If-Match: 1")),
			refused(400, "unsupported", at("PUT", target, "Idempotency-Key: x"), at("DELETE", target, "Idempotency-Key: x"), at("GET", target+"?wait=1s")),
			refused(412, "revision_mismatch", at("PUT", target, `If-Match: "9"`), at("DELETE", target, `If-Match: "9"`)),
			refused(413, "too_large", jsonPut(target, strings.Repeat(" ", 4<<10+1))),
			refused(415, "unsupported_media_type", request{method: "PUT", target: target, body: "{}"}),
			refused(415, "unsupported_encoding", jsonPut(target, "{}", "Content-Encoding: gzip")),
			refused(405, "method_not_allowed", at("POST", target), at("PATCH", target)))
	}
	return slices.Concat(list,
		refused(400, "malformed", jsonPut(one, "{}"), jsonPut(one, `{"quotaBytes":0}`), jsonPut(one, `{"quotaBytes":null}`)),
		refused(400, "invalid_settings", jsonPut(all, fmt.Sprintf(`{"featureLevel":%d}`, config.FeatureLevel+1))),
		refused(404, "settings_not_found", at("GET", one), at("DELETE", one)),
		refused(400, "invalid_namespace", at("GET", "/v1/settings/"), at("PUT", "/v1/settings/Pay"), at("DELETE", "/v1/settings/pay/a"), at("GET", "/v1/usage/Pay")),
		refused(400, "unsupported", at("GET", "/v1/usage", "If-None-Match: *")))
}
