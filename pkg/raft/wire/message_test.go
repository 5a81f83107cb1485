package wire_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

func TestMessageRoundTripKeepsEveryField(t *testing.T) {
	want := filled[raft.Message](t)
	data := written(t, func(w *wire.Writer) error { return w.WriteMessage(&want, nil) })
	f := next(t, data)
	got, err := f.Message()
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, got, want)
}

func TestEmptyMessageRoundTrip(t *testing.T) {
	data := written(t, func(w *wire.Writer) error { return w.WriteMessage(&raft.Message{}, nil) })
	f := next(t, data)
	got, err := f.Message()
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, got, raft.Message{})
}

func TestHandshakeAndBootstrapRoundTripKeepEveryField(t *testing.T) {
	hello, welcome, boot := filled[wire.Hello](t), filled[wire.Welcome](t), filled[wire.Bootstrap](t)
	result := filled[wire.SnapshotResult](t)
	data := written(t, func(w *wire.Writer) error {
		return errors.Join(w.WriteHello(&hello), w.WriteWelcome(&welcome), w.WriteBootstrap(&boot),
			w.WriteSnapshotResult(result), w.WriteSnapshotEnd(99))
	})
	r := wire.NewReader(bytes.NewReader(data), wire.MaxFrameBytes)
	frame := func() *wire.Frame {
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		return &f
	}
	check := func(got any, err error, want any) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		checkEqual(t, got, want)
	}
	gotHello, err := frame().Hello()
	check(gotHello, err, hello)
	gotWelcome, err := frame().Welcome()
	check(gotWelcome, err, welcome)
	gotBoot, err := frame().Bootstrap()
	check(gotBoot, err, boot)
	gotResult, err := frame().SnapshotResult()
	check(gotResult, err, result)
	gotEnd, err := frame().SnapshotEnd()
	check(gotEnd, err, uint64(99))
}

func TestMessagesThatShareEntriesEqualThoseThatDoNot(t *testing.T) {
	first := filled[raft.Message](t)
	second := first
	second.To++
	second.Proposals = nil
	shared := wire.NewEntries(first.Entries)
	for _, m := range []raft.Message{first, second, first} {
		alone := written(t, func(w *wire.Writer) error { return w.WriteMessage(&m, nil) })
		together := written(t, func(w *wire.Writer) error { return w.WriteMessage(&m, shared) })
		if !bytes.Equal(alone, together) {
			t.Errorf("to %v: shared entries gave other bytes", m.To)
		}
	}
}

func TestEntriesAreSharedByConcurrentWriters(t *testing.T) {
	entries := []raft.Entry{{Index: 1, Kind: raft.EntryNoOp}, {Index: 2, Kind: raft.EntryCommand, Data: []byte("x")}, {Index: 3, Kind: raft.EntryNoOp}}
	shared := wire.NewEntries(entries)
	var group sync.WaitGroup
	for writer := range 4 {
		m := raft.Message{To: raft.MemberID(writer), Entries: entries, Proposals: []raft.Proposal{{Data: bytes.Repeat([]byte{byte(writer)}, 50)}}}
		want := written(t, func(w *wire.Writer) error { return w.WriteMessage(&m, nil) })
		group.Go(func() {
			var b bytes.Buffer
			for range 500 {
				b.Reset()
				if err := wire.NewWriter(&b).WriteMessage(&m, shared); err != nil || !bytes.Equal(b.Bytes(), want) {
					t.Errorf("writer %d: %v, %x instead of %x", writer, err, b.Bytes(), want)
					return
				}
			}
		})
	}
	group.Wait()
}

func TestSharedEntriesOfAnotherMessageAreRefused(t *testing.T) {
	m := filled[raft.Message](t)
	other := wire.NewEntries(filled[raft.Message](t).Entries)
	var b bytes.Buffer
	if err := wire.NewWriter(&b).WriteMessage(&m, other); err == nil || b.Len() > 0 {
		t.Errorf("got %v and %d bytes, want an error and none", err, b.Len())
	}
}

func TestDecodedEntriesDoNotShareSpareRoom(t *testing.T) {
	m := raft.Message{Kind: raft.KindAppendEntries, Entries: []raft.Entry{
		{Index: 1, Kind: raft.EntryCommand, Data: []byte("one")},
		{Index: 2, Kind: raft.EntryCommand, Data: []byte("two")},
	}}
	f := next(t, written(t, func(w *wire.Writer) error { return w.WriteMessage(&m, nil) }))
	got, err := f.Message()
	if err != nil {
		t.Fatal(err)
	}
	_ = append(got.Entries[0].Data, "beyond"...)
	if string(got.Entries[1].Data) != "two" {
		t.Errorf("appending to one entry changed the next to %q", got.Entries[1].Data)
	}
}

func TestDecodedMessageOutlivesTheReadersBuffers(t *testing.T) {
	first, second := filled[raft.Message](t), filled[raft.Message](t)
	second.Snapshot.Membership.Members[0].Name = "another"
	second.Entries[0].Data = []byte("zzz")
	data := written(t, func(w *wire.Writer) error {
		return errors.Join(w.WriteMessage(&first, nil), w.WriteMessage(&second, nil))
	})
	r := wire.NewReader(bytes.NewReader(data), wire.MaxFrameBytes)
	var got [2]raft.Message
	for i := range got {
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got[i], err = f.Message(); err != nil {
			t.Fatal(err)
		}
	}
	checkEqual(t, got[0], first)
	checkEqual(t, got[1], second)
}

