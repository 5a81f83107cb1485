package config_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/conclave-dev/conclave/pkg/config"
)

// filled returns a state with a bit of everything.
func filled(t testing.TB) *log {
	l := newLog(t)
	l.apply(put("a", "1"), put("a", "2"), put("empty", ""), put("bytes", "\xff\x00"), put("b/c", strings.Repeat("x", 5000)), del("a"))
	l.apply(&config.Put{Namespace: "other", Key: "k", Value: []byte("v")})
	l.apply(quota("other", 1<<20), quota("planned", 1<<21), &config.PutSettings{Settings: config.Settings{HistoryRevisions: 11_000}})
	l.index++
	l.state.Apply(l.index, config.Stamp{}, config.Origin{}, nil)
	l.state.Publish()
	return l
}

func TestARestoredStateIsTheSameState(t *testing.T) {
	for name, l := range map[string]*log{"empty": newLog(t), "filled": filled(t)} {
		data := snapshot(t, l.state)
		restored := newLog(t)
		restored.apply(put("left", "over"), put("from", "before"))
		if err := restored.state.Restore(iotest.OneByteReader(bytes.NewReader(data))); err != nil {
			t.Fatal(err)
		}
		restored.index = l.index
		if !bytes.Equal(snapshot(t, restored.state), data) {
			t.Errorf("%s: its snapshot has other bytes", name)
		}
		// It must also go on in the same way.
		for _, one := range []*log{l, restored} {
			one.apply(put("empty", "now"), del("bytes"), &config.Delete{Namespace: "other", Key: "k"})
		}
		if l.state.View().Hash != restored.state.View().Hash || !bytes.Equal(snapshot(t, l.state), snapshot(t, restored.state)) {
			t.Errorf("%s: the same commands lead elsewhere", name)
		}
	}
}

func TestASnapshotIsOfTheMomentItWasTaken(t *testing.T) {
	l := filled(t)
	want := snapshot(t, l.state)
	l.state.Apply(l.index+1, config.Stamp{}, config.Origin{}, encode(t, put("new", "unpublished")))
	frozen := l.state.Snapshot()
	if frozen.Index() != l.index+1 {
		t.Errorf("it is of index %d, want the last that was applied, %d", frozen.Index(), l.index+1)
	}
	l.index++
	var first bytes.Buffer
	if _, err := frozen.WriteTo(&first); err != nil {
		t.Fatal(err)
	}
	l.apply(put("new", "later"), del("empty"))
	var second bytes.Buffer
	if _, err := frozen.WriteTo(&second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) || bytes.Equal(first.Bytes(), want) {
		t.Error("a snapshot changes with the state, or lacks what was applied before it")
	}
}

func TestADamagedSnapshotIsRefusedAndChangesNothing(t *testing.T) {
	data := snapshot(t, filled(t).state)
	refuse := func(what string, damaged []byte) {
		t.Helper()
		l := newLog(t)
		l.apply(put("kept", "1"))
		before := l.state.View()
		err := l.state.Restore(bytes.NewReader(damaged))
		if !errors.Is(err, config.ErrBadSnapshot) {
			t.Errorf("%s: %v, want ErrBadSnapshot", what, err)
		}
		if l.state.View() != before || l.apply(put("kept", "2")).Revision != 2 {
			t.Errorf("%s: the state has changed", what)
		}
	}
	for i := range data {
		for _, bit := range []byte{0x01, 0x80} {
			damaged := bytes.Clone(data)
			damaged[i] ^= bit
			refuse(fmt.Sprintf("bit %02x of byte %d", bit, i), damaged)
		}
	}
	for i := range data {
		refuse(fmt.Sprintf("cut at %d", i), data[:i])
	}
	refuse("with a tail", append(bytes.Clone(data), 0))
	refuse("twice", append(bytes.Clone(data), data...))
}

const magic = "cnclave\x05"

// payloads returns what the frames of a snapshot hold, and frame puts such
// contents into frames, with checksums that fit.
func payloads(snapshot []byte) (all [][]byte) {
	for rest := snapshot[len(magic):]; len(rest) > 0; {
		length := binary.BigEndian.Uint32(rest)
		all, rest = append(all, rest[8:8+length]), rest[8+length:]
	}
	return all
}

func frame(payloads [][]byte) []byte {
	snapshot := []byte(magic)
	for _, payload := range payloads {
		if len(payload) > 4 && payload[0] == 'Z' {
			// The end closes with a checksum of all before it.
			const uint32Marker = 0xce
			payload = append(bytes.Clone(payload[:len(payload)-5]), uint32Marker)
			payload = binary.BigEndian.AppendUint32(payload, crc(snapshot))
		}
		snapshot = binary.BigEndian.AppendUint32(snapshot, uint32(len(payload)))
		snapshot = binary.BigEndian.AppendUint32(snapshot, crc(payload))
		snapshot = append(snapshot, payload...)
	}
	return snapshot
}

func crc(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// TestASnapshotThatContradictsItselfIsRefused takes frames out, doubles and
// swaps them, each time with checksums that fit.
func TestASnapshotThatContradictsItselfIsRefused(t *testing.T) {
	data := snapshot(t, filled(t).state)
	all := payloads(data)
	if kinds := kindsOf(all); kinds != "HGNENEEEEEENRRRRRRRRRRZ" || !bytes.Equal(frame(all), data) {
		t.Fatalf("the snapshot holds frames %s, or other bytes when framed again", kinds)
	}
	refuseRearranged(t, all)
}

// refuseRearranged takes each frame out, doubles it and swaps it with others.
func refuseRearranged(t *testing.T, all [][]byte) {
	t.Helper()
	refuse := func(what string, chosen [][]byte) {
		t.Helper()
		if err := config.NewState().Restore(bytes.NewReader(frame(chosen))); !errors.Is(err, config.ErrBadSnapshot) {
			t.Errorf("%s of %s: %v, want ErrBadSnapshot", what, kindsOf(all), err)
		}
	}
	refuse("nothing", nil)
	for i := range all {
		refuse(fmt.Sprintf("all but frame %d", i), slices.Delete(slices.Clone(all), i, i+1))
		refuse(fmt.Sprintf("frame %d twice", i), slices.Insert(slices.Clone(all), i, all[i]))
		for j := range i {
			swapped := slices.Clone(all)
			swapped[i], swapped[j] = all[j], all[i]
			refuse(fmt.Sprintf("frames %d and %d swapped", j, i), swapped)
		}
	}
}

func kindsOf(payloads [][]byte) (kinds string) {
	for _, p := range payloads {
		kinds += string(p[:1])
	}
	return kinds
}

func TestFailuresOfTheMediumAreHandedOn(t *testing.T) {
	data := snapshot(t, filled(t).state)
	failing := io.MultiReader(bytes.NewReader(data[:100]), iotest.ErrReader(errBroken))
	if err := config.NewState().Restore(failing); !errors.Is(err, errBroken) || errors.Is(err, config.ErrBadSnapshot) {
		t.Errorf("Restore = %v, want the reader's own error", err)
	}
	n, err := filled(t).state.Snapshot().WriteTo(brokenWriter{})
	if !errors.Is(err, errBroken) || n != 0 {
		t.Errorf("WriteTo = %d, %v, want the writer's own error", n, err)
	}
}

var errBroken = errors.New("broken for the test")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }
