package opsapi

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/pki"
)

// authorized lets only those through who hold a token of any role or a certificate
// of one, and logs who did what. A token that is sent counts, whatever certificate
// the connection has. A browser shows a certificate whichever page asks, so pages
// of other origins may change nothing.
func (a *api) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := a.browsers.Check(r); err != nil {
			refuse(w, admin.Problem{
				Status: http.StatusForbidden,
				Code:   "cross_origin",
				Title:  "A page of another origin may not do this",
				Detail: err.Error(),
			})
			return
		}
		holder, err := a.credentials.holder(r)
		log := a.log.With("method", r.Method, "path", r.URL.Path, "remote", r.RemoteAddr)
		if r.Header.Get("Authorization") == "" {
			var who pki.Identity
			if holder, who = certified(r, a.clusterID, time.Now()); holder != roleNone {
				log = log.With("certificate", who.String())
			}
		}
		switch {
		case err != nil:
			log.Error("admin request refused: no usable tokens", "error", err)
			refuse(w, admin.Problem{
				Status:    http.StatusServiceUnavailable,
				Code:      "credentials_unavailable",
				Title:     "This node can't check tokens at the moment",
				Detail:    "its token files can't be used; its log says why",
				Retryable: true,
			})
		case holder == roleNone:
			log.Warn("admin request refused: no valid token or certificate")
			w.Header().Set("WWW-Authenticate", `Bearer realm="conclave"`)
			refuse(w, admin.Problem{
				Status: http.StatusUnauthorized,
				Code:   "unauthorized",
				Title:  "The admin endpoints need a valid token or certificate",
				Detail: a.unauthorizedDetail(r),
			})
		default:
			log = log.With("role", holder)
			log.Debug("admin request")
			ctx := context.WithValue(r.Context(), roleKey{}, holder)
			next(w, r.WithContext(context.WithValue(ctx, logKey{}, log)))
		}
	}
}

// unauthorizedDetail tells what would be valid.
func (a *api) unauthorizedDetail(r *http.Request) string {
	detail := "send a token as Authorization: Bearer TOKEN"
	if r.TLS != nil && a.clusterID != "" {
		person := pki.Identity{Cluster: a.clusterID, Role: pki.RoleAdmin, Name: "NAME"}
		detail += ", or connect with a certificate made out to " + person.String()
	}
	return detail
}

// roleKey is where a request's context holds the role of who sent it.
type roleKey struct{}

// logKey is where it holds the log that tells whose request it is.
type logKey struct{}

// steering lets only those through who may change the membership: on a cluster
// that an operator runs, the operator alone, or the two would undo each other's
// changes.
func (a *api) steering(next http.HandlerFunc) http.HandlerFunc {
	return a.authorized(func(w http.ResponseWriter, r *http.Request) {
		if a.managed && r.Context().Value(roleKey{}) != roleOperator {
			refuse(w, admin.Problem{
				Status: http.StatusConflict,
				Code:   admin.CodeManaged,
				Title:  "An operator runs this cluster and changes its membership",
				Detail: "change the number of replicas in the RaftCluster instead",
			})
			return
		}
		next(w, r)
	})
}

// status answers with the node's admin.Status.
func (a *api) status(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	status := a.node.Status()
	status.Managed = a.managed
	writeJSON(w, http.StatusOK, status)
}

// refuse answers with a problem; its type is derived from its code, and nothing
// has changed unless it says otherwise.
func refuse(w http.ResponseWriter, problem admin.Problem) {
	problem.Outcome = cmp.Or(problem.Outcome, admin.OutcomeRejected)
	problem.Type = "/problems/" + strings.ReplaceAll(problem.Code, "_", "-")
	w.Header().Set("Content-Type", admin.ProblemType)
	writeJSON(w, problem.Status, problem)
}

// writeJSON writes the status and the value. The values are types of package
// admin, which can always be encoded; a reader that has gone is no news.
func writeJSON(w http.ResponseWriter, status int, value any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
