package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/conclave-dev/conclave/pkg/config"
	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// machine lets the replica drive a config.State.
type machine struct {
	state  *config.State
	hashes *hashes
	// joined takes each configuration that was applied.
	joined func(*raft.Membership)
	// commandOf is the function of that name but in tests, which alter what is applied.
	commandOf func(*raft.Entry) []byte
}

// Apply implements replica.StateMachine.
func (m machine) Apply(entries []raft.Entry) []any {
	results := make([]any, len(entries))
	for i := range entries {
		results[i] = m.state.Apply(uint64(entries[i].Index), stamp(&entries[i]), origin(&entries[i]), m.commandOf(&entries[i]))
		if entries[i].Index%hashInterval == 0 {
			m.state.Publish()
			m.hashes.add(m.state.View())
		}
		if entries[i].Membership != nil {
			m.joined(entries[i].Membership)
		}
	}
	m.state.Publish()
	return results
}

// What the log may have under way is what the store remembers.
var _ [config.MaxUnanswered]struct{} = [raft.MaxUnanswered]struct{}{}

// stamp says in the store's words when the leader took an entry.
func stamp(e *raft.Entry) config.Stamp {
	return config.Stamp{TimeMillis: e.TimeMillis, ElapsedMillis: e.ElapsedMillis}
}

// origin says in the store's words who proposed an entry.
func origin(e *raft.Entry) config.Origin {
	o := &e.Origin
	return config.Origin{Member: uint64(o.Member), Boot: o.Boot, Sequence: o.Sequence, Answered: o.Answered}
}

// Snapshot implements replica.StateMachine.
func (m machine) Snapshot() func(io.Writer) error {
	snapshot := m.state.Snapshot()
	return func(w io.Writer) error {
		_, err := snapshot.WriteTo(w)
		return err
	}
}

// Restore implements replica.StateMachine.
func (m machine) Restore(r io.Reader) error {
	m.hashes.forget()
	return m.state.Restore(r)
}

// Check implements replica.SelfCheck.
func (m machine) Check() (hashes []raft.StateHash, stuck bool) {
	return m.hashes.news(), m.state.Fault() != nil
}

// commandOf returns the command that an entry holds, nil when it holds none.
func commandOf(e *raft.Entry) []byte {
	if e.Kind != raft.EntryCommand {
		return nil
	}
	return e.Data
}

// replicator lets the store replicate through the replica, once there is one.
type replicator struct {
	replica atomic.Pointer[replica.Replica]
}

// member returns the replica of a node that is in a cluster. Any other has no
// leader to hope for, and says so at once.
func (r *replicator) member() (*replica.Replica, error) {
	running := r.replica.Load()
	if running == nil {
		return nil, fmt.Errorf("%w: this node has no cluster yet", config.ErrNoLeader)
	}
	if len(running.Membership().Membership.Members) == 0 {
		return nil, fmt.Errorf("%w: this node waits to be added to the cluster", config.ErrNoLeader)
	}
	return running, nil
}

// Propose implements config.Replicator.
func (r *replicator) Propose(ctx context.Context, command []byte, freesSpace bool) (config.Result, error) {
	running, err := r.member()
	if err != nil {
		return config.Result{}, err
	}
	propose := running.Propose
	if freesSpace {
		propose = running.ProposeFreeing
	}
	result, _, err := propose(ctx, command)
	if err != nil {
		return config.Result{}, translate(err)
	}
	applied, ok := result.(config.Result)
	if !ok {
		return config.Result{}, fmt.Errorf("%w: the state machine answered with a %T", config.ErrOutcomeUnknown, result)
	}
	return applied, nil
}

// ReadBarrier implements config.Replicator.
func (r *replicator) ReadBarrier(ctx context.Context) error {
	running, err := r.member()
	if err != nil {
		return err
	}
	_, err = running.ReadBarrier(ctx)
	return translate(err)
}

// Leader implements config.Replicator.
func (r *replicator) Leader() (name string, known bool) {
	running := r.replica.Load()
	if running == nil {
		return "", false
	}
	leader := running.Leader()
	if leader == raft.NoMember {
		return "", false
	}
	at := running.Membership()
	member, ok := at.Membership.Member(leader)
	if !ok {
		return leader.String(), true
	}
	return member.Name, true
}

// translate is the one map from the replica's errors to the store's.
func translate(err error) error {
	for _, pair := range []struct{ from, to error }{
		{replica.ErrNoLeader, config.ErrNoLeader},
		{replica.ErrOverloaded, config.ErrOverloaded},
		{replica.ErrTooLarge, config.ErrTooLarge},
		{replica.ErrDiskFull, config.ErrDiskFull},
		{replica.ErrStopping, config.ErrStopping},
		{replica.ErrParked, config.ErrParked},
		{replica.ErrNotCaughtUp, config.ErrNotCaughtUp},
		{replica.ErrOutcomeUnknown, config.ErrOutcomeUnknown},
	} {
		if errors.Is(err, pair.from) {
			return pair.to
		}
	}
	return err
}
