package replica_test

import (
	"runtime"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// TestReadsThatGaveUpAreForgotten has a follower learn how far it must apply the log
// for each read, while it gets no entries: its disk is full for a long time.
func TestReadsThatGaveUpAreForgotten(t *testing.T) {
	n := newLone(t)
	n.hear(raft.Message{Kind: raft.KindHeartbeat, From: 2, Term: 1, Session: 1})
	n.work()
	before := heapBytes()
	const reads = 20_000
	for i := range uint64(reads) {
		id := raft.RequestID{Boot: 1, Sequence: 1<<63 + i}
		n.loop.Handle(replica.ReadAsked{ID: id})
		sent, _ := n.work()
		if len(sent) == 0 || sent[len(sent)-1].Kind != raft.KindReadIndex {
			t.Fatalf("read %d: sent %+v, want the question to the leader", i, sent)
		}
		n.hear(raft.Message{Kind: raft.KindReadIndexReply, From: 2, Term: 1, LogIndex: 1000, Reads: sent[len(sent)-1].Reads})
		n.work()
		n.loop.Handle(replica.Cancelled{ID: id})
		if err := n.onlyAnswer(id); err != replica.ErrNotCaughtUp {
			t.Fatalf("read %d: %v, want %v", i, err, replica.ErrNotCaughtUp)
		}
		if i%10 == 0 {
			n.hear(raft.Message{Kind: raft.KindHeartbeat, From: 2, Term: 1, Session: 1})
			n.loop.Handle(replica.Tick{})
		}
	}
	if grown := heapBytes() - before; grown > 50*reads {
		t.Errorf("%d reads that nobody waits for hold %d bytes", reads, grown)
	}
	runtime.KeepAlive(n)
}

// heapBytes returns what is in use on the heap.
func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
