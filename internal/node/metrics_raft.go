package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// coreSamples are read from the core's status.
var coreSamples = []struct {
	sample
	of func(*raft.Status) float64
}{
	{gauge("conclave_raft_term", "Current term."),
		func(s *raft.Status) float64 { return float64(s.Term) }},
	{gauge("conclave_raft_is_leader", "1 on the leader."),
		func(s *raft.Status) float64 { return boolean(s.Role == raft.Leader) }},
	{gauge("conclave_raft_has_leader", "1 while a leader is known."),
		func(s *raft.Status) float64 { return boolean(s.Leader != raft.NoMember) }},
	{gauge("conclave_raft_commit_index", "Last index known to be committed."),
		func(s *raft.Status) float64 { return float64(s.Committed) }},
	{gauge("conclave_raft_durable_index", "Last index on this node's disk."),
		func(s *raft.Status) float64 { return float64(s.Durable) }},
	{gauge("conclave_raft_last_index", "Last index of the log."),
		func(s *raft.Status) float64 { return float64(s.Last) }},
	{gauge("conclave_raft_first_index", "First index that the log still holds."),
		func(s *raft.Status) float64 { return float64(s.Base + 1) }},
	{gauge("conclave_raft_snapshot_index", "Index of the newest snapshot."),
		func(s *raft.Status) float64 { return float64(s.SnapshotIndex) }},
	{gauge("conclave_raft_voters", "Voting members."),
		func(s *raft.Status) float64 { return float64(len(s.Membership.Voters)) }},
	{gauge("conclave_raft_learners", "Members that receive the log and don't vote."),
		func(s *raft.Status) float64 { return float64(len(s.Membership.Learners)) }},
	{gauge("conclave_raft_membership_index", "Index of the entry that holds the active membership."),
		func(s *raft.Status) float64 { return float64(s.MembershipIndex) }},
	{gauge("conclave_raft_membership_joint", "1 while the membership is on its way from one set of voters to another."),
		func(s *raft.Status) float64 { return boolean(s.Membership.IsJoint()) }},
	{gauge("conclave_raft_faulty", "1 while the disk lacks what this node had acknowledged."),
		func(s *raft.Status) float64 { return boolean(s.Faulty) }},
	{gauge("conclave_raft_parked", "1 while this node is parked: its state is not that of the majority, so it serves nothing."),
		func(s *raft.Status) float64 { return boolean(s.Parked != raft.ParkNone) }},
	{counter("conclave_raft_parked_total", "Times that this node was parked."),
		func(s *raft.Status) float64 { return float64(s.Counts.Parked) }},
	{gauge("conclave_raft_disagreement_index", "Last index at which members' states were seen to differ; 0 once all voters' are equal at a later one."),
		func(s *raft.Status) float64 { return float64(s.Disagreement) }},
	{gauge("conclave_raft_disk_low", "1 while the disk has so little room that nothing is taken that adds bytes."),
		func(s *raft.Status) float64 { return boolean(s.Space >= raft.SpaceLow) }},
	{gauge("conclave_raft_disk_full", "1 while the disk has no room for entries."),
		func(s *raft.Status) float64 { return boolean(s.Space >= raft.SpaceFull) }},
	{gauge("conclave_raft_disk_stalled", "1 while a write of the log takes longer than the stall budget."),
		func(s *raft.Status) float64 { return boolean(s.Stalled) }},
	{gauge("conclave_raft_write_age_seconds", "How long the oldest write of the log has been under way."),
		func(s *raft.Status) float64 { return float64(s.WriteTicks) * tick.Seconds() }},
	{counter("conclave_raft_pre_votes_total", "Times that this node asked whether it would be elected."),
		func(s *raft.Status) float64 { return float64(s.Counts.PreVotes) }},
	{counter("conclave_raft_elections_total", "Times that this node stood for election."),
		func(s *raft.Status) float64 { return float64(s.Counts.Elections) }},
	{counter("conclave_raft_elections_won_total", "Times that this node became the leader."),
		func(s *raft.Status) float64 { return float64(s.Counts.Won) }},
}

var (
	transfersSample = counter("conclave_raft_transfers_total", "Hand-overs of the leadership by this node: done, or failed.", "result")
	lagSample       = gauge("conclave_raft_follower_lag_entries", "Entries of the leader's log that aren't known to be on the follower's disk; on the leader.", "peer", "member")
	contactSample   = gauge("conclave_raft_follower_contact_seconds", "Time since the leader heard from the follower; on the leader.", "peer", "member")

	appliedSample  = gauge("conclave_raft_applied_index", "Last index applied to the store.")
	changesSample  = counter("conclave_raft_leader_changes_total", "Times that this node has come to follow another leader than before.")
	lengthSample   = gauge("conclave_queue_length", "What waits in a queue.", "queue")
	capacitySample = gauge("conclave_queue_capacity", "What a queue can hold.", "queue")
	droppedSample  = counter("conclave_raft_received_dropped_total", "Messages dropped because too many waited.")
)

// collectCore reads the core's status.
func collectCore(ch chan<- prometheus.Metric, s *raft.Status) {
	for _, c := range coreSamples {
		c.emit(ch, c.of(s))
	}
	transfersSample.emit(ch, float64(s.Counts.Transfers), "done")
	transfersSample.emit(ch, float64(s.Counts.TransfersFailed), "failed")
	for _, f := range s.Followers {
		member, ok := s.Membership.Member(f.ID)
		if !ok {
			continue // It is leaving.
		}
		lagSample.emit(ch, float64(s.Last-min(f.Match, s.Last)), member.Name, f.ID.String())
		contactSample.emit(ch, float64(f.ContactTicks)*tick.Seconds(), member.Name, f.ID.String())
	}
}

// collectReplica reads what a replica says without asking its loop.
func collectReplica(ch chan<- prometheus.Metric, running *replica.Replica) {
	appliedSample.emit(ch, float64(running.Applied()))
	changesSample.emit(ch, float64(running.LeaderChanges()))
	droppedSample.emit(ch, float64(running.Dropped()))
	for _, q := range running.Queues() {
		lengthSample.emit(ch, float64(q.Length), q.Name)
		capacitySample.emit(ch, float64(q.Capacity), q.Name)
	}
}
