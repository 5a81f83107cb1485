package raft

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestNewRefusesAStateThatCannotBe(t *testing.T) {
	first := NewMembership(Member{1, "a", "a:1"})
	for want, damage := range map[string]func(*State){
		"":                          func(*State) {},
		"configuration at index 1":  func(s *State) { s.Memberships[0].Membership.Voters = nil },
		"the log begins after 11":   func(s *State) { s.Base, s.Snapshot.Index = 11, 11 },
		"snapshot is at 11":         func(s *State) { s.Snapshot.Index = 11 },
		"snapshot is at 4":          func(s *State) { s.Base, s.Snapshot.Index = 5, 4 },
		"the log ends with term 2":  func(s *State) { s.HardState.Term = 1 },
		"the watermark is of term ": func(s *State) { s.Faulty, s.Watermark = true, LogPosition{Index: 12, Term: 4} },
	} {
		var disk []Entry
		s := State{
			HardState: HardState{Term: 3}, Last: 10, Terms: []TermRun{{}, {Term: 2, First: 2}},
			Memberships: []MembershipAt{{Index: 1, Membership: first}},
		}
		damage(&s)
		_, err := New(Config{ID: 1, Boot: 1, Random: rand.New(rand.NewPCG(1, 2)), Log: sliceReader{&disk}}, s)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one that says %q", err, want)
		}
	}
}
