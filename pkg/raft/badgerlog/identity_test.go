package badgerlog_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/badgerlog"
)

func TestAFormattedDirectoryTellsWhoseItIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	want := badgerlog.Identity{Member: badgerlog.NewMemberID(), ClusterID: "a \"cluster\"\n", Name: "node 0 ü"}
	if _, err := badgerlog.ReadIdentity(dir); !errors.Is(err, badgerlog.ErrNotFormatted) {
		t.Fatalf("a missing directory gave %v", err)
	}
	if err := badgerlog.Format(dir, want); err != nil {
		t.Fatal(err)
	}
	if got, err := badgerlog.ReadIdentity(dir); err != nil || got != want {
		t.Fatalf("read %+v, error %v", got, err)
	}
	if got := openLog(t, dir).Identity(); got != want {
		t.Fatalf("opened %+v", got)
	}
}

func TestMemberIDsDiffer(t *testing.T) {
	seen := map[raft.MemberID]bool{raft.NoMember: true}
	for range 1000 {
		id := badgerlog.NewMemberID()
		if seen[id] {
			t.Fatalf("%s was drawn before, or is nobody", id)
		}
		seen[id] = true
	}
}

func TestAnIncompleteIdentityIsRefused(t *testing.T) {
	for _, id := range []badgerlog.Identity{
		{ClusterID: "c", Name: "n"},
		{Member: 1, Name: "n"},
		{Member: 1, ClusterID: "c"},
		{Member: 1, ClusterID: strings.Repeat("c", 129), Name: "n"},
		{Member: 1, ClusterID: "c", Name: strings.Repeat("n", 254)},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		if err := badgerlog.Format(dir, id); err == nil {
			t.Errorf("%+v was accepted", id)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%+v: the directory was made: %v", id, err)
		}
	}
}

// Each case makes a directory that can't be opened; the error must hold the
// directory's path and the words that say what is wrong.
func TestDirectoriesThatCannotBeOpened(t *testing.T) {
	for _, c := range []struct {
		what    string
		prepare func(dir string) error
		options badgerlog.Options
		says    string
	}{
		{"an empty one", func(dir string) error { return os.Mkdir(dir, 0o700) },
			badgerlog.Options{}, "not formatted"},
		{"a fresh volume", func(dir string) error { return os.MkdirAll(filepath.Join(dir, "lost+found"), 0o700) },
			badgerlog.Options{}, "not formatted"},
		{"a foreign one", func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "photo.jpg"), nil, 0o600))
		}, badgerlog.Options{}, `holds "photo.jpg" but no identity file`},
		{"a file", func(dir string) error { return os.WriteFile(dir, nil, 0o600) },
			badgerlog.Options{}, "not a directory"},
		{"one of another cluster", func(dir string) error { return badgerlog.Format(dir, identity) },
			badgerlog.Options{ClusterID: "mine"}, `belongs to cluster "cluster", not "mine"`},
		{"one of a newer format", func(dir string) error {
			return errors.Join(badgerlog.Format(dir, identity), edit(dir, "format 2", "format 3"))
		}, badgerlog.Options{}, "run a newer version"},
		{"one of an older format", func(dir string) error {
			return errors.Join(badgerlog.Format(dir, identity), edit(dir, "format 2", "format 1"))
		}, badgerlog.Options{}, "before the first release"},
		{"one with a damaged identity", func(dir string) error {
			return errors.Join(badgerlog.Format(dir, identity), edit(dir, "node-0", "node-1"))
		}, badgerlog.Options{}, "damaged"},
		{"one with a foreign identity", func(dir string) error {
			return errors.Join(badgerlog.Format(dir, identity), edit(dir, "conclave", "Conclave"))
		}, badgerlog.Options{}, "not the identity of a data directory"},
		{"one without a watermark", func(dir string) error {
			return errors.Join(badgerlog.Format(dir, identity), os.Remove(filepath.Join(dir, "watermark")))
		}, badgerlog.Options{}, "the watermark file is missing; replace this member"},
		{"one with both slots of the watermark lost", func(dir string) error {
			return errors.Join(badgerlog.Format(dir, identity), os.Truncate(filepath.Join(dir, "watermark"), 100))
		}, badgerlog.Options{}, "slot 1: the data on disk is damaged: wrong checksum; replace this member"},
		{"one with another member's watermark", func(dir string) error {
			other := filepath.Join(dir, "..", "other")
			err := errors.Join(badgerlog.Format(dir, identity),
				badgerlog.Format(other, badgerlog.Identity{Member: 8, ClusterID: "cluster", Name: "node-1"}))
			data, readErr := os.ReadFile(filepath.Join(other, "watermark"))
			return errors.Join(err, readErr, os.WriteFile(filepath.Join(dir, "watermark"), data, 0o600))
		}, badgerlog.Options{}, "belongs to member 0000000000000008"},
		{"one that can't be written to", func(dir string) error {
			return errors.Join(badgerlog.Format(dir, identity),
				os.Remove(filepath.Join(dir, "LOCK")), os.Mkdir(filepath.Join(dir, "LOCK"), 0o700))
		}, badgerlog.Options{}, "must be writable by user ID"},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		if err := c.prepare(dir); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		c.options.Logger = quiet()
		_, err := badgerlog.Open(dir, c.options)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: the error is %v", c.what, err)
		}
		if not := errors.Is(err, badgerlog.ErrNotFormatted); not != (c.says == "not formatted") {
			t.Errorf("%s: the error counts as not formatted: %t", c.what, not)
		}
	}
}

