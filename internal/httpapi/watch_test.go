package httpapi_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

func TestAWatchSendsEachRevisionAsOneEvent(t *testing.T) {
	for _, accept := range []string{"text/event-stream", "application/x-ndjson"} {
		t.Run(accept, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAPI(t, nil)
				a.put("before", "1")
				w := a.watch(t, request{target: "/v1/watch/pay", header: []string{"Accept: " + accept}})
				w.want("bookmark 1")
				for name, want := range map[string]string{"Content-Type": accept, "X-Accel-Buffering": "no", "Cache-Control": "private, no-cache", "Conclave-Revision": "1", "Conclave-Consistency": "linear", "Vary": "Accept"} {
					if got := w.header.Get(name); got != want {
						t.Errorf("header %s is %q, want %q", name, got, want)
					}
				}
				a.put("db/url", "x")
				w.want("change 2: db/url=x")
				a.together(map[string]string{"db/url": "", "app": "é\n\u2028<", "bin": "\xff\x00"})
				w.want("change 3: app=é\n\u2028< bin=ff00 db/url-")
				a.put("app", "")
				events := w.events()
				if len(events) != 1 || len(events[0].Changes) != 1 {
					t.Fatalf("events %v", events)
				}
				c := events[0].Changes[0]
				if c.Op != "put" || c.Key != "app" || c.Revision != 4 || c.CreateRevision != 3 || c.Version != 2 || c.Type != "text/plain" || *c.Text != "" {
					t.Errorf("the change is %+v", c)
				}
			})
		})
	}
}

func TestAWatchIsFilteredByItsPrefixExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil)
		w := a.watch(t, request{target: "/v1/watch/pay?prefix=db/"})
		other := a.watch(t, request{target: "/v1/watch/shop"})
		a.put("db", "1")
		a.put("dba", "1")
		a.together(map[string]string{"a": "1", "db/a": "1", "db/b": "1", "e": "1"})
		w.want("bookmark 0", "change 3: db/a=1 db/b=1")
		other.want("bookmark 0")
	})
}

func TestAWatchResumesAfterACursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil)
		for i := range 5 {
			a.put("a", fmt.Sprint(i))
		}
		for _, q := range []request{
			{target: "/v1/watch/pay?from=3"},
			{target: "/v1/watch/pay", header: []string{"Last-Event-ID: 3"}},
			{target: "/v1/watch/pay?from=1", header: []string{"Last-Event-ID: 3"}},
			{target: "/v1/watch/pay?initial=1", header: []string{"Last-Event-ID: 3"}},
		} {
			w := a.watch(t, q)
			w.want("change 4: a=3", "change 5: a=4")
			if level := w.header.Get("Conclave-Consistency"); level != "local" {
				t.Errorf("%+v is begun at level %q, want local", q, level)
			}
		}
		w := a.watch(t, request{target: "/v1/watch/pay?from=6"})
		a.put("a", "reached")
		w.want()
		a.put("a", "new")
		w.want("change 7: a=new")
	})
}

func TestTheInitialStateIsSentThenSyncThenWhatCameAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil)
		a.put("db/a", "1")
		a.put("x", "1")
		a.put("db/b", strings.Repeat("v", 100<<10))
		a.put("db/c", "1")
		w := a.watch(t, request{target: "/v1/watch/pay?prefix=db/&initial=1"})
		a.put("db/a", "2")
		w.want("change: db/a=1 db/b="+strings.Repeat("v", 100<<10), "change: db/c=1", "sync 4", "change 5: db/a=2")
		a.watch(t, request{target: "/v1/watch/pay?prefix=none&initial=1"}).want("sync 5")
	})
}

