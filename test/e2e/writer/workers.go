package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/conclave-dev/conclave/pkg/client"
	"github.com/conclave-dev/conclave/test/e2e/history"
)

// sharedKeys is how many keys all workers share.
const sharedKeys = 2

// maxOperations bounds the history. The workers end when it is full, and the
// test notices that the count stands still.
const maxOperations = 500_000

// failurePause is the pause after a failure, so that a store in trouble isn't
// also flooded.
const failurePause = 50 * time.Millisecond

// options say what is written where, and how fast.
type options struct {
	endpoint, namespace, name string
	workers                   int
	timeout, pause            time.Duration
}

// writer is the workers and what they saw.
type writer struct {
	options
	began  time.Time
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	history history.History
}

// start starts the workers. They go on until ctx ends or stop is called.
func start(ctx context.Context, o options) (*writer, error) {
	if o.workers < 1 || o.workers > 64 {
		return nil, fmt.Errorf("--workers %d is outside 1 to 64", o.workers)
	}
	if o.timeout <= 0 || o.pause < 0 {
		return nil, fmt.Errorf("--timeout %v must be above zero, --pause %v not below", o.timeout, o.pause)
	}
	dial, err := dialOnce(ctx, o.endpoint)
	if err != nil {
		return nil, err
	}
	w := &writer{options: o, began: time.Now()}
	ctx, w.cancel = context.WithCancel(ctx)
	for worker := range o.workers {
		// A transport of its own is a connection of its own, and so a member of
		// its own behind the Service.
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.DialContext = dial
		store, err := client.New(client.Options{
			Endpoints: []string{o.endpoint}, HTTPClient: &http.Client{Transport: transport}, Attempts: 1,
		})
		if err != nil {
			w.stop()
			return nil, err
		}
		w.wg.Go(func() {
			defer transport.CloseIdleConnections()
			w.work(ctx, worker, store)
		})
	}
	return w, nil
}

// dialOnce looks the endpoint's host up now and returns a function that connects
// to what was found, whatever name it is given. A Service keeps its address. A
// lookup for each connection would make the history tell of the cluster's DNS: a
// node that is lost may take a DNS server with it, and a lookup that was sent there
// holds up all others of the process for ten seconds.
func dialOnce(ctx context.Context, endpoint string) (func(context.Context, string, string) (net.Conn, error), error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Port() == "" {
		return nil, fmt.Errorf("--endpoint %q: want http://HOST:PORT", endpoint)
	}
	found, err := net.DefaultResolver.LookupHost(ctx, u.Hostname())
	if err != nil {
		return nil, fmt.Errorf("--endpoint: %w", err)
	}
	var dialer net.Dialer
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, net.JoinHostPort(found[0], u.Port()))
	}, nil
}

// stop ends the workers once they have their answers.
func (w *writer) stop() {
	w.cancel()
	w.wg.Wait()
}

// work writes a new key, writes a shared one and reads a shared one, over and
// over.
func (w *writer) work(ctx context.Context, worker int, store *client.Client) {
	for n := 0; ; n++ {
		value := fmt.Sprintf("%s/%d/%d", w.name, worker, n)
		shared := fmt.Sprintf("%s/shared/%d", w.name, n%sharedKeys)
		for _, o := range []history.Operation{
			{Kind: history.Put, Key: w.name + "/own/" + value, Value: value},
			{Kind: history.Put, Key: shared, Value: value + "/shared"},
			{Kind: history.Get, Key: shared},
		} {
			o.Worker = worker
			w.carryOut(&o, store)
			pause := w.pause
			if o.Outcome != history.Done {
				pause = failurePause
			}
			if !w.record(o) || !sleep(ctx, pause) {
				return
			}
		}
	}
}

// carryOut does one operation. It isn't cut short when the workers are stopped:
// that would only leave one more outcome unknown.
func (w *writer) carryOut(o *history.Operation, store *client.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), w.timeout)
	defer cancel()
	var err error
	o.Start = time.Since(w.began)
	if o.Kind == history.Put {
		o.Revision, err = store.Put(ctx, w.namespace, o.Key, []byte(o.Value), client.PutOptions{Type: "text/plain"})
	} else {
		var entry *client.Entry
		if entry, err = store.Get(ctx, w.namespace, o.Key, client.ReadOptions{}); err == nil {
			o.Value, o.Revision = string(entry.Value), entry.Revision
		}
	}
	o.End = time.Since(w.began)
	o.Outcome = history.Done
	if err == nil || o.Kind == history.Get && errors.Is(err, client.ErrNotFound) {
		return // a key that isn't there is an answer, too
	}
	o.Error = err.Error()
	o.Outcome = history.Unknown
	if refusal := (*client.Error)(nil); errors.As(err, &refusal) && refusal.Outcome == client.Rejected {
		o.Outcome = history.Rejected
	}
}

// record notes an operation, and reports whether there is room for more.
func (w *writer) record(o history.Operation) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history.Operations = append(w.history.Operations, o)
	return len(w.history.Operations) < maxOperations
}

// sleep reports whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
