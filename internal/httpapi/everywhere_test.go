package httpapi_test

import (
	"net/http"
	"strings"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

// wholesome is a request for each operation that is granted by itself.
func wholesome() []request {
	return []request{
		{method: "GET", target: "/v1/kv/pay/a"},
		{method: "PUT", target: "/v1/kv/pay/a", body: "v"},
		patchOf(`{"w":1}`, `If-Match: "1"`),
		{method: "DELETE", target: "/v1/kv/pay/a"},
		{method: "GET", target: "/v1/keys/pay"},
		{method: "GET", target: "/v1/watch/pay"},
		{method: "GET", target: "/v1/history/pay/a"},
		{method: "GET", target: "/v1/diff/pay?from=0"},
		jsonPost("/v1/txn", `{"namespace":"pay","then":[{"op":"put","key":"a","text":"2"}]}`),
		jsonPost("/v1/rollback/pay", `{"to":0}`),
		jsonPost("/v1/batch", `{"items":[{"namespace":"pay","key":"a"}]}`),
		{method: "GET", target: "/v1/render/pay"},
		{method: "GET", target: "/v1/schemas/pay"},
		{method: "GET", target: "/v1/schemas/pay/"},
		jsonPut("/v1/schemas/pay/", "{}"),
		{method: "DELETE", target: "/v1/schemas/pay/"},
		{method: "GET", target: "/v1/settings"},
		jsonPut("/v1/settings", "{}"),
		{method: "DELETE", target: "/v1/settings"},
		{method: "GET", target: "/v1/settings/pay"},
		jsonPut("/v1/settings/pay", `{"quotaBytes":1048576}`),
		{method: "DELETE", target: "/v1/settings/pay"},
		{method: "GET", target: "/v1/usage"},
		{method: "GET", target: "/v1/usage/pay"},
		{method: "GET", target: "/v1/cluster"},
		{method: "GET", target: "/openapi.json"},
	}
}

// ask adds a query to a target that may have one.
func ask(target, query string) string {
	if strings.Contains(target, "?") {
		query = strings.Replace(query, "?", "&", 1)
	}
	return target + query
}

// faultsEverywhere are the failures that any operation may meet, or any that
// reads or writes the store.
func faultsEverywhere() (list []documented) {
	add := func(d documented, name string, q request) {
		d.name, d.request, d.outcome = q.method+" "+q.target+" "+name, q, "rejected"
		list = append(list, d)
	}
	for _, q := range wholesome() {
		rejected := func(status int, code string) documented { return documented{status: status, code: code} }
		strange := q
		strange.header = append([]string{"Host: evil.example"}, q.header...)
		add(rejected(421, "unknown_host"), "at a strange host", strange)
		strange = q
		strange.target = ask(q.target, "?%zz")
		add(rejected(400, "malformed"), "with a broken query", strange)
		strange.target = ask(q.target, "?colour=red")
		add(rejected(400, "unsupported"), "with an unknown parameter", strange)
		full := rejected(503, "overloaded")
		full.retry, full.prepare = true, func(a *api) { a.handler.Occupy(1 << 20) }
		add(full, "under overload", q)
		if q.method != http.MethodGet {
			strange = q
			strange.header = append([]string{"Sec-Fetch-Site: cross-site"}, q.header...)
			add(rejected(403, "cross_origin"), "from another origin", strange)
		}
		switch {
		case q.target == "/v1/cluster":
			broken := documented{status: 500, code: "internal"}
			broken.options = func(_ *config.StoreOptions, o *httpapi.Options) { o.Cluster = fakeStatus{err: errBroken} }
			add(broken, "that fails", q)
		case q.target == "/openapi.json":
		case q.method != http.MethodGet && q.target != "/v1/batch":
			faults := writeFaults()
			if !strings.HasPrefix(q.target, "/v1/settings") {
				faults = append(faults, keyedFaults()...)
			}
			for _, d := range faults {
				add(d, d.name, q)
				list[len(list)-1].outcome = d.outcome
			}
		default:
			for _, d := range readFaults() {
				asked := q
				asked.target = ask(q.target, d.target)
				add(d, d.name, asked)
			}
		}
	}
	return list
}

// readFaults are what every read of the store may meet. Each target is a query
// to add.
func readFaults() (list []documented) {
	barrier := func(err error, status int, code string, query string) {
		list = append(list, documented{
			name: "with a barrier that fails: " + code, fault: func(f *fakeReplicator) { f.barrier = err },
			request: request{target: query}, status: status, code: code, retry: status != 500,
		})
	}
	barrier(config.ErrNoLeader, 503, "no_leader", "")
	barrier(config.ErrStopping, 503, "stopping", "")
	barrier(config.ErrNotCaughtUp, 504, "not_caught_up", "")
	barrier(config.ErrNoLeader, 503, "too_stale", "?consistency=bounded&max-staleness=1s")
	barrier(errBroken, 500, "internal", "")
	return append(list, documented{
		name: "before it has caught up", request: request{target: "?consistency=local"}, status: 503, code: "not_ready", retry: true,
		options: func(o *config.StoreOptions, _ *httpapi.Options) { o.Ready = func() error { return config.ErrNotReady } },
	}, documented{
		name: "of a parked member", status: 503, code: "parked", retry: true, fault: park,
	}, documented{
		name: "with too many that wait", request: request{target: "?consistency=session&min-revision=99"}, status: 429, code: "too_many_watchers", retry: true,
		options: func(o *config.StoreOptions, _ *httpapi.Options) { o.MaxWatches = 1 },
		prepare: func(a *api) {
			watch, err := a.store.Watch(config.WatchAll())
			if err != nil {
				a.t.Fatal(err)
			}
			a.t.Cleanup(watch.Close)
		},
	})
}

// writeFaults are what every write may meet.
func writeFaults() (list []documented) {
	refuse := func(err error, status int, code string) {
		list = append(list, documented{
			name: "that is refused: " + code, fault: func(f *fakeReplicator) { f.refusal = err },
			status: status, code: code, outcome: "rejected", retry: status == 503,
		})
	}
	refuse(config.ErrNoLeader, 503, "no_leader")
	refuse(config.ErrStopping, 503, "stopping")
	refuse(config.ErrDiskFull, 507, "disk_full")
	return append(list, documented{
		name: "of a parked member", status: 503, code: "parked", outcome: "rejected", retry: true, fault: park,
	}, documented{
		name: "whose answer is lost", status: 504, code: "outcome_unknown", outcome: "unknown",
		fault: func(f *fakeReplicator) { f.loss = config.ErrOutcomeUnknown },
	})
}

// keyedFaults are what every write that takes an idempotency key may meet.
func keyedFaults() (list []documented) {
	for code, outcome := range map[string]config.Outcome{"idempotency_full": config.OutcomeIdempotencyFull, "idempotency_key_reused": config.OutcomeIdempotencyReused} {
		list = append(list, documented{
			name: "that is refused: " + code, fault: func(f *fakeReplicator) { f.outcome = outcome },
			status: 422, code: code, outcome: "rejected",
		})
		if code == "idempotency_full" {
			list[len(list)-1].status, list[len(list)-1].retry = 429, true
		}
	}
	return list
}

// park makes the member meet a command that it doesn't know.
func park(f *fakeReplicator) {
	f.index++
	f.state.Apply(f.index, config.Stamp{}, config.Origin{}, []byte{200, 1, 0x90})
	f.state.Publish()
}

// forget lets history begin anew, as a recovery does.
func forget(a *api) {
	recovery := config.Recover{TimeMicros: 1}
	command, err := recovery.Encode()
	if err != nil {
		a.t.Fatal(err)
	}
	a.fake.set(func(f *fakeReplicator) {
		f.index++
		f.state.Apply(f.index, config.Stamp{}, config.Origin{}, command)
		f.state.Publish()
	})
}
