package wire_test

import (
	"encoding/hex"
	"slices"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// The frames below were written once and are read by every program since. A new
// field belongs at the end of its array; then the new bytes are put here and the
// old ones into TestFramesOfOlderProgramsAreRead.
var golden = []struct {
	name    string
	message raft.Message
	frame   string
}{
	{"heartbeat", raft.Message{
		Kind: raft.KindHeartbeat, From: 1, To: 2, Term: 3, Commit: 4, Round: 5, Session: 6,
	}, "c5010300000000190000000062a69e19dc0016070102030000000405c200c200c0c0c0c0060000c0c2"},
	{"append", raft.Message{
		Kind: raft.KindAppendEntries, From: 1 << 63, To: 2, Term: 3, LogIndex: 4, LogTerm: 3, Commit: 4, Session: 6,
		Entries: []raft.Entry{
			{Index: 5, Term: 3, Kind: raft.EntryNoOp, TimeMillis: 1_700_000_000_000},
			{Index: 6, Term: 3, Kind: raft.EntryCommand, Data: []byte("set"), TimeMillis: 1_700_000_000_250, ElapsedMillis: 250,
				Origin: raft.Origin{Member: 1 << 63, Boot: 7 << 32, Sequence: 300, Answered: 299}},
		},
	}, "c50103000000002100000043a2bcf916dc001605cf800000000000000002030403000400c200c240c0c0c0c0060000c0c2929805030100c09400000000cf0000018bcfe56800009806030203c094cf8000000000000000cf0000000700000000cd012ccd012bcf0000018bcfe568faccfa736574"},
	{"propose", raft.Message{
		Kind: raft.KindPropose, From: 1, To: 2, Term: 3,
		Proposals: []raft.Proposal{{
			ID: raft.RequestID{Boot: 7 << 32, Sequence: 9}, Data: []byte("set"),
			Origin: raft.Origin{Member: 1, Boot: 7 << 32, Sequence: 300, Answered: 299},
		}},
	}, "c50103000000003800000003ad01b569dc00160a0102030000000000c200c200c0919492cf000000070000000009039401cf0000000700000000cd012ccd012bc2c0c0000000c0c2736574"},
	{"state hash", raft.Message{
		Kind: raft.KindStateHash, From: 1, To: 2, Term: 3, State: raft.StateHash{Index: 1024, Sum: [32]byte{0xab, 31: 0xcd}},
	}, "c50103000000003c000000000726dc80dc00160f0102030000000000c200c200c0c0c0c00000cd0400c420ab000000000000000000000000000000000000000000000000000000000000cdc2"},
	{"answer of a parked member", raft.Message{
		Kind: raft.KindHeartbeatReply, From: 2, To: 1, Term: 3, Round: 5, Session: 6, Boot: 7, LogIndex: 1024, Parked: true,
		State: raft.StateHash{Index: 1024, Sum: [32]byte{0xab, 31: 0xcd}},
	}, "c50103000000003e00000000a68b90a5dc001608020103cd040000000005c200c200c0c0c0c00607cd0400c420ab000000000000000000000000000000000000000000000000000000000000cdc3"},
}

func TestFramesAreWrittenAsEver(t *testing.T) {
	for _, g := range golden {
		data := written(t, func(w *wire.Writer) error { return w.WriteMessage(&g.message, nil) })
		if got := hex.EncodeToString(data); got != g.frame {
			t.Errorf("%s: written as\n%s, want\n%s", g.name, got, g.frame)
		}
		f := next(t, data)
		got, err := f.Message()
		if err != nil {
			t.Fatal(err)
		}
		checkEqual(t, got, g.message)
	}
}

// Some are from before entries and proposals had an envelope, the others from before
// states were compared.
func TestFramesOfOlderProgramsAreRead(t *testing.T) {
	for _, old := range []struct {
		of    int
		bare  bool
		frame string
	}{
		{1, true, "c50103000000001e000000108fb94215dc001305cf800000000000000002030403000400c200c20dc0c0c0c00600929505030100c09506030203c0736574"},
		{2, true, "c50103000000002300000003e8ea8e71dc00130a0102030000000000c200c200c0919292cf00000007000000000903c0c00000736574"},
		{0, false, "c501030000000016000000004aade604dc0013070102030000000405c200c200c0c0c0c00600"},
		{1, false, "c50103000000001e00000043cc50123adc001305cf800000000000000002030403000400c200c240c0c0c0c00600929805030100c09400000000cf0000018bcfe56800009806030203c094cf8000000000000000cf0000000700000000cd012ccd012bcf0000018bcfe568faccfa736574"},
		{2, false, "c501030000000035000000032f83037adc00130a0102030000000000c200c200c0919492cf000000070000000009039401cf0000000700000000cd012ccd012bc2c0c00000736574"},
	} {
		data, err := hex.DecodeString(old.frame)
		if err != nil {
			t.Fatal(err)
		}
		f := next(t, data)
		got, err := f.Message()
		if err != nil {
			t.Fatal(err)
		}
		want := golden[old.of].message
		if old.bare {
			want = withoutEnvelopes(want)
		}
		checkEqual(t, got, want)
	}
}

// withoutEnvelopes returns a message as it was when nothing had an envelope.
func withoutEnvelopes(m raft.Message) raft.Message {
	m.Entries, m.Proposals = slices.Clone(m.Entries), slices.Clone(m.Proposals)
	for i := range m.Entries {
		e := &m.Entries[i]
		e.Origin, e.TimeMillis, e.ElapsedMillis = raft.Origin{}, 0, 0
	}
	for i := range m.Proposals {
		m.Proposals[i].Origin = raft.Origin{}
	}
	return m
}
