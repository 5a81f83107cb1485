package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// applyFrom applies one command with an origin and publishes it.
func (l *log) applyFrom(from config.Origin, c interface{ Encode() ([]byte, error) }) config.Result {
	l.t.Helper()
	l.index++
	result := l.state.Apply(l.index, config.Stamp{}, from, encode(l.t, c))
	l.state.Publish()
	return result
}

func TestARepeatedProposalReturnsTheFirstResultAndChangesNothing(t *testing.T) {
	l := newLog(t)
	from := config.Origin{Member: 7, Boot: 3, Sequence: 1}
	first := l.applyFrom(from, put("a", "1"))
	l.applyFrom(config.Origin{Member: 7, Boot: 3, Sequence: 2}, put("a", "2"))
	conflict := config.Origin{Member: 7, Boot: 3, Sequence: 3}
	refused := l.applyFrom(conflict, &config.Put{Namespace: "pay", Key: "a", If: config.IfAbsent()})
	before := l.state.View()
	if again := l.applyFrom(from, put("a", "1")); again != first || first.Outcome != config.OutcomeApplied {
		t.Errorf("the second copy returned %+v, the first %+v", again, first)
	}
	if again := l.applyFrom(conflict, &config.Put{Namespace: "pay", Key: "a", If: config.IfAbsent()}); again != refused || refused.Outcome != config.OutcomeConflict {
		t.Errorf("the second copy of a refused one returned %+v, the first %+v", again, refused)
	}
	after := l.state.View()
	if after.Revision != before.Revision || string(after.Get("pay", "a").Value) != "2" {
		t.Errorf("revision %d and value %q after a repetition at revision %d", after.Revision, after.Get("pay", "a").Value, before.Revision)
	}
}

func TestOnlyTheSameOriginIsARepetition(t *testing.T) {
	l := newLog(t)
	want := uint64(0)
	for _, from := range []config.Origin{
		{}, {}, // Without an origin nothing is known to be a copy.
		{Member: 1, Boot: 5, Sequence: 1}, {Member: 2, Boot: 5, Sequence: 1}, {Member: 1, Boot: 5, Sequence: 2},
		{Member: 1, Boot: 6, Sequence: 1}, {Member: 1, Boot: 6, Sequence: 2, Answered: 1},
		{Member: 2, Boot: 5, Sequence: config.MaxUnanswered, Answered: 0},
	} {
		want++
		if got := l.applyFrom(from, put("a", "x")); got.Outcome != config.OutcomeApplied || got.Revision != want {
			t.Errorf("%+v: %+v, want revision %d", from, got, want)
		}
	}
}

func TestALateCopyIsNeverCarriedOut(t *testing.T) {
	for name, late := range map[string]config.Origin{
		"of an earlier start, never seen before": {Member: 1, Boot: 4, Sequence: 9},
		"of an earlier start, seen before":       {Member: 1, Boot: 4, Sequence: 1},
		"of an answered proposal":                {Member: 1, Boot: 5, Sequence: 20, Answered: 2},
		"of an answered one, never seen before":  {Member: 1, Boot: 5, Sequence: 29, Answered: 28},
	} {
		l := newLog(t)
		l.applyFrom(config.Origin{Member: 1, Boot: 4, Sequence: 1}, put("a", "1"))
		l.applyFrom(config.Origin{Member: 1, Boot: 5, Sequence: 20}, put("a", "2"))
		l.applyFrom(config.Origin{Member: 1, Boot: 5, Sequence: 40, Answered: 30}, put("a", "3"))
		got := l.applyFrom(late, put("a", "late"))
		if got.Outcome != config.OutcomeForgotten || !errors.Is(got.Err(), config.ErrOutcomeUnknown) {
			t.Errorf("%s: %+v, %v", name, got, got.Err())
		}
		if v := l.state.View(); v.Revision != 3 || string(v.Get("pay", "a").Value) != "3" {
			t.Errorf("%s: it was carried out", name)
		}
	}
}

