package sim

import (
	"math/rand/v2"
	"time"
)

// The scenarios here are about answers that are true and prove nothing: they come
// late, or from members that don't count.

// echoes is the longest election timeout of scenarioEcho in shortest ones: answers
// may be so late before a leader misses them.
const echoes = 4

func shapeEcho(o *Options, r *rand.Rand) {
	o.Voters = pick(r, 3, 3, 5)
	o.Spares = min(o.Spares, maxNodes-o.Voters)
	o.ElectionTicksMin = min(o.ElectionTicksMin, 8)
	o.ElectionTicksMax = o.ElectionTicksMin * echoes
	o.HeartbeatTicks = min(o.HeartbeatTicks, o.ElectionTicksMin/2)
	o.Delay = o.Timeout() / 50
	o.DiskDelay = o.Timeout() / 50
	o.Drop, o.TailChance, o.InOrder, o.Skew = 0, 0, true, 0
	o.Faults, o.FaultEvery = [faultKinds]int{}, 0
	o.Clients, o.Reads, o.Keys = 6, 0.6, 1
	o.Think = min(o.Think, o.Timeout()/4)
	o.ApplyDelay = o.Timeout() / 1000
}

// echo makes everything that is said to a leader late, by nearly the time after
// which it steps down, and then cuts it off from those that hear it. They elect
// another while the old leader still hears their old answers.
func (p *plot) echo(n *node) {
	w := p.w
	late := p.timeout() * 3 / echoes
	p.later(n, w.about(p.timeout()), func() {
		w.trace.tell(traceFault, n, "scenario: hears everything late")
		for _, other := range w.nodes {
			l := w.link(other, n)
			l.late, l.slowUntil = late, w.now+p.timeout()*4
		}
		p.later(n, late+w.upTo(p.timeout()), func() {
			w.trace.tell(traceFault, n, "scenario: is heard no more")
			w.count(FaultOneWay)
			for _, other := range w.nodes {
				w.cutLink(n, other, p.timeout()*3)
			}
		})
	})
}

// shapeRivals makes timeouts nearly equal and votes slow, so that members stand
// against each other again and again, and old votes arrive in new terms.
func shapeRivals(o *Options, r *rand.Rand) {
	o.Voters = pick(r, 4, 5, 5)
	o.Spares = min(o.Spares, maxNodes-o.Voters)
	o.ElectionTicksMin = max(o.ElectionTicksMin, 6)
	o.ElectionTicksMax = o.ElectionTicksMin + 1 + r.IntN(2)
	o.HeartbeatTicks = min(o.HeartbeatTicks, o.ElectionTicksMin/2)
	o.Delay, o.InOrder = o.Timeout()/pick[time.Duration](r, 2, 3), false
	o.TailChance, o.TailDelay = pick(r, 0, 0.1), o.Timeout()
	o.DiskDelay = o.Timeout() / 20
	o.Drop = pick(r, 0, 0.1)
}

func shapeAudience(o *Options, r *rand.Rand) {
	shapeEcho(o, r)
	o.Voters, o.Spares = 3, pick(r, 2, 3, 4)
	o.ChangeEvery = o.Timeout() / 2
	o.Duration *= 2
}

// withAudience cuts a leader off with all learners from the other voters, who elect
// another. Learners may be more than voters, and say that they hear the old one.
func (p *plot) withAudience(n *node) {
	w := p.w
	p.later(n, w.about(p.timeout()*3), func() {
		active := n.loop.Membership().Membership
		w.trace.tell(traceFault, n, "scenario: alone with its learners")
		w.count(FaultSplit)
		for _, voter := range w.nodes {
			if voter == n || !active.IsVoter(voter.id) {
				continue
			}
			for _, other := range w.nodes {
				if other == n || !active.IsVoter(other.id) {
					w.cutLink(voter, other, p.timeout()*3)
					w.cutLink(other, voter, p.timeout()*3)
				}
			}
		}
	})
}
