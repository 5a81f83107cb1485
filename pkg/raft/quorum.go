package raft

import "slices"

// The functions here are pure arithmetic over a configuration. In a joint one
// every answer is the stricter of the two halves (section 6).

// reached returns the highest value that a majority of the voters has reached,
// given what each one has. It is how indexes are committed and read rounds are
// confirmed.
func reached[V ~uint64](m *Membership, of func(MemberID) V) V {
	v := majorityReached(m.Voters, of)
	if m.IsJoint() {
		v = min(v, majorityReached(m.Outgoing, of))
	}
	return v
}

func majorityReached[V ~uint64](voters []MemberID, of func(MemberID) V) V {
	if len(voters) == 0 {
		return 0
	}
	values := make([]V, len(voters))
	for i, id := range voters {
		values[i] = of(id)
	}
	slices.Sort(values)
	// With n sorted values, those from (n-1)/2 on are a majority of at least
	// n/2+1, so all of them have the one at that place.
	return values[(len(values)-1)/2]
}

// ballot is what one voter said.
type ballot uint8

const (
	ballotPending ballot = 0
	ballotGranted ballot = 1
	ballotRefused ballot = 2
)

// outcome is the state of an election.
type outcome uint8

const (
	outcomeOpen outcome = 0
	outcomeWon  outcome = 1
	outcomeLost outcome = 2
)

// tally counts ballots: won with a majority of grants in every half, lost once
// that can't be reached any more in one of them.
func tally(m *Membership, of func(MemberID) ballot) outcome {
	result := majorityTally(m.Voters, of)
	if !m.IsJoint() || result == outcomeLost {
		return result
	}
	other := majorityTally(m.Outgoing, of)
	switch {
	case other == outcomeLost:
		return outcomeLost
	case other == outcomeWon && result == outcomeWon:
		return outcomeWon
	default:
		return outcomeOpen
	}
}

func majorityTally(voters []MemberID, of func(MemberID) ballot) outcome {
	granted, pending := 0, 0
	for _, id := range voters {
		switch of(id) {
		case ballotGranted:
			granted++
		case ballotPending:
			pending++
		}
	}
	need := len(voters)/2 + 1
	switch {
	case granted >= need:
		return outcomeWon
	case granted+pending < need:
		return outcomeLost
	default:
		return outcomeOpen
	}
}
