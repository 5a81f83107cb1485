package config_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/conclave-dev/conclave/pkg/config"
)

// FuzzApply feeds arbitrary bytes to a state as a command. Two states must
// agree on them, and unless they change something nothing may change.
func FuzzApply(f *testing.F) {
	for _, c := range []interface{ Encode() ([]byte, error) }{
		put("a", "1"), put("db/url", ""), del("a"), del("none"), keyed("k", "a", "2"), &config.Delete{Namespace: "new", Key: "a", Idempotency: "k"},
		&config.Txn{Namespace: "pay", If: []config.Condition{{Key: "a", Is: config.IfVersion(1)}}, Then: []config.Operation{putOp("b", "1"), delOp("a")}, Else: []config.Operation{getOp("a")}},
		&config.Rollback{Namespace: "pay", Prefix: "a", Reason: "why"},
		&config.Put{Namespace: "pay", Key: "a", If: config.IfRevision(1)}, &config.Delete{Namespace: "pay", Key: "a", If: config.IfExists()},
		&config.PutSettings{}, &config.PutSettings{Settings: config.Settings{QuotaBytes: 1 << 20}, If: config.IfAbsent()}, quota("pay", 1<<20), quota("new", 1<<20),
		attach("b", anObject), attach("a", anObject), detach(""),
	} {
		f.Add(encode(f, c))
	}
	f.Fuzz(func(t *testing.T, command []byte) {
		var hashes []config.Hash
		for range 2 {
			l := newLog(t)
			l.apply(put("a", "1"))
			before := l.state.View()
			result := l.state.Apply(2, config.Stamp{}, config.Origin{}, bytes.Clone(command))
			l.state.Publish()
			after := l.state.View()
			hashes = append(hashes, after.Hash)
			changed := after.Revision != before.Revision || after.Keys != before.Keys || after.LiveBytes != before.LiveBytes
			if changed && result.Outcome != config.OutcomeApplied {
				t.Fatalf("%x: %+v, and yet revision %d, %d keys", command, result, after.Revision, after.Keys)
			}
			if (result.Outcome == config.OutcomeUnknownCommand) != (l.state.Fault() != nil) || (l.state.Fault() != nil) != (after.Index == 1) {
				t.Fatalf("%x: %+v, fault %v, index %d", command, result, l.state.Fault(), after.Index)
			}
			if l.state.Fault() != nil {
				continue
			}
			if err := config.NewState().Restore(bytes.NewReader(snapshot(t, l.state))); err != nil {
				t.Fatalf("%x: its snapshot can't be restored: %v", command, err)
			}
		}
		if hashes[0] != hashes[1] {
			t.Fatalf("%x: two hashes", command)
		}
	})
}

// FuzzRestore feeds arbitrary bytes to Restore, as they are.
func FuzzRestore(f *testing.F) {
	f.Add(snapshot(f, config.NewState()))
	f.Add(snapshot(f, filled(f).state))
	f.Add(snapshot(f, sessions(f).state))
	f.Add(snapshot(f, keptOnes(f).state))
	f.Add(snapshot(f, schemas(f).state))
	f.Fuzz(checkRestore)
}

// FuzzRestoreFrames lets arbitrary payloads past the checksums: data is cut
// into frames, each with its length in front.
func FuzzRestoreFrames(f *testing.F) {
	for _, l := range []*log{newLog(f), filled(f), sessions(f), keptOnes(f), schemas(f)} {
		f.Add(unframe(snapshot(f, l.state)))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkRestore(t, reframe(data)) })
}

// unframe writes the payloads of a snapshot one after the other, each with its
// length in front, and reframe makes a snapshot of them.
func unframe(snapshot []byte) (data []byte) {
	for _, payload := range payloads(snapshot) {
		data = binary.BigEndian.AppendUint16(data, uint16(len(payload)))
		data = append(data, payload...)
	}
	return data
}

func reframe(data []byte) []byte {
	var all [][]byte
	for len(data) > 2 {
		length := min(int(binary.BigEndian.Uint16(data)), len(data)-2)
		all, data = append(all, data[2:2+length]), data[2+length:]
	}
	return frame(all)
}

// checkRestore restores a snapshot that may be anything.
func checkRestore(t *testing.T, data []byte) {
	l := newLog(t)
	l.apply(put("kept", "1"))
	before := l.state.View()
	err := l.state.Restore(bytes.NewReader(data))
	if err != nil {
		if !errors.Is(err, config.ErrBadSnapshot) || l.state.View() != before {
			t.Fatalf("%v, and the view is %+v", err, l.state.View())
		}
		return
	}
	// What is accepted is a state that can be written and read again.
	again := config.NewState()
	if err := again.Restore(bytes.NewReader(snapshot(t, l.state))); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(snapshot(t, again), snapshot(t, l.state)) {
		t.Fatal("a restored state has another snapshot")
	}
}

// FuzzKey holds CheckKey and CheckPrefix to the rule as it is written down.
func FuzzKey(f *testing.F) {
	for _, s := range []string{"", "a", "db/url", "/", "a//b", "a/..", "./a", "\x00", "\x7f", "\xff", "\uFFFD", "é", "\u0085", strings.Repeat("k", 513)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		clean := utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
		segments := strings.Split(s, "/")
		bad := func(segment string) bool { return segment == "" || segment == "." || segment == ".." }
		key := clean && len(s) >= 1 && len(s) <= 512 && !slices.ContainsFunc(segments, bad)
		if err := config.CheckKey(s); (err == nil) != key {
			t.Errorf("key %q: %v", s, err)
		}
		prefix := clean && len(s) <= 512 && !slices.ContainsFunc(segments[:len(segments)-1], bad)
		if err := config.CheckPrefix(s); (err == nil) != prefix {
			t.Errorf("prefix %q: %v", s, err)
		}
	})
}
