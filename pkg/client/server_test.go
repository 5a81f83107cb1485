package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/client"
	"github.com/conclave-dev/conclave/pkg/config"
)

// lonely replicates to nobody: a command is applied when it is proposed.
type lonely struct {
	state *config.State
	mu    sync.Mutex
	index uint64
}

func (l *lonely) Propose(_ context.Context, command []byte, _ bool) (config.Result, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index++
	result := l.state.Apply(l.index, config.Stamp{}, config.Origin{}, command)
	l.state.Publish()
	return result, nil
}

func (l *lonely) ReadBarrier(ctx context.Context) error { return ctx.Err() }

func (l *lonely) Leader() (string, bool) { return "node-0", true }

// Cluster answers for a cluster of one.
func (l *lonely) Cluster(context.Context) (httpapi.ClusterStatus, error) {
	return httpapi.ClusterStatus{
		ClusterID: "c1", Name: "node-0", Version: "1.2.3", Leader: "node-0", Term: 7, CommitIndex: 9, AppliedIndex: 8,
		NotReadyReason: "catching up",
		Members:        []httpapi.ClusterMember{{MemberID: "000000000000000a", Name: "node-0", Role: "Voter", SinceContactMillis: new(int64)}},
	}, nil
}

// realServer returns a client for the API that nodes serve.
func realServer(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Endpoints: []string{realURL(t)}, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// realURL serves the API of nodes and returns where.
func realURL(t *testing.T) string {
	t.Helper()
	url, stop, err := startReal()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return url
}

// startReal serves the API of nodes over a store that replicates to nobody, and
// returns where, and what ends it.
func startReal() (url string, stop func(), err error) {
	state := config.NewState()
	alone := &lonely{state: state}
	store, err := config.NewStore(state, alone, config.StoreOptions{})
	if err != nil {
		return "", nil, err
	}
	handler, err := httpapi.New(httpapi.Options{Store: store, Cluster: alone})
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = store.Run(ctx) }) // it only ends with ctx
	server := httptest.NewServer(handler)
	return server.URL, func() {
		server.CloseClientConnections()
		server.Close()
		cancel()
		running.Wait()
	}, nil
}

func TestARealServerKeepsWhatIsPut(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	for key, value := range map[string]string{
		"db/url":           "postgres://x",
		"empty":            "",
		"bytes":            "\xff\x00\xfe",
		"a b/ü+&?#%2F;=/日": "any name",
	} {
		created, err := c.Put(ctx, "pay", key, []byte("before"), client.PutOptions{IfAbsent: true})
		if err != nil {
			t.Fatal(err)
		}
		changed, err := c.Put(ctx, "pay", key, []byte(value), client.PutOptions{Type: "text/x-test", IfRevision: created})
		if err != nil {
			t.Fatal(err)
		}
		want := &client.Entry{Namespace: "pay", Key: key, Revision: changed, CreateRevision: created,
			Version: 2, Type: "text/x-test", Value: []byte(value)}
		for _, consistency := range []client.Consistency{"", client.Linear, client.Local} {
			if got, err := c.Get(ctx, "pay", key, client.ReadOptions{Consistency: consistency}); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("Get = %+v, %v, want %+v", got, err, want)
			}
		}
	}
}

func TestADryRunOnARealServerWritesNothing(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	if _, err := c.Put(ctx, "pay", "k", []byte("v"), client.PutOptions{IfAbsent: true, DryRun: true}); err != nil {
		t.Error(err)
	}
	if _, err := c.Put(ctx, "pay", "k", []byte("v"), client.PutOptions{IfRevision: 1, DryRun: true}); !errors.Is(err, client.ErrChanged) {
		t.Errorf("a dry run on a condition that doesn't hold: %v", err)
	}
	if _, err := c.Get(ctx, "pay", "k", client.ReadOptions{}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("Get = %v, want no key", err)
	}
}

func TestARealServerKnowsAWriteWithAnIdempotencyKeyAgain(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	put := client.PutOptions{IdempotencyKey: client.NewIdempotencyKey(), IfAbsent: true}
	first, err := c.Put(ctx, "pay", "k", []byte("v"), put)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Put(ctx, "pay", "k", []byte("v"), put); err != nil || again != first {
		t.Errorf("again: revision %d, %v, want the first answer, %d", again, err, first)
	}
	if _, err := c.Put(ctx, "pay", "k", []byte("other"), put); !errors.Is(err, client.CodeIdempotencyKeyReused) {
		t.Errorf("another value with the same key: %v", err)
	}
	deletion := client.DeleteOptions{IdempotencyKey: client.NewIdempotencyKey()}
	for range 2 {
		if revision, err := c.Delete(ctx, "pay", "k", deletion); err != nil || revision != first+1 {
			t.Errorf("Delete = %d, %v, want revision %d each time", revision, err, first+1)
		}
	}
}

