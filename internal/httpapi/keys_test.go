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

// page is a page of a listing as clients see it.
type page struct {
	Namespace string
	Revision  uint64
	Entries   []struct {
		Key          string
		Revision     uint64
		Type         string
		Text, Base64 *string
	}
	Prefixes []string
	Next     string
}

func (p page) keys() (keys []string) {
	for _, e := range p.Entries {
		keys = append(keys, e.Key)
	}
	return keys
}

// list asks for one page.
func list(t *testing.T, base, query string) page {
	t.Helper()
	got := send(t, base, request{method: "GET", target: "/v1/keys/pay" + query})
	got.want(t, 200, "-")
	var p page
	if err := json.Unmarshal([]byte(got.body), &p); err != nil {
		t.Fatal(err)
	}
	got.wantHeader(t, map[string]string{"Conclave-Revision": fmt.Sprint(p.Revision), "Content-Type": "application/json"})
	return p
}

func TestAListingShowsKeysWithoutValuesUnlessAsked(t *testing.T) {
	a := newAPI(t, nil)
	a.put("db/url", "v1")
	a.put("db/url", "v2")
	base := a.serve()
	p := list(t, base, "")
	if e := p.Entries[0]; p.Namespace != "pay" || p.Revision != 2 || e.Key != "db/url" || e.Revision != 2 || e.Type != "text/plain" || e.Text != nil || p.Next != "" {
		t.Errorf("page %+v", p)
	}
	if e := list(t, base, "?values=1").Entries[0]; e.Text == nil || *e.Text != "v2" {
		t.Errorf("entry %+v, want its value", e)
	}
	empty := send(t, base, request{method: "GET", target: "/v1/keys/empty"})
	empty.want(t, 200, `{"namespace":"empty","revision":2,"entries":[],"prefixes":[]}`)
}

func TestADelimiterGroupsKeysByCommonPrefix(t *testing.T) {
	a := newAPI(t, nil)
	for _, key := range []string{"a", "a/1", "a/2", "a/b/3", "a.x", "b/1", "c"} {
		a.put(key, "v")
	}
	base := a.serve()
	for query, want := range map[string][2][]string{
		"?delimiter=/":              {{"a", "a.x", "c"}, {"a/", "b/"}},
		"?delimiter=/&prefix=a":     {{"a", "a.x"}, {"a/"}},
		"?delimiter=/&prefix=a/":    {{"a/1", "a/2"}, {"a/b/"}},
		"?prefix=a/":                {{"a/1", "a/2", "a/b/3"}, nil},
		"?delimiter=/&prefix=zebra": {nil, nil},
	} {
		p := list(t, base, query)
		if !slices.Equal(p.keys(), want[0]) || !slices.Equal(p.Prefixes, want[1]) {
			t.Errorf("%s: keys %q, prefixes %q; want %q", query, p.keys(), p.Prefixes, want)
		}
	}
}

func TestPagesTogetherHoldEveryItemOnce(t *testing.T) {
	a := newAPI(t, nil)
	for i := range 25 {
		a.put(fmt.Sprintf("k%02d", i), "v")
		a.put(fmt.Sprintf("d%d/x", i%5), "v")
	}
	base := a.serve()
	for _, limit := range []int{1, 2, 7, 30, 31, 1000} {
		var items []string
		cursor, revision := "", uint64(0)
		for pages := 0; ; pages++ {
			if pages > 31 {
				t.Fatalf("limit %d: no end after %d pages", limit, pages)
			}
			p := list(t, base, fmt.Sprintf("?delimiter=/&limit=%d&cursor=%s", limit, url.QueryEscape(cursor)))
			if n := len(p.Entries) + len(p.Prefixes); n > limit {
				t.Errorf("limit %d: a page holds %d items", limit, n)
			}
			if p.Revision < revision {
				t.Errorf("limit %d: a page of revision %d follows one of %d", limit, p.Revision, revision)
			}
			items, revision = append(append(items, p.keys()...), p.Prefixes...), p.Revision
			a.put("k00", "again") // what is behind the cursor may change
			if cursor = p.Next; cursor == "" {
				break
			}
		}
		slices.Sort(items)
		if len(items) != 30 || len(slices.Compact(items)) != 30 {
			t.Errorf("limit %d: %d items, want 30 different ones", limit, len(items))
		}
	}
}

func TestACursorContinuesOnlyItsOwnListing(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a/1", "v")
	a.put("a/2", "v")
	base := a.serve()
	cursor := list(t, base, "?prefix=a&limit=1").Next
	for _, query := range []string{"?prefix=b&limit=1", "?limit=1", "?prefix=a&delimiter=/"} {
		send(t, base, request{method: "GET", target: "/v1/keys/pay" + query + "&cursor=" + cursor}).wantProblem(t, 400, "invalid_cursor")
	}
	send(t, base, request{method: "GET", target: "/v1/keys/other?prefix=a&cursor=" + cursor}).wantProblem(t, 400, "invalid_cursor")
	if got := list(t, base, "?prefix=a&cursor="+cursor).keys(); !slices.Equal(got, []string{"a/2"}) {
		t.Errorf("keys %q", got)
	}
}

func TestAPageWithValuesStaysWithinTheLimitOfAReply(t *testing.T) {
	const replyBytesMax = 16 << 20
	a := newAPI(t, nil)
	// JSON shows a control character as six bytes: nothing grows more.
	for i := range 20 {
		a.put(fmt.Sprintf("big/%02d", i), strings.Repeat("\x01", config.MaxValueBytes/4))
	}
	a.put("huge", strings.Repeat("\x01", config.MaxValueBytes))
	base := a.serve()
	var keys []string
	for cursor := ""; ; {
		got := send(t, base, request{method: "GET", target: "/v1/keys/pay?values=1&cursor=" + cursor})
		if len(got.body) > replyBytesMax {
			t.Fatalf("a page of %d bytes", len(got.body))
		}
		var p page
		if err := json.Unmarshal([]byte(got.body), &p); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, p.keys()...)
		if cursor = p.Next; cursor == "" {
			break
		}
	}
	if len(keys) != 21 || !slices.IsSorted(keys) {
		t.Errorf("keys %q, want all 21", keys)
	}
}

func TestTheClusterIsDescribed(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "1")
	got := send(t, a.serve(), request{method: "GET", target: "/v1/cluster"})
	got.want(t, 200, `{"clusterID":"c0ffee","name":"node-1","version":"test","ready":true,"leader":"node-1","term":3,"revision":1,`+
		`"commitIndex":7,"appliedIndex":7,"members":[{"memberID":"00000000000000aa","name":"node-1","role":"Voter"}]}`)
}
