package history

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The makers of operations on the key k that take from start to end.
func put(value string, start, end time.Duration, revision uint64) Operation {
	return Operation{Kind: Put, Key: "k", Value: value, Revision: revision, Start: start, End: end, Outcome: Done}
}

func get(value string, start, end time.Duration, revision uint64) Operation {
	return Operation{Kind: Get, Key: "k", Value: value, Revision: revision, Start: start, End: end, Outcome: Done}
}

func del(start, end time.Duration, revision uint64) Operation {
	return Operation{Kind: Delete, Key: "k", Revision: revision, Start: start, End: end, Outcome: Done}
}

func absent(kind Kind, start, end time.Duration) Operation {
	return Operation{Kind: kind, Key: "k", Start: start, End: end, Outcome: Absent}
}

// failed is o with another outcome than the one it would have liked.
func failed(o Operation, outcome Outcome) Operation {
	o.Outcome, o.Revision, o.Error = outcome, 0, "no answer"
	return o
}

// lost is o whose answer never came.
func lost(o Operation) Operation { return failed(o, Unknown) }

// swap makes o one that demands a value that was seen at a revision.
func swap(o Operation, demanded string, demand uint64) Operation {
	o.Kind, o.Demanded, o.Demand = Swap, demanded, demand
	return o
}

// met makes o one that conflicted with what was there, at a revision.
func met(o Operation, revision uint64) Operation {
	o.Outcome, o.Revision = Conflict, revision
	return o
}

// on is o on another key.
func on(key string, o Operation) Operation {
	o.Key = key
	return o
}

// of is a read of the store as it stood at a revision.
func of(standing uint64, o Operation) Operation {
	o.Standing = standing
	return o
}

