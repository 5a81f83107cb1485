package badgerlog

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
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

// A slot that is read at all is one that this program writes, byte for byte.
func FuzzWatermark(f *testing.F) {
	f.Add(encodeSlot(owner, 3, markAt(5)))
	f.Add(encodeSlot(Identity{Member: 8, ClusterID: "other", Name: "n"}, 1, watermark{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		slot := make([]byte, slotBytes)
		copy(slot, data)
		seal(slot)
		sequence, w, err := decodeSlot(slot, owner)
		if err != nil {
			return
		}
		again, read, err := decodeSlot(encodeSlot(owner, sequence, w), owner)
		if err != nil || again != sequence || read != w {
			t.Errorf("%d, %+v became %d, %+v, error %v", sequence, w, again, read, err)
		}
	})
}

func FuzzStarts(f *testing.F) {
	f.Add(renderStarts(7))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "starts")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if starts, err := readStarts(path); err == nil && !bytes.Equal(renderStarts(starts), data) {
			t.Errorf("%q was read as %d", data, starts)
		}
	})
}

// No table makes its check panic or take more memory than the file has bytes.
func FuzzTable(f *testing.F) {
	// An empty index with the right checksum, which is that of nothing.
	f.Add([]byte{0, 0, 0, 0, 0x10, 0, 0, 0, 0, 2}, uint(0), byte(0))
	for _, table := range tablesOf(f) {
		f.Add(table, uint(len(table)-1), byte(0))
		f.Add(table, uint(len(table)-1), byte(1))
		f.Add(table, uint(len(table)/2), byte(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, at uint, flip byte) {
		if len(data) > 0 {
			data = bytes.Clone(data)
			data[at%uint(len(data))] ^= flip
		}
		if err := verifyTable(bytes.NewReader(data), int64(len(data))); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("verifying gave %v", err)
		}
	})
}

// tablesOf returns tables that Badger has written.
func tablesOf(f *testing.F) [][]byte {
	dir := filepath.Join(f.TempDir(), "data")
	if err := Format(dir, owner1); err != nil {
		f.Fatal(err)
	}
	l, err := open(dir, Options{Logger: slog.New(slog.DiscardHandler)}, smallTables)
	if err != nil {
		f.Fatal(err)
	}
	err = l.Save(&raft.Write{Entries: commands(0, 1, 100, 30)})
	if err := errors.Join(err, l.Close()); err != nil {
		f.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "log", "*.sst"))
	if err != nil || len(names) == 0 {
		f.Fatal("no table was written: ", err)
	}
	var tables [][]byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if err := verifyTable(bytes.NewReader(data), int64(len(data))); err != nil {
			f.Fatalf("a sound table: %v", err)
		}
		tables = append(tables, data)
	}
	return tables
}
