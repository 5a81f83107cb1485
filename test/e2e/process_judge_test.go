//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// The makers of operations on the key k that take from call to end.
func wrote(value string, revision uint64, call, end time.Duration) operation {
	return operation{verb: verbPut, key: "k", value: value, effect: effectDone, revision: revision, call: call, end: end}
}

func read(value string, revision uint64, call, end time.Duration) operation {
	return operation{verb: verbGet, key: "k", value: value, effect: effectDone, revision: revision, standing: revision, call: call, end: end}
}

func deleted(revision uint64, call, end time.Duration) operation {
	return operation{verb: verbDelete, key: "k", effect: effectDone, revision: revision, call: call, end: end}
}

func readNothing(call, end time.Duration) operation {
	return operation{verb: verbGet, key: "k", effect: effectAbsent, standing: 100, call: call, end: end}
}

// swapped makes o one that demands a value that was seen at a revision.
func swapped(o operation, demanded string, demand uint64) operation {
	o.verb, o.demanded, o.demand = verbSwap, demanded, demand
	return o
}

// met makes o one that conflicted with what was there, at a revision.
func met(o operation, revision uint64) operation {
	o.effect, o.revision = effectConflict, revision
	return o
}

// lost makes o one whose answer never came.
func lost(o operation) operation {
	o.effect, o.revision = effectUnknown, 0
	return o
}

func TestJudgeAcceptsWhatOneCopyWouldAnswer(t *testing.T) {
	for name, operations := range map[string][]operation{
		"a write and its read":                {wrote("a", 1, 0, 1), read("a", 1, 2, 3)},
		"a delete between reads":              {wrote("a", 1, 0, 1), deleted(2, 2, 5), read("a", 1, 3, 4), readNothing(6, 7)},
		"swaps in a row":                      {wrote("a", 1, 0, 1), swapped(wrote("b", 4, 2, 3), "a", 1), swapped(wrote("c", 5, 4, 5), "b", 4)},
		"a create after a delete":             {wrote("a", 1, 0, 1), deleted(2, 2, 3), swapped(wrote("b", 3, 4, 5), "", 0)},
		"a swap that came too late":           {wrote("a", 1, 0, 1), wrote("b", 2, 2, 3), met(swapped(wrote("c", 0, 4, 5), "a", 1), 2)},
		"a lost write that shows late":        {wrote("a", 1, 0, 1), lost(wrote("b", 0, 2, 3)), read("a", 1, 4, 5), read("b", 7, 6, 7)},
		"a lost write that never shows":       {lost(wrote("b", 0, 0, 1)), readNothing(2, 3)},
		"a lost write that only a swap meets": {wrote("a", 1, 0, 1), lost(wrote("b", 0, 2, 3)), met(swapped(wrote("c", 0, 4, 5), "a", 1), 2)},
		"a lost delete that shows late":       {wrote("a", 1, 0, 1), lost(deleted(0, 2, 3)), read("a", 1, 4, 5), readNothing(6, 7)},
		"a lost swap that failed":             {wrote("a", 1, 0, 1), lost(swapped(wrote("b", 0, 2, 9), "x", 7)), read("a", 1, 10, 11)},
		"a lost swap that succeeded": {wrote("a", 1, 0, 1), lost(swapped(wrote("b", 0, 2, 3), "a", 1)), read("b", 2, 4, 5),
			swapped(wrote("c", 3, 6, 7), "b", 2)},
	} {
		if problems := revisionProblems(operations); !linearizable(operations) || len(problems) > 0 {
			t.Errorf("%s: refused %q", name, problems)
		}
	}
}

