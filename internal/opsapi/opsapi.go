package opsapi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/singleflight"

	"github.com/conclave-dev/conclave/internal/admin"
)

const (
	// bodyBytesMax bounds the body of a request.
	bodyBytesMax = 64 << 10
	// scrapesMax is how many requests for /metrics are answered at a time.
	scrapesMax = 4
)

// Node is the node that the port belongs to. Its methods are called
// concurrently. Alive, Ready and LeaderKnown must answer at once, since a node whose
// loop hangs still has to say so; Status may take a second or two then.
type Node interface {
	// Status returns the node's view of itself and of its cluster.
	Status() admin.Status
	// Alive returns why the node should be restarted: its loop has not turned
	// for longer than any load explains. A lost quorum, a missing leader and a
	// full disk are no such reasons.
	Alive() error
	// Ready returns whether the node should be sent clients, and a reason that
	// a person understands if not.
	Ready() (ready bool, reason string)
	// LeaderKnown returns whether the node knows a leader of its cluster.
	LeaderKnown() bool
	// Probe makes one linearizable read through the cluster, and returns nil
	// when it went through before ctx ended.
	Probe(ctx context.Context) error
}

// Options say what the port serves. Node, Steward and Metrics are required.
type Options struct {
	// Node answers for itself, and Steward does what it is told to do.
	Node    Node
	Steward Steward
	// Metrics are what /metrics shows.
	Metrics prometheus.Gatherer
	// AdminTokenFile holds the bearer tokens of people, OperatorTokenFile those
	// of the operator: one token a line, at least 16 bytes each, at most 16 of
	// them. A file is read at each request, so a token is changed by
	// changing the file; with two lines, the old and the new one both work. An
	// empty name means that nobody has that role; with both empty, the admin
	// endpoints refuse everybody. Where the operator has tokens, it alone changes
	// the membership.
	AdminTokenFile    string
	OperatorTokenFile string
	// ClusterID is the cluster for which client certificates are credentials, as
	// they are when the server in front asks for them and has verified them.
	// Empty: they are none.
	ClusterID string
	// ProbeTimeout limits the read behind /quorumz; default 2 s.
	ProbeTimeout time.Duration
	// VerbTimeout limits each request that changes something; what became of it
	// is unknown after that. Default 45 s, below the minute that the server of a
	// node gives to a reply.
	VerbTimeout time.Duration
	// Log gets a line for each admin request; default slog.Default().
	Log *slog.Logger
}

// Validate reports the first option that can't be used. It reads the token
// files, since a port whose files keep everybody out should not start.
func (o Options) Validate() error {
	switch {
	case o.Node == nil:
		return errors.New("opsapi: the node is missing")
	case o.Steward == nil:
		return errors.New("opsapi: the steward is missing")
	case o.Metrics == nil:
		return errors.New("opsapi: the metrics are missing")
	case o.ProbeTimeout < 0 || o.VerbTimeout < 0:
		return errors.New("opsapi: a timeout is negative")
	}
	return o.credentials().check()
}

// credentials returns where the tokens of each role are.
func (o Options) credentials() credentials {
	return credentials{{roleAdmin, o.AdminTokenFile}, {roleOperator, o.OperatorTokenFile}}
}

// api is the handler behind New.
type api struct {
	node         Node
	steward      Steward
	credentials  credentials
	clusterID    string
	managed      bool
	browsers     *http.CrossOriginProtection
	probeTimeout time.Duration
	probes       singleflight.Group
	verbTimeout  time.Duration
	// verbs holds a token for each verb under way.
	verbs chan struct{}
	log   *slog.Logger
}

// New returns the handler of the operations port. The server that it is put into
// owns the limits of time and headers.
func New(o Options) (http.Handler, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.ProbeTimeout = cmp.Or(o.ProbeTimeout, 2*time.Second)
	o.VerbTimeout = cmp.Or(o.VerbTimeout, 45*time.Second)
	o.Log = cmp.Or(o.Log, slog.Default())
	a := &api{
		node: o.Node, steward: o.Steward, credentials: o.credentials(), clusterID: o.ClusterID, managed: o.OperatorTokenFile != "",
		browsers:     http.NewCrossOriginProtection(),
		probeTimeout: o.ProbeTimeout, verbTimeout: o.VerbTimeout, verbs: make(chan struct{}, verbsMax), log: o.Log,
	}
	metrics := promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{
		MaxRequestsInFlight: scrapesMax,
		ErrorLog:            slog.NewLogLogger(o.Log.Handler(), slog.LevelError),
	})

	mux := http.NewServeMux()
	mux.HandleFunc("/", notFound)
	mux.HandleFunc("/livez", only(readMethods, a.livez))
	mux.HandleFunc("/readyz", only(readMethods, a.readyz))
	mux.HandleFunc("/quorumz", only(readMethods, a.quorumz))
	mux.HandleFunc("/metrics", only(readMethods, metrics.ServeHTTP))
	mux.HandleFunc("/admin/v1/status", a.authorized(only(readMethods, a.status)))
	a.registerVerbs(mux)
	mux.HandleFunc("/admin/", a.authorized(notFound))
	registerProfiles(mux)
	return guarded(mux), nil
}

// guarded puts around every answer what all of them need.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "sandbox")
		w.Header().Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, bodyBytesMax)
		next.ServeHTTP(w, r)
	})
}

// readMethods are the methods of an endpoint that changes nothing.
var readMethods = []string{http.MethodGet, http.MethodHead}

// only refuses all other methods.
func only(methods []string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(methods, r.Method) {
			w.Header().Set("Allow", strings.Join(methods, ", "))
			refuse(w, admin.Problem{
				Status: http.StatusMethodNotAllowed,
				Code:   "method_not_allowed",
				Title:  "This endpoint has no such method",
				Detail: "use " + strings.Join(methods, " or "),
			})
			return
		}
		next(w, r)
	}
}

// notFound answers for all that is not served.
func notFound(w http.ResponseWriter, _ *http.Request) {
	refuse(w, admin.Problem{
		Status: http.StatusNotFound,
		Code:   "not_found",
		Title:  "The operations port serves nothing here",
		Detail: "it serves /livez, /readyz, /quorumz, /metrics and what is below /admin/v1/; keys are on the client port",
	})
}