// TestTheInitialStateIsOfOneViewHoweverSlowlyItIsRead writes between the pieces.
func TestTheInitialStateIsOfOneViewHoweverSlowlyItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil)
		for i := range 100 {
			a.put(fmt.Sprintf("k%02d", i), strings.Repeat("v", 10<<10))
		}
		w := a.slowWatch(t, request{target: "/v1/watch/pay?initial=1"}, 500*time.Millisecond)
		for i := range 100 {
			a.put(fmt.Sprintf("k%02d", i), "new")
			time.Sleep(2 * time.Second)
		}
		time.Sleep(10 * time.Minute)
		seen, synced, next := 0, false, uint64(101)
		for _, e := range w.events() {
			switch {
			case e.Event == "sync":
				synced = e.Revision == 100
			case e.Event == "change" && !synced:
				for _, c := range e.Changes {
					if len(*c.Text) != 10<<10 || e.ID != "" {
						t.Fatalf("the initial state shows %s=%.10q", c.Key, *c.Text)
					}
					seen++
				}
			case e.Event == "change":
				if e.ID != fmt.Sprint(next) || *e.Changes[0].Text != "new" {
					t.Fatalf("event %v, want revision %d", e, next)
				}
				next++
			}
		}
		if seen != 100 || !synced || next != 201 {
			t.Errorf("%d keys of the state, sync %v, next change %d", seen, synced, next)
		}
	})
}

func TestAWatchTellsHowFarItHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) { o.BookmarkInterval = 10 * time.Second })
		w := a.watch(t, request{target: "/v1/watch/pay?prefix=db/"})
		w.want("bookmark 0")
		a.put("elsewhere", "1")
		time.Sleep(4 * time.Second)
		w.want()
		time.Sleep(6 * time.Second)
		events := w.events()
		if len(events) == 0 || events[0].String() != "bookmark 1" || events[0].ID != "1" {
			t.Fatalf("events %v", events)
		}
		time.Sleep(time.Hour)
		if n := len(w.events()); n < 360 || n > 720 {
			t.Errorf("%d bookmarks in an hour", n)
		}
		if serving := a.handler.Serving(); serving != 0 {
			t.Errorf("it counts as %d requests", serving)
		}
	})
}

func TestAWatchWhoseCursorIsPrunedIsToldToResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil)
		a.put("a", "1")
		idle := a.watch(t, request{target: "/v1/watch/pay"})
		idle.want("bookmark 1")
		forget(a)
		oldest := a.store.Revision()
		late := a.watch(t, request{target: "/v1/watch/pay?from=1"})
		lines := a.watch(t, request{target: "/v1/watch/pay?from=1", header: []string{"Accept: application/x-ndjson"}})
		for _, w := range []*watching{idle, late, lines} {
			events := w.events()
			if len(events) != 1 || events[0].String() != fmt.Sprint("resync ", oldest) || events[0].ID != "" || !w.lines && !events[0].emptyIDs {
				t.Errorf("events %+v", events)
			}
			if !w.over() || w.cut {
				t.Error("the stream doesn't end in order")
			}
		}
	})
}

func TestADrainSendsWatchesAwayOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil)
		var watches []*watching
		for range 100 {
			watches = append(watches, a.watch(t, request{target: "/v1/watch/pay"}))
		}
		a.handler.Drain()
		left, waits := map[int]int{}, map[int]bool{}
		for second := range 5 {
			time.Sleep(time.Second)
			for _, w := range watches {
				if w.over() {
					left[second]++
				}
			}
		}
		if left[0] < 10 || left[0] > 90 || left[2] != 100 {
			t.Errorf("gone after seconds: %v", left)
		}
		for _, w := range watches {
			events := w.events()
			e := events[len(events)-1]
			if e.String() != "bye draining" || e.ReconnectAfterMs < 0 || e.ReconnectAfterMs >= 2000 || e.Retry != strconv.Itoa(e.ReconnectAfterMs) || w.cut {
				t.Fatalf("the last event is %+v", e)
			}
			waits[e.ReconnectAfterMs] = true
		}
		if len(waits) < 50 {
			t.Errorf("only %d different times to come back at", len(waits))
		}
	})
}

func TestAMemberThatCannotServeSaysBye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil)
		w := a.watch(t, request{target: "/v1/watch/pay"})
		w.want("bookmark 0")
		a.fake.set(park)
		time.Sleep(10 * time.Second)
		w.want("bye parked")
		if !w.over() {
			t.Error("the stream goes on")
		}
	})
}

