package badgerlog

import (
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// keysOf counts the records of entries in Badger, and the versions of the head
// that a reader of all versions would meet.
func keysOf(t *testing.T, l *Log) (records, headVersions int) {
	t.Helper()
	err := l.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{entryKeyPrefix}})
		for it.Rewind(); it.Valid(); it.Next() {
			records++
		}
		it.Close()
		it = txn.NewIterator(badger.IteratorOptions{Prefix: headKey, AllVersions: true})
		for it.Rewind(); it.Valid(); it.Next() {
			headVersions++
		}
		it.Close()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records, headVersions
}

func TestDeadRecordsAreDeletedAndTheDirectoryStaysSmall(t *testing.T) {
	l := openSmall(t, Options{})
	const (
		cycles    = 80
		perCycle  = 2000
		perWrite  = 50
		entrySize = 2 << 10
	)
	last := raft.Index(0)
	var peak int64
	for range cycles {
		for range perCycle / perWrite {
			save(t, l, raft.Write{Entries: commands(0, last+1, last+perWrite, entrySize)})
			last += perWrite
		}
		if _, err := l.SaveSnapshot(raft.SnapshotMeta{Index: last}, func(w io.Writer) error {
			_, err := w.Write(make([]byte, 1<<20))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		s, err := l.Stats()
		if err != nil {
			t.Fatal(err)
		}
		peak = max(peak, s.LogBytes)
		if s.Dead > 2*perCycle || s.SnapshotsBytes > 3<<20 {
			t.Fatalf("at entry %d: %d dead entries, snapshots of %d bytes", last, s.Dead, s.SnapshotsBytes)
		}
	}
	records, heads := keysOf(t, l)
	s, err := l.Stats()
	if err != nil {
		t.Fatal(err)
	}
	living := int(s.Last - s.First + 1)
	t.Logf("%d MiB written; %d living entries, %d dead, %d records, %d versions of the head, at most %d MiB on the disk",
		s.Bytes>>20, living, s.Dead, records, heads, peak>>20)
	if records != living+int(s.Dead) {
		t.Errorf("%d records lie in Badger, of %d living and %d dead entries", records, living, s.Dead)
	}
	// Of 320 MiB, two cycles of 4 MiB are living. The rest are tables of 8 MiB:
	// Badger makes writes wait when six of the first level are not merged yet,
	// and merging needs as much again for a while.
	if peak > 160<<20 {
		t.Errorf("the log took up to %d bytes", peak)
	}
	if heads >= cycles*perCycle/perWrite {
		t.Errorf("all %d versions of the head are still there", heads)
	}
}

func TestTheDeadOfATruncationAndOfAnInstallationAreDeleted(t *testing.T) {
	l := openSmall(t, Options{})
	save(t, l, raft.Write{Entries: commands(0, 1, 500, 100)})
	save(t, l, raft.Write{Entries: commands(0, 501, 501, partBytesMax+1)})
	save(t, l, raft.Write{TruncateFrom: 400, Entries: commands(1, 400, 401, 100)})
	meta := raft.SnapshotMeta{Index: 450, Term: 1}
	if err := l.ReceiveSnapshot(t.Context(), meta, io.LimitReader(zeros{}, 100)); err != nil {
		t.Fatal(err)
	}
	save(t, l, raft.Write{HardState: raft.HardState{Term: 1}, Snapshot: &meta})
	for i := raft.Index(451); i <= 453; i++ {
		save(t, l, raft.Write{HardState: raft.HardState{Term: 1}, Entries: commands(1, i, i, 10)})
	}
	if records, _ := keysOf(t, l); records != 3 {
		t.Errorf("%d records lie in Badger, expected those of 3 entries", records)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestTheDeadAreFoundWhenTheLogIsOpened(t *testing.T) {
	l := openSmall(t, Options{})
	save(t, l, raft.Write{Entries: commands(0, 1, 1000, 100)})
	for _, at := range []raft.Index{600, 900} {
		if _, err := l.SaveSnapshot(raft.SnapshotMeta{Index: at}, func(io.Writer) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	dead := l.graves.count()
	if dead < 300 {
		t.Fatalf("%d entries are dead", dead)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := open(l.dir, l.options, smallTables)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := l.graves.count(); got != dead {
		t.Errorf("%d dead entries are known, expected %d", got, dead)
	}
	save(t, l, raft.Write{Entries: commands(0, 1001, 1200, 10)})
	if records, _ := keysOf(t, l); records != 600 || l.graves.count() != 0 {
		t.Errorf("%d records lie in Badger, %d entries are dead; expected 600 and none", records, l.graves.count())
	}
}

// The largest writes that the limits allow fit into one transaction.
func TestTheLargestWritesFit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := Format(dir, owner1); err != nil {
		t.Fatal(err)
	}
	l, err := open(dir, Options{Logger: slog.New(slog.DiscardHandler)}, badgerOptions)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	small := raft.Entry{Kind: raft.EntryCommand}
	count := min(MaxWriteBytes/small.SizeBytes(), MaxWriteEntries)
	last := raft.Index(0)
	write := func(entries []raft.Entry) {
		t.Helper()
		// The second one comes upon the dead of the first.
		for range 2 {
			save(t, l, raft.Write{TruncateFrom: 1, Entries: entries})
		}
		last = entries[len(entries)-1].Index
		if state := l.view.Load().last; state != last {
			t.Fatalf("the log ends with entry %d, expected %d", state, last)
		}
	}
	write(commands(0, 1, 1, EntryBytesMax))
	write(commands(0, 1, raft.Index(count), 0))
	write(commands(0, 1, 1000, MaxWriteBytes/1000-96))
	write(commands(0, 1, 2, MaxWriteBytes/2-96))
	write(memberships())
}

// memberships are as many as one Write takes, of 16 members with long names.
func memberships() []raft.Entry {
	var members []raft.Member
	for i := range 16 {
		members = append(members, raft.Member{ID: raft.MemberID(1<<60 + i), Name: strings.Repeat("n", 63), Address: strings.Repeat("a", 255)})
	}
	m := raft.NewMembership(members...)
	m.Outgoing = m.Voters
	e := raft.Entry{Kind: raft.EntryMembership, Membership: &m}
	entries := make([]raft.Entry, min(MaxWriteBytes/e.SizeBytes(), MaxWriteEntries))
	for i := range entries {
		e.Index = raft.Index(i + 1)
		entries[i] = e
	}
	return entries
}

// Graves are compared with a set, under random burials, replacements and
// deletions.
func TestGravesKnowEveryDeadEntry(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		g, set := newGraves(), map[raft.Index]bool{}
		for range 300 {
			first := raft.Index(1 + random.IntN(60))
			last := first + raft.Index(random.IntN(6))
			switch random.IntN(3) {
			case 0:
				for i := first; i <= last; i++ {
					if set[i] {
						first = i + 1 // Only entries that aren't dead are buried.
					}
				}
				g.bury(first, last)
				for i := first; i <= last; i++ {
					set[i] = true
				}
			case 1:
				g.replace(first, 1)
				delete(set, first)
			case 2:
				if i, _, ok := g.next(); ok {
					for other := range set {
						if other < i {
							t.Fatalf("seed %d: %d came before %d", seed, i, other)
						}
					}
					g.drop()
					delete(set, i)
				}
			}
			if g.count() != uint64(len(set)) {
				t.Fatalf("seed %d: %d entries are dead, expected %d: %v", seed, g.count(), len(set), g.spans)
			}
		}
		for i, _, ok := g.next(); ok; i, _, ok = g.next() {
			if !set[i] {
				t.Fatalf("seed %d: %d is dead", seed, i)
			}
			g.drop()
		}
	}
}
