package sim

import (
	"math/rand/v2"
	"time"
)

// scenario is a habit of the faults in a run. Each makes a class of mistakes
// likely that independent faults would need too long to bring about.
type scenario int

const (
	scenarioNone scenario = iota
	// scenarioChurn: hardly does a member lead, when it is gone for a while.
	scenarioChurn
	// scenarioFigure8: leaders reach one follower, crash and come back, so that
	// logs end differently everywhere (the paper's figure 8).
	scenarioFigure8
	// scenarioDeposed: leaders are cut off with some clients still at them.
	scenarioDeposed
	// scenarioFrozen: leaders are paused, and go on with all that has waited.
	scenarioFrozen
	// scenarioLonely: one or two voters that crash and restart.
	scenarioLonely
	// scenarioReshape: a leader that begins a change of the membership is cut
	// off.
	scenarioReshape
	// scenarioSlowLeader: leaders' disks are slower than all others, and they
	// crash.
	scenarioSlowLeader
	// scenarioLaggard: followers are cut off until only a snapshot brings them
	// back.
	scenarioLaggard
	// scenarioLate: messages come long after they were sent.
	scenarioLate
	// scenarioEcho: leaders hear old answers while others elect the next.
	scenarioEcho
	// scenarioRivals: members stand against each other for term after term.
	scenarioRivals
	// scenarioAudience: leaders are cut off together with all learners.
	scenarioAudience
	// scenarioNewcomer: members join late, and are made voters before they have
	// the long log.
	scenarioNewcomer
	scenarioKinds
)

var scenarioNames = [scenarioKinds]string{
	"none", "churn", "figure-8", "deposed", "frozen", "lonely", "reshape", "slow-leader", "laggard", "late",
	"echo", "rivals", "audience", "newcomer",
}

// habit is what a scenario consists of: how it shapes the options, and what it
// does when a member becomes leader, commits for the first time in its term, or
// gets an order as leader. A nil part does nothing.
type habit struct {
	shape     func(o *Options, r *rand.Rand)
	enthroned func(p *plot, leader *node)
	committed func(p *plot, leader *node)
	ordered   func(p *plot, leader *node)
}

func (s scenario) habit() habit {
	return [scenarioKinds]habit{
		scenarioChurn:      {shape: shapeChurn, enthroned: (*plot).dethrone, committed: (*plot).silence},
		scenarioFigure8:    {shape: shapeFigure8, enthroned: (*plot).strand, committed: (*plot).silence},
		scenarioDeposed:    {shape: shapeDeposed, enthroned: (*plot).isolateLater},
		scenarioFrozen:     {shape: shapeDeposed, enthroned: (*plot).freezeLater},
		scenarioLonely:     {shape: shapeLonely},
		scenarioReshape:    {shape: shapeReshape, ordered: (*plot).interrupt},
		scenarioSlowLeader: {shape: shapeSlowLeader, enthroned: (*plot).slowThenCrash},
		scenarioLaggard:    {shape: shapeLaggard, enthroned: (*plot).leaveBehind},
		scenarioLate:       {shape: shapeLate},
		scenarioEcho:       {shape: shapeEcho, enthroned: (*plot).echo},
		scenarioRivals:     {shape: shapeRivals, enthroned: (*plot).dethrone},
		scenarioNewcomer:   {shape: shapeNewcomer},
		scenarioAudience:   {shape: shapeAudience, enthroned: (*plot).withAudience},
	}[s]
}

// String is the scenario's name.
func (s scenario) String() string { return scenarioNames[s] }

// plot carries the scenario of a run out.
type plot struct {
	w     *world
	habit habit
}

func (p *plot) begin(w *world) { p.w, p.habit = w, w.options.Scenario.habit() }

// enthroned is told of every new leader, in the middle of its first step: what is
// done about it comes after.
func (p *plot) enthroned(n *node) {
	if p.w != nil && !p.w.healed && p.habit.enthroned != nil {
		p.habit.enthroned(p, n)
	}
}

// committed is told when a leader first commits, before anyone else is.
func (p *plot) committed(n *node) {
	if p.w != nil && !p.w.healed && p.habit.committed != nil {
		p.habit.committed(p, n)
	}
}

func (p *plot) ordered(n *node) {
	if p.w != nil && !p.w.healed && p.habit.ordered != nil {
		p.habit.ordered(p, n)
	}
}

// later does something to a node after a while, if it is still the same process.
func (p *plot) later(n *node, d time.Duration, do func()) {
	life := n.life
	p.w.after(d, func() {
		if n.life == life && !n.paused && !p.w.healed {
			do()
		}
	})
}

// timeout is the measure of times.
func (p *plot) timeout() time.Duration { return p.w.options.Timeout() }

func shapeChurn(o *Options, r *rand.Rand) {
	o.Voters = pick(r, 3, 4, 5, 5)
	o.Spares = min(o.Spares, maxNodes-o.Voters)
	o.Faults[faultCrash] = max(o.Faults[faultCrash], 1)
	o.FaultEvery = o.Timeout() * 8
	o.Reads = 0.3
}

// dethrone lets a new leader go after a few messages.
func (p *plot) dethrone(n *node) {
	w := p.w
	if w.chance(0.2) {
		return
	}
	p.later(n, w.upTo(w.options.Delay*time.Duration(1+w.random.IntN(8))+w.options.DiskDelay), func() {
		kind := pick(w.random, faultCrash, faultCrash, faultPause, faultIsolate)
		w.hurt(kind, n, w.about(p.timeout()*2))
	})
}

