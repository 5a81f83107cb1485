package raft

// Space is how much room a member's disk has left, by the storage's own marks.
type Space uint8

const (
	// SpacePlenty: nothing is held back.
	SpacePlenty Space = 0
	// SpaceLow: a leader refuses proposals that add bytes. Those that free some,
	// and changes of the membership, go on.
	SpaceLow Space = 1
	// SpaceFull: nothing but term and vote may be written.
	SpaceFull Space = 2
)

// String returns the space in a word.
func (s Space) String() string {
	if int(s) < len(spaceTexts) {
		return spaceTexts[s]
	}
	return "unknown"
}

var spaceTexts = [...]string{SpacePlenty: "plenty", SpaceLow: "low", SpaceFull: "full"}

// SetSpace tells how much room the disk has left. Plenty is assumed at the start.
func (r *Raft) SetSpace(space Space) { r.space = space }

// refusesForSpace tells whether a proposal must be refused because of the disk.
func (r *Raft) refusesForSpace(p *Proposal) bool {
	return r.space == SpaceFull || r.space == SpaceLow && !p.FreesSpace
}
