package sim

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// traceKind says what a record tells.
type traceKind uint8

const (
	traceSent traceKind = iota
	traceReceived
	traceLost
	traceWritten
	traceStarted
	traceCrashed
	traceStopped
	traceResumed
	traceRestored
	traceSnapshot
	traceApplied
	traceAsked
	traceAnswered
	traceFault
	traceCommitted
	traceHealed
	traceWatch
	traceTold
)

// record is one event of a run. Which fields are used depends on the kind.
type record struct {
	at      time.Duration
	kind    traceKind
	node    *node
	id      raft.MemberID
	a, b, c uint64
	message *raft.Message
	write   *raft.Write
	text    string
}

// keptRecords is how many of the last events a failure shows.
const keptRecords = 80

// trace keeps the last events and a hash of all.
type trace struct {
	world  *world
	writer io.Writer
	hash   uint64
	kept   [keptRecords]record
	n      int
}

func (t *trace) add(r record) {
	r.at = t.world.now
	if r.node != nil {
		r.id = r.node.id
	}
	t.mix(uint64(r.at), uint64(r.kind), uint64(r.id), r.a, r.b, r.c)
	t.kept[t.n%keptRecords] = r
	t.n++
	if t.writer != nil {
		fmt.Fprintln(t.writer, r.String())
	}
}

// mix adds numbers to the hash.
func (t *trace) mix(numbers ...uint64) {
	h := t.hash
	for _, x := range numbers {
		h = (h ^ x) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	t.hash = h
}

func (t *trace) note(kind traceKind, n *node, a, b, c uint64) {
	t.add(record{kind: kind, node: n, a: a, b: b, c: c})
}

// tell notes something that has words of its own.
func (t *trace) tell(kind traceKind, n *node, format string, args ...any) {
	r := record{kind: kind, node: n, text: fmt.Sprintf(format, args...)}
	for _, b := range []byte(r.text) {
		r.a = r.a*31 + uint64(b)
	}
	t.add(r)
}

func (t *trace) message(kind traceKind, n *node, m *raft.Message) {
	t.mix(uint64(m.Kind), uint64(m.From), uint64(m.To), uint64(m.Term), uint64(m.LogIndex), uint64(m.LogTerm),
		uint64(m.Commit), uint64(len(m.Entries)), m.Round, uint64(m.Reason), m.Session, m.Boot)
	t.add(record{kind: kind, node: n, message: m})
}

func (t *trace) write(n *node, w *raft.Write) {
	t.mix(uint64(w.ID), uint64(w.HardState.Term), uint64(w.HardState.Vote), uint64(w.HardState.Commit),
		uint64(w.TruncateFrom), uint64(len(w.Entries)))
	t.add(record{kind: traceWritten, node: n, write: w})
}

// last tells the last events, a line each.
func (t *trace) last() string {
	var text strings.Builder
	for i := max(0, t.n-keptRecords); i < t.n; i++ {
		fmt.Fprintln(&text, t.kept[i%keptRecords].String())
	}
	return text.String()
}

// String tells the event in one line.
func (r record) String() string {
	name := r.node.String()
	if r.node == nil {
		name = "-"
	}
	return fmt.Sprintf("%12.4f ms  %-5s %s", float64(r.at)/float64(time.Millisecond), name, r.words())
}

func (r *record) words() string {
	switch r.kind {
	case traceSent:
		return fmt.Sprintf("-> %s  %s", memberText(r.message.To), messageText(r.message))
	case traceReceived:
		return fmt.Sprintf("<- %s  %s", memberText(r.message.From), messageText(r.message))
	case traceLost:
		return fmt.Sprintf("lost, from %s to %s: %s", memberText(r.message.From), memberText(r.message.To), messageText(r.message))
	case traceWritten:
		return "disk: " + writeText(r.write)
	case traceStarted:
		return fmt.Sprintf("starts in term %d with a log up to %d", r.a, r.b)
	case traceCrashed:
		return "crashes"
	case traceStopped:
		return "stops"
	case traceResumed:
		return fmt.Sprintf("goes on with %d events", r.a)
	case traceRestored:
		return fmt.Sprintf("restores the snapshot at %d", r.a)
	case traceSnapshot:
		return fmt.Sprintf("snapshot at %d, log begins after %d, taken: %d", r.a, r.b, r.c)
	case traceApplied:
		return fmt.Sprintf("applied up to %d", r.a)
	case traceCommitted:
		return fmt.Sprintf("has committed up to %d in term %d", r.a, r.b)
	case traceTold:
		return fmt.Sprintf("watcher %d is told revision %d, %d changes", r.a, r.b, r.c)
	default:
		return r.text
	}
}

func boolean(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
