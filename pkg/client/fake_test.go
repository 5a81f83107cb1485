package client_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/conclave-dev/conclave/pkg/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeStore answers as a node does for keys and listings, from a map. It knows
// one namespace, "pay".
type fakeStore struct {
	t        *testing.T
	mu       sync.Mutex
	revision uint64
	entries  map[string]fakeEntry
}

type fakeEntry struct {
	created, modified, version uint64
	mediaType                  string
	value                      []byte
}

// start runs a fake store and returns it with a client.
func start(t *testing.T) (*fakeStore, *client.Client) {
	t.Helper()
	s := &fakeStore{t: t, entries: make(map[string]fakeEntry)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/kv/pay/{key...}", s.get)
	mux.HandleFunc("PUT /v1/kv/pay/{key...}", s.put)
	mux.HandleFunc("DELETE /v1/kv/pay/{key...}", s.delete)
	mux.HandleFunc("GET /v1/keys/pay", s.list)
	return s, connect(t, mux)
}

// connect runs a handler and returns a client for it.
func connect(t *testing.T, handler http.Handler) *client.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	// Sent again, a request would reach the same handler.
	c, err := client.New(client.Options{Endpoints: []string{server.URL}, HTTPClient: server.Client(), Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve runs a handler and returns where.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// problem answers with a refusal that has these members.
func problem(w http.ResponseWriter, status int, members string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type":"/problems/x","status":%d,%s}`, status, members)
}

// envelope returns the JSON form of an entry, with its value if that is wanted.
func (e fakeEntry) envelope(key string, withValue bool) map[string]any {
	m := map[string]any{"namespace": "pay", "key": key, "revision": e.modified,
		"createRevision": e.created, "version": e.version, "type": e.mediaType}
	switch {
	case !withValue:
	case utf8.Valid(e.value):
		m["text"] = string(e.value)
	default:
		m["base64"] = e.value
	}
	return m
}

func (s *fakeStore) answer(w http.ResponseWriter, mediaType string, body any) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Conclave-Revision", strconv.FormatUint(s.revision, 10))
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.t.Error(err)
	}
}

func (s *fakeStore) get(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := r.Header.Get("Accept"); got != "application/vnd.conclave.entry+json" {
		s.t.Errorf("Accept = %q, want the entry", got)
	}
	key := r.PathValue("key")
	entry, ok := s.entries[key]
	if !ok {
		problem(w, 404, `"code":"key_not_found","title":"No such key","outcome":"rejected"`)
		return
	}
	s.answer(w, "application/vnd.conclave.entry+json", entry.envelope(key, true))
}

// allowed checks the conditions of a write, and refuses it when they don't hold.
func (s *fakeStore) allowed(w http.ResponseWriter, r *http.Request, old fakeEntry, exists bool) bool {
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	current := strconv.Quote(strconv.FormatUint(old.modified, 10))
	if none == "*" && exists || match != "" && (!exists || match != current) {
		problem(w, 412, `"code":"revision_mismatch","title":"Key changed since your read","outcome":"rejected","requestId":"r-1","currentETag":`+strconv.Quote(current))
		return false
	}
	return true
}

func (s *fakeStore) put(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	key := r.PathValue("key")
	old, exists := s.entries[key]
	if !s.allowed(w, r, old, exists) {
		return
	}
	s.revision++
	next := fakeEntry{old.created, s.revision, old.version + 1, r.Header.Get("Content-Type"), value}
	w.Header().Set("Conclave-Revision", strconv.FormatUint(s.revision, 10))
	if !exists {
		next.created = s.revision
		w.WriteHeader(http.StatusCreated)
	}
	s.entries[key] = next
}

func (s *fakeStore) delete(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.PathValue("key")
	old, exists := s.entries[key]
	if !s.allowed(w, r, old, exists) {
		return
	}
	if !exists {
		problem(w, 404, `"code":"key_not_found","title":"No such key","outcome":"rejected"`)
		return
	}
	s.revision++
	delete(s.entries, key)
	w.Header().Set("Conclave-Revision", strconv.FormatUint(s.revision, 10))
	w.WriteHeader(http.StatusNoContent)
}

// list pages through the keys; the cursor is the last key of the page before.
func (s *fakeStore) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	query := r.URL.Query()
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil {
		limit = 100
	}
	var keys []string
	for key := range s.entries {
		if strings.HasPrefix(key, query.Get("prefix")) && key > query.Get("cursor") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	page := map[string]any{"revision": s.revision}
	if len(keys) > limit {
		keys = keys[:limit]
		page["next"] = keys[limit-1]
	}
	entries := []any{}
	for _, key := range keys {
		entries = append(entries, s.entries[key].envelope(key, query.Get("values") == "1"))
	}
	page["entries"] = entries
	s.answer(w, "application/json", page)
}
