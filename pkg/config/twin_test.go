package config_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// draw draws commands of every kind, with and without guards, and who proposed
// them.
type draw struct {
	*rand.Rand
	boots, sequences [4]uint64
}

func (d *draw) namespace() string { return fmt.Sprintf("n%d", d.IntN(4)) }

func (d *draw) key() string { return fmt.Sprintf("k%d/%d", d.IntN(3), d.IntN(6)) }

func (d *draw) value() []byte { return []byte(strings.Repeat("v", d.IntN(2)*d.IntN(200_000))) }

func (d *draw) prefix() string { return []string{"", "k", "k0/", "k1/", "k2/3"}[d.IntN(5)] }

func (d *draw) idempotency() string {
	return []string{"", "", fmt.Sprintf("i%d", d.IntN(20))}[d.IntN(3)]
}

func (d *draw) precondition() config.Precondition {
	return []config.Precondition{config.IfAbsent(), config.IfExists(), {}, {}, {}, {}, {}, {}}[d.IntN(8)]
}

// command draws what may take effect after a view.
func (d *draw) command(v *config.View) interface{ Encode() ([]byte, error) } {
	namespace, key, is, idempotency := d.namespace(), d.key(), d.precondition(), d.idempotency()
	switch n := d.IntN(2400); {
	case n < 100:
		to := v.Revision + 2 - min(v.Revision+2, d.Uint64N(30))
		return &config.Rollback{Namespace: namespace, Prefix: d.prefix(), To: to, Reason: "drawn", Idempotency: idempotency}
	case n < 200:
		return &config.AttachSchema{Namespace: namespace, Prefix: d.prefix(), Document: fmt.Appendf(nil, `{"title": "%d"}`, d.IntN(100)), If: is, Idempotency: idempotency}
	case n < 400:
		return &config.DetachSchema{Namespace: namespace, Prefix: d.prefix(), If: is, Idempotency: idempotency}
	case n < 500:
		quota := config.NamespaceSettings{QuotaBytes: int64(d.IntN(2) * (1024 + d.IntN(500_000)))}
		return &config.PutNamespaceSettings{Namespace: namespace, NamespaceSettings: quota, If: is}
	case n < 505:
		return &config.PutSettings{Settings: config.Settings{
			QuotaBytes: 1 << 20, HistoryAgeMillis: 1 + d.Uint64N(5000), HistoryRevisions: 1 + d.Uint64N(100),
			HistoryBytes: 1<<20 + d.Int64N(1<<20), IdempotencyWindowMillis: window + d.Uint64N(window),
		}}
	case n == 505:
		return &config.Recover{TimeMicros: 1}
	case n < 1000:
		return d.txn(namespace, idempotency)
	case n < 1500:
		return &config.Delete{Namespace: namespace, Key: key, If: is, Idempotency: idempotency}
	default:
		return &config.Put{Namespace: namespace, Key: key, Value: d.value(), If: is, Idempotency: idempotency}
	}
}

func (d *draw) txn(namespace, idempotency string) *config.Txn {
	txn := &config.Txn{Namespace: namespace, Idempotency: idempotency, Else: []config.Operation{delOp(d.key())}[:d.IntN(2)]}
	for range d.IntN(3) {
		is := []config.Precondition{config.IfAbsent(), config.IfExists(), config.IfVersion(d.Uint64N(3))}[d.IntN(3)]
		txn.If = append(txn.If, config.Condition{Key: d.key(), Is: is})
	}
	for _, n := range d.Perm(18)[:1+d.IntN(6)] {
		key := fmt.Sprintf("k%d/%d", n/6, n%6)
		txn.Then = append(txn.Then, []config.Operation{putOp(key, string(d.value())), delOp(key), getOp(key)}[d.IntN(3)])
	}
	return txn
}

// origin draws who proposed the next command: mostly a new proposal, sometimes
// one that the log had, is late or has no name.
func (d *draw) origin() config.Origin {
	member := d.IntN(5)
	if member == 4 {
		return config.Origin{}
	}
	d.sequences[member] += uint64(d.IntN(3))
	if d.IntN(500) == 0 {
		d.boots[member]++
		d.sequences[member] = 0
	}
	sequence := d.sequences[member] + 1
	return config.Origin{
		Member: uint64(member) + 1, Boot: 1 + d.boots[member] - min(d.boots[member], uint64(d.IntN(40)/39)),
		Sequence: sequence, Answered: sequence - min(sequence, 1+d.Uint64N(30)),
	}
}

// TestARestoredMemberGoesOnLikeTheOthers whatever the log holds, wherever in it the
// snapshot was made: one of two members is restored from the other now and then.
func TestARestoredMemberGoesOnLikeTheOthers(t *testing.T) {
	d := &draw{Rand: rand.New(rand.NewPCG(1, 2))}
	one, other := config.NewState(), config.NewState()
	seen := map[config.Outcome]int{}
	for index := range uint64(*steps / 3) {
		var command []byte
		if d.IntN(50) != 0 {
			command = encode(t, d.command(one.View()))
			if d.IntN(3) != 0 {
				command = config.Validated(command, one.View(), d.IntN(20) == 0)
			}
		}
		stamp := config.Stamp{TimeMillis: d.Uint64N(1000), ElapsedMillis: d.Uint64N(2000)}
		if d.IntN(300) == 0 {
			stamp.ElapsedMillis = window
		}
		from := d.origin()
		result := one.Apply(index+1, stamp, from, slices.Clone(command))
		if twin := other.Apply(index+1, stamp, from, command); !reflect.DeepEqual(result, twin) {
			t.Fatalf("index %d: %+v, and of the member that was restored %+v", index+1, result, twin)
		}
		seen[result.Outcome]++
		for _, s := range []*config.State{one, other} {
			if d.IntN(3) == 0 {
				s.Publish()
			}
		}
		if d.IntN(200) == 0 {
			other = compareTwins(t, one, other, d.IntN(2) == 0)
		}
	}
	for _, outcome := range []config.Outcome{
		config.OutcomeApplied, config.OutcomeConflict, config.OutcomeNotFound, config.OutcomeQuota, config.OutcomeForgotten, config.OutcomePruned,
		config.OutcomeFutureRevision, config.OutcomeNamespaceQuota, config.OutcomeIdempotencyReused, config.OutcomeSchemaRace,
	} {
		if seen[outcome] < *steps/3000 {
			t.Errorf("outcomes %v: the test should see some of each", seen)
		}
	}
}

// compareTwins holds two states to each other and restores the second, or another
// in its place, from the first. Restore counts everything anew, and the first
// must have come to the same.
func compareTwins(t *testing.T, one, other *config.State, anew bool) *config.State {
	t.Helper()
	saved := snapshot(t, one)
	if !bytes.Equal(saved, snapshot(t, other)) || one.View().Hash != other.View().Hash {
		t.Fatalf("index %d: two snapshots", one.View().Index)
	}
	for n := range 4 {
		name := fmt.Sprintf("n%d", n)
		if a, b := one.View().Namespace(name), other.View().Namespace(name); a != b {
			t.Fatalf("index %d: %+v, and of the member that was restored %+v", one.View().Index, a, b)
		}
	}
	if anew {
		other = config.NewState()
	}
	if err := other.Restore(bytes.NewReader(saved)); err != nil {
		t.Fatal(err)
	}
	if kept, counted := config.CountersOf(one), config.CountersOf(other); !reflect.DeepEqual(kept, counted) {
		t.Fatalf("index %d: it has come to %+v, and counts %+v anew", one.View().Index, kept, counted)
	}
	return other
}
