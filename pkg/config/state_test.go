package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

func TestAChangeTakesARevisionAndARefusalNone(t *testing.T) {
	l := newLog(t)
	for i, c := range []struct {
		command interface{ Encode() ([]byte, error) }
		want    config.Result
		err     error
	}{
		{put("a", "1"), config.Result{Outcome: config.OutcomeApplied, Changes: 1, Revision: 1, CreateRevision: 1, Version: 1}, nil},
		{put("b", "1"), config.Result{Outcome: config.OutcomeApplied, Changes: 1, Revision: 2, CreateRevision: 2, Version: 1}, nil},
		{put("a", "2"), config.Result{Outcome: config.OutcomeApplied, Changes: 1, Revision: 3, Current: 1, CreateRevision: 1, Version: 2}, nil},
		{del("c"), config.Result{Outcome: config.OutcomeNotFound, Revision: 3}, config.ErrNotFound},
		{&config.Delete{Namespace: "pay", Key: "a", If: config.IfRevision(1)},
			config.Result{Outcome: config.OutcomeConflict, Revision: 3, Current: 3}, config.ErrConflict},
		{del("a"), config.Result{Outcome: config.OutcomeApplied, Changes: 1, Revision: 4, Current: 3}, nil},
		{put("a", "3"), config.Result{Outcome: config.OutcomeApplied, Changes: 1, Revision: 5, CreateRevision: 5, Version: 1}, nil},
	} {
		got := l.apply(c.command)
		if got != c.want || !errors.Is(got.Err(), c.err) {
			t.Errorf("command %d: %+v, %v; want %+v, %v", i, got, got.Err(), c.want, c.err)
		}
	}
}

func TestReadersSeeWhatWasPublishedAndNothingElse(t *testing.T) {
	l := newLog(t)
	l.apply(put("a", "1"))
	before := l.state.View()
	l.state.Apply(2, config.Stamp{}, config.Origin{}, encode(t, put("a", "2")))
	l.state.Apply(3, config.Stamp{}, config.Origin{}, encode(t, put("b", "2")))
	if now := l.state.View(); now != before {
		t.Error("an unpublished change is visible")
	}
	l.state.Publish()
	after := l.state.View()
	if string(after.Get("pay", "a").Value) != "2" || after.Get("pay", "b") == nil || after.Index != 3 {
		t.Error("a published change is not visible")
	}
	if string(before.Get("pay", "a").Value) != "1" || before.Get("pay", "b") != nil || before.Index != 1 {
		t.Error("an older view has changed")
	}
}

func TestBatchesOfAnySizeGiveTheSameState(t *testing.T) {
	var snapshots [][]byte
	for _, batch := range []uint64{1, 7, 1000} {
		s := config.NewState()
		for i := range uint64(1000) {
			s.Apply(i+1, config.Stamp{}, config.Origin{}, encode(t, put(fmt.Sprintf("k%d", i%37), fmt.Sprint(i))))
			if i%batch == 0 {
				s.Publish()
			}
		}
		snapshots = append(snapshots, snapshot(t, s))
	}
	if !bytes.Equal(snapshots[0], snapshots[1]) || !bytes.Equal(snapshots[0], snapshots[2]) {
		t.Error("when changes are published changes the state")
	}
}

func TestTheHashTellsLogsApart(t *testing.T) {
	logs := map[string][]func(*config.State, uint64){
		"nothing":       {},
		"no-op":         {func(s *config.State, i uint64) { s.Apply(i, config.Stamp{}, config.Origin{}, nil) }},
		"put":           {func(s *config.State, i uint64) { s.Apply(i, config.Stamp{}, config.Origin{}, encode(t, put("a", "1"))) }},
		"another value": {func(s *config.State, i uint64) { s.Apply(i, config.Stamp{}, config.Origin{}, encode(t, put("a", "2"))) }},
		"refused":       {func(s *config.State, i uint64) { s.Apply(i, config.Stamp{}, config.Origin{}, encode(t, del("a"))) }},
		"malformed":     {func(s *config.State, i uint64) { s.Apply(i, config.Stamp{}, config.Origin{}, []byte{1, 1}) }},
	}
	seen := map[config.Hash]string{}
	for name, steps := range logs {
		s := config.NewState()
		for i, step := range steps {
			step(s, uint64(i+1))
		}
		s.Publish()
		if other, there := seen[s.View().Hash]; there {
			t.Errorf("%q and %q have one hash", name, other)
		}
		seen[s.View().Hash] = name
	}
}

