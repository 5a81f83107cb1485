package client_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/pkg/client"
)

// script answers watches one after the other: each plays the events of one
// connection and then ends as its last line says, "cut", "hang" or "down".
type script struct {
	mu sync.Mutex
	// connections are what is played next, and asked what was asked: the member, what
	// it was asked to resume from and the query.
	connections []string
	asked       []string
}

func (s *script) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	ask := strings.TrimSpace(r.URL.Host + " " + r.Header.Get("Last-Event-ID") + " " + r.URL.RawQuery)
	s.asked = append(s.asked, ask)
	play := "hang"
	if len(s.connections) > 0 {
		play, s.connections = s.connections[0], s.connections[1:]
	}
	s.mu.Unlock()
	if play == "down" {
		leaderless(0)(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Conclave-Revision", "1")
	for line := range strings.SplitSeq(play, "\n") {
		switch line = strings.TrimSpace(line); line {
		case "hang":
			<-r.Context().Done()
		case "cut":
			panic(http.ErrAbortHandler)
		default:
			fmt.Fprint(w, event(line))
		}
	}
}

// event makes a server-sent event of words: "47 put a b" has the ID 47; "put" without
// a number is a part of the state.
func event(text string) string {
	words := strings.Fields(text)
	id := ""
	if words[0][0] >= '0' && words[0][0] <= '9' {
		id, words = "id: "+words[0]+"\n", words[1:]
	}
	number := strings.TrimSpace(strings.TrimPrefix(id, "id:"))
	switch words[0] {
	case "put", "delete":
		var changes []string
		for _, key := range words[1:] {
			changes = append(changes, fmt.Sprintf(`{"op":%q,"key":%q,"revision":%s,"text":"v"}`, words[0], key, cmp.Or(number, "9")))
		}
		return id + "event: change\ndata: [" + strings.Join(changes, ",") + "]\n\n"
	case "sync", "bookmark":
		return id + "event: " + words[0] + "\ndata: {\"revision\":" + number + "}\n\n"
	case "resync":
		return "id\nevent: resync\ndata: {\"oldestRevision\":900}\n\n"
	case "bye":
		return "retry: 1840\nevent: bye\ndata: {\"reason\":\"draining\",\"reconnectAfterMs\":1840}\n\n"
	case "later":
		return ": a comment\n\nevent: invented\ndata: {\"some\":\ndata: 1}\n\n"
	}
	return text + "\n\n"
}

// tell shows an event in words.
func tell(e *client.Event) string {
	text := string(e.Kind)
	if e.Revision != 0 {
		text = fmt.Sprint(e.Revision, " ", text)
	}
	for _, c := range e.Changes {
		op := " +"
		if c.Deleted {
			op = " -"
		}
		text += op + c.Entry.Namespace + "/" + c.Entry.Key
	}
	return text
}

// watched runs a watch over two members that play a script, until so many events were
// told, and returns them with what was asked and how long it took.
func watched(t *testing.T, o client.WatchOptions, events int, connections ...string) (told, asked []string, took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &script{connections: connections}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		store := members{"a": s.serve, "b": s.serve}.client(t, client.Options{})
		var event *client.Event
		for event, err = range store.Watch(ctx, "pay", o) {
			if err != nil {
				break
			}
			if told = append(told, tell(event)); len(told) == events {
				break
			}
		}
		took = time.Since(began)
		s.mu.Lock()
		defer s.mu.Unlock()
		asked = slices.Clone(s.asked)
	})
	return told, asked, took, err
}

func TestAWatchGoesOnAtAnotherMemberAfterTheLastRevision(t *testing.T) {
	for name, c := range map[string]struct {
		options     client.WatchOptions
		connections []string
		told, asked []string
		least, most time.Duration
	}{
		"cut off": {client.WatchOptions{Prefix: "p/"}, []string{"5 bookmark\n6 put p/a p/b\ncut", "6 put p/a p/b\n7 delete p/a\nhang"},
			[]string{"5 bookmark", "6 change +pay/p/a +pay/p/b", "7 change -pay/p/a"}, []string{"a  prefix=p%2F", "b 6 prefix=p%2F"}, time.Second, time.Second},
		"cut off at the very beginning of a store": {client.WatchOptions{}, []string{"0 bookmark\ncut", "1 put a\nhang"},
			[]string{"bookmark", "1 change +pay/a"}, []string{"a", "b 0"}, time.Second, time.Second},
		"sent away": {client.WatchOptions{From: 4}, []string{"5 put a\nbye\nhang", "6 put b\nhang"},
			[]string{"5 change +pay/a", "6 change +pay/b"}, []string{"a 4", "b 5"}, 1840 * time.Millisecond, 1840 * time.Millisecond},
		"silent": {client.WatchOptions{From: 4}, []string{"5 put a\nhang", "6 put b\nhang"},
			[]string{"5 change +pay/a", "6 change +pay/b"}, []string{"a 4", "b 5"}, 31 * time.Second, 31 * time.Second},
		"silent from the start": {client.WatchOptions{From: 4, Patience: time.Second}, []string{"hang", "5 put a\nhang"},
			[]string{"5 change +pay/a"}, []string{"a 4", "b 4"}, time.Second, 2 * time.Second},
		"nobody there for long": {client.WatchOptions{From: 4}, append(slices.Repeat([]string{"down"}, 25), "5 put a\nhang"),
			[]string{"5 change +pay/a"}, nil, 10 * time.Second, 5 * time.Minute},
		"what a later node says": {client.WatchOptions{From: 4}, []string{"retry: 5\nlater\n5 put a\nhang"},
			[]string{"5 change +pay/a"}, []string{"a 4"}, 0, 0},
		"the state": {client.WatchOptions{Initial: true}, []string{"put a\nput b\n9 sync\ncut", "10 delete a\nhang"},
			[]string{"change +pay/a", "change +pay/b", "9 sync", "10 change -pay/a"}, []string{"a  initial=1", "b 9"}, time.Second, time.Second},
		"cut off within the state": {client.WatchOptions{Initial: true}, []string{"put a\ncut", "put b\n9 sync\nhang"},
			[]string{"change +pay/a", "resync", "change +pay/b", "9 sync"}, []string{"a  initial=1", "b  initial=1"}, time.Second, time.Second},
		"history gone": {client.WatchOptions{Initial: true}, []string{"put a\n9 sync\nresync\nhang", "put b\n99 sync\nhang"},
			[]string{"change +pay/a", "9 sync", "resync", "change +pay/b", "99 sync"}, []string{"a  initial=1", "b  initial=1"}, time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			told, asked, took, err := watched(t, c.options, len(c.told), c.connections...)
			if err != nil || !slices.Equal(told, c.told) {
				t.Errorf("told %q, %v, want %q", told, err, c.told)
			}
			if c.asked != nil && !slices.Equal(asked, c.asked) {
				t.Errorf("asked %q, want %q", asked, c.asked)
			}
			if took < c.least || took > c.most {
				t.Errorf("it took %v, want %v to %v", took, c.least, c.most)
			}
		})
	}
}

