package httpapi

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/conclave-dev/conclave/pkg/config"
)

// route is one row of the table of what is served. What it doesn't list is
// refused before its handler is called: other methods, other query parameters,
// and those headers that would change the meaning of a request.
type route struct {
	// methods are one, or GET with HEAD; path is as resource explains it.
	methods []string
	path    string
	// query are the parameters that are understood.
	query []string
	// headers are those of meaningful that are understood.
	headers []string
	body    bodyKind
	serve   func(*Handler, http.ResponseWriter, *http.Request, target) error
}

// bodyKind is what a request's body is.
type bodyKind uint8

const (
	// noBody requests are refused when they have one.
	noBody bodyKind = iota
	// valueBody is bytes of any type, or of those that the handler takes.
	valueBody
	// jsonBody is refused unless the client calls it application/json, which a
	// page in a browser can't without asking first.
	jsonBody
)

// target is what a request's path and query name, checked.
type target struct {
	namespace string
	// name is the key or prefix, where the path has one.
	name  string
	query url.Values
}

// reading are the methods of a read.
var reading = []string{http.MethodGet, http.MethodHead}

// conditions are the headers of a conditional write, and keyed those of one that
// can be sent again.
var (
	conditions = []string{"If-Match", "If-None-Match"}
	keyed      = []string{"If-Match", "If-None-Match", "Idempotency-Key"}
)

// routes is the table. A row here needs its operation in openapi.json.
var routes = []route{
	{
		methods: reading, path: "/v1/kv/{namespace}/{key}", query: keyParameters, headers: []string{"If-None-Match"},
		serve: (*Handler).getKey,
	},
	{
		methods: []string{http.MethodPut}, path: "/v1/kv/{namespace}/{key}", query: []string{"dry-run"},
		headers: keyed, body: valueBody, serve: (*Handler).putKey,
	},
	{
		methods: []string{http.MethodPatch}, path: "/v1/kv/{namespace}/{key}", query: []string{"dry-run"},
		headers: []string{"If-Match", "Idempotency-Key"}, body: valueBody, serve: (*Handler).patchKey,
	},
	{
		methods: []string{http.MethodDelete}, path: "/v1/kv/{namespace}/{key}",
		headers: keyed, serve: (*Handler).deleteKey,
	},
	{methods: reading, path: "/v1/keys/{namespace}", query: listParameters, serve: (*Handler).listKeys},
	{methods: []string{http.MethodPost}, path: "/v1/batch", query: batchParameters, body: jsonBody, serve: (*Handler).readBatch},
	{methods: reading, path: "/v1/render/{namespace}", query: renderParameters, headers: []string{"If-None-Match"}, serve: (*Handler).getRender},
	{methods: reading, path: "/v1/watch/{namespace}", query: watchParameters, serve: (*Handler).watch},
	{methods: reading, path: "/v1/history/{namespace}/{key}", query: historyParameters, serve: (*Handler).getHistory},
	{methods: reading, path: "/v1/diff/{namespace}", query: diffParameters, serve: (*Handler).getDiff},
	{methods: []string{http.MethodPost}, path: "/v1/txn", headers: []string{"Idempotency-Key"}, body: jsonBody, serve: (*Handler).postTxn},
	{
		methods: []string{http.MethodPost}, path: "/v1/rollback/{namespace}", query: []string{"dry-run"},
		headers: []string{"Idempotency-Key"}, body: jsonBody, serve: (*Handler).postRollback,
	},
	{methods: reading, path: "/v1/schemas/{namespace}", query: readParameters, serve: (*Handler).listSchemas},
	{
		methods: reading, path: "/v1/schemas/{namespace}/{prefix}", query: readParameters, headers: []string{"If-None-Match"},
		serve: (*Handler).getSchema,
	},
	{
		methods: []string{http.MethodPut}, path: "/v1/schemas/{namespace}/{prefix}",
		headers: keyed, body: jsonBody, serve: (*Handler).putSchema,
	},
	{
		methods: []string{http.MethodDelete}, path: "/v1/schemas/{namespace}/{prefix}",
		headers: keyed, serve: (*Handler).deleteSchema,
	},
	{methods: reading, path: "/v1/settings", query: readParameters, headers: []string{"If-None-Match"}, serve: (*Handler).getSettings},
	{methods: []string{http.MethodPut}, path: "/v1/settings", headers: conditions, body: jsonBody, serve: (*Handler).putSettings},
	{methods: []string{http.MethodDelete}, path: "/v1/settings", headers: conditions, serve: (*Handler).deleteSettings},
	{
		methods: reading, path: "/v1/settings/{namespace}", query: readParameters, headers: []string{"If-None-Match"},
		serve: (*Handler).getNamespaceSettings,
	},
	{
		methods: []string{http.MethodPut}, path: "/v1/settings/{namespace}", headers: conditions, body: jsonBody,
		serve: (*Handler).putNamespaceSettings,
	},
	{methods: []string{http.MethodDelete}, path: "/v1/settings/{namespace}", headers: conditions, serve: (*Handler).deleteNamespaceSettings},
	{methods: reading, path: "/v1/usage", query: readParameters, serve: (*Handler).getUsage},
	{methods: reading, path: "/v1/usage/{namespace}", query: readParameters, serve: (*Handler).getNamespaceUsage},
	{methods: reading, path: "/v1/cluster", serve: (*Handler).getCluster},
	{methods: reading, path: "/openapi.json", headers: []string{"If-None-Match"}, serve: (*Handler).getDocument},
}

