package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/conclave-dev/conclave/test/e2e/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a store with one copy, which may fall ill.
type store struct {
	mu       sync.Mutex
	revision int
	entries  map[string]string // as they are sent
	ill      bool
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.TrimPrefix(r.URL.Path, "/v1/kv/e2e/")
	value, _ := io.ReadAll(r.Body)
	switch entry := s.entries[key]; {
	case s.ill:
		refuse(w, http.StatusServiceUnavailable, "no_leader", "rejected")
	case r.Method == http.MethodPut:
		s.revision++
		s.entries[key] = fmt.Sprintf(`{"key":%q,"revision":%d,"text":%q}`, key, s.revision, value)
		w.Header().Set("Conclave-Revision", fmt.Sprint(s.revision))
	case entry == "":
		refuse(w, http.StatusNotFound, "key_not_found", "rejected")
	default:
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, entry)
	}
}

func refuse(w http.ResponseWriter, status int, code, outcome string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"code":%q,"outcome":%q}`, code, outcome)
}

// ask sends a request to the writer and decodes what it answers.
func ask(t *testing.T, w *writer, method, path string, answer any) {
	t.Helper()
	recorder := httptest.NewRecorder()
	w.handler().ServeHTTP(recorder, httptest.NewRequest(method, path, nil))
	if recorder.Code != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, recorder.Code, recorder.Body)
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), answer); err != nil {
		t.Fatal(err)
	}
}

// await asks for the count until it is as wanted.
func await(t *testing.T, w *writer, wanted func(history.Count) bool) {
	t.Helper()
	for range 2000 {
		var count history.Count
		if ask(t, w, "GET", "/count", &count); wanted(count) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the count doesn't become what is wanted")
}

func TestAHistoryTellsWhatTheStoreDid(t *testing.T) {
	s := &store{entries: map[string]string{}}
	server := httptest.NewServer(s)
	defer server.Close()
	w, err := start(t.Context(), options{endpoint: server.URL, namespace: "e2e", name: "a", workers: 3, timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer w.stop()
	await(t, w, func(c history.Count) bool { return c.Acknowledged >= 30 })
	var mark history.Mark
	ask(t, w, "POST", "/mark?name=ill", &mark)
	s.mu.Lock()
	s.ill = true
	s.mu.Unlock()
	await(t, w, func(c history.Count) bool { return c.Rejected >= 3 })

	var h history.History
	ask(t, w, "POST", "/stop", &h)
	if err := h.Check(); err != nil {
		t.Error(err)
	}
	if c := h.Count(0); c.Acknowledged != s.revision || c.Unknown != 0 {
		t.Errorf("the store made %d revisions, the history tells of %v", s.revision, c)
	}
	if h.At("ill") != mark.At {
		t.Errorf("the mark is at %v, its answer said %v", h.At("ill"), mark.At)
	}
}

func TestNoAnswerLeavesTheOutcomeUnknown(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer server.Close()
	w, err := start(t.Context(), options{endpoint: server.URL, namespace: "e2e", name: "a", workers: 1, timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer w.stop()
	await(t, w, func(c history.Count) bool { return c.Unknown >= 2 && c.Rejected+c.Acknowledged == 0 })
}

func TestBadOptionsAreNamed(t *testing.T) {
	for want, args := range map[string][]string{
		"endpoint":  {},
		"--workers": {"--endpoint=http://localhost:1", "--workers=0"},
		"--timeout": {"--endpoint=http://localhost:1", "--timeout=0s"},
	} {
		if err := run(t.Context(), args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want it to mention %s", args, err, want)
		}
	}
}
