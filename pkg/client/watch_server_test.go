package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/pkg/client"
)

func TestARealServerIsWatchedFromItsStateOn(t *testing.T) {
	c := realServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	write := func(key, value string) uint64 {
		t.Helper()
		revision, err := c.Put(ctx, "pay", key, []byte(value), client.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return revision
	}
	write("a/1", "one")
	write("b", "outside")
	write("a/2", "\xff")
	var told []string
	for event, err := range c.Watch(ctx, "pay", client.WatchOptions{Prefix: "a/", Initial: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Kind == client.EventBookmark {
			continue
		}
		for _, change := range event.Changes {
			if !change.Deleted && change.Entry.Version == 0 {
				t.Errorf("%+v has no version", change.Entry)
			}
		}
		told = append(told, tell(event))
		if event.Kind == client.EventSync {
			write("a/3", "three")
			write("b", "outside again")
			if _, err := c.Delete(ctx, "pay", "a/1", client.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if len(told) == 4 {
			break
		}
	}
	if want := []string{"change +pay/a/1 +pay/a/2", "3 sync", "4 change +pay/a/3", "6 change -pay/a/1"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	told = nil
	for event, err := range c.Watch(ctx, "pay", client.WatchOptions{From: 3}) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Kind == client.EventChange {
			told = append(told, tell(event))
		}
		if len(told) == 3 {
			break
		}
	}
	if want := []string{"4 change +pay/a/3", "5 change +pay/b", "6 change -pay/a/1"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	for _, err := range c.Watch(ctx, "No Name", client.WatchOptions{}) {
		if !errors.Is(err, client.CodeInvalid) {
			t.Errorf("a namespace without form: %v", err)
		}
	}
}

func TestACacheOfARealServerFollowsIt(t *testing.T) {
	c := realServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cache := c.NewCache("pay", "a/")
	var running sync.WaitGroup
	running.Go(func() {
		if err := cache.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want the end of its context", err)
		}
		cancel()
	})
	defer running.Wait()
	defer cancel()
	if err := cache.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		key := fmt.Sprint("a/", i%7)
		revision, err := c.Put(ctx, "pay", key, fmt.Append(nil, i), client.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for {
			changed := cache.Changed()
			if cache.Revision() >= revision {
				break
			}
			select {
			case <-changed:
			case <-ctx.Done():
				t.Fatalf("the cache didn't get to revision %d", revision)
			}
		}
		if entry, ok := cache.Get(key); !ok || string(entry.Value) != fmt.Sprint(i) || entry.Revision != revision {
			t.Fatalf("Get = %+v, %v, want %d at revision %d", entry, ok, i, revision)
		}
	}
	if entries, revision := cache.Entries(); len(entries) != 7 || revision != 100 {
		t.Errorf("%d entries at revision %d, want 7 at 100", len(entries), revision)
	}
}