func TestAnOriginThatNoMemberMakesIsMalformed(t *testing.T) {
	for _, from := range []config.Origin{
		{Boot: 1, Sequence: 1}, {Member: 1, Boot: 1}, {Member: 1, Boot: 1, Sequence: 5, Answered: 5},
		{Member: 1, Boot: 1, Sequence: 5, Answered: 6}, {Member: 1, Boot: 1, Sequence: config.MaxUnanswered + 1},
	} {
		l := newLog(t)
		if got := l.applyFrom(from, put("a", "1")); got.Outcome != config.OutcomeMalformed || l.state.View().Keys != 0 {
			t.Errorf("%+v: %+v", from, got)
		}
	}
}

// TestMembersAreForgottenByTheirLastUse fills the table with members that are
// never heard again.
func TestMembersAreForgottenByTheirLastUse(t *testing.T) {
	l := newLog(t)
	busy := config.Origin{Member: 1 << 60, Boot: 1, Sequence: 1}
	first := l.applyFrom(busy, put("busy", "1"))
	for member := range uint64(3 * config.MaxSessions) {
		l.applyFrom(config.Origin{Member: member + 1, Boot: 1, Sequence: 1}, put("a", "1"))
		if again := l.applyFrom(busy, put("busy", "1")); again != first {
			t.Fatalf("after %d others the busy member is forgotten", member+1)
		}
	}
	var sessions int
	for _, kind := range kindsOf(payloads(snapshot(t, l.state))) {
		if kind == 'S' {
			sessions++
		}
	}
	if sessions != config.MaxSessions {
		t.Errorf("%d members are remembered, want %d", sessions, config.MaxSessions)
	}
}

// proposer makes proposals as a member does, and keeps every copy.
type proposer struct {
	origin config.Origin
	copies []copied
}

type copied struct {
	origin  config.Origin
	command []byte
}

// onceModel is what a state must do with copies, told with plain maps that
// forget nothing.
type onceModel struct {
	first    map[config.Origin]config.Result // Without Answered.
	boot     map[uint64]uint64
	answered map[[2]uint64]uint64
	revision uint64
	values   map[string]string
}

// expect tells what a copy must return; run carries it out when it is the first.
func (m *onceModel) expect(from config.Origin, run func() config.Result) config.Result {
	start := [2]uint64{from.Member, from.Boot}
	if from.Boot < m.boot[from.Member] || from.Boot == m.boot[from.Member] && from.Sequence <= m.answered[start] {
		return config.Result{Outcome: config.OutcomeForgotten, Revision: m.revision}
	}
	m.boot[from.Member] = from.Boot
	m.answered[start] = max(m.answered[start], from.Answered)
	from.Answered = 0
	if first, ok := m.first[from]; ok {
		return first
	}
	m.first[from] = run()
	return m.first[from]
}

// TestRandomCopiesAreCarriedOutOnce plays members that repeat their proposals,
// restart and answer, and takes the state through a snapshot now and then, which
// nobody may notice.
func TestRandomCopiesAreCarriedOutOnce(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 3))
		l, plain := newLog(t), newLog(t)
		m := &onceModel{first: map[config.Origin]config.Result{}, boot: map[uint64]uint64{}, answered: map[[2]uint64]uint64{}, values: map[string]string{}}
		members := make([]proposer, 5)
		for i := range members {
			members[i].origin = config.Origin{Member: uint64(i + 1), Boot: 1}
		}
		repeated := 0
		for range 3000 {
			p := &members[random.IntN(len(members))]
			one := p.next(random, t)
			l.index++
			got := l.state.Apply(l.index, config.Stamp{}, one.origin, one.command)
			fresh := false
			want := m.expect(one.origin, func() config.Result {
				fresh = true
				return got
			})
			if fresh && got.Outcome == config.OutcomeApplied {
				m.revision++
			} else if !fresh {
				repeated++
			}
			if got != want || fresh && got.Revision != m.revision {
				t.Fatalf("seed %d, index %d: %+v returned %+v, want %+v at revision %d", seed, l.index, one.origin, got, want, m.revision)
			}
			plain.index++
			plain.state.Apply(plain.index, config.Stamp{}, one.origin, one.command)
			if random.IntN(200) == 0 {
				restored := config.NewState()
				if err := restored.Restore(bytes.NewReader(snapshot(t, l.state))); err != nil {
					t.Fatal(err)
				}
				l.state = restored
			}
		}
		if repeated < 500 {
			t.Errorf("seed %d: only %d repetitions", seed, repeated)
		}
		if !bytes.Equal(snapshot(t, l.state), snapshot(t, plain.state)) {
			t.Errorf("seed %d: snapshots on the way have changed the state", seed)
		}
	}
}

