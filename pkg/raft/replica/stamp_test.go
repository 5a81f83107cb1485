package replica_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// recorder is a state machine that keeps what it was given.
type recorder struct {
	echo
	mu      sync.Mutex
	entries []raft.Entry
}

// Apply implements replica.StateMachine.
func (r *recorder) Apply(entries []raft.Entry) []any {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = append(r.entries, entries...)
	return r.echo.Apply(entries)
}

func TestEntriesBearTheTimeOfTheClockThatWasInjected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &recorder{}
		// A clock whose wall reading lies by ten years, as a badly set one does.
		now := func() time.Time { return time.Now().AddDate(-10, 0, 0) }
		c := startCluster(t, 1, func(o *replica.Options) { o.StateMachine, o.Now = seen, now })
		c.leader()
		var want []uint64
		for _, pause := range []time.Duration{0, 3 * time.Second, 0, 250 * time.Millisecond} {
			time.Sleep(pause)
			want = append(want, uint64(now().UnixMilli()))
			_, _, err := c.replicas[0].Propose(t.Context(), []byte("x"))
			must(t, err)
		}
		c.close()
		commands := seen.entries[2:] // After the configuration and the no-op.
		if len(commands) != len(want) || seen.entries[1].ElapsedMillis != 0 {
			t.Fatalf("the log holds %+v", seen.entries)
		}
		for i := range commands {
			if commands[i].TimeMillis != want[i] {
				t.Errorf("command %d was made at %d, want %d", i, commands[i].TimeMillis, want[i])
			}
		}
		if commands[1].ElapsedMillis != 3000 || commands[2].ElapsedMillis != 0 || commands[3].ElapsedMillis != 250 {
			t.Errorf("elapsed before the commands: %d, %d, %d; want 3000, 0, 250",
				commands[1].ElapsedMillis, commands[2].ElapsedMillis, commands[3].ElapsedMillis)
		}
	})
}
