package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/pkg/client"
)

func TestARealServerStreamsAListingOfAnyLength(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	var want []string
	var last uint64
	for i := range 1500 {
		key := fmt.Sprintf("a/%04d", i)
		want = append(want, key)
		var err error
		if last, err = c.Put(ctx, "pay", key, []byte(key), client.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Put(ctx, "pay", "b", nil, client.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, values := range []bool{true, false} {
		var got []string
		var standing client.Standing
		o := client.ListOptions{Prefix: "a/", Values: values}
		o.Standing = &standing
		for entry, err := range c.Entries(ctx, "pay", o) {
			if err != nil {
				t.Fatal(err)
			}
			if values && string(entry.Value) != entry.Key || !values && entry.Value != nil {
				t.Errorf("%s has the value %q", entry.Key, entry.Value)
			}
			got = append(got, entry.Key)
		}
		if !slices.Equal(got, want) || standing.Revision != last+1 || standing.Consistency != client.Linear || !standing.LeaderKnown {
			t.Errorf("%d entries with %+v, want %d at revision %d", len(got), standing, len(want), last+1)
		}
	}
	for entry, err := range c.Entries(ctx, "pay", client.ListOptions{}) {
		if err != nil || entry.Key != want[0] {
			t.Errorf("the first entry is %+v, %v", entry, err)
		}
		break // and the rest is not read
	}
	for entry, err := range c.Entries(ctx, "No Name", client.ListOptions{}) {
		if !errors.Is(err, client.CodeInvalid) {
			t.Errorf("a namespace without form: %+v, %v", entry, err)
		}
	}
}

func TestAStreamThatIsNotWholeSaysSo(t *testing.T) {
	for name, c := range map[string]struct{ body, says string }{
		"cut between lines": {`{"key":"a"}` + "\n", "cut off after 1 entries"},
		"cut in a line":     {`{"key":"a"}` + "\n" + `{"key"`, "unexpected EOF"},
		"an entry lost":     {`{"key":"a"}` + "\n" + `{"end":true,"revision":4,"entries":2}` + "\n", "of 2 entries, 1 came"},
		"no JSON":           {"<html>\n", "decode entry 1"},
		"a line of no end":  {strings.Repeat(" ", 64<<20+1), "longer than 67108864 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			store := connect(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-ndjson")
				_, _ = w.Write([]byte(c.body)) // the client may leave before the end
			}))
			var last error
			for entry, err := range store.Entries(t.Context(), "pay", client.ListOptions{}) {
				if last = err; err == nil && entry.Key != "a" {
					t.Errorf("got %+v", entry)
				}
			}
			if last == nil || !strings.Contains(last.Error(), c.says) {
				t.Errorf("the stream ended with %v, want %q", last, c.says)
			}
		})
	}
}

func TestAStreamThatFallsSilentIsGivenUp(t *testing.T) {
	c, err := client.New(client.Options{Endpoints: []string{serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, `{"key":"a"}`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})}, AttemptTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var last error
	for _, err := range c.Entries(t.Context(), "pay", client.ListOptions{}) {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), "fell silent") {
		t.Errorf("the stream ended with %v, want that the node fell silent", last)
	}
}

func TestARealServerAnswersABatchAtOneRevision(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	for _, key := range []string{"a", "db/1", "db/2"} {
		if _, err := c.Put(ctx, "pay", key, []byte("value of "+key), client.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	old := client.ReadOptions{Revision: 2}
	for revision, o := range map[uint64]client.ReadOptions{3: {}, 2: old} {
		got, err := c.Batch(ctx, []client.BatchItem{{Namespace: "pay", Key: "a"}, {Namespace: "pay", Prefix: "db/"}, {Namespace: "pay", Key: "none"}, {Namespace: "pay"}}, o)
		if err != nil {
			t.Fatal(err)
		}
		if got.Revision != revision || string(got.Results[0].Entry.Value) != "value of a" || got.Results[2].Entry != nil ||
			len(got.Results[1].Entries) != int(revision)-1 || len(got.Results[3].Entries) != int(revision) {
			t.Errorf("Batch = %+v, want the keys of revision %d", got, revision)
		}
	}
	if _, err := c.Batch(ctx, nil, client.ReadOptions{}); !errors.Is(err, client.CodeMalformed) {
		t.Errorf("a batch of nothing: %v", err)
	}
	if _, err := c.Batch(ctx, []client.BatchItem{{Namespace: "pay", Key: "k", Prefix: "p"}}, client.ReadOptions{}); err == nil {
		t.Error("an item with key and prefix was sent")
	}
}

func TestARealServerSaysWhatAnAnswerIsWorth(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	revision, err := c.Put(ctx, "pay", "k", nil, client.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var local client.Standing
	if _, err := c.Get(ctx, "pay", "k", client.ReadOptions{Consistency: client.Local, Standing: &local}); err != nil {
		t.Fatal(err)
	}
	if want := (client.Standing{Revision: revision, Consistency: client.Local, LeaderKnown: true, Staleness: client.Unproven}); local != want {
		t.Errorf("local: %+v, want %+v", local, want)
	}
	for level, o := range map[client.Consistency]client.ReadOptions{
		client.Linear:  {},
		client.Session: {MinRevision: revision},
		client.Bounded: {MaxStaleness: time.Hour},
	} {
		var got client.Standing
		o.Standing = &got
		if _, err := c.List(ctx, "pay", client.ListOptions{ReadOptions: o}); err != nil {
			t.Fatal(err)
		}
		if got.Consistency != level || got.Revision != revision || got.Staleness == client.Unproven {
			t.Errorf("%s: %+v", level, got)
		}
	}
	if _, err := c.Get(ctx, "pay", "k", client.ReadOptions{Consistency: client.Linear, MinRevision: 1}); !errors.Is(err, client.CodeMalformed) {
		t.Errorf("levels that exclude each other: %v", err)
	}
}

// TestALineThatComesSlowlyIsNoSilence sends one line for minutes, with pauses that
// are shorter than anybody's patience.
func TestALineThatComesSlowlyIsNoSilence(t *testing.T) {
	const pieces = 30
	synctest.Test(t, func(t *testing.T) {
		connections := 0
		slow := func(w http.ResponseWriter, r *http.Request) {
			connections++
			before, after := `{"key":"a","text":"`, "\"}\n"+`{"end":true,"revision":4,"entries":1}`+"\n"
			if strings.HasPrefix(r.URL.Path, "/v1/watch/") {
				before, after = "id: 4\nevent: change\ndata: "+`[{"op":"put","key":"a","revision":4,"text":"`, "\"}]\n\n"
			}
			fmt.Fprint(w, before)
			for range pieces {
				time.Sleep(10 * time.Second)
				fmt.Fprint(w, strings.Repeat("v", 10_000))
			}
			fmt.Fprint(w, after)
		}
		store := members{"a": slow}.client(t, client.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		for entry, err := range store.Entries(ctx, "pay", client.ListOptions{Values: true}) {
			if err != nil || len(entry.Value) != pieces*10_000 {
				t.Errorf("the listing tells %v", err)
			}
		}
		for event, err := range store.Watch(ctx, "pay", client.WatchOptions{From: 3}) {
			if err != nil || event.Revision != 4 || len(event.Changes[0].Entry.Value) != pieces*10_000 {
				t.Errorf("the watch tells %v", err)
			}
			break
		}
		if connections != 2 {
			t.Errorf("it took %d connections, want one for each", connections)
		}
	})
}
