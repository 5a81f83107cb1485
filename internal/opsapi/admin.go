package opsapi

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/conclave-dev/conclave/internal/admin"
)

// authorized lets only those through who hold a token of any role, and logs who
// did what.
func (a *api) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		holder, err := a.credentials.holder(r)
		log := a.log.With("method", r.Method, "path", r.URL.Path, "remote", r.RemoteAddr)
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
			log.Warn("admin request refused: no valid token")
			w.Header().Set("WWW-Authenticate", `Bearer realm="conclave"`)
			refuse(w, admin.Problem{
				Status: http.StatusUnauthorized,
				Code:   "unauthorized",
				Title:  "The admin endpoints need a valid token",
				Detail: "send it as Authorization: Bearer TOKEN",
			})
		default:
			log.Debug("admin request", "role", holder)
			next(w, r)
		}
	}
}

// status answers with the node's admin.Status.
func (a *api) status(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	writeJSON(w, http.StatusOK, a.node.Status())
}

// refuse answers with a problem; its type is derived from its code.
func refuse(w http.ResponseWriter, problem admin.Problem) {
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