func TestTheHashTellsApartWhatOneLogDid(t *testing.T) {
	var hashes []config.Hash
	for _, quota := range []int64{1000, 10_000} {
		l := &log{t: t, state: config.NewStateWithQuota(quota)}
		l.apply(put("a", "1"))
		hashes = append(hashes, l.state.View().Hash)
	}
	if hashes[0] == hashes[1] {
		t.Error("a member that refuses a put has the hash of one that applies it")
	}
}

func TestTheQuotaStopsGrowthAndNothingElse(t *testing.T) {
	l := &log{t: t, state: config.NewStateWithQuota(4096)}
	l.apply(put("a", strings.Repeat("v", 1500)), put("b", strings.Repeat("v", 1000)))
	if got := l.apply(put("c", strings.Repeat("v", 500))); got.Outcome != config.OutcomeQuota || !errors.Is(got.Err(), config.ErrQuota) {
		t.Errorf("a new key beyond the quota: %+v", got)
	}
	if got := l.apply(put("a", strings.Repeat("v", 2500))); got.Outcome != config.OutcomeQuota {
		t.Errorf("growth of a key beyond the quota: %+v", got)
	}
	for _, command := range []interface{ Encode() ([]byte, error) }{
		put("a", strings.Repeat("w", 1500)), // of the same size
		put("a", "smaller"), del("b"),
		put("a", strings.Repeat("w", 2000)), // larger, and within the quota
	} {
		if got := l.apply(command); got.Outcome != config.OutcomeApplied {
			t.Errorf("%+v: %+v", command, got)
		}
	}
	l.apply(del("a"))
	if v := l.state.View(); v.LiveBytes != 0 || v.Keys != 0 {
		t.Errorf("an empty store has %d keys and %d bytes", v.Keys, v.LiveBytes)
	}
}

func TestAnUnknownCommandStopsTheStateBeforeIt(t *testing.T) {
	for name, command := range map[string][]byte{"kind": {99, 1, 0x90}, "version": {1, 2, 0x90}, "version zero": {1, 0, 0x90}} {
		l := newLog(t)
		l.apply(put("a", "1"))
		before := l.state.View()
		if got := l.state.Apply(2, config.Stamp{}, config.Origin{}, command); got.Outcome != config.OutcomeUnknownCommand || !errors.Is(got.Err(), config.ErrParked) {
			t.Errorf("%s: %+v", name, got)
		}
		l.state.Apply(3, config.Stamp{}, config.Origin{}, encode(t, put("a", "2")))
		l.state.Publish()
		after := l.state.View()
		if !errors.Is(l.state.Fault(), config.ErrUnknownCommand) || !strings.Contains(l.state.Fault().Error(), "index 2") {
			t.Errorf("%s: fault %v", name, l.state.Fault())
		}
		if after.Index != 1 || after.Hash != before.Hash || string(after.Get("pay", "a").Value) != "1" {
			t.Errorf("%s: the state went on to index %d", name, after.Index)
		}
		var b bytes.Buffer
		if n, err := l.state.Snapshot().WriteTo(&b); !errors.Is(err, config.ErrUnknownCommand) || n != 0 || b.Len() != 0 {
			t.Errorf("%s: a snapshot of it: %d bytes, %v", name, n, err)
		}
		// A snapshot from a member that knows the command lets it go on.
		other := newLog(t)
		other.apply(put("a", "1"), put("a", "2"), put("a", "3"))
		if err := l.state.Restore(bytes.NewReader(snapshot(t, other.state))); err != nil || l.state.Fault() != nil {
			t.Errorf("%s: after a restore: %v, fault %v", name, err, l.state.Fault())
		}
		if got := l.state.Apply(4, config.Stamp{}, config.Origin{}, encode(t, put("a", "4"))); got.Revision != 4 {
			t.Errorf("%s: after a restore: %+v", name, got)
		}
	}
}

