package config_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

// benchKeys is how many keys the state holds in benchmarks.
const benchKeys = 100_000

// large returns a state with many keys of 256 bytes and all their history.
func large(b *testing.B) *log {
	b.Helper()
	return fill(b, newLog(b))
}

func fill(b *testing.B, l *log) *log {
	b.Helper()
	value := strings.Repeat("v", 256)
	for i := range benchKeys {
		l.index++
		l.state.Apply(l.index, config.Stamp{}, config.Origin{}, encode(b, put(benchKey(i), value)))
	}
	l.state.Publish()
	return l
}

func benchKey(i int) string { return fmt.Sprintf("service-%03d/key-%05d", i%1000, i) }

// BenchmarkApply measures a put of 256 bytes, published one by one and in
// batches as a busy log brings them.
func BenchmarkApply(b *testing.B) { benchmarkApply(b, large(b)) }

// BenchmarkApplyAndPrune does the same where history is full, so that each put
// also prunes a revision: what a store costs in the long run.
func BenchmarkApplyAndPrune(b *testing.B) {
	benchmarkApply(b, fill(b, &log{t: b, state: config.NewStateWithLimits(256<<20, 1<<40, 10_000, 16<<20)}))
}

func benchmarkApply(b *testing.B, l *log) {
	b.Helper()
	var commands [][]byte
	for i := range benchKeys {
		commands = append(commands, encode(b, put(benchKey(i*7919%benchKeys), strings.Repeat("w", 256))))
	}
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprintf("batch-%d", batch), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				l.index++
				// As of three members with many proposals under way.
				from := config.Origin{Member: 1 + l.index%3, Boot: 1, Sequence: l.index, Answered: l.index - 500}
				l.state.Apply(l.index, config.Stamp{}, from, commands[i%len(commands)])
				if i%batch == 0 {
					l.state.Publish()
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, size := range []int{256, 64 << 10} {
		p := put("db/url", strings.Repeat("v", size))
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				encode(b, p)
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	l := large(b)
	b.ReportAllocs()
	key := benchKey(4711)
	for b.Loop() {
		if l.state.View().Get("pay", key) == nil {
			b.Fatal("absent")
		}
	}
}

func BenchmarkList(b *testing.B) {
	store, fake := newStore(b, config.StoreOptions{})
	if err := fake.state.Restore(bytes.NewReader(snapshot(b, large(b).state))); err != nil {
		b.Fatal(err)
	}
	for _, delimiter := range []string{"", "/"} {
		b.Run("delimiter"+delimiter, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				page, _, err := store.List(b.Context(), "pay", config.ListOptions{Delimiter: delimiter, Prefix: "service-"}, config.ReadOptions{})
				if err != nil || len(page.Entries)+len(page.Prefixes) != config.DefaultListLimit {
					b.Fatal(page, err)
				}
			}
		})
	}
}

func BenchmarkSnapshot(b *testing.B) {
	l := large(b)
	data := snapshot(b, l.state)
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := l.state.Snapshot().WriteTo(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("restore", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if err := config.NewState().Restore(bytes.NewReader(data)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

var manyKeys = flag.Int("many-keys", 100_000, "keys of BenchmarkApplyWhileSnapshotsAreWritten")

// BenchmarkApplyWhileSnapshotsAreWritten measures what holds up the log where there
// are many keys, of 100 bytes each, and a snapshot is always being written: how
// long puts take, published one by one, at worst. It also tells what memory a key
// takes, its history and its value included. With -many-keys=1000000
// -benchtime=20000x it is a measurement.
func BenchmarkApplyWhileSnapshotsAreWritten(b *testing.B) {
	before := liveHeap()
	l := &log{t: b, state: config.NewStateWithLimits(1<<40, 1<<40, 10_000, 256<<20)}
	for first := 0; first < *manyKeys; first += 100 {
		txn := &config.Txn{Namespace: "pay"}
		for i := range 100 {
			txn.Then = append(txn.Then, putOp(benchKey(first+i), strings.Repeat("v", 100)))
		}
		l.apply(txn)
	}
	perKey := float64(liveHeap()-before) / float64(l.state.View().Keys)
	orders := make(chan *config.Snapshot)
	var writer sync.WaitGroup
	writer.Go(func() {
		for snapshot := range orders {
			if _, err := snapshot.WriteTo(io.Discard); err != nil {
				b.Error(err)
			}
		}
	})
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		command := encode(b, put(benchKey(i*7919%*manyKeys), strings.Repeat("w", 100)))
		began := time.Now()
		l.index++
		l.state.Apply(l.index, config.Stamp{}, config.Origin{}, command)
		l.state.Publish()
		took = append(took, time.Since(began))
		if i%100 != 0 {
			continue
		}
		select {
		case orders <- l.state.Snapshot():
		default: // The one before is still being written.
		}
	}
	close(orders)
	writer.Wait()
	slices.Sort(took)
	b.ReportMetric(perKey, "B/key")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(took[len(took)*999/1000].Microseconds()), "p99.9-µs")
	b.ReportMetric(float64(took[len(took)-1].Microseconds()), "longest-µs")
}

// liveHeap returns the bytes on the heap that are still in use.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC() // What was pooled goes with the second one.
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkPublishToManyWatches measures what the writer pays while many wait.
func BenchmarkPublishToManyWatches(b *testing.B) {
	for _, n := range []int{0, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			store, fake := newStore(b, config.StoreOptions{})
			for range n {
				if _, err := store.Watch(config.WatchKey("pay", "a")); err != nil {
					b.Fatal(err)
				}
			}
			command := encode(b, put("a", strings.Repeat("v", 1024)))
			b.ReportAllocs()
			for b.Loop() {
				fake.index++
				fake.state.Apply(fake.index, config.Stamp{}, config.Origin{}, command)
				fake.state.Publish()
			}
		})
	}
}
