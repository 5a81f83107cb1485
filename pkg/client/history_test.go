package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/client"
)

func TestARealServerTellsWhatAKeyWas(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	var want []string
	for i := range 250 { // more than a page
		revision, err := c.Put(ctx, "pay", "a/k", fmt.Append(nil, i), client.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("%d pay/a/k %d", revision, i))
	}
	gone, err := c.Delete(ctx, "pay", "a/k", client.DeleteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, fmt.Sprintf("%d pay/a/k deleted", gone))
	slices.Reverse(want)
	var got []string
	for change, err := range c.History(ctx, "pay", "a/k", client.ReadOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		text := string(change.Entry.Value)
		if change.Deleted {
			text = "deleted"
		}
		got = append(got, fmt.Sprintf("%d %s/%s %s", change.Entry.Revision, change.Entry.Namespace, change.Entry.Key, text))
		if change.Time.IsZero() {
			t.Errorf("revision %d has no time", change.Entry.Revision)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d versions, %.5q..., want %d, %.5q...", len(got), got, len(want), want)
	}
	for _, err := range c.History(ctx, "pay", "none", client.ReadOptions{}) {
		if !errors.Is(err, client.ErrNotFound) {
			t.Errorf("the history of a key that never was: %v", err)
		}
	}
	old, err := c.Get(ctx, "pay", "a/k", client.ReadOptions{Revision: 10})
	if err != nil || string(old.Value) != "9" || old.Revision != 10 {
		t.Errorf("as of revision 10: %+v, %v", old, err)
	}
}

func TestARealServerTellsWhyItRolledBack(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	first, err := c.Put(ctx, "pay", "k", []byte("right"), client.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(ctx, "pay", "k", []byte("wrong"), client.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Rollback(ctx, "pay", client.Rollback{To: first, Reason: "it was wrong"}); err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for change, err := range c.History(ctx, "pay", "k", client.ReadOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		reasons = append(reasons, change.Reason)
	}
	for difference, err := range c.Diff(ctx, "pay", client.DiffOptions{From: first + 1}) {
		if err != nil {
			t.Fatal(err)
		}
		reasons = append(reasons, difference.Reason)
	}
	if want := []string{"it was wrong", "", "", "it was wrong"}; !slices.Equal(reasons, want) {
		t.Errorf("the reasons are %q, want %q", reasons, want)
	}
}

func TestARealServerTellsWhatDiffers(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	var want []string
	for i := range 150 {
		key := fmt.Sprintf("a/%03d", i)
		if _, err := c.Put(ctx, "pay", key, []byte("before"), client.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		want = append(want, key+" before after")
	}
	from := uint64(150)
	for i := range 150 {
		if _, err := c.Put(ctx, "pay", fmt.Sprintf("a/%03d", i), []byte("after"), client.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Put(ctx, "pay", "a/new", []byte("new"), client.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	want = append(want, "a/new absent new")
	if _, err := c.Put(ctx, "pay", "b", []byte("outside"), client.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	value := func(e *client.Entry) string {
		if e == nil {
			return "absent"
		}
		return string(e.Value)
	}
	var got []string
	for d, err := range c.Diff(ctx, "pay", client.DiffOptions{From: from, Prefix: "a/"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, d.Key+" "+value(d.Before)+" "+value(d.After))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d differences, %.5q..., want %d, %.5q...", len(got), got, len(want), want)
	}
	for d, err := range c.Diff(ctx, "pay", client.DiffOptions{From: from, To: from}) {
		t.Errorf("a revision differs from itself: %+v, %v", d, err)
	}
	for _, err := range c.Diff(ctx, "pay", client.DiffOptions{From: 9999}) {
		if !errors.Is(err, client.CodeNotReached) {
			t.Errorf("a revision that is to come: %v", err)
		}
	}
	for _, err := range c.Diff(ctx, "", client.DiffOptions{From: 1}) {
		if err == nil {
			t.Error("an empty namespace was accepted")
		}
	}
}

func TestPagesOfThePastThatDoNotAdvanceEnd(t *testing.T) {
	requests := 0
	c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"changes":[],"next":"same"}`))
	}))
	var last error
	for _, err := range c.Diff(t.Context(), "pay", client.DiffOptions{From: 1}) {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), "does not advance") || requests != 2 {
		t.Errorf("the difference ended with %v after %d requests, want an error after 2", last, requests)
	}
}
