package replica_test

import (
	"encoding/json"
	"io"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// machine is a state machine as raft.Origin demands it: it carries out the first
// copy of each command, and forgets no more than it may.
type machine struct {
	// Log holds what each entry did: its command, or nothing.
	Log      []string
	Sessions map[raft.MemberID]*session
}

type session struct {
	Boot     uint64
	Answered uint64
	Results  map[uint64]string
}

// apply returns the result of a command, which is the command itself, and whether
// it was carried out.
func (m *machine) apply(e *raft.Entry) (result string, first bool) {
	if e.Kind != raft.EntryCommand {
		m.Log = append(m.Log, "")
		return "", false
	}
	result, first = m.once(e)
	did := ""
	if first {
		did = result
	}
	m.Log = append(m.Log, did)
	return result, first
}

func (m *machine) once(e *raft.Entry) (result string, first bool) {
	o := e.Origin
	s := m.Sessions[o.Member]
	if s == nil || o.Boot > s.Boot {
		s = &session{Boot: o.Boot, Results: map[uint64]string{}}
		if m.Sessions == nil {
			m.Sessions = map[raft.MemberID]*session{}
		}
		m.Sessions[o.Member] = s
	}
	if o.Boot < s.Boot || o.Sequence <= s.Answered {
		return "forgotten", false
	}
	for s.Answered < o.Answered {
		s.Answered++
		delete(s.Results, s.Answered)
	}
	if result, ok := s.Results[o.Sequence]; ok {
		return result, false
	}
	s.Results[o.Sequence] = string(e.Data)
	return string(e.Data), true
}

func (m *machine) encode(t *testing.T) []byte {
	t.Helper()
	data, err := json.Marshal(m)
	must(t, err)
	return data
}

func decodeMachine(t *testing.T, r io.Reader) (m machine) {
	t.Helper()
	must(t, json.NewDecoder(r).Decode(&m))
	return m
}
