package raft

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// randomMembership returns a configuration of up to seven members, joint or not.
func randomMembership(r *rand.Rand) Membership {
	var m Membership
	for id := MemberID(1); id <= MemberID(1+r.IntN(7)); id++ {
		m.Members = append(m.Members, Member{ID: id, Name: id.String(), Address: "x:1"})
		switch r.IntN(4) {
		case 0:
			m.Learners = append(m.Learners, id)
		case 1:
			m.Outgoing = append(m.Outgoing, id)
		default:
			m.Voters = append(m.Voters, id)
		}
	}
	return m
}

// halves returns the sets of voters that must each agree.
func halves(m *Membership) [][]MemberID {
	if m.IsJoint() {
		return [][]MemberID{m.Voters, m.Outgoing}
	}
	return [][]MemberID{m.Voters}
}

// TestReachedIsWhatAMajorityOfEveryHalfHas compares with counting.
func TestReachedIsWhatAMajorityOfEveryHalfHas(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		m := randomMembership(r)
		have := map[MemberID]Index{}
		for _, member := range m.Members {
			have[member.ID] = Index(r.IntN(6))
		}
		want := Index(0)
		for candidate := Index(1); candidate < 6; candidate++ {
			agreed := true
			for _, half := range halves(&m) {
				count := 0
				for _, id := range half {
					if have[id] >= candidate {
						count++
					}
				}
				agreed = agreed && count*2 > len(half)
			}
			if agreed {
				want = candidate
			}
		}
		if got := reached(&m, func(id MemberID) Index { return have[id] }); got != want {
			t.Fatalf("reached is %d, by counting it is %d: %+v %v", got, want, m, have)
		}
	}
}

// TestTallyIsDecidedExactlyWhenNothingCanChangeIt compares with trying out every
// way in which the missing ballots can still fall.
func TestTallyIsDecidedExactlyWhenNothingCanChangeIt(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	wins := func(m *Membership, granted map[MemberID]bool) bool {
		for _, half := range halves(m) {
			count := 0
			for _, id := range half {
				if granted[id] {
					count++
				}
			}
			if count*2 <= len(half) {
				return false
			}
		}
		return true
	}
	for range 5_000 {
		m := randomMembership(r)
		ballots := map[MemberID]ballot{}
		none, all := map[MemberID]bool{}, map[MemberID]bool{}
		for _, member := range m.Members {
			b := ballot(r.IntN(3))
			ballots[member.ID] = b
			none[member.ID], all[member.ID] = b == ballotGranted, b != ballotRefused
		}
		want := outcomeOpen
		if wins(&m, none) {
			want = outcomeWon
		} else if !wins(&m, all) {
			want = outcomeLost
		}
		if got := tally(&m, func(id MemberID) ballot { return ballots[id] }); got != want {
			t.Fatalf("tally is %d, want %d: %+v %v", got, want, m, ballots)
		}
	}
}

// TestMembershipValidateRefusesEveryBrokenConfiguration damages a good one.
func TestMembershipValidateRefusesEveryBrokenConfiguration(t *testing.T) {
	good := func() Membership {
		return NewMembership(Member{2, "b", "b:1"}, Member{1, "a", "a:1"}, Member{3, "c", "c:1"})
	}
	if m := good(); m.Validate() != nil || !slices.IsSorted(m.Voters) {
		t.Fatalf("the good one is refused: %v", m.Validate())
	}
	for name, damage := range map[string]func(*Membership){
		"no voter":             func(m *Membership) { m.Voters = nil },
		"ID missing":           func(m *Membership) { m.Members[0].ID = NoMember },
		"name missing":         func(m *Membership) { m.Members[1].Name = "" },
		"name twice":           func(m *Membership) { m.Members[1].Name = "a" },
		"members out of order": func(m *Membership) { m.Members[0], m.Members[1] = m.Members[1], m.Members[0] },
		"voters out of order":  func(m *Membership) { slices.Reverse(m.Voters) },
		"voter unknown":        func(m *Membership) { m.Voters = append(m.Voters, 9) },
		"voter twice":          func(m *Membership) { m.Voters = []MemberID{1, 2, 2, 3} },
		"member without role":  func(m *Membership) { m.Voters = m.Voters[:2] },
	} {
		m := good()
		damage(&m)
		if m.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
