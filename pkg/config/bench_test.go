package config_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

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
