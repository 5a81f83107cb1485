package history

import (
	"strings"
	"testing"
	"time"
)

// put and get make operations on the key k that take from start to end.
func put(value string, start, end time.Duration, revision uint64) Operation {
	return Operation{Kind: Put, Key: "k", Value: value, Revision: revision, Start: start, End: end, Outcome: Done}
}

func get(value string, start, end time.Duration, revision uint64) Operation {
	return Operation{Kind: Get, Key: "k", Value: value, Revision: revision, Start: start, End: end, Outcome: Done}
}

// failed is o with another outcome than the one it would have liked.
func failed(o Operation, outcome Outcome) Operation {
	o.Outcome, o.Revision, o.Error = outcome, 0, "no answer"
	return o
}

// on is o on another key.
func on(key string, o Operation) Operation {
	o.Key = key
	return o
}

func TestCheckAcceptsWhatOneCopyWouldAnswer(t *testing.T) {
	for name, operations := range map[string][]Operation{
		"nothing":                           nil,
		"an absent key":                     {get("", 1, 2, 0)},
		"a write and its reads":             {get("", 0, 1, 0), put("a", 2, 5, 1), get("a", 3, 4, 1), get("a", 6, 7, 1)},
		"writes at the same time":           {put("a", 1, 9, 2), put("b", 1, 9, 1), get("a", 10, 11, 2)},
		"a rejected write that never shows": {put("a", 1, 2, 1), failed(put("b", 3, 4, 0), Rejected), get("a", 5, 6, 1)},
		"an unknown write that never shows": {put("a", 1, 2, 1), failed(put("b", 3, 4, 0), Unknown), get("a", 5, 6, 1)},
		"an unknown write that shows late":  {failed(put("b", 1, 2, 0), Unknown), get("", 3, 4, 0), get("b", 5, 6, 1)},
		"unknown writes in another order": {failed(put("b", 1, 2, 0), Unknown), failed(put("c", 3, 4, 0), Unknown),
			get("c", 5, 6, 1), get("b", 7, 8, 2)},
		"a failed read": {put("a", 1, 2, 1), failed(get("", 3, 4, 0), Rejected)},
	} {
		if err := (&History{Operations: operations}).Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckFindsEveryFault(t *testing.T) {
	for name, c := range map[string]struct {
		operations []Operation
		want       string
	}{
		"a lost write":                 {[]Operation{put("a", 1, 2, 1), get("", 3, 4, 0)}, "key k: no store"},
		"a write lost to an older one": {[]Operation{put("a", 1, 2, 1), put("b", 3, 4, 2), get("a", 5, 6, 1)}, "key k: no store"},
		"a stale read":                 {[]Operation{put("a", 1, 2, 1), put("b", 3, 4, 2), get("a", 5, 6, 1), get("b", 7, 8, 2)}, "key k: no store"},
		"a read that goes back in time": {[]Operation{failed(put("a", 1, 2, 0), Unknown),
			get("a", 3, 4, 1), get("", 5, 6, 0)}, "key k: no store"},
		"a rejected write that shows": {[]Operation{failed(put("a", 1, 2, 0), Rejected), get("a", 3, 4, 1)}, "key k: no store"},
		"a value from nowhere":        {[]Operation{get("a", 3, 4, 1)}, "key k: no store"},
		"a read at a wrong revision":  {[]Operation{put("a", 1, 2, 7), get("a", 3, 4, 8)}, "key k: no store"},
		"a revision given twice":      {[]Operation{put("a", 1, 2, 1), on("l", put("b", 3, 4, 1))}, "revisions don't grow"},
		"revisions that shrink":       {[]Operation{put("a", 1, 2, 9), on("l", put("b", 3, 4, 8))}, "revisions don't grow"},
		"values that repeat":          {[]Operation{put("a", 1, 2, 1), put("a", 3, 4, 2)}, "two writes of one value"},
	} {
		err := (&History{Operations: c.operations}).Check()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want it to mention %q", name, err, c.want)
		}
	}
}

func TestCheckDecidesManyUnknownWritesAtOnce(t *testing.T) {
	var operations []Operation
	for i := range time.Duration(200) {
		operations = append(operations, failed(put(strings.Repeat("x", int(i+1)), i, i+1, 0), Unknown))
	}
	operations = append(operations, put("y", 300, 301, 40), get("y", 302, 303, 40), get("xxx", 304, 305, 41))
	if err := (&History{Operations: operations}).Check(); err != nil {
		t.Error(err)
	}
}

func TestComplaintsAreBounded(t *testing.T) {
	var operations []Operation
	for i := range 1000 {
		operations = append(operations, on(strings.Repeat("k", i+1), get("a", 1, 2, 1)))
	}
	err := (&History{Operations: operations}).Check()
	if err == nil || !strings.Contains(err.Error(), "and 980 more") {
		t.Errorf("got %.200v", err)
	}
}

func TestPausesAreBetweenAcknowledgementsOfWrites(t *testing.T) {
	h := History{
		Operations: []Operation{
			put("a", 5, 10, 1), put("b", 11, 20, 2), failed(put("c", 21, 30, 0), Unknown),
			failed(put("d", 31, 40, 0), Rejected), get("b", 41, 45, 2), put("e", 50, 60, 3), put("f", 61, 62, 4),
		},
		Marks: []Mark{{"cut", 15}},
	}
	from := h.At("cut")
	for to, want := range map[time.Duration]Pause{70: {20, 60}, 50: {20, 50}, 16: {15, 16}} {
		if got := h.LongestPause(from, to); got != want {
			t.Errorf("the longest pause until %d is %v, want %v", to, got, want)
		}
	}
	if got, want := h.Count(from), (Count{Acknowledged: 3, Rejected: 1, Unknown: 1}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
