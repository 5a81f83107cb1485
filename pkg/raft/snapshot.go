package raft

// sendSnapshot announces the newest snapshot (section 7).
func (r *Raft) sendSnapshot(p *progress) {
	if p.healing || r.park.parked() {
		// One at a time, and none of a state that may be wrong.
		p.waiting = true
		return
	}
	assert(r.snapshot.Index >= r.log.base, "log is compacted to %d but the snapshot is at %d", r.log.base, r.snapshot.Index)
	meta := r.snapshot
	r.send(Message{Kind: KindInstallSnapshot, To: p.id, Session: p.session, Snapshot: &meta})
	p.snapshot(meta.Index)
}

// SnapshotSent tells what became of a snapshot that an InstallSnapshot message
// asked the driver to stream to a member.
func (r *Raft) SnapshotSent(to MemberID, ok bool) {
	p := r.follower(to)
	if p != nil && p.healing {
		p.healing, p.healPause = false, healPauseTimeouts*r.config.ElectionTicksMax
		return
	}
	if r.role != Leader || p == nil || p.state != stateSnapshot {
		return
	}
	index := p.snapshotIndex
	p.probe()
	if ok {
		p.next = max(p.next, index+1)
	}
	// The answer to the installation, or the next heartbeat's, goes on.
	p.waiting = true
}