func TestAStuckReaderIsDroppedAndASlowOneIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) { o.WatchWriteTimeout = 20 * time.Second })
		q := request{target: "/v1/watch/pay"}
		stuck, slow, fast := a.watch(t, q), a.slowWatch(t, q, 19*time.Second), a.watch(t, q)
		time.Sleep(time.Minute)
		fast.events()
		stuck.mu.Lock()
		stuck.stuck = true
		stuck.mu.Unlock()
		began := time.Now()
		for i := range 100 {
			a.put("a", fmt.Sprint(i))
		}
		if got := len(fast.events()); got != 100 || time.Since(began) != 0 {
			t.Errorf("the fast one has %d events after %v", got, time.Since(began))
		}
		if !stuck.over() || !stuck.cut {
			t.Error("the stuck one isn't cut off")
		}
		time.Sleep(3 * time.Hour)
		next := uint64(1)
		for _, e := range slow.events() {
			if e.Event == "change" {
				if e.ID != fmt.Sprint(next) {
					t.Fatalf("the slow one gets %v, want revision %d", e, next)
				}
				next++
			}
		}
		if next != 101 || slow.over() {
			t.Errorf("the slow one got as far as %d", next-1)
		}
	})
}

func TestAnInitialStateMayNotTakeForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, nil)
		a.fill(10)
		w := a.slowWatch(t, request{target: "/v1/watch/pay?initial=1"}, 14*time.Second)
		time.Sleep(11 * time.Minute)
		if !w.over() || !w.cut {
			t.Error("it holds its view for ever")
		}
	})
}

func TestLargeRevisionsAreSentInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) { o.MaxEventBytes = 1 << 20 })
		w := a.watch(t, request{target: "/v1/watch/pay"})
		a.put("gone", "1")
		w.events()
		text, binary := strings.Repeat("é\"\x01日", 100_000), strings.Repeat("\xff\x00a", 200_001)
		a.together(map[string]string{"binary": binary, "text": text, "gone": ""})
		events := w.events()
		if len(events) != 1 || len(events[0].Changes) != 3 {
			t.Fatalf("%d events", len(events))
		}
		if c := events[0].Changes; string(c[0].Base64) != binary || c[1].Op != "delete" || *c[2].Text != text {
			t.Error("the values came differently")
		}
		if w.largest > 96<<10 {
			t.Errorf("a piece of %d bytes", w.largest)
		}
	})
}

func TestWatchesOfTheSameShareOneEncodingWithinTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 128 << 10
		a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) { o.MaxEventBytes = limit })
		var watches []*watching
		for i := range 40 {
			watches = append(watches, a.watch(t, request{target: "/v1/watch/pay?prefix=" + []string{"", "a", "b"}[i%3]}))
		}
		synctest.Wait()
		for i := range 200 {
			value := strings.Repeat(fmt.Sprint(i%10), rand.IntN(4<<10))
			a.together(map[string]string{"a": value, "ab": value, "b": value})
			synctest.Wait()
			if held := a.handler.EncodedBytes(); held > limit+limit/4 {
				t.Fatalf("%d bytes are held", held)
			}
		}
		for i, w := range watches {
			events := w.events()
			if n := len(events); n != 201 || len(events[n-1].Changes) != []int{3, 2, 1}[i%3] {
				t.Fatalf("watch %d: %d events, the last with %d changes", i, n, len(events[n-1].Changes))
			}
		}
		if made := a.handler.EncodingsMade(); made > 3*200 {
			t.Errorf("%d encodings for 200 revisions seen in three ways", made)
		}
	})
}

func TestHeadersOfAWatchWithoutTheWatch(t *testing.T) {
	base := newAPI(t, nil).serve()
	got := send(t, base, request{method: "HEAD", target: "/v1/watch/pay?initial=1"})
	got.want(t, 200, "")
	got.wantHeader(t, map[string]string{"Content-Type": "text/event-stream", "X-Accel-Buffering": "no", "Conclave-Revision": "0"})
}
