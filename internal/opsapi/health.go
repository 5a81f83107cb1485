package opsapi

import (
	"context"
	"io"
	"net/http"
)

// The health endpoints answer with one line of text, for kubelets and curl: "ok",
// or the reason why not.

// livez tells whether restarting this process could help.
func (a *api) livez(w http.ResponseWriter, _ *http.Request) {
	reason := ""
	if err := a.node.Alive(); err != nil {
		reason = "not alive: " + err.Error()
	}
	answerHealth(w, reason)
}

// readyz tells whether clients should be sent here. A node without a leader may
// be ready, since it can still serve local reads; the header says so.
func (a *api) readyz(w http.ResponseWriter, _ *http.Request) {
	ready, reason := a.node.Ready()
	if !ready {
		answerHealth(w, "not ready: "+reason)
		return
	}
	leader := "unknown"
	if a.node.LeaderKnown() {
		leader = "known"
	}
	w.Header().Set("Conclave-Leader", leader)
	answerHealth(w, "")
}

// quorumz tells whether the cluster can serve fresh reads through this node.
// Those who ask while a probe is under way get its outcome, so nobody can make
// the node probe more than once at a time. The probe doesn't end when the one
// who happened to ask first goes away.
func (a *api) quorumz(w http.ResponseWriter, r *http.Request) {
	_, err, _ := a.probes.Do("probe", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), a.probeTimeout)
		defer cancel()
		return nil, a.node.Probe(ctx)
	})
	reason := ""
	if err != nil {
		reason = "no quorum: " + err.Error()
	}
	answerHealth(w, reason)
}

// answerHealth writes "ok", or 503 and the reason.
func answerHealth(w http.ResponseWriter, reason string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	text := "ok\n"
	if reason != "" {
		text = reason + "\n"
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = io.WriteString(w, text) // whoever asked has gone, and nobody else wants to know
}
