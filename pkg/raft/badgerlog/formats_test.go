package badgerlog

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// formatsPage draws the formats for people, with examples.
const formatsPage = "../../../docs/formats.md"

// The examples of the page are what this program writes, byte for byte.
func TestTheExamplesOfTheFormatsPageAreTrue(t *testing.T) {
	page := exampleBlocks(t)
	written := exampleBytes(t)
	for name, data := range written {
		shown, ok := page[name]
		if !ok {
			t.Errorf("%s has no example %q; it would be\n%s", formatsPage, name, hex.Dump(data))
			continue
		}
		if !bytes.Equal(shown, data) {
			t.Errorf("%s: the example %q is\n%x, and what is written is\n%x", formatsPage, name, shown, data)
		}
	}
	for name := range page {
		if _, ok := written[name]; !ok {
			t.Errorf("%s: nothing writes the example %q", formatsPage, name)
		}
	}
}

// exampleBytes returns what the program writes for each example.
func exampleBytes(t *testing.T) map[string][]byte {
	t.Helper()
	owner := Identity{Member: 0xa1, ClusterID: "c", Name: "n0"}
	e := raft.Entry{Index: 6, Term: 2, Kind: raft.EntryCommand, Data: []byte("set"),
		TimeMillis: 1_700_000_000_000, ElapsedMillis: 250,
		Origin: raft.Origin{Member: 0xa1, Boot: 7 << 32, Sequence: 300, Answered: 299}}
	records := appendRecords(nil, &e, e.Data, 0x1122334455667788)
	membership := raft.NewMembership(raft.Member{ID: 0xa1, Name: "n0", Address: "n0:8401"})
	meta := raft.SnapshotMeta{Index: 5, Term: 2, Membership: membership, MembershipIndex: 1, ChainHash: 0x1122334455667788}
	encoded, err := base{at: meta, snapshots: []raft.SnapshotMeta{meta}}.encode()
	if err != nil {
		t.Fatal(err)
	}
	end := position{index: 6, term: 2, chain: 0x99aabbccddeeff00}
	path := filepath.Join(t.TempDir(), "snapshot")
	w, err := createSnapshot(path, owner.ClusterID, meta, func(uint32) error { return nil })
	if err == nil {
		_, err = w.Write([]byte("state"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.finish(); err != nil {
		t.Fatal(err)
	}
	snapshot, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var frame bytes.Buffer
	heartbeat := raft.Message{Kind: raft.KindHeartbeat, From: 1, To: 2, Term: 3, Commit: 4, Round: 5, Session: 6}
	if err := wire.NewWriter(&frame).WriteMessage(&heartbeat, nil); err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"entry key":    records[0].key,
		"entry record": records[0].value,
		"head":         head{hard: raft.HardState{Term: 3, Vote: 0xa1, Commit: 5}, end: end}.encode(),
		"base":         encoded,
		"watermark":    bytes.TrimRight(encodeSlot(owner, 9, watermark{end: end, term: 3, vote: 0xa1}), "\x00"),
		"snapshot":     snapshot,
		"frame":        frame.Bytes(),
		"identity":     owner.render(),
		"starts":       renderStarts(7),
	}
}

// exampleBlocks reads the examples of the page: blocks of the kind hex, whose
// lines begin with the bytes, and of the kind text.
func exampleBlocks(t *testing.T) map[string][]byte {
	t.Helper()
	page, err := os.ReadFile(formatsPage)
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string][]byte{}
	kind, name := "", ""
	for line := range strings.Lines(string(page)) {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && kind == "":
			kind, name, _ = strings.Cut(strings.TrimSpace(fence)+" ", " ")
			name = strings.TrimSpace(name)
		case isFence:
			kind = ""
		case kind == "text" && name != "":
			blocks[name] = append(blocks[name], line...)
		case kind == "hex":
			digits, _, _ := strings.Cut(line, "  ")
			data, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(digits), " ", ""))
			if err != nil {
				t.Fatalf("%s: %q: %v", formatsPage, line, err)
			}
			blocks[name] = append(blocks[name], data...)
		}
	}
	return blocks
}
