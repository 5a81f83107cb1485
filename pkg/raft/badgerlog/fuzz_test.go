package badgerlog

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
)

var fuzzMeta = raft.SnapshotMeta{Index: 9, Term: 2, ChainHash: 77, MembershipIndex: 3, Membership: raft.Membership{
	Members: []raft.Member{{ID: 1, Name: "a", Address: "a:1"}}, Voters: []raft.MemberID{1}}}

// No record makes a decoder panic, and what is decoded at all survives being
// encoded and decoded again.
func FuzzRecords(f *testing.F) {
	f.Add(head{hard: raft.HardState{Term: 3, Vote: 1, Commit: 2}, end: position{index: 4, term: 2, chain: 5}}.encode())
	b, err := base{at: fuzzMeta, snapshots: []raft.SnapshotMeta{fuzzMeta}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	e := raft.Entry{Index: 7, Term: 2, Kind: raft.EntryCommand, Data: []byte("data")}
	f.Add(appendRecords(nil, &e, e.Data, 6)[0].value)
	f.Fuzz(func(t *testing.T, value []byte) {
		if len(value) >= 4 {
			// Otherwise hardly any input would get past the checksum.
			value = seal(bytes.Clone(value))
		}
		if h, err := decodeHead(value); err == nil {
			if again, err := decodeHead(h.encode()); err != nil || again != h {
				t.Errorf("%+v became %+v, error %v", h, again, err)
			}
		}
		if b, err := decodeBase(value); err == nil {
			data, err := b.encode()
			if err != nil {
				t.Fatal(err)
			}
			if again, err := decodeBase(data); err != nil || !reflect.DeepEqual(again, b) {
				t.Errorf("%+v became %+v, error %v", b, again, err)
			}
		}
		var r entryReader
		if complete, err := r.add(7, 0, value); err == nil && complete {
			records := appendRecords(nil, &r.entry, r.data, r.chain)
			if len(records) != 1 || len(records[0].value) != len(value) {
				t.Errorf("an entry of %d bytes became %d records", len(value), len(records))
			}
		}
		_, _ = r.add(7, 1, value)
	})
}

func FuzzIdentity(f *testing.F) {
	f.Add(string(Identity{Member: 1, ClusterID: "cluster", Name: "node-0"}.render()))
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := parseIdentity(text); err == nil && string(id.render()) != text {
			t.Errorf("%q was read as %+v", text, id)
		}
	})
}

func FuzzSnapshotFile(f *testing.F) {
	path := filepath.Join(f.TempDir(), "snapshot")
	w, err := createSnapshot(path, "cluster", fuzzMeta, func(uint32) error { return nil })
	if err != nil {
		f.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 10)); err != nil {
		f.Fatal(err)
	}
	if _, err := w.finish(); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:100])
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "snapshot")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := openSnapshot(path, "cluster")
		if err != nil {
			return
		}
		defer r.Close()
		n, err := io.Copy(io.Discard, r)
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	})
}
