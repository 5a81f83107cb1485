package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// read decodes the JSON answer to a GET.
func (a *api) read(target string, into any) reply {
	a.t.Helper()
	got := a.do(request{method: "GET", target: target})
	if got.status != 200 {
		a.t.Fatalf("%s: status %d, %s", target, got.status, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), into); err != nil {
		a.t.Fatal(err)
	}
	return got
}

type historyPage struct {
	Key      string
	Revision uint64
	Entries  []struct {
		Revision, CreateRevision, Version uint64
		Op, Time, Type                    string
		Text                              *string
		Base64                            []byte
	}
	Next string
}

// shown shows a history as "4=x 3- 1=y".
func (p historyPage) shown() string {
	var out []string
	for _, e := range p.Entries {
		if e.Op == "delete" {
			out = append(out, fmt.Sprint(e.Revision, "-"))
		} else {
			out = append(out, fmt.Sprintf("%d=%s", e.Revision, *e.Text))
		}
	}
	return strings.Join(out, " ")
}

func TestAHistoryTellsWhatAKeyWasNewestFirst(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "1")
	a.put("b", "x")
	a.put("a", "2")
	a.together(map[string]string{"a": ""})
	a.put("a", "3")
	var whole historyPage
	got := a.read("/v1/history/pay/a", &whole)
	got.wantHeader(t, map[string]string{"Conclave-Revision": "5", "Conclave-Consistency": "linear"})
	if whole.shown() != "5=3 4- 3=2 1=1" || whole.Key != "a" || whole.Revision != 5 || whole.Next != "" {
		t.Errorf("the history is %q, %+v", whole.shown(), whole)
	}
	if e := whole.Entries[2]; e.CreateRevision != 1 || e.Version != 2 || e.Type != "text/plain" || e.Time != "1970-01-01T00:00:00Z" {
		t.Errorf("an entry is %+v", e)
	}
	var pages []string
	for cursor := ""; ; {
		var page historyPage
		a.read("/v1/history/pay/a?limit=2&cursor="+cursor, &page)
		pages = append(pages, page.shown())
		if cursor = page.Next; cursor == "" {
			break
		}
		a.put("a", "written between the pages")
	}
	if !slices.Equal(pages, []string{"5=3 4-", "3=2 1=1"}) {
		t.Errorf("the pages are %q", pages)
	}
}

func TestAPageOfAHistoryIsLimitedInBytes(t *testing.T) {
	a := newAPI(t, nil)
	for range 5 {
		a.put("a", strings.Repeat("v", config.MaxValueBytes/2))
	}
	var page historyPage
	a.read("/v1/history/pay/a", &page)
	if len(page.Entries) != 2 || page.Next != "3" {
		t.Errorf("%d entries, next %q", len(page.Entries), page.Next)
	}
}

type diffPage struct {
	From, To uint64
	Changes  []struct {
		Key, Change   string
		Before, After *struct{ Text *string }
	}
	Next string
}

// shown shows differences as "a:1>2 b:>x c:y>".
func (p diffPage) shown() string {
	var out []string
	for _, c := range p.Changes {
		before, after := "", ""
		if c.Before != nil {
			before = *c.Before.Text
		}
		if c.After != nil {
			after = *c.After.Text
		}
		if want := map[[2]bool]string{{true, true}: "modified", {false, true}: "created", {true, false}: "deleted"}[[2]bool{c.Before != nil, c.After != nil}]; c.Change != want {
			out = append(out, "("+c.Change+" is wrong)")
		}
		out = append(out, c.Key+":"+before+">"+after)
	}
	return strings.Join(out, " ")
}

func TestADiffTellsWhatReadsDifferently(t *testing.T) {
	a := newAPI(t, nil)
	a.put("db/a", "1")
	a.put("db/b", "1")
	a.put("same", "1")
	a.together(map[string]string{"db/a": "2", "db/b": "", "db/c": "new", "same": "2"})
	a.put("same", "1")
	for query, want := range map[string]string{
		"from=3": "db/a:1>2 db/b:1> db/c:>new", "from=3&prefix=db/b": "db/b:1>", "from=4&to=3&prefix=db/": "db/a:2>1 db/b:>1 db/c:new>",
		"from=0&to=1": "db/a:>1", "from=5": "", "from=3&to=4&prefix=same": "same:1>2",
	} {
		var page diffPage
		a.read("/v1/diff/pay?"+query, &page)
		if page.shown() != want || page.Next != "" {
			t.Errorf("%s: %q, want %q", query, page.shown(), want)
		}
	}
}

func TestAllPagesOfADiffCompareTheSameRevisions(t *testing.T) {
	a := newAPI(t, nil)
	for i := range 5 {
		a.put(fmt.Sprint("k", i), "1")
	}
	var got []string
	for cursor := ""; ; {
		var page diffPage
		a.read("/v1/diff/pay?from=0&limit=2"+cursor, &page)
		got = append(got, page.shown())
		if page.To != 5 {
			t.Errorf("a page compares with revision %d", page.To)
		}
		if page.Next == "" {
			break
		}
		cursor = "&cursor=" + url.QueryEscape(page.Next)
		a.put("k4", "changed between the pages")
		a.do(request{method: "GET", target: "/v1/diff/pay?from=1&limit=2" + cursor}).wantProblem(t, 400, "invalid_cursor")
		a.do(request{method: "GET", target: "/v1/diff/pay?from=0&prefix=x&limit=2" + cursor}).wantProblem(t, 400, "invalid_cursor")
	}
	if want := []string{"k0:>1 k1:>1", "k2:>1 k3:>1", "k4:>1"}; !slices.Equal(got, want) {
		t.Errorf("the pages are %q, want %q", got, want)
	}
}

func TestAReadOfThePastIsAsOfItsRevision(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "1")
	a.put("a", "2")
	a.together(map[string]string{"a": "", "b": "x"})
	for target, want := range map[string]string{"/v1/kv/pay/a?revision=1": "1", "/v1/kv/pay/a?revision=2": "2", "/v1/kv/pay/b?revision=3": "x"} {
		got := a.do(request{method: "GET", target: target})
		got.want(t, 200, want)
		got.wantHeader(t, map[string]string{"Conclave-Revision": target[len(target)-1:], "Etag": quoted(map[string]uint64{"1": 1, "2": 2, "x": 3}[want])})
	}
	a.do(request{method: "GET", target: "/v1/kv/pay/a?revision=3"}).wantProblem(t, 404, "key_not_found")
	a.do(request{method: "GET", target: "/v1/kv/pay/a?revision=2", header: []string{`If-None-Match: "2"`, "Prefer: wait=60"}}).want(t, 304, "")
	a.do(request{method: "GET", target: "/v1/kv/pay/a?revision=2&wait=1s", header: []string{`If-None-Match: "2"`}}).wantProblem(t, 400, "malformed")
	var listing struct{ Entries []struct{ Key, Text string } }
	a.read("/v1/keys/pay?revision=2&values=1", &listing)
	if len(listing.Entries) != 1 || listing.Entries[0].Text != "2" {
		t.Errorf("the listing of revision 2 is %+v", listing)
	}
	forget(a)
	got := a.do(request{method: "GET", target: "/v1/kv/pay/a?revision=2"})
	got.wantProblem(t, 410, "pruned")
	var problem struct{ OldestRevision uint64 }
	if err := json.Unmarshal([]byte(got.body), &problem); err != nil || problem.OldestRevision != a.store.Revision() {
		t.Errorf("%s doesn't tell the oldest revision, %d", got.body, a.store.Revision())
	}
}