func TestARealServerRefusesAsTheClientUnderstands(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	now, err := c.Put(ctx, "pay", "k", nil, client.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]struct {
		do      func() (uint64, error)
		is      error
		current uint64
	}{
		"put on an old revision":    {func() (uint64, error) { return c.Put(ctx, "pay", "k", nil, client.PutOptions{IfRevision: now + 5}) }, client.ErrChanged, now},
		"create what exists":        {func() (uint64, error) { return c.Put(ctx, "pay", "k", nil, client.PutOptions{IfAbsent: true}) }, client.ErrChanged, now},
		"change what is absent":     {func() (uint64, error) { return c.Put(ctx, "pay", "x", nil, client.PutOptions{IfRevision: 1}) }, client.ErrChanged, 0},
		"delete on an old revision": {func() (uint64, error) { return c.Delete(ctx, "pay", "k", client.DeleteOptions{IfRevision: now + 5}) }, client.ErrChanged, now},
		"delete what is absent":     {func() (uint64, error) { return c.Delete(ctx, "pay", "x", client.DeleteOptions{}) }, client.ErrNotFound, 0},
		"a namespace without form":  {func() (uint64, error) { return c.Put(ctx, "No Name", "k", nil, client.PutOptions{}) }, nil, 0},
		"a value that is too large": {func() (uint64, error) { return c.Put(ctx, "pay", "k", make([]byte, 2<<20+1), client.PutOptions{}) }, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := call.do()
			var refusal *client.Error
			if !errors.As(err, &refusal) {
				t.Fatalf("%v, want an *Error", err)
			}
			if call.is != nil && !errors.Is(err, call.is) {
				t.Errorf("%v, want %v", err, call.is)
			}
			if refusal.Outcome != client.Rejected || refusal.CurrentRevision != call.current || refusal.RequestID == "" || refusal.Code == "" {
				t.Errorf("%+v, want it rejected at revision %d, with a code and a request ID", refusal, call.current)
			}
		})
	}
	if revision, err := c.Delete(ctx, "pay", "k", client.DeleteOptions{IfRevision: now}); err != nil || revision <= now {
		t.Errorf("Delete = %d, %v, want a revision after %d", revision, err, now)
	}
	if _, err := c.Get(ctx, "pay", "k", client.ReadOptions{}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
}

func TestARealServerRendersAPrefixAsOneDocument(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	for key, value := range map[string]string{"api/db/url": "postgres://x", "api/name": "it's"} {
		if _, err := c.Put(ctx, "pay", key, []byte(value), client.PutOptions{Type: "text/plain"}); err != nil {
			t.Fatal(err)
		}
	}
	var standing client.Standing
	for format, want := range map[client.Format]client.Document{
		"":                {Type: "application/json", Bytes: []byte(`{"db":{"url":"postgres://x"},"name":"it's"}` + "\n")},
		client.FormatYAML: {Type: "application/yaml", Bytes: []byte("db:\n  url: \"postgres://x\"\nname: \"it's\"\n")},
		client.FormatEnv:  {Type: "text/plain", Bytes: []byte("DB_URL='postgres://x'\nNAME='it'\\''s'\n")},
	} {
		got, err := c.Render(ctx, "pay", client.RenderOptions{Prefix: "api/", Format: format, ReadOptions: client.ReadOptions{Standing: &standing}})
		if err != nil {
			t.Fatal(err)
		}
		if string(got.Bytes) != string(want.Bytes) || got.Type != want.Type || got.ETag == "" || standing.Revision != 2 {
			t.Errorf("%s: %s (%s) with tag %s at revision %d, want %s (%s)", format, got.Bytes, got.Type, got.ETag, standing.Revision, want.Bytes, want.Type)
		}
	}
	if got, err := c.Render(ctx, "pay", client.RenderOptions{ReadOptions: client.ReadOptions{Revision: 1}}); err != nil || strings.Count(string(got.Bytes), ":") > 4 {
		t.Errorf("as of revision 1: %+v, %v", got, err)
	}
	if _, err := c.Put(ctx, "pay", "api", nil, client.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Render(ctx, "pay", client.RenderOptions{}); !errors.Is(err, client.CodeRenderConflict) {
		t.Errorf("a key that is also a folder: %v", err)
	}
	if _, err := c.Render(ctx, "", client.RenderOptions{}); err == nil {
		t.Error("an empty namespace was accepted")
	}
}

func TestARealServerListsInPages(t *testing.T) {
	ctx := t.Context()
	c := realServer(t)
	var want []string
	for i := range 25 {
		key := fmt.Sprintf("a/%02d", i)
		want = append(want, key)
		if _, err := c.Put(ctx, "pay", key, []byte(key), client.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	pages := 0
	for page, err := range c.Pages(ctx, "pay", client.ListOptions{Prefix: "a/", Limit: 10, Values: true}) {
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, e := range page.Entries {
			if string(e.Value) != e.Key {
				t.Errorf("%s has the value %q", e.Key, e.Value)
			}
			got = append(got, e.Key)
		}
	}
	if pages != 3 || !slices.Equal(got, want) {
		t.Errorf("%d pages with %q, want 3 with %q", pages, got, want)
	}
	page, err := c.List(ctx, "pay", client.ListOptions{Delimiter: "/"})
	if err != nil || !slices.Equal(page.Prefixes, []string{"a/"}) || len(page.Entries) != 0 {
		t.Errorf("List = %+v, %v, want the prefix a/ alone", page, err)
	}
}

func TestARealServerShowsItsCluster(t *testing.T) {
	c := realServer(t)
	revision, err := c.Put(t.Context(), "pay", "k", nil, client.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Cluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := &client.Cluster{
		ClusterID: "c1", Name: "node-0", Version: "1.2.3", Leader: "node-0", Term: 7, Revision: revision, CommitIndex: 9, AppliedIndex: 8,
		NotReadyReason: "catching up",
		Members:        []client.Member{{MemberID: "000000000000000a", Name: "node-0", Role: "Voter", SinceContactMillis: new(int64)}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Cluster = %+v, want %+v", got, want)
	}
}
