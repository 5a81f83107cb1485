//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/conclave-dev/conclave/test/e2e/history"
)

func TestOutcomesAreReadExactly(t *testing.T) {
	refusal := func(status int, code, outcome string) answer {
		return answer{status: status, problem: &problem{Code: code, Outcome: outcome}}
	}
	for name, c := range map[string]struct {
		kind   history.Kind
		answer answer
		want   history.Outcome
		fault  bool
	}{
		"refused write":                    {history.Put, refusal(503, "no_leader", "rejected"), history.Rejected, false},
		"unknown write":                    {history.Put, refusal(504, "outcome_unknown", "unknown"), history.Unknown, false},
		"refused read":                     {history.Get, refusal(503, "no_leader", "rejected"), history.Rejected, false},
		"unknown read":                     {history.Get, refusal(504, "outcome_unknown", "unknown"), "", true},
		"connection refused":               {history.Put, answer{undelivered: true}, history.Rejected, false},
		"write without answer":             {history.Delete, answer{err: fmt.Errorf("reset")}, history.Unknown, false},
		"read without answer":              {history.Get, answer{err: fmt.Errorf("reset")}, history.Rejected, false},
		"conflict":                         {history.Swap, refusal(http.StatusPreconditionFailed, "revision_mismatch", "rejected"), history.Conflict, false},
		"conflict of one that wants none":  {history.Put, refusal(http.StatusPreconditionFailed, "revision_mismatch", "rejected"), "", true},
		"delete of nothing":                {history.Delete, refusal(404, "key_not_found", "rejected"), history.Absent, false},
		"put of nothing":                   {history.Put, refusal(404, "key_not_found", "rejected"), "", true},
		"server error":                     {history.Put, refusal(500, "internal", "unknown"), "", true},
		"write with a tag of another":      {history.Put, answer{status: 200, etag: 1, revision: 2}, history.Done, true},
		"write":                            {history.Put, answer{status: 201, etag: 2, revision: 2}, history.Done, false},
		"refusal without an outcome":       {history.Put, refusal(503, "no_leader", ""), "", true},
		"answer that isn't of this server": {history.Put, answer{status: 302}, "", true},
	} {
		o := history.Operation{Kind: c.kind}
		fault := judge(&o, c.answer)
		if (fault != "") != c.fault || o.Outcome != c.want {
			t.Errorf("%s: outcome %q and %q", name, o.Outcome, fault)
		}
	}
}