func TestOversizeMessageIsRefusedBeforeTheFirstByte(t *testing.T) {
	big := make([]byte, wire.MaxFrameBytes/2)
	for name, m := range map[string]raft.Message{
		"entries":        {Entries: []raft.Entry{{Data: big}, {Data: big}, {Data: big}}},
		"just too much":  {Entries: []raft.Entry{{Data: big}, {Data: big}}},
		"proposals":      {Proposals: []raft.Proposal{{Data: big}, {Data: big}, {Data: big}}},
		"many results":   {Results: make([]raft.ProposalResult, wire.MaxReflectedBytes/4)},
		"many entries":   {Entries: make([]raft.Entry, wire.MaxReflectedBytes/4)},
		"both together":  {Entries: []raft.Entry{{Data: big}}, Proposals: []raft.Proposal{{Data: big}}},
		"many small IDs": {Reads: make([]raft.RequestID, wire.MaxReflectedBytes)},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			err := wire.NewWriter(&b).WriteMessage(&m, nil)
			if !errors.Is(err, wire.ErrTooLarge) || b.Len() > 0 {
				t.Errorf("got %v and %d bytes, want ErrTooLarge and none", err, b.Len())
			}
		})
	}
}

func TestWriterGoesOnAfterAnOversizeMessage(t *testing.T) {
	var b bytes.Buffer
	w := wire.NewWriter(&b)
	big := raft.Message{Proposals: []raft.Proposal{{Data: make([]byte, wire.MaxFrameBytes)}}}
	if err := w.WriteMessage(&big, nil); !errors.Is(err, wire.ErrTooLarge) {
		t.Fatal(err)
	}
	want := filled[raft.Message](t)
	if err := w.WriteMessage(&want, nil); err != nil {
		t.Fatal(err)
	}
	f := next(t, b.Bytes())
	got, err := f.Message()
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, got, want)
}

func TestMessageDecoderNamesWhatIsWrong(t *testing.T) {
	m := filled[raft.Message](t)
	good := written(t, func(w *wire.Writer) error { return w.WriteMessage(&m, nil) })
	control, payload := good[wire.HeaderBytes:], []byte(nil)
	for i := range control {
		// The payload begins with the heads, an array of three arrays.
		if bytes.HasPrefix(control[i:], []byte{0x93, 0x98}) && len(payload) == 0 {
			control, payload = control[:i], control[i:]
			break
		}
	}
	for _, test := range []struct {
		name             string
		control, payload []byte
		want             error
	}{
		{"no control part", nil, payload, wire.ErrTruncated},
		{"control part cut", control[:len(control)-1], payload, wire.ErrTruncated},
		{"control part longer", append(bytes.Clone(control), 1), payload, wire.ErrTrailing},
		{"payload cut", control, payload[:len(payload)-1], wire.ErrMalformed},
		{"payload longer", control, append(bytes.Clone(payload), 1), wire.ErrTrailing},
		{"no payload", control, nil, wire.ErrMalformed},
		{"not an array", []byte{0xa1, 'x'}, nil, wire.ErrMalformed},
		{"kind out of range", []byte{0x91, 0xcd, 1, 0}, nil, wire.ErrMalformed},
		{"hash of a state too short", []byte("\xdc\x00\x16\x0f\x01\x02\x03\x00\x00\x00\x00\x00\xc2\x00\xc2\x00\xc0\xc0\xc0\xc0\x00\x00\x01\xc4\x01\xab\xc2"), nil, wire.ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := next(t, frame(wire.KindMessage, test.control, test.payload))
			if _, err := f.Message(); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestFrameOfAnotherKindIsRefused(t *testing.T) {
	f := next(t, written(t, func(w *wire.Writer) error { return w.WriteHello(&wire.Hello{}) }))
	if _, err := f.Message(); !errors.Is(err, wire.ErrKind) {
		t.Errorf("a hello read as a message: %v", err)
	}
	f = next(t, frame(wire.KindHello, []byte{0x90}, []byte("x")))
	if _, err := f.Hello(); !errors.Is(err, wire.ErrTrailing) {
		t.Errorf("a hello with a payload: %v", err)
	}
}

func TestLimitsOfSmallFrames(t *testing.T) {
	long := string(make([]byte, wire.MaxBootstrapBytes))
	var b bytes.Buffer
	w := wire.NewWriter(&b)
	for name, err := range map[string]error{
		"hello":     w.WriteHello(&wire.Hello{Name: long}),
		"welcome":   w.WriteWelcome(&wire.Welcome{Name: long}),
		"bootstrap": w.WriteBootstrap(&wire.Bootstrap{Name: long}),
		"chunk":     w.WriteSnapshotChunk(0, make([]byte, wire.MaxChunkBytes+1)),
	} {
		if !errors.Is(err, wire.ErrTooLarge) {
			t.Errorf("%s: %v, want ErrTooLarge", name, err)
		}
	}
	if b.Len() > 0 {
		t.Errorf("%d bytes were written", b.Len())
	}
}
