package badgerlog_test

import (
	"fmt"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/badgerlog"
)

func BenchmarkOpenClose(b *testing.B) {
	dir := formatted(b)
	for b.Loop() {
		l, err := badgerlog.Open(dir, badgerlog.Options{Logger: quiet()})
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// payload returns n commands of 256 bytes from an index on.
func payload(first raft.Index, n int) []raft.Entry {
	entries := make([]raft.Entry, n)
	for i := range entries {
		entries[i] = raft.Entry{
			Index: first + raft.Index(i), Term: 1, Kind: raft.EntryCommand, Data: make([]byte, 256), TimeMillis: 1_700_000_000_000,
			Origin: raft.Origin{Member: 1 << 60, Boot: 3<<32 | 1, Sequence: uint64(first) + uint64(i)},
		}
	}
	return entries
}

// BenchmarkSave tells what a write costs by the number of its entries, each of
// 256 bytes, on the disk of the temporary directory.
func BenchmarkSave(b *testing.B) {
	for _, n := range []int{1, 16, 128, 1024} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			l := openLog(b, formatted(b))
			next := raft.Index(1)
			for b.Loop() {
				if err := l.Save(&raft.Write{HardState: raft.HardState{Term: 1}, Entries: payload(next, n)}); err != nil {
					b.Fatal(err)
				}
				next += raft.Index(n)
			}
			b.ReportMetric(float64(next-1)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// BenchmarkEntries reads 10,000 entries in pages of different size.
func BenchmarkEntries(b *testing.B) {
	l := openLog(b, formatted(b))
	const count = 10_000
	for next := raft.Index(1); next < count; next += 1000 {
		if err := l.Save(&raft.Write{HardState: raft.HardState{Term: 1}, Entries: payload(next, 1000)}); err != nil {
			b.Fatal(err)
		}
	}
	for _, n := range []raft.Index{1, 16, 128, 1024} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			lo := raft.Index(1)
			for b.Loop() {
				entries, err := l.Entries(lo, lo+n, 1<<30)
				if err != nil || len(entries) != int(n) {
					b.Fatal(len(entries), err)
				}
				lo = (lo*7+n)%(count-2*n) + 1
			}
			b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
