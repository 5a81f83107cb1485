//go:build linux

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A watcher is a client that watches a prefix, loses its connection, and goes on
// at another member where it was.
type watcher struct {
	cluster *cluster
	// nodes are the members that it asks, all of the cluster if there are none.
	nodes []*node
	// prefix is what it watches, from a revision on.
	prefix string
	from   uint64
	// initial: it begins with the state instead, at any revision. state is what it
	// was told of that, whole once synced is set.
	initial, synced bool
	state           []watchChange
	// lines: it asks for a JSON document a line, not for server-sent events.
	lines bool
	// lifetime, if not 0, is how long a connection lasts at most: the watcher
	// leaves in the middle of whatever is being sent.
	lifetime time.Duration

	// cursor is where it goes on, and events what it was told.
	cursor uint64
	events []watchEvent
	// streams counts its connections, bookmarks what it was told of its progress.
	streams, bookmarks int
	faults             []string

	mu sync.Mutex
	// until, unless 0, is the revision after which it has seen enough.
	until uint64
	// leave ends the connection of the moment.
	leave context.CancelFunc
}

// A watchEvent is what a watch tells of one revision.
type watchEvent struct {
	revision uint64
	changes  []watchChange
}

// A watchChange is what one revision made of one key.
type watchChange struct {
	Op, Key, Text                     string
	Revision, CreateRevision, Version uint64
}

// finishAt makes the watcher end once it has come to a revision.
func (w *watcher) finishAt(revision uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = revision
	if w.leave != nil {
		w.leave()
	}
}

// begin returns what bounds the next connection, unless it has seen enough.
func (w *watcher) begin() (context.Context, context.CancelFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.until != 0 && w.cursor >= w.until {
		return nil, nil
	}
	lifetime := 2 * patience
	if w.lifetime != 0 {
		lifetime = rand.N(w.lifetime)
	}
	ctx, leave := context.WithTimeout(context.Background(), lifetime)
	w.leave = leave
	return ctx, leave
}

// errSeenEnough ends a connection.
var errSeenEnough = errors.New("there is nothing more to see")

// run watches until there is nothing more to see, or something is wrong.
func (w *watcher) run() {
	w.cursor = w.from
	quiet := time.Now() // since when no stream has told anything
	for len(w.faults) == 0 {
		ctx, leave := w.begin()
		if ctx == nil {
			return
		}
		before := w.cursor
		err := w.stream(ctx)
		leave()
		if w.cursor > before || !w.ending() {
			quiet = time.Now()
		}
		if time.Since(quiet) > patience {
			w.fault("nothing comes any more: the last attempt ended with %v", err)
		}
		time.Sleep(rand.N(20 * time.Millisecond))
	}
}

// ending reports whether it was told where to end.
func (w *watcher) ending() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.until != 0
}

func (w *watcher) fault(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// stream makes one connection and reads what comes over it. Its error says why it
// ended.
func (w *watcher) stream(ctx context.Context) error {
	n := w.cluster.random()
	if len(w.nodes) > 0 {
		n = w.nodes[rand.N(len(w.nodes))]
	}
	url := "http://" + n.http + "/v1/watch/" + namespace + "?prefix=" + w.prefix
	if w.beginning() {
		url, w.state = url+"&initial=1", nil
	} else if w.lines || w.streams == 0 {
		url += "&from=" + strconv.FormatUint(w.cursor, 10)
	}
	sent, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		panic(err) // The test itself is wrong.
	}
	if w.lines {
		sent.Header.Set("Accept", "application/x-ndjson")
	} else if w.streams > 0 && !w.beginning() {
		sent.Header.Set("Last-Event-ID", strconv.FormatUint(w.cursor, 10))
	}
	reply, err := w.cluster.http.Do(sent)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	switch {
	case reply.StatusCode == http.StatusServiceUnavailable, reply.StatusCode == http.StatusGatewayTimeout:
		return fmt.Errorf("node %s: %s", n.name, reply.Status)
	case reply.StatusCode != http.StatusOK:
		w.fault("node %s answers a watch after %d with %s", n.name, w.cursor, reply.Status)
		return errors.New(reply.Status)
	}
	w.streams++
	text := bufio.NewReader(reply.Body)
	for {
		e, err := readWatchEvent(text, w.lines)
		if err == nil {
			err = w.take(n, e)
		}
		if err != nil {
			return err
		}
	}
}

