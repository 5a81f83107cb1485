package raft

// clock is what the driver has told of the time. The core only copies it into
// the entries that it makes as a leader.
type clock struct {
	wallMillis      uint64
	monotonicMillis uint64
	// stampedMillis is the monotonic time of the leader's previous entry.
	stampedMillis uint64
}

// SetTime tells what time it is: the wall clock in milliseconds since 1970, and a
// clock in milliseconds that never goes back while the process runs. A driver
// calls it before other inputs, as often as it likes. A monotonic time before the
// last one counts as the last one.
func (r *Raft) SetTime(wallMillis, monotonicMillis uint64) {
	r.clock.wallMillis = wallMillis
	r.clock.monotonicMillis = max(r.clock.monotonicMillis, monotonicMillis)
}

// restart makes the next entry a leader's first.
func (c *clock) restart() { c.stampedMillis = c.monotonicMillis }

// stamp returns an entry's TimeMillis and ElapsedMillis.
func (c *clock) stamp() (timeMillis, elapsedMillis uint64) {
	elapsedMillis = c.monotonicMillis - c.stampedMillis
	c.stampedMillis = c.monotonicMillis
	return c.wallMillis, elapsedMillis
}
