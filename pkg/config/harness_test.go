package config_test

import (
	"bytes"
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/conclave-dev/conclave/pkg/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// encode returns a put or delete as a command.
func encode(t testing.TB, c interface{ Encode() ([]byte, error) }) []byte {
	t.Helper()
	command, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return command
}

// log drives a state from its next index on.
type log struct {
	t     testing.TB
	state *config.State
	index uint64
}

func newLog(t testing.TB) *log { return &log{t: t, state: config.NewState()} }

// apply applies commands and publishes them together.
func (l *log) apply(commands ...interface{ Encode() ([]byte, error) }) (last config.Result) {
	l.t.Helper()
	for _, c := range commands {
		l.index++
		last = l.state.Apply(l.index, config.Stamp{}, config.Origin{}, encode(l.t, c))
	}
	l.state.Publish()
	return last
}

func put(key, value string) *config.Put {
	return &config.Put{Namespace: "pay", Key: key, Value: []byte(value), MediaType: "text/plain"}
}

func del(key string) *config.Delete { return &config.Delete{Namespace: "pay", Key: key} }

// snapshot returns the bytes of a state's snapshot.
func snapshot(t testing.TB, s *config.State) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := s.Snapshot().WriteTo(&b)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(b.Len()) {
		t.Fatalf("WriteTo says %d bytes and wrote %d", n, b.Len())
	}
	return b.Bytes()
}

// fakeReplicator applies what is proposed at once, unless it was told to fail.
type fakeReplicator struct {
	log
	refusal error
	// full refuses what adds bytes, as a cluster whose disks run low does.
	full       bool
	barrier    func(context.Context) error
	leaderless bool
	// asked is called when somebody asks for the leader, as reads do.
	asked func()
}

func (f *fakeReplicator) Propose(_ context.Context, command []byte, freesSpace bool) (config.Result, error) {
	if f.refusal != nil {
		return config.Result{}, f.refusal
	}
	if f.full && !freesSpace {
		return config.Result{}, config.ErrDiskFull
	}
	f.index++
	result := f.state.Apply(f.index, config.Stamp{}, config.Origin{}, command)
	f.state.Publish()
	return result, nil
}

func (f *fakeReplicator) ReadBarrier(ctx context.Context) error {
	if f.barrier == nil {
		return nil
	}
	return f.barrier(ctx)
}

func (f *fakeReplicator) Leader() (string, bool) {
	if f.asked != nil {
		f.asked()
	}
	return "node-1", !f.leaderless
}

// newStore returns a store over a fake replicator.
func newStore(t testing.TB, o config.StoreOptions) (*config.Store, *fakeReplicator) {
	t.Helper()
	fake := &fakeReplicator{log: *newLog(t)}
	store, err := config.NewStore(fake.state, fake, o)
	if err != nil {
		t.Fatal(err)
	}
	return store, fake
}

// run delivers changes until the test ends.
func run(t testing.TB, store *config.Store) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- store.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
