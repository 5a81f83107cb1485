package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// WatchOptions say what to watch, and from where on.
type WatchOptions struct {
	// ReadOptions say how fresh the beginning has to be.
	ReadOptions
	// Prefix is what the keys begin with.
	Prefix string
	// From, if not 0, is the revision after which to begin: Revision of the last
	// event of another watch.
	From uint64
	// Initial begins with the state as it is, and then tells Sync.
	Initial bool
	// Patience is how long a node may say nothing before another is asked; default
	// 30 s, which is three times what nodes take to say that nothing happened.
	Patience time.Duration
}

// EventKind is what an event tells.
type EventKind string

const (
	// EventChange tells what one revision changed, all of it. Before EventSync, with
	// Revision 0, it tells a part of the state.
	EventChange EventKind = "change"
	// EventSync tells that the state was told, as of Revision.
	EventSync EventKind = "sync"
	// EventBookmark tells that up to Revision nothing is missing.
	EventBookmark EventKind = "bookmark"
	// EventResync tells that what was told before doesn't count any more, because
	// changes after it can't be told: the state follows anew, up to EventSync. Only a
	// watch with Initial tells it.
	EventResync EventKind = "resync"
)

// Event is what a watch tells.
type Event struct {
	Kind EventKind
	// Revision is where a watch with From can go on without loss; 0 where none can.
	Revision uint64
	// Changes are what EventChange tells: of a transaction in the order of its
	// operations, otherwise in byte order of the keys.
	Changes []Change
}

// Watch tells what happens to the keys of a namespace, in order, each revision once
// and as a whole. When a connection is lost, or a node leaves, it goes on at another,
// after the last revision that it told, for as long as ctx lasts: Options.Attempts
// don't count. Only the caller's break, or the error that comes last, ends it: the
// context's, a refusal that stays one, or CodePruned when history no longer has what
// follows and the watch isn't Initial.
//
// While the caller handles an event, no other is read; the node remembers nothing
// for it but goes on writing to the connection, and drops a reader that doesn't read
// for long. So nothing is lost, but EventResync becomes more likely.
func (c *Client) Watch(ctx context.Context, namespace string, o WatchOptions) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		w := &watch{client: c, namespace: namespace, options: o, cursor: o.From, resumes: o.From != 0, yield: yield}
		if o.Patience <= 0 {
			w.options.Patience = 30 * time.Second
		}
		err := w.check()
		for err == nil {
			err = w.run(ctx)
		}
		if !errors.Is(err, errStop) {
			yield(nil, err)
		}
	}
}

// errStop ends a watch whose caller wants no more.
var errStop = errors.New("the caller wants no more")

// defaultReconnect is the pause before a lost connection is made anew, when the node
// named none.
const defaultReconnect = time.Second

// watch is a watch under way.
type watch struct {
	client    *Client
	namespace string
	options   WatchOptions
	yield     func(*Event, error) bool
	// cursor is the last revision that was told, which may be 0; resumes tells that
	// there is one, and that the watch needn't begin anew.
	cursor  uint64
	resumes bool
	// partial: some of the state was told, but not all.
	partial bool
	// reconnect is the pause that the node wants before the next connection.
	reconnect time.Duration
}

func (w *watch) check() error {
	switch {
	case w.namespace == "":
		return errors.New("client: a namespace is needed")
	case w.options.Initial && w.options.From != 0:
		return errors.New("client: a watch begins with the state or after a revision, not both")
	case w.options.Revision != 0:
		return errors.New("client: a watch tells what comes, and has no Revision")
	}
	return nil
}