// resource is a path of the table with all its rows. A path without variables
// stands for itself. One with {namespace}, or {namespace} and a second name,
// stands for all paths with the same beginning: what follows is the namespace up
// to the next slash, and the last name has the rest, slashes included. Where both
// begin alike, the first slash tells them apart.
type resource struct {
	beginning string
	// twin is set when another one has the same beginning.
	twin bool
	// names are the path's variables in order, none, one or two.
	names  []string
	routes []*route
	// methods are all that are served, for the header Allow.
	methods []string
}

// resources are the paths of routes, in order.
var resources = newResources(routes)

func newResources(table []route) (list []*resource) {
	byPath := map[string]*resource{}
	for i := range table {
		row := &table[i]
		one := byPath[row.path]
		if one == nil {
			one = &resource{}
			var variables string
			one.beginning, variables, _ = strings.Cut(row.path, "{")
			if variables != "" {
				one.names = strings.Split(strings.TrimSuffix(variables, "}"), "}/{")
			}
			byPath[row.path] = one
			for _, other := range list {
				if len(one.names)*len(other.names) > 0 && other.beginning == one.beginning {
					one.twin, other.twin = true, true
				}
			}
			list = append(list, one)
		}
		one.routes = append(one.routes, row)
		one.methods = append(one.methods, row.methods...)
	}
	return list
}

// match cuts a path up and checks the names in it.
func (o *resource) match(path string) (to target, ok bool, err error) {
	if len(o.names) == 0 {
		return to, path == o.beginning, nil
	}
	rest, ok := strings.CutPrefix(path, o.beginning)
	if !ok {
		return to, false, nil
	}
	if o.twin && strings.Contains(rest, "/") != (len(o.names) > 1) {
		return to, false, nil
	}
	to.namespace = rest
	if len(o.names) > 1 {
		to.namespace, to.name, _ = strings.Cut(rest, "/")
	}
	if err := config.CheckNamespace(to.namespace); err != nil {
		return to, true, err
	}
	if len(o.names) > 1 && o.names[1] == "key" {
		return to, true, config.CheckKey(to.name)
	}
	return to, true, config.CheckPrefix(to.name)
}

// route finds the row of a request and serves it, or says what is wrong. The
// path was percent-decoded once; it is cut up as it is.
func (h *Handler) route(w http.ResponseWriter, r *http.Request) error {
	for _, one := range resources {
		to, ok, err := one.match(r.URL.Path)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		for _, row := range one.routes {
			if slices.Contains(row.methods, r.Method) {
				if to.query, err = row.check(r); err != nil {
					return err
				}
				return row.serve(h, w, r, to)
			}
		}
		return methodNotAllowed(r, one.methods...)
	}
	return errNoEndpoint.because("nothing is served at %.200q", r.URL.Path)
}

// meaningful are the headers that change what a request means, so that to
// ignore one would do something else than what was asked for.
var meaningful = []string{"If-Match", "If-None-Match", "Idempotency-Key", "Content-Range"}

// check refuses what the row doesn't offer, and returns the query.
func (row *route) check(r *http.Request) (url.Values, error) {
	query, err := readQuery(r, row.query...)
	if err != nil {
		return nil, err
	}
	for _, name := range meaningful {
		if _, there := r.Header[name]; there && !slices.Contains(row.headers, name) {
			return nil, errUnsupported.because("header %s isn't offered here", name)
		}
	}
	if row.body == noBody {
		if r.ContentLength != 0 {
			return nil, errUnsupported.because("a %s has no body here", r.Method)
		}
		return query, nil
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, errEncoding.because(
			"Content-Encoding %.80q: a body is taken as it is sent, and can't be compressed", encoding)
	}
	if row.body == jsonBody {
		return query, checkType(r.Header.Get("Content-Type"), "application/json")
	}
	return query, nil
}

// checkType refuses all types but one.
func checkType(contentType, want string) error {
	if name, _, err := mime.ParseMediaType(contentType); err != nil || name != want {
		return errMediaType.because("Content-Type is %.80q and must be %s", contentType, want)
	}
	return nil
}
