package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

// event is one event of a watch.
type event struct {
	Event, ID, Retry, data   string
	Revision, OldestRevision uint64
	Reason                   string
	ReconnectAfterMs         int
	Changes                  []changed
	// emptyIDs: the id was there and empty.
	emptyIDs bool
}

type changed struct {
	Op, Key, Type           string
	Revision                uint64
	CreateRevision, Version uint64
	Text                    *string
	Base64                  []byte
}

// String shows an event as "change 7: a=1 b-", "sync 7" or "bye draining".
func (e event) String() string {
	var out []string
	for _, c := range e.Changes {
		switch {
		case c.Op == "delete" && c.Text == nil && c.Base64 == nil:
			out = append(out, c.Key+"-")
		case c.Op == "put" && c.Text != nil:
			out = append(out, c.Key+"="+*c.Text)
		case c.Op == "put" && c.Base64 != nil:
			out = append(out, fmt.Sprintf("%s=%x", c.Key, c.Base64))
		default:
			out = append(out, fmt.Sprintf("%+v", c))
		}
	}
	switch e.Event {
	case "change":
		return strings.TrimSpace("change "+e.ID) + ": " + strings.Join(out, " ")
	case "resync":
		return fmt.Sprint("resync ", e.OldestRevision)
	case "bye":
		return "bye " + e.Reason
	default:
		return fmt.Sprint(e.Event, " ", e.Revision)
	}
}

// readEvent reads a server-sent event as a browser does, or a line. It returns
// false at the end.
func readEvent(t testing.TB, r *bufio.Reader, lines bool) (e event, ok bool) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return e, false
		}
		line = strings.TrimSuffix(line, "\n")
		if lines {
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Errorf("line %.200q: %v", line, err)
			}
			if e.Event != "resync" && e.Event != "bye" && e.Revision > 0 {
				e.ID = fmt.Sprint(e.Revision)
			}
			return e, true
		}
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "id":
			e.ID, e.emptyIDs = value, value == ""
		case "event":
			e.Event = value
		case "retry":
			e.Retry = value
		case "data":
			e.data = value
		case "":
			if e.data == "" {
				return e, true
			}
			var into any = &e
			if e.Event == "change" {
				into = &e.Changes
			}
			if err := json.Unmarshal([]byte(e.data), into); err != nil {
				t.Errorf("event %q: data %.200q: %v", e.Event, e.data, err)
			}
			return e, true
		default:
			t.Errorf("unknown field in %.200q", line)
		}
	}
}

// watching is a watch under way without a network, so that a test can own the
// clock.
type watching struct {
	t     testing.TB
	lines bool
	leave context.CancelFunc
	// ended is closed when the stream has ended; cut tells how.
	ended chan struct{}
	cut   bool

	mu     sync.Mutex
	header http.Header
	status int
	unread []byte
	// stuck makes every write fail as one whose deadline passed.
	stuck bool
	// pause is slept before each write.
	pause    time.Duration
	deadline time.Time
	largest  int
}

func (w *watching) Header() http.Header { return w.header }

func (w *watching) WriteHeader(status int) { w.status = status }

func (w *watching) Write(data []byte) (int, error) {
	time.Sleep(w.pause)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stuck || w.deadline.IsZero() || time.Now().After(w.deadline) {
		return 0, errBroken
	}
	w.largest = max(w.largest, len(data))
	w.unread = append(w.unread, data...)
	return len(data), nil
}

func (w *watching) FlushError() error { return nil }

func (w *watching) SetWriteDeadline(at time.Time) error {
	w.deadline = at
	return nil
}

// watch begins a watch that ends with the test, and waits until it is at rest.
func (a *api) watch(t testing.TB, q request) *watching { return a.slowWatch(t, q, 0) }

// slowWatch is watch by a client that takes its time for each piece.
func (a *api) slowWatch(t testing.TB, q request, pause time.Duration) *watching {
	t.Helper()
	ctx, leave := context.WithCancel(context.Background())
	w := &watching{t: t, leave: leave, ended: make(chan struct{}), header: http.Header{}, pause: pause, deadline: time.Now().Add(time.Hour)}
	r := httptest.NewRequest("GET", q.target, nil).WithContext(ctx)
	r.Host = "localhost"
	setHeader(r, q.header)
	w.lines = strings.Contains(r.Header.Get("Accept"), "ndjson")
	go func() {
		defer close(w.ended)
		defer func() {
			if reason := recover(); reason != nil {
				if reason != http.ErrAbortHandler {
					panic(reason)
				}
				w.cut = true
			}
		}()
		a.handler.ServeHTTP(w, r)
	}()
	t.Cleanup(func() { leave(); <-w.ended })
	synctest.Wait()
	return w
}

// events returns what has come since it was last asked, once all is at rest.
func (w *watching) events() (list []event) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	r := bufio.NewReader(strings.NewReader(string(w.unread)))
	w.unread = nil
	for {
		e, ok := readEvent(w.t, r, w.lines)
		if !ok {
			return list
		}
		if e.Event != "" {
			list = append(list, e)
		}
	}
}

// want compares events as String shows them, the ones that were put aside left out.
func (w *watching) want(want ...string) {
	w.t.Helper()
	var got []string
	for _, e := range w.events() {
		got = append(got, e.String())
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("the events are\n%.2000q, want\n%.2000q", fmt.Sprint(got), fmt.Sprint(want))
	}
}

func (w *watching) over() bool {
	synctest.Wait()
	select {
	case <-w.ended:
		return true
	default:
		return false
	}
}

// together changes several keys in one revision; an empty value deletes.
func (a *api) together(values map[string]string) uint64 {
	a.t.Helper()
	txn := config.Txn{Namespace: "pay"}
	for _, key := range slices.Sorted(mapKeys(values)) {
		o := config.Operation{Kind: config.OperationPut, Key: key, Value: []byte(values[key]), MediaType: "text/plain"}
		if values[key] == "" {
			o = config.Operation{Kind: config.OperationDelete, Key: key}
		}
		txn.Then = append(txn.Then, o)
	}
	result, _, err := a.store.Txn(context.Background(), txn)
	if err != nil {
		a.t.Fatal(err)
	}
	return result.Revision
}

func mapKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range m {
			if !yield(key) {
				return
			}
		}
	}
}
