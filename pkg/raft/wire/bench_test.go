package wire_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// appendOf returns an append of n entries with the given bytes of data each.
func appendOf(n, dataBytes int) raft.Message {
	m := raft.Message{Kind: raft.KindAppendEntries, From: 1 << 60, To: 1 << 61, Term: 7, LogIndex: 100_000, LogTerm: 7, Commit: 99_990}
	for i := range n {
		m.Entries = append(m.Entries, raft.Entry{
			Index: raft.Index(100_001 + i), Term: 7, Kind: raft.EntryCommand, Data: make([]byte, dataBytes),
			Origin:     raft.Origin{Member: 1 << 60, Boot: 3<<32 | 1, Sequence: uint64(90_001 + i), Answered: uint64(90_000 + i/2)},
			TimeMillis: 1_700_000_000_000, ElapsedMillis: 1,
		})
	}
	return m
}

func BenchmarkWriteMessage(b *testing.B) {
	for _, size := range []struct{ entries, bytes int }{{0, 0}, {1, 256}, {64, 256}, {1024, 256}} {
		m := appendOf(size.entries, size.bytes)
		w := wire.NewWriter(io.Discard)
		b.Run(fmt.Sprintf("entries=%d/bytes=%d/alone", size.entries, size.bytes), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := w.WriteMessage(&m, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
		shared := wire.NewEntries(m.Entries)
		b.Run(fmt.Sprintf("entries=%d/bytes=%d/shared", size.entries, size.bytes), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := w.WriteMessage(&m, shared); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReadMessage(b *testing.B) {
	for _, size := range []struct{ entries, bytes int }{{0, 0}, {1, 256}, {64, 256}, {1024, 256}} {
		m := appendOf(size.entries, size.bytes)
		data := written(b, func(w *wire.Writer) error { return w.WriteMessage(&m, nil) })
		b.Run(fmt.Sprintf("entries=%d/bytes=%d", size.entries, size.bytes), func(b *testing.B) {
			b.ReportAllocs()
			stream := bytes.NewReader(nil)
			r := wire.NewReader(stream, wire.MaxFrameBytes)
			for b.Loop() {
				stream.Reset(data)
				f, err := r.Next()
				if err != nil {
					b.Fatal(err)
				}
				if _, err := f.Message(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