func TestAMalformedCommandIsPassedOver(t *testing.T) {
	good := encode(t, put("a", "1"))
	long := bytes.Clone(good)
	long[2]++ // an array of one element more
	for name, command := range map[string][]byte{
		"cut short": good[:len(good)-1], "one byte": {1}, "with a tail": append(bytes.Clone(good), 0),
		"another array": append(long, 0xc0), "no array": {1, 1, 0xc0}, "too long": make([]byte, config.MaxCommandBytes+1),
		"an empty namespace": {2, 1, 0x94, 0xa0, 0xa1, 'a', 0, 0}, "an unknown precondition": {2, 1, 0x94, 0xa1, 'p', 0xa1, 'a', 3, 0},
	} {
		l := newLog(t)
		l.apply(put("a", "1"))
		got := l.state.Apply(2, config.Stamp{}, config.Origin{}, command)
		if got.Outcome != config.OutcomeMalformed || !errors.Is(got.Err(), config.ErrMalformedCommand) {
			t.Errorf("%s: %+v", name, got)
		}
		l.state.Publish()
		if v := l.state.View(); l.state.Fault() != nil || v.Index != 2 || v.Revision != 1 {
			t.Errorf("%s: fault %v, index %d, revision %d", name, l.state.Fault(), v.Index, v.Revision)
		}
	}
}

func TestAnIndexOutOfOrderPanics(t *testing.T) {
	for _, index := range []uint64{0, 1, 3} {
		l := newLog(t)
		l.apply(put("a", "1"))
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("index %d after 1 was accepted", index)
				}
			}()
			l.state.Apply(index, config.Stamp{}, config.Origin{}, nil)
		}()
	}
}

func TestApplyKeepsNoPartOfTheCommand(t *testing.T) {
	l := newLog(t)
	command := encode(t, put("a", "value"))
	l.state.Apply(1, config.Stamp{}, config.Origin{}, command)
	for i := range command {
		command[i] = 0xee
	}
	l.state.Publish()
	if e := l.state.View().Get("pay", "a"); e == nil || string(e.Value) != "value" || e.Key != "a" || e.MediaType != "text/plain" {
		t.Errorf("entry %+v", e)
	}
}

// checkPast holds the first revisions that a view still has to what it says of
// their keys.
func checkPast(t *testing.T, v *config.View) {
	revisions, err := v.Revisions(v.Oldest())
	if err != nil {
		t.Error(err)
		return
	}
	number := v.Oldest()
	for r := range revisions {
		e, err := v.GetAt("pay", r.Changes[0].Entry.Key, r.Number)
		if number++; err != nil || r.Number != number || (e == nil) != r.Changes[0].Entry.Deleted() || e != nil && e != r.Changes[0].Entry {
			t.Errorf("revision %d where %d belongs: %+v, %v", r.Number, number, e, err)
		}
		if number == v.Oldest()+10 {
			return
		}
	}
}

// TestReadersBesideTheWriterSeeWholeRevisions is for the race detector, and
// holds every view to a law that each batch keeps: a and b are written
// together.
func TestReadersBesideTheWriterSeeWholeRevisions(t *testing.T) {
	// History is pruned under the readers' eyes.
	l := &log{t: t, state: config.NewStateWithLimits(1<<20, 0, 50, 1<<20)}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for last := uint64(0); ; {
				select {
				case <-stop:
					return
				default:
				}
				v := l.state.View()
				a, b := v.Get("pay", "a"), v.Get("pay", "b")
				if (a == nil) != (b == nil) || a != nil && string(a.Value) != string(b.Value) || v.Index < last {
					t.Errorf("index %d after %d: a %v, b %v", v.Index, last, a, b)
					return
				}
				last = v.Index
				checkPast(t, v)
			}
		})
	}
	for i := range 2000 {
		value := fmt.Sprint(i)
		l.apply(put("a", value), put("b", value), put(fmt.Sprintf("k%d", i%100), value))
		l.idle(1, config.Stamp{ElapsedMillis: 1})
		if i%100 == 99 {
			l.apply(del("a"), del("b"))
		}
	}
	close(stop)
	readers.Wait()
}
