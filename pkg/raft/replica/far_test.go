package replica_test

import (
	"math/rand/v2"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/rafttest"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// TestReadIsAnsweredByALeaderThatIsFarAway has the answer to a read barrier take 400
// ms, in a cluster whose election timeout is made for that.
func TestReadIsAnsweredByALeaderThatIsFarAway(t *testing.T) {
	const away = 40
	first := raft.NewMembership(
		raft.Member{ID: 1, Name: "a", Address: "a:1"}, raft.Member{ID: 2, Name: "b", Address: "b:1"}, raft.Member{ID: 3, Name: "c", Address: "c:1"})
	disk := rafttest.NewMemoryDisk()
	seedDisk(t, disk, &first)
	opened, err := disk.Open()
	must(t, err)
	loop, err := replica.NewLoop(replica.LoopOptions{
		Core: raft.Config{
			ID: 1, Random: rand.New(rand.NewPCG(1, 1)), Log: opened.Storage,
			HeartbeatTicks: 50, ElectionTicksMin: 200, ElectionTicksMax: 400,
		},
		State: opened.State, Boot: 1,
	})
	must(t, err)
	loop.Handle(replica.Received{Message: raft.Message{Kind: raft.KindHeartbeat, From: 2, To: 1, Term: 1, Session: 1}})
	id := raft.RequestID{Boot: 1, Sequence: 1 << 63}
	loop.Handle(replica.ReadAsked{ID: id})
	asked := map[int][]raft.RequestID{}
	for tick := range 150 {
		e, err := loop.Effects()
		must(t, err)
		if e.Write != nil {
			loop.Handle(replica.Saved{ID: e.Write.ID})
		}
		for _, m := range e.Send {
			if m.Kind == raft.KindReadIndex {
				asked[tick] = append(asked[tick], m.Reads...)
			}
		}
		for _, a := range e.Answers {
			if a.ID != id || a.Err != nil {
				t.Errorf("answered with %+v", a)
			}
			return
		}
		if reads := asked[tick-away]; reads != nil {
			loop.Handle(replica.Received{Message: raft.Message{Kind: raft.KindReadIndexReply, From: 2, To: 1, Term: 1, Reads: reads}})
		}
		loop.Handle(replica.Tick{})
	}
	t.Errorf("after 150 ticks the read is not answered; the leader was asked %d times", len(asked))
}
