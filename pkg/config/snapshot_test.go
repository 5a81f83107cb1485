package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
	l.index++
	l.state.Apply(l.index, nil)
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
	l.state.Apply(l.index+1, encode(t, put("new", "unpublished")))
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

func TestFramesThatAreMissingOrInAnotherOrderAreFound(t *testing.T) {
	const magicBytes = 8
	data := snapshot(t, filled(t).state)
	var frames [][]byte
	for rest := data[magicBytes:]; len(rest) > 0; {
		length := 8 + int(rest[0])<<24 + int(rest[1])<<16 + int(rest[2])<<8 + int(rest[3])
		frames, rest = append(frames, rest[:length]), rest[length:]
	}
	join := func(frames ...[]byte) []byte {
		return append(bytes.Clone(data[:magicBytes]), bytes.Join(frames, nil)...)
	}
	if !bytes.Equal(join(frames...), data) || len(frames) < 6 {
		t.Fatalf("the snapshot has %d frames", len(frames))
	}
	for i := range frames {
		without := append(append([][]byte{}, frames[:i]...), frames[i+1:]...)
		if err := config.NewState().Restore(bytes.NewReader(join(without...))); !errors.Is(err, config.ErrBadSnapshot) {
			t.Errorf("without frame %d: %v", i, err)
		}
		if i == 0 {
			continue
		}
		swapped := append([][]byte{}, frames...)
		swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
		if err := config.NewState().Restore(bytes.NewReader(join(swapped...))); !errors.Is(err, config.ErrBadSnapshot) {
			t.Errorf("frames %d and %d swapped: %v", i-1, i, err)
		}
	}
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
