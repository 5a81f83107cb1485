package raft

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// NewMembership returns the configuration in which all given members vote. The
// order of the arguments does not matter.
func NewMembership(members ...Member) Membership {
	m := Membership{Members: slices.Clone(members)}
	slices.SortFunc(m.Members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	for _, member := range m.Members {
		m.Voters = append(m.Voters, member.ID)
	}
	return m
}

// Member returns the member with the given ID.
func (m *Membership) Member(id MemberID) (Member, bool) {
	i, ok := slices.BinarySearchFunc(m.Members, id, func(a Member, id MemberID) int { return cmp.Compare(a.ID, id) })
	if !ok {
		return Member{}, false
	}
	return m.Members[i], true
}

// IsVoter tells whether the member votes, in either half of a joint
// configuration.
func (m *Membership) IsVoter(id MemberID) bool {
	return slices.Contains(m.Voters, id) || slices.Contains(m.Outgoing, id)
}

// IsJoint tells whether decisions need majorities of two halves (section 6).
func (m *Membership) IsJoint() bool { return len(m.Outgoing) > 0 }

// Equal tells whether both are the same configuration.
func (m *Membership) Equal(other *Membership) bool {
	return slices.Equal(m.Members, other.Members) && slices.Equal(m.Voters, other.Voters) &&
		slices.Equal(m.Outgoing, other.Outgoing) && slices.Equal(m.Learners, other.Learners)
}

// Validate tells what is wrong with a configuration that came from outside.
func (m *Membership) Validate() error {
	if len(m.Voters) == 0 {
		return errors.New("membership has no voter")
	}
	names := make(map[string]bool, len(m.Members))
	for i, member := range m.Members {
		if member.ID == NoMember || member.Name == "" {
			return fmt.Errorf("membership: member %d lacks an ID or a name", i)
		}
		if i > 0 && m.Members[i-1].ID >= member.ID {
			return fmt.Errorf("membership: members are not sorted by ID at %s", member.ID)
		}
		// While a member is replaced, the one that comes shares its name.
		if slices.Contains(m.Voters, member.ID) {
			if names[member.Name] {
				return fmt.Errorf("membership: two voters are named %q", member.Name)
			}
			names[member.Name] = true
		}
		if !m.IsVoter(member.ID) && !slices.Contains(m.Learners, member.ID) {
			return fmt.Errorf("membership: member %s (%s) has no role", member.ID, member.Name)
		}
	}
	for _, half := range [][]MemberID{m.Voters, m.Outgoing, m.Learners} {
		for i, id := range half {
			if _, ok := m.Member(id); !ok {
				return fmt.Errorf("membership: %s has a role but is no member", id)
			}
			if i > 0 && half[i-1] >= id {
				return fmt.Errorf("membership: roles are not sorted by ID at %s", id)
			}
		}
	}
	return nil
}
