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
	txn := func(revision uint64, text string) answer { return answer{status: 200, revision: revision, value: text} }
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
		"transaction":                      {history.Txn, txn(7, `{"succeeded":true,"revision":7,"results":[{"op":"put","key":"a","revision":7}]}`), history.Done, false},
		"transaction that only read":       {history.Txn, txn(7, `{"succeeded":false,"revision":7,"results":[{"op":"get","key":"a","revision":3,"entry":{"text":"0","revision":3}}]}`), history.Done, false},
		"transaction that found nothing":   {history.Txn, txn(7, `{"succeeded":false,"revision":7,"results":[{"op":"get","key":"a"}]}`), history.Done, false},
		"transaction of two revisions":     {history.Txn, txn(7, `{"succeeded":true,"revision":8,"results":[{"op":"put","key":"a","revision":8}]}`), history.Done, true},
		"put of another revision":          {history.Txn, txn(7, `{"succeeded":true,"revision":7,"results":[{"op":"put","key":"a","revision":6}]}`), history.Done, true},
		"get that shows nothing":           {history.Txn, txn(7, `{"succeeded":false,"revision":7,"results":[{"op":"get","key":"a","revision":3}]}`), history.Done, true},
		"results of the other branch":      {history.Txn, txn(7, `{"succeeded":true,"revision":7,"results":[{"op":"get","key":"a"}]}`), history.Done, true},
		"transaction with too few results": {history.Txn, txn(7, `{"succeeded":true,"revision":7,"results":[]}`), history.Done, true},
		"transaction without answer":       {history.Txn, answer{err: fmt.Errorf("reset")}, history.Unknown, false},
		"refusal of one that has an else":  {history.Txn, refusal(http.StatusPreconditionFailed, "revision_mismatch", "rejected"), "", true},
		"answer that isn't of this server": {history.Put, answer{status: 302}, "", true},
	} {
		o := history.Operation{Kind: c.kind}
		if c.kind == history.Txn {
			o.Txn = &history.Transaction{Then: []history.Step{{Kind: history.Put, Key: "a", Value: "1"}}, Else: []history.Step{{Kind: history.Get, Key: "a"}}}
		}
		fault := judge(&o, c.answer)
		if (fault != "") != c.fault || o.Outcome != c.want {
			t.Errorf("%s: outcome %q and %q", name, o.Outcome, fault)
		}
	}
}