func TestCheckAcceptsWhatOneCopyWouldAnswer(t *testing.T) {
	for name, operations := range map[string][]Operation{
		"nothing":                           nil,
		"an absent key":                     {get("", 1, 2, 0), absent(Get, 3, 4)},
		"a write and its reads":             {get("", 0, 1, 0), put("a", 2, 5, 1), get("a", 3, 4, 1), get("a", 6, 7, 1)},
		"writes at the same time":           {put("a", 1, 9, 2), put("b", 1, 9, 1), get("a", 10, 11, 2)},
		"a rejected write that never shows": {put("a", 1, 2, 1), failed(put("b", 3, 4, 0), Rejected), get("a", 5, 6, 1)},
		"an unknown write that never shows": {put("a", 1, 2, 1), lost(put("b", 3, 4, 0)), get("a", 5, 6, 1)},
		"an unknown write that shows late":  {lost(put("b", 1, 2, 0)), get("", 3, 4, 0), get("b", 5, 6, 1)},
		"unknown writes in another order":   {lost(put("b", 1, 2, 0)), lost(put("c", 3, 4, 0)), get("c", 5, 6, 1), get("b", 7, 8, 2)},
		"a failed read":                     {put("a", 1, 2, 1), failed(get("", 3, 4, 0), Rejected)},
		"reads of growing revisions":        {put("a", 0, 1, 1), of(1, get("a", 2, 3, 1)), on("l", put("b", 4, 5, 2)), of(2, get("a", 6, 7, 1))},

		"a delete between reads":                  {put("a", 0, 1, 1), del(2, 5, 2), get("a", 3, 4, 1), absent(Get, 6, 7)},
		"a delete of nothing":                     {absent(Delete, 0, 1), put("a", 2, 3, 1), del(4, 5, 2), absent(Delete, 6, 7)},
		"swaps in a row":                          {put("a", 0, 1, 1), swap(put("b", 2, 3, 4), "a", 1), swap(put("c", 4, 5, 5), "b", 4)},
		"a create after a delete":                 {put("a", 0, 1, 1), del(2, 3, 2), swap(put("b", 4, 5, 3), "", 0)},
		"a swap that came too late":               {put("a", 0, 1, 1), put("b", 2, 3, 2), met(swap(put("c", 4, 5, 0), "a", 1), 2)},
		"a swap that met nothing":                 {put("a", 0, 1, 1), del(2, 3, 2), met(swap(put("c", 4, 5, 0), "a", 1), 0)},
		"an unknown write before a delete":        {lost(put("a", 0, 1, 0)), del(2, 3, 2), absent(Get, 4, 5)},
		"an unknown write that only a swap meets": {put("a", 0, 1, 1), lost(put("b", 2, 3, 0)), met(swap(put("c", 4, 5, 0), "a", 1), 2)},
		"an unknown delete that shows late":       {put("a", 0, 1, 1), lost(del(2, 3, 0)), get("a", 4, 5, 1), absent(Get, 6, 7)},
		"an unknown swap that failed":             {put("a", 0, 1, 1), lost(swap(put("b", 2, 9, 0), "x", 7)), get("a", 10, 11, 1)},
		"an unknown swap that succeeded":          {put("a", 0, 1, 1), lost(swap(put("b", 2, 3, 0), "a", 1)), get("b", 4, 5, 2), swap(put("c", 6, 7, 3), "b", 2)},
	} {
		if err := (&History{Operations: operations}).Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckFindsEveryFault(t *testing.T) {
	const order = "key k: no store"
	for name, c := range map[string]struct {
		operations []Operation
		want       string
	}{
		"a lost write":                          {[]Operation{put("a", 1, 2, 1), get("", 3, 4, 0)}, order},
		"a lost write, found absent":            {[]Operation{put("a", 1, 2, 1), absent(Get, 3, 4)}, order},
		"a write lost to an older one":          {[]Operation{put("a", 1, 2, 1), put("b", 3, 4, 2), get("a", 5, 6, 1)}, order},
		"a stale read":                          {[]Operation{put("a", 1, 2, 1), put("b", 3, 4, 2), get("a", 5, 6, 1), get("b", 7, 8, 2)}, order},
		"a read that goes back":                 {[]Operation{put("a", 0, 1, 1), put("b", 2, 9, 2), get("b", 3, 4, 2), get("a", 5, 6, 1)}, order},
		"an unknown write that shows and goes":  {[]Operation{lost(put("a", 1, 2, 0)), get("a", 3, 4, 1), get("", 5, 6, 0)}, order},
		"an unknown write that shows too early": {[]Operation{get("a", 0, 1, 1), lost(put("a", 2, 3, 0))}, order},
		"a rejected write that shows":           {[]Operation{failed(put("a", 1, 2, 0), Rejected), get("a", 3, 4, 1)}, order},
		"a value from nowhere":                  {[]Operation{get("a", 3, 4, 1)}, order},
		"a read at a wrong revision":            {[]Operation{put("a", 1, 2, 7), get("a", 3, 4, 8)}, order},
		"a swap on an old revision":             {[]Operation{put("a", 0, 1, 1), put("b", 2, 3, 2), swap(put("c", 4, 5, 3), "a", 1)}, order},
		"two creates":                           {[]Operation{swap(put("a", 0, 9, 1), "", 0), swap(put("b", 0, 9, 2), "", 0)}, order},
		"two swaps of one revision":             {[]Operation{put("a", 0, 1, 1), swap(put("b", 2, 9, 2), "a", 1), swap(put("c", 2, 9, 3), "a", 1)}, order},
		"a conflict with the demanded":          {[]Operation{put("a", 0, 1, 1), met(swap(put("b", 2, 3, 0), "a", 1), 1)}, order},
		"a conflict with what was not there":    {[]Operation{put("a", 0, 1, 1), met(swap(put("b", 2, 3, 0), "x", 9), 5)}, order},
		"a delete of nothing, acknowledged":     {[]Operation{del(0, 1, 1)}, order},
		"two deletes of one write":              {[]Operation{put("a", 0, 1, 1), del(2, 9, 2), del(2, 9, 3)}, order},
		"a delete that found nothing of a":      {[]Operation{put("a", 0, 1, 1), absent(Delete, 2, 3)}, order},

		"a revision given twice": {[]Operation{put("a", 1, 9, 1), on("l", put("b", 1, 9, 1))}, "two writes have one revision"},
		"revisions that shrink":  {[]Operation{put("a", 1, 2, 9), on("l", put("b", 3, 4, 8))}, "revisions go back"},
		"a read of before":       {[]Operation{put("a", 0, 1, 200), on("l", of(100, absent(Get, 2, 3)))}, "revisions go back"},
		"a write of before":      {[]Operation{of(100, absent(Get, 0, 1)), on("l", put("a", 2, 3, 100))}, "revisions go back"},
		"a read of the future":   {[]Operation{put("a", 0, 9, 200), of(199, get("a", 0, 9, 200))}, "a read of the future"},
		"values that repeat":     {[]Operation{put("a", 1, 2, 1), put("a", 3, 4, 2)}, "two writes of one value"},
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
		operations = append(operations, lost(put(strings.Repeat("x", int(i+1)), i, i+1, 0)))
	}
	operations = append(operations, put("y", 300, 301, 40), get("y", 302, 303, 40), get("xxx", 304, 305, 41))
	if err := (&History{Operations: operations}).Check(); err != nil {
		t.Error(err)
	}
	operations = append(operations, get("y", 306, 307, 40))
	if err := (&History{Operations: operations}).Check(); err == nil || !strings.Contains(err.Error(), "no store") {
		t.Errorf("a read that goes back, after many unknown writes: got %v", err)
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

func TestAKeptHistoryShowsEveryOperation(t *testing.T) {
	dir := t.TempDir()
	h := &History{Operations: []Operation{put("first", 1, 2, 1), get("", 3, 4, 0), on("l", lost(put("other", 5, 6, 0)))}}
	if err := h.Keep(dir); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"history.txt", "history.html"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || !strings.Contains(string(text), "first") {
			t.Errorf("%s doesn't tell of the write: %v", file, err)
		}
	}
}