// edit replaces a piece of the identity file.
func edit(dir, old, with string) error {
	path := filepath.Join(dir, "identity")
	text, err := os.ReadFile(path)
	return errors.Join(err, os.WriteFile(path, []byte(strings.Replace(string(text), old, with, 1)), 0o600))
}

func TestDirectoriesThatCannotBeFormatted(t *testing.T) {
	dir := formatted(t)
	if err := badgerlog.Format(dir, identity); err == nil || !strings.Contains(err.Error(), "already belongs to member 0000000000000007") {
		t.Errorf("formatting twice gave %v", err)
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "notes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := badgerlog.Format(foreign, identity); err == nil || !strings.Contains(err.Error(), `holds "notes"`) {
		t.Errorf("formatting a foreign directory gave %v", err)
	}
	// What an interrupted Format leaves is no obstacle.
	torn := t.TempDir()
	if err := os.WriteFile(filepath.Join(torn, "identity.tmp"), []byte("concl"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(torn, "watermark"), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := badgerlog.Format(torn, identity); err != nil {
		t.Errorf("formatting once more gave %v", err)
	}
	openLog(t, torn)
}

func TestOfSeveralThatFormatADirectoryAtOnceOneDoes(t *testing.T) {
	for range 30 {
		dir := filepath.Join(t.TempDir(), "data")
		made := make(chan raft.MemberID, 8)
		var all sync.WaitGroup
		for i := range cap(made) {
			all.Go(func() {
				own := badgerlog.Identity{Member: raft.MemberID(i + 1), ClusterID: "c", Name: "n"}
				if badgerlog.Format(dir, own) == nil {
					made <- own.Member
				}
			})
		}
		all.Wait()
		if len(made) != 1 {
			t.Fatalf("%d of them formatted it", len(made))
		}
		if id, err := badgerlog.ReadIdentity(dir); err != nil || id.Member != <-made {
			t.Fatalf("it is of member %s, who did not format it: %v", id.Member, err)
		}
	}
}

func TestADirectoryHasOneUser(t *testing.T) {
	dir := formatted(t)
	first := openLog(t, dir)
	_, err := badgerlog.Open(dir, badgerlog.Options{Logger: quiet()})
	if err == nil || !strings.Contains(err.Error(), dir+" is in use by process ") {
		t.Fatalf("opening a directory in use gave %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openLog(t, dir)
}