// run makes one connection and tells what comes over it. Without an error, there
// is to be another.
func (w *watch) run(ctx context.Context) error {
	if w.partial {
		w.partial = false
		if err := w.tell(&Event{Kind: EventResync}); err != nil {
			return err
		}
	}
	watch := w.call()
	lines, err := w.client.follow(ctx, watch, w.options.Patience)
	if err == nil {
		w.reconnect = defaultReconnect
		err = w.read(lines)
		lines.close()
	}
	var failure *Error
	switch {
	case errors.Is(err, errStop):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("client: watch %s: %w", w.namespace, ctx.Err())
	case err != nil && (!errors.As(err, &failure) || !failure.again(watch)):
		return err
	case lines == nil: // all endpoints have been asked in vain
		w.reconnect = w.client.options.PauseMax
	default:
		w.client.avoid(lines.endpoint)
	}
	if err != nil && w.client.options.OnRetry != nil {
		w.client.options.OnRetry(failure, w.reconnect)
	}
	sleep(ctx, min(w.reconnect, w.client.options.PauseMax))
	return nil
}

// call makes the request of the next connection.
func (w *watch) call() call {
	watch := call{method: http.MethodGet, path: "/v1/watch/" + escapeSegment(w.namespace), query: url.Values{},
		header: http.Header{"Accept": {"text/event-stream"}}}
	if w.options.Prefix != "" {
		watch.query.Set("prefix", w.options.Prefix)
	}
	switch {
	case w.resumes:
		watch.header.Set("Last-Event-ID", strconv.FormatUint(w.cursor, 10))
		return watch // what is missing comes as soon as it is there
	case w.options.Initial:
		watch.query.Set("initial", "1")
	}
	w.options.set(watch.query)
	return watch
}

// read tells what comes over a connection, until it ends.
func (w *watch) read(lines *stream) error {
	if err := w.options.stand(lines.response.Header); err != nil {
		return lines.broken(err)
	}
	for {
		event, err := lines.event()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if event.retry > 0 {
			w.reconnect = event.retry
		}
		if over, err := w.handle(event, lines); over || err != nil {
			return err
		}
	}
}

// handle tells one event. over: the node sends no more over this connection.
func (w *watch) handle(event *sent, lines *stream) (over bool, err error) {
	var body struct {
		Revision, OldestRevision uint64
		ReconnectAfterMs         int64
		Reason                   string
	}
	changes := []Change{}
	into := any(&body)
	if event.kind == string(EventChange) {
		into = &changes
	}
	if len(event.data) == 0 {
		return false, nil // a hint alone
	}
	if err := json.Unmarshal(event.data, into); err != nil {
		return true, lines.broken(fmt.Errorf("decode event %.20q: %w", event.kind, err))
	}
	switch EventKind(event.kind) {
	case EventChange:
		return false, w.change(event, changes, lines)
	case EventSync, EventBookmark:
		if w.partial && event.kind == string(EventBookmark) {
			return false, nil // which can't be resumed from
		}
		w.partial, w.resumes, w.cursor = false, true, max(w.cursor, body.Revision)
		return false, w.tell(&Event{Kind: EventKind(event.kind), Revision: w.cursor})
	case EventResync:
		if !w.options.Initial {
			return true, &Error{Op: lines.call.describe(), Endpoint: lines.endpoint, Code: CodePruned, Outcome: Rejected,
				Title: "History no longer has what follows", OldestRevision: body.OldestRevision}
		}
		w.resumes, w.cursor, w.partial = false, 0, true
		return true, nil
	case "bye":
		w.reconnect = max(time.Duration(body.ReconnectAfterMs)*time.Millisecond, time.Millisecond)
		return true, nil
	}
	return false, nil // of a later version
}

// change tells the changes of one revision, or a part of the state.
func (w *watch) change(event *sent, changes []Change, lines *stream) error {
	revision := uint64(0)
	if event.id != "" {
		var err error
		if revision, err = strconv.ParseUint(event.id, 10, 64); err != nil || revision == 0 {
			return lines.broken(fmt.Errorf("event %.20q has the ID %.40q, which is no revision", event.kind, event.id))
		}
		if w.resumes && revision <= w.cursor {
			return nil // it was told
		}
		w.resumes, w.cursor = true, revision
	} else {
		w.partial = true
	}
	for i := range changes {
		changes[i].Entry.Namespace = w.namespace
	}
	return w.tell(&Event{Kind: EventChange, Revision: revision, Changes: changes})
}

// tell hands an event to the caller.
func (w *watch) tell(event *Event) error {
	if !w.yield(event, nil) {
		return errStop
	}
	return nil
}
