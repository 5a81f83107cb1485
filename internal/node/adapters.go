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
type machine struct{ state *config.State }

// Apply implements replica.StateMachine.
func (m machine) Apply(entries []raft.Entry) []any {
	results := make([]any, len(entries))
	for i := range entries {
		var command []byte
		if entries[i].Kind == raft.EntryCommand {
			command = entries[i].Data
		}
		results[i] = m.state.Apply(uint64(entries[i].Index), command)
	}
	m.state.Publish()
	return results
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
func (m machine) Restore(r io.Reader) error { return m.state.Restore(r) }

// replicator lets the store replicate through the replica, once there is one.
type replicator struct {
	replica atomic.Pointer[replica.Replica]
}

// Propose implements config.Replicator.
func (r *replicator) Propose(ctx context.Context, command []byte) (config.Result, error) {
	running := r.replica.Load()
	if running == nil {
		return config.Result{}, fmt.Errorf("%w: this node has no cluster yet", config.ErrNoLeader)
	}
	result, _, err := running.Propose(ctx, command)
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
	running := r.replica.Load()
	if running == nil {
		return fmt.Errorf("%w: this node has no cluster yet", config.ErrNoLeader)
	}
	_, err := running.ReadBarrier(ctx)
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
		{replica.ErrStopping, config.ErrStopping},
		{replica.ErrNotCaughtUp, config.ErrNotCaughtUp},
		{replica.ErrOutcomeUnknown, config.ErrOutcomeUnknown},
	} {
		if errors.Is(err, pair.from) {
			return pair.to
		}
	}
	return err
}
