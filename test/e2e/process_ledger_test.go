//go:build linux

package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/test/e2e/history"
)

// ledgerWriters is how many clients keep a ledger.
const ledgerWriters = 4

// A ledger is clients beside a load that count: each writes 1, 2, 3 and so on to
// a key of its own, the next number when it knows of the last one. What the key
// holds later tells how many acknowledged writes were lost, exactly.
type ledger struct {
	l *load
	// name tells it from others of the same record.
	name string
	stop context.CancelFunc
	all  sync.WaitGroup
	// acknowledged are the writes of each client that were.
	mu           sync.Mutex
	acknowledged [ledgerWriters][]history.Operation
}

// ledgers numbers the ledgers.
var ledgers atomic.Int64

// startLedger starts the clients. Their writes become a part of the load's record.
func startLedger(l *load) *ledger {
	ctx, stop := context.WithCancel(context.Background())
	b := &ledger{l: l, name: fmt.Sprintf("ledger%d", ledgers.Add(1)), stop: stop}
	for writer := range ledgerWriters {
		b.all.Go(func() { b.write(ctx, writer) })
	}
	l.t.Cleanup(b.end)
	return b
}

// end stops the clients and waits for them. It may be called again.
func (b *ledger) end() {
	b.stop()
	b.all.Wait()
}

func (b *ledger) key(writer int) string { return fmt.Sprintf("%s/%d", b.name, writer) }

func (b *ledger) write(ctx context.Context, writer int) {
	for number := 1; ctx.Err() == nil; number++ {
		o := history.Operation{
			Worker: clients + 1 + writer, Kind: history.Put, Key: b.key(writer), Value: fmt.Sprintf("%s %d", b.key(writer), number),
		}
		if o, ok := b.l.record.play(b.l.cluster, b.l.somewhere(), o, b.l.timeout); ok && o.Acknowledged() {
			b.mu.Lock()
			b.acknowledged[writer] = append(b.acknowledged[writer], o)
			b.mu.Unlock()
		}
		time.Sleep(pollPause) // leave the members some of the processor
	}
}

// lost reads the keys through a node and returns how many writes that were
// acknowledged before a moment are not there, of how many. The clients must have
// ended.
func (b *ledger) lost(t testing.TB, n *node, before time.Duration) (lost, of int) {
	t.Helper()
	for writer := range ledgerWriters {
		read, ok := b.l.record.play(b.l.cluster, n, history.Operation{Worker: clients, Kind: history.Get, Key: b.key(writer)}, patience)
		if !ok {
			t.Fatalf("the read of %s at node %s was not answered", b.key(writer), n.name)
		}
		_, digits, _ := strings.Cut(read.Value, " ")
		last, _ := strconv.Atoi(digits) // 0 without a value
		for _, o := range b.acknowledged[writer] {
			_, digits, _ := strings.Cut(o.Value, " ")
			if number, _ := strconv.Atoi(digits); o.End < before {
				of++
				if number > last {
					lost++
				}
			}
		}
	}
	return lost, of
}