func TestAWatchEndsWithAnErrorThatStays(t *testing.T) {
	told, _, _, err := watched(t, client.WatchOptions{From: 4}, 9, "5 put a\nresync\nhang")
	var failure *client.Error
	if !errors.Is(err, client.CodePruned) || !errors.As(err, &failure) || failure.OldestRevision != 900 || len(told) != 1 {
		t.Errorf("told %q, and then %v: want CodePruned with the revision 900", told, err)
	}
	if _, _, took, err := watched(t, client.WatchOptions{From: 4}, 9); !errors.Is(err, context.DeadlineExceeded) || took != time.Hour {
		t.Errorf("a watch of silence ended with %v after %v, want the end of its context", err, took)
	}
	for name, o := range map[string]client.WatchOptions{
		"both beginnings": {From: 3, Initial: true},
		"the past":        {ReadOptions: client.ReadOptions{Revision: 3}},
	} {
		if _, asked, _, err := watched(t, o, 1); err == nil || len(asked) > 0 {
			t.Errorf("%s: asked %q, %v; want an error at once", name, asked, err)
		}
	}
	refused := members{"a": func(w http.ResponseWriter, _ *http.Request) {
		problem(w, 400, `"code":"malformed","outcome":"rejected"`)
	}}
	for _, err := range refused.client(t, client.Options{}).Watch(t.Context(), "pay", client.WatchOptions{}) {
		if !errors.Is(err, client.CodeMalformed) {
			t.Errorf("the watch ended with %v, want the refusal", err)
		}
	}
}

func TestACacheSurvivesTheLossOfAllMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{connections: append([]string{"put a\nput b\n9 sync\n10 put c\n11 delete a\ncut"}, slices.Repeat([]string{"down"}, 100)...)}
		store := members{"a": s.serve, "b": s.serve}.client(t, client.Options{})
		cache := store.NewCache("pay", "")
		if _, ok := cache.Get("a"); ok || cache.Revision() != 0 || cache.Age() != client.Unproven {
			t.Error("a cache that was told nothing knows something")
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- cache.Run(ctx) }()
		if err := cache.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // nobody can be reached meanwhile
		var keys []string
		entries, revision := cache.Entries()
		for _, e := range entries {
			keys = append(keys, e.Namespace+"/"+e.Key)
		}
		if !slices.Equal(keys, []string{"pay/b", "pay/c"}) || revision != 11 || cache.Age() != time.Minute {
			t.Errorf("%q at revision %d, %v old, want b and c at 11, a minute old", keys, revision, cache.Age())
		}
		if entry, ok := cache.Get("c"); !ok || entry.Revision != 10 || string(entry.Value) != "v" {
			t.Errorf("Get = %+v, %v", entry, ok)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want the end of its context", err)
		}
	})
}

func TestACacheKeepsTheOldStateUntilTheNewOneIsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{connections: []string{"put a\n9 sync\nresync\nhang", "put b\ncut", "put c\n99 sync\nhang"}}
		store := members{"a": s.serve, "b": s.serve}.client(t, client.Options{})
		cache := store.NewCache("pay", "")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error)
		go func() { ended <- cache.Run(ctx) }()
		var seen []string
		for cache.Revision() != 99 {
			<-cache.Changed()
			entries, revision := cache.Entries()
			text := fmt.Sprint(revision)
			for _, e := range entries {
				text += " " + e.Key
			}
			seen = append(seen, text)
		}
		if want := []string{"9 a", "99 c"}; !slices.Equal(seen, want) {
			t.Errorf("saw %q, want %q", seen, want)
		}
		cancel()
		<-ended
	})
}

// TestACacheIsAsOldAsWhatItTells breaks off the state that comes anew, again and again:
// what the cache tells meanwhile is the old one.
func TestACacheIsAsOldAsWhatItTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{connections: append([]string{"put a\n9 sync\nresync\nhang"}, slices.Repeat([]string{"put b\ncut"}, 1000)...)}
		cache := members{"a": s.serve, "b": s.serve}.client(t, client.Options{}).NewCache("pay", "")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- cache.Run(ctx) }()
		if err := cache.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, there := cache.Get("a"); !there || cache.Revision() != 9 || cache.Age() != time.Minute {
			t.Errorf("a is there: %v, at revision %d, %v old; want it at 9, a minute old", there, cache.Revision(), cache.Age())
		}
		cancel()
		<-ended
	})
}