func TestJudgeFindsEveryFault(t *testing.T) {
	for name, operations := range map[string][]operation{
		"a lost acknowledgement":               {wrote("a", 1, 0, 1), readNothing(2, 3)},
		"a stale read":                         {wrote("a", 1, 0, 1), wrote("b", 2, 2, 3), read("a", 1, 4, 5)},
		"a read that goes back":                {wrote("a", 1, 0, 1), wrote("b", 2, 2, 9), read("b", 2, 3, 4), read("a", 1, 5, 6)},
		"a value from nowhere":                 {read("a", 1, 0, 1)},
		"a value at another revision":          {wrote("a", 1, 0, 1), read("a", 2, 2, 3)},
		"a swap on an old revision":            {wrote("a", 1, 0, 1), wrote("b", 2, 2, 3), swapped(wrote("c", 3, 4, 5), "a", 1)},
		"two creates":                          {swapped(wrote("a", 1, 0, 9), "", 0), swapped(wrote("b", 2, 0, 9), "", 0)},
		"two swaps of one revision":            {wrote("a", 1, 0, 1), swapped(wrote("b", 2, 2, 9), "a", 1), swapped(wrote("c", 3, 2, 9), "a", 1)},
		"a conflict with the demanded":         {wrote("a", 1, 0, 1), met(swapped(wrote("b", 0, 2, 3), "a", 1), 1)},
		"a conflict with what was not there":   {wrote("a", 1, 0, 1), met(swapped(wrote("b", 0, 2, 3), "x", 9), 5)},
		"a delete of nothing":                  {deleted(1, 0, 1)},
		"two deletes of one write":             {wrote("a", 1, 0, 1), deleted(2, 2, 9), deleted(3, 2, 9)},
		"a lost write that shows and vanishes": {lost(wrote("a", 0, 0, 1)), read("a", 1, 2, 3), readNothing(4, 5)},
		"a lost write that shows too early":    {read("a", 1, 0, 1), lost(wrote("a", 0, 2, 3))},
	} {
		if linearizable(operations) {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRevisionsAreComparedOverAllKeys(t *testing.T) {
	future := read("a", 200, 0, 9)
	future.standing = 199
	for name, operations := range map[string][]operation{
		"revisions that go back":      {wrote("a", 2, 0, 1), on("l", wrote("b", 1, 2, 3))},
		"one revision for two writes": {wrote("a", 1, 0, 9), on("l", wrote("b", 1, 0, 9))},
		"a read of before":            {wrote("a", 200, 0, 1), on("l", readNothing(2, 3))},
		"a write of before":           {readNothing(0, 1), on("l", wrote("a", 100, 2, 3))},
		"a read of the future":        {wrote("a", 200, 0, 9), future},
	} {
		if len(revisionProblems(operations)) == 0 {
			t.Errorf("%s: accepted", name)
		}
	}
}

// on is o at another key.
func on(key string, o operation) operation {
	o.key = key
	return o
}

func linearizable(operations []operation) bool {
	r := &record{operations: operations}
	return porcupine.CheckOperationsTimeout(keyModel, r.calls(), checkTimeout) == porcupine.Ok
}

func TestOutcomesAreReadExactly(t *testing.T) {
	refusal := func(status int, code, outcome string) answer {
		return answer{status: status, problem: &problem{Code: code, Outcome: outcome}}
	}
	for name, c := range map[string]struct {
		verb   verb
		answer answer
		want   effect // empty: recorded nowhere
		fault  bool
	}{
		"refused write":                    {verbPut, refusal(503, "no_leader", "rejected"), "", false},
		"unknown write":                    {verbPut, refusal(504, "outcome_unknown", "unknown"), effectUnknown, false},
		"refused read":                     {verbGet, refusal(503, "no_leader", "rejected"), "", false},
		"unknown read":                     {verbGet, refusal(504, "outcome_unknown", "unknown"), "", true},
		"connection refused":               {verbPut, answer{undelivered: true}, "", false},
		"write without answer":             {verbDelete, answer{err: fmt.Errorf("reset")}, effectUnknown, false},
		"read without answer":              {verbGet, answer{err: fmt.Errorf("reset")}, "", false},
		"conflict":                         {verbSwap, refusal(http.StatusPreconditionFailed, "revision_mismatch", "rejected"), effectConflict, false},
		"conflict of one that wants none":  {verbPut, refusal(http.StatusPreconditionFailed, "revision_mismatch", "rejected"), "", true},
		"delete of nothing":                {verbDelete, refusal(404, "key_not_found", "rejected"), effectAbsent, false},
		"put of nothing":                   {verbPut, refusal(404, "key_not_found", "rejected"), "", true},
		"server error":                     {verbPut, refusal(500, "internal", "unknown"), "", true},
		"write with a tag of another":      {verbPut, answer{status: 200, etag: 1, revision: 2}, effectDone, true},
		"write":                            {verbPut, answer{status: 201, etag: 2, revision: 2}, effectDone, false},
		"refusal without an outcome":       {verbPut, refusal(503, "no_leader", ""), "", true},
		"answer that isn't of this server": {verbPut, answer{status: 302}, "", true},
	} {
		o := operation{verb: c.verb}
		fault := o.judge(c.answer)
		if isFault := fault != "" && fault != nothing; isFault != c.fault || o.effect != c.want {
			t.Errorf("%s: effect %q and %q", name, o.effect, fault)
		}
	}
}