// beginning reports whether it has yet to be told the state.
func (w *watcher) beginning() bool { return w.initial && !w.synced }

// take takes in what a member told.
func (w *watcher) take(n *node, e sentEvent) error {
	switch {
	case e.Event == "bye":
		return errors.New("bye")
	case e.Event == "change" && e.Revision == 0 && w.beginning():
		w.state = append(w.state, e.Changes...)
		return nil
	case e.Event == "sync" && w.beginning():
		w.from, w.synced = e.Revision, true
	case e.Event == "bookmark" && e.Revision >= w.cursor:
		w.bookmarks++
	case e.Event == "change" && e.Revision > w.cursor:
		w.events = append(w.events, watchEvent{e.Revision, e.Changes})
	default:
		w.fault("node %s tells %q of revision %d after revision %d", n.name, e.Event, e.Revision, w.cursor)
		return errSeenEnough
	}
	w.cursor = e.Revision
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.until != 0 && w.cursor >= w.until {
		return errSeenEnough
	}
	return nil
}

// sentEvent is an event as it is sent.
type sentEvent struct {
	Event    string
	Revision uint64
	Changes  []watchChange
}

// readWatchEvent reads an event that has come as a whole: a line, or a block of
// server-sent events, of which only the last field of each name counts here.
func readWatchEvent(text *bufio.Reader, lines bool) (e sentEvent, err error) {
	data, id := "", ""
	for {
		line, err := text.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimSuffix(line, "\n")
		if lines {
			return e, json.Unmarshal([]byte(line), &e)
		}
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case name == "event":
			e.Event = value
		case name == "id":
			id = value
		case name == "data":
			data = value
		case line == "" && e.Event == "change":
			if id != "" { // There is none with a part of the state.
				e.Revision, err = strconv.ParseUint(id, 10, 64)
			}
			return e, errors.Join(err, json.Unmarshal([]byte(data), &e.Changes))
		case line == "" && e.Event != "":
			return e, json.Unmarshal([]byte(data), &e)
		}
	}
}

// check fails the test unless the watcher was told exactly what clients did:
// every revision that changes something under its prefix, once, in order, with
// all of that and nothing else.
func (w *watcher) check(t *testing.T, l *keyedLoad) {
	t.Helper()
	who := fmt.Sprintf("watcher of %q after %d, %d streams", w.prefix, w.from, w.streams)
	for _, fault := range w.faults {
		t.Errorf("%s: %s", who, fault)
	}
	events := l.events()
	if state := stateAt(events, w.prefix, w.from); w.initial && !slices.Equal(w.state, state) {
		t.Errorf("%s: it was told that the state is\n%+v, not\n%+v", who, w.state, state)
	}
	want := under(events, w.prefix, w.from)
	for i, e := range want {
		if i >= len(w.events) {
			t.Errorf("%s: it ends before %v", who, e)
			return
		}
		if got := w.events[i]; got.revision != e.revision || !slices.Equal(got.changes, e.changes) {
			t.Errorf("%s: event %d is\n%+v, not\n%+v", who, i, got, e)
			return
		}
	}
	if len(w.events) > len(want) {
		t.Errorf("%s: it was told what nobody did: %+v", who, w.events[len(want)])
	}
}

// under returns what of the events is under a prefix and after a revision.
func under(events []watchEvent, prefix string, after uint64) []watchEvent {
	var some []watchEvent
	for _, e := range events {
		e.changes = slices.DeleteFunc(slices.Clone(e.changes), func(c watchChange) bool { return !strings.HasPrefix(c.Key, prefix) })
		if len(e.changes) > 0 && e.revision > after {
			some = append(some, e)
		}
	}
	return some
}

// stateAt returns what is under a prefix as of a revision, in the order of keys.
func stateAt(events []watchEvent, prefix string, revision uint64) []watchChange {
	live := map[string]watchChange{}
	for _, e := range under(events, prefix, 0) {
		for _, c := range e.changes {
			switch {
			case e.revision > revision:
			case c.Op == "put":
				live[c.Key] = c
			default:
				delete(live, c.Key)
			}
		}
	}
	var state []watchChange
	for _, key := range slices.Sorted(maps.Keys(live)) {
		state = append(state, live[key])
	}
	return state
}