func shapeFigure8(o *Options, r *rand.Rand) {
	o.Voters, o.Spares, o.ChangeEvery = 5, 0, 0
	o.MaxAppendBytes, o.MaxInflightAppends = 1, 1
	o.Clients, o.Patience = max(o.Clients, 4), o.Timeout()*4
	o.Drop, o.TailChance, o.Reads = 0, 0, 0.1
	o.SnapshotEntries = 10_000
	o.Faults, o.FaultEvery = [faultKinds]int{}, 0
	o.Gather = 0
}

// strand lets a new leader reach few followers, for a few messages, and crashes
// it, at the latest after a while. It comes back soon.
func (p *plot) strand(n *node) {
	w := p.w
	most := p.timeout() * 3
	if w.chance(0.8) {
		keep := [maxNodes]bool{}
		for range w.random.IntN(3) {
			keep[w.random.IntN(len(w.nodes))] = true
		}
		for _, other := range w.nodes {
			if other != n && !keep[other.slot] {
				w.cutLink(n, other, p.timeout()*2)
			}
		}
		most = (w.options.Delay*2 + w.options.DiskDelay) * time.Duration(1+w.random.IntN(6))
	}
	p.later(n, w.upTo(most), func() { p.drop(n) })
}

// drop crashes a leader for a short while, and loses what it has just sent.
func (p *plot) drop(n *node) {
	w := p.w
	for _, other := range w.nodes {
		// It will be heard by all again when it is back.
		w.link(n, other).cutUntil = w.now + w.options.Delay
	}
	w.hurt(faultCrash, n, w.about(p.timeout()))
}

// silence lets a leader that has just committed go, with all that is on its way,
// so that nobody learns of it.
func (p *plot) silence(n *node) {
	w := p.w
	if w.chance(0.3) {
		return
	}
	w.cutOff(n, w.options.Delay*2)
	p.later(n, 1, func() { p.drop(n) })
}

func shapeDeposed(o *Options, r *rand.Rand) {
	o.Voters = pick(r, 3, 3, 5)
	o.Spares = min(o.Spares, maxNodes-o.Voters)
	o.Reads = 0.6
	o.Clients = max(o.Clients, 4)
}

func (p *plot) isolateLater(n *node) {
	p.later(n, p.w.about(p.timeout()), func() { p.w.hurt(faultIsolate, n, p.w.about(p.timeout()*3)) })
}

func (p *plot) freezeLater(n *node) {
	p.later(n, p.w.about(p.timeout()), func() { p.w.hurt(faultPause, n, p.timeout()+p.w.about(p.timeout())) })
}

func shapeLonely(o *Options, r *rand.Rand) {
	o.Voters = 1 + r.IntN(2)
	o.Faults[faultCrash] = 4
	o.FaultEvery = o.Timeout() * pick[time.Duration](r, 2, 4)
}

func shapeReshape(o *Options, r *rand.Rand) {
	o.Voters = pick(r, 2, 3, 4)
	o.Spares = 2
	o.ChangeEvery = o.Timeout()
	o.FaultEvery = max(o.FaultEvery, o.Timeout()*4)
	o.Faults[faultIsolate] = 1
}

// interrupt cuts a leader off that has just begun a change, or crashes it.
func (p *plot) interrupt(n *node) {
	w := p.w
	if w.chance(0.5) {
		return
	}
	p.later(n, w.upTo(w.options.Delay*2+w.options.DiskDelay), func() {
		w.hurt(pick(w.random, faultIsolate, faultOneWay, faultSplit, faultCrash), n, w.about(p.timeout()*3))
	})
}

func shapeSlowLeader(o *Options, r *rand.Rand) {
	o.Voters = pick(r, 3, 3, 5)
	o.Spares = min(o.Spares, maxNodes-o.Voters)
	o.DiskDelay = min(o.DiskDelay, o.Timeout()/15)
}

func (p *plot) slowThenCrash(n *node) {
	p.w.hurt(faultSlowDisk, n, p.timeout()*4)
	p.later(n, p.w.about(p.timeout()*2), func() { p.w.hurt(faultCrash, n, p.w.about(p.timeout())) })
}

func shapeLaggard(o *Options, r *rand.Rand) {
	o.Voters = pick(r, 3, 3, 5)
	o.Spares = min(o.Spares, maxNodes-o.Voters)
	o.SnapshotEntries = pick(r, 3, 8)
	o.CacheBytes = 1
	o.Reads = 0.2
}

// leaveBehind cuts a follower off for long.
func (p *plot) leaveBehind(n *node) {
	w := p.w
	other := w.nodes[w.random.IntN(len(w.nodes))]
	if other == n {
		return
	}
	w.trace.tell(traceFault, other, "scenario: left behind")
	w.count(FaultIsolate)
	w.cutOff(other, w.about(p.timeout()*10))
}

func shapeLate(o *Options, r *rand.Rand) {
	o.TailChance, o.TailDelay = pick(r, 0.05, 0.2), o.Timeout()*6
	o.InOrder = false
	o.Repeat = 0.1
	o.ChangeEvery = o.Timeout() * 2
	o.Spares = max(1, min(o.Spares, maxNodes-o.Voters))
}

func shapeNewcomer(o *Options, r *rand.Rand) {
	o.Voters, o.Spares = pick(r, 2, 3), 2
	o.ChangeEvery = o.Timeout()
	o.Clients, o.Reads = 6, 0.05
	o.Think = o.Duration * time.Duration(o.Clients) / 900
	o.Delay, o.DiskDelay = o.Timeout()/20, o.Timeout()/50
	o.Drop, o.TailChance, o.Skew = 0, 0, 0
	o.MaxAppendBytes, o.MaxInflightAppends = 1, 2
	o.SnapshotEntries = pick(r, 400, 10_000)
	o.FaultEvery = max(o.FaultEvery, o.Timeout()*8)
}