// next returns a new proposal or a copy of any earlier one.
func (p *proposer) next(random *rand.Rand, t *testing.T) copied {
	switch n := random.IntN(100); {
	case n < 40 && len(p.copies) > 0:
		return p.copies[max(0, len(p.copies)-1-random.IntN(40))]
	case n < 42:
		p.origin = config.Origin{Member: p.origin.Member, Boot: p.origin.Boot + 1 + uint64(random.IntN(3))}
	}
	p.origin.Sequence += 1 + uint64(random.IntN(3))
	if behind := p.origin.Sequence - 1 - p.origin.Answered; behind > 0 && random.IntN(3) == 0 {
		p.origin.Answered += random.Uint64N(behind + 1)
	}
	p.origin.Answered = max(p.origin.Answered, p.origin.Sequence-min(p.origin.Sequence, config.MaxUnanswered))
	key := fmt.Sprintf("k%d", random.IntN(10))
	command := encode(t, put(key, fmt.Sprintf("%d of %d", p.origin.Sequence, p.origin.Member)))
	if random.IntN(4) == 0 {
		command = encode(t, &config.Delete{Namespace: "pay", Key: key})
	}
	p.copies = append(p.copies, copied{p.origin, command})
	return p.copies[len(p.copies)-1]
}

// sessions returns a state that remembers a few members.
func sessions(t testing.TB) *log {
	l := filled(t)
	for _, from := range []config.Origin{
		{Member: 1, Boot: 5, Sequence: 1}, {Member: 1, Boot: 5, Sequence: 9, Answered: 0}, {Member: 1, Boot: 5, Sequence: 300, Answered: 4},
		{Member: 2, Boot: 1 << 63, Sequence: 1},
	} {
		l.index++
		l.state.Apply(l.index, config.Stamp{}, from, encode(t, put("s", fmt.Sprint(from))))
	}
	l.state.Publish()
	return l
}

func TestSessionsThatContradictThemselvesAreRefused(t *testing.T) {
	data := snapshot(t, sessions(t).state)
	all := payloads(data)
	if kinds := kindsOf(all); kinds != "HGSSNENEEEEEEEEEENRRRRRRRRRRRRRRZ" || !bytes.Equal(frame(all), data) {
		t.Fatalf("the snapshot holds frames %s, or other bytes when framed again", kinds)
	}
	refuseRearranged(t, all)
	// The results stand before the last byte of a session's frame, 48 bytes each.
	first := all[2]
	for name, change := range map[string]func(result []byte){
		"a sequence that was answered":    func(r []byte) { r[7] = 4 },
		"a sequence beyond the limit":     func(r []byte) { r[0] = 1 },
		"an outcome that is never kept":   func(r []byte) { r[15] = byte(config.OutcomeForgotten) },
		"a result without any outcome":    func(r []byte) { r[15] = 0 },
		"an outcome of too many bits":     func(r []byte) { r[10] = 1 },
		"an outcome that nobody knows":    func(r []byte) { r[15] = 99 },
		"sequences in the wrong order":    func(r []byte) { r[48+7], r[48+6] = 5, 0 },
		"the same sequence a second time": func(r []byte) { copy(r[48:56], r[:8]) },
	} {
		damaged := bytes.Clone(first)
		change(damaged[len(damaged)-97 : len(damaged)-1])
		chosen := slices.Replace(slices.Clone(all), 2, 3, damaged)
		if err := config.NewState().Restore(bytes.NewReader(frame(chosen))); !errors.Is(err, config.ErrBadSnapshot) {
			t.Errorf("%s: %v, want ErrBadSnapshot", name, err)
		}
	}
}
