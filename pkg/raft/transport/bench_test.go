package transport_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/transport"
)

// pair starts two transports, the second of which counts what arrives.
func pair(b *testing.B) (from *transport.Transport, arrived chan struct{}) {
	b.Helper()
	d := newDirectory()
	arrived = make(chan struct{}, 1<<20)
	var nodes [3]*transport.Transport
	for id := raft.MemberID(1); id <= 2; id++ {
		n, err := transport.Listen(context.Background(), transport.Options{
			Member: id, ClusterID: "cluster", Name: nameOf(id), ListenAddress: "127.0.0.1:0", Resolve: d.resolve,
			Receive: func(raft.Message) { arrived <- struct{}{} },
			Logger:  slog.New(slog.DiscardHandler),
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(n.Close)
		d.set(id, n.Address().String())
		nodes[id] = n
	}
	return nodes[1], arrived
}

// BenchmarkOneWay measures one message at a time, from Send to Receive.
func BenchmarkOneWay(b *testing.B) {
	from, arrived := pair(b)
	m := []raft.Message{{Kind: raft.KindHeartbeat, From: 1, To: 2, Term: 7, Round: 1}}
	b.ReportAllocs()
	for b.Loop() {
		from.Send(m)
		<-arrived
	}
}

// BenchmarkAppends measures appends of which up to 16 are under way.
func BenchmarkAppends(b *testing.B) {
	for _, size := range []struct{ entries, bytes int }{{1, 256}, {64, 256}, {128, 4096}} {
		b.Run(fmt.Sprintf("entries=%d/bytes=%d", size.entries, size.bytes), func(b *testing.B) {
			from, arrived := pair(b)
			m := raft.Message{Kind: raft.KindAppendEntries, From: 1, To: 2, Term: 7}
			for i := range size.entries {
				m.Entries = append(m.Entries, raft.Entry{Index: raft.Index(i + 1), Term: 7, Kind: raft.EntryCommand, Data: make([]byte, size.bytes)})
			}
			batch := []raft.Message{m}
			b.SetBytes(int64(size.entries * size.bytes))
			b.ReportAllocs()
			window := 0
			for b.Loop() {
				if window == 16 {
					<-arrived
					window--
				}
				from.Send(batch)
				window++
			}
			for ; window > 0; window-- {
				<-arrived
			}
		})
	}
}
