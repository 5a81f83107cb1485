package badgerlog_test

import (
	"fmt"
	"io"
	"os"
	"strings"
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

// BenchmarkMemory writes 512 MiB at full speed, in writes of 128 entries of 1 KiB,
// with a snapshot of 8 MiB each 64 MiB. It tells the most memory that the process
// held meanwhile: its own, and pages of its files, which the kernel takes back
// when it needs to.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		l := openLog(b, formatted(b))
		var own, files int
		last := raft.Index(0)
		for cycle := range 8 {
			for range 512 {
				entries := make([]raft.Entry, 128)
				for i := range entries {
					last++
					entries[i] = raft.Entry{Index: last, Term: 1, Kind: raft.EntryCommand, Data: make([]byte, 1<<10)}
				}
				if err := l.Save(&raft.Write{HardState: raft.HardState{Term: 1}, Entries: entries}); err != nil {
					b.Fatal(err)
				}
			}
			own, files = max(own, memory(b, "RssAnon")), max(files, memory(b, "RssFile"))
			if _, err := l.SaveSnapshot(raft.SnapshotMeta{Index: last, Term: 1}, func(w io.Writer) error {
				_, err := w.Write(make([]byte, 8<<20))
				return err
			}); err != nil {
				b.Fatalf("cycle %d: %v", cycle, err)
			}
			own, files = max(own, memory(b, "RssAnon")), max(files, memory(b, "RssFile"))
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(own>>10), "own-MiB")
		b.ReportMetric(float64(files>>10), "files-MiB")
	}
	b.ReportMetric(float64(b.N<<9)/b.Elapsed().Seconds(), "MiB/s")
}

// memory returns a line of the kernel's account of this process, in KiB.
func memory(b *testing.B, name string) int {
	b.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("this needs Linux: ", err)
	}
	_, rest, _ := strings.Cut(string(data), name+":")
	kib := 0
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		b.Fatal(err)
	}
	return kib
}
