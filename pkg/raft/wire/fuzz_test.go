package wire_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// checkStable fails unless what was decoded survives being encoded and decoded
// again. Not every input is what the encoder would have written, but whatever
// is accepted must have one meaning.
func checkStable[T any](t *testing.T, value T, encode func(*T) ([]byte, error), decode func([]byte) (T, error)) {
	t.Helper()
	data, err := encode(&value)
	if err != nil {
		t.Fatalf("%+v was decoded but can't be encoded: %v", value, err)
	}
	again, err := decode(data)
	if err != nil {
		t.Fatalf("%+v was encoded but can't be decoded: %v", value, err)
	}
	if !reflect.DeepEqual(value, again) {
		t.Fatalf("decoded %+v, then %+v", value, again)
	}
}

func FuzzDecodeMembership(f *testing.F) {
	m := raft.Membership{Members: []raft.Member{{ID: 1, Name: "a", Address: "a:1"}}, Voters: []raft.MemberID{1}}
	data, err := wire.EncodeMembership(&m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := wire.DecodeMembership(data); err == nil {
			checkStable(t, m, wire.EncodeMembership, wire.DecodeMembership)
		}
	})
}

func FuzzDecodeSnapshotMeta(f *testing.F) {
	m := raft.SnapshotMeta{Index: 300, Term: 7, Membership: raft.Membership{Voters: []raft.MemberID{1}}, ChainHash: 1 << 63}
	data, err := wire.EncodeSnapshotMeta(&m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := wire.DecodeSnapshotMeta(data); err == nil {
			checkStable(t, m, wire.EncodeSnapshotMeta, wire.DecodeSnapshotMeta)
		}
	})
}

// FuzzReader feeds arbitrary bytes to a reader of frames, as a port that is
// open to the world does.
func FuzzReader(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add(frame(wire.KindPing, nil, nil))
	f.Add(append(frame(wire.KindSnapshotChunk, []byte{0x91, 7}, []byte("data")), frame(wire.KindSnapshotEnd, []byte{0x91, 11}, nil)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := wire.NewReader(bytes.NewReader(data), 1<<16)
		read := 0
		for {
			if _, err := r.Next(); err != nil {
				break
			}
			read++
		}
		if read*wire.HeaderBytes > len(data) {
			t.Fatalf("%d frames in %d bytes", read, len(data))
		}
	})
}

// FuzzFrame feeds arbitrary control parts and payloads to the decoder of every
// kind of frame, behind a header that is correct, which random bytes never
// have.
func FuzzFrame(f *testing.F) {
	m := raft.Message{Kind: raft.KindAppendEntries, From: 1, To: 2, Term: 3,
		Entries:   []raft.Entry{{Index: 5, Term: 3, Kind: raft.EntryCommand, Data: []byte("hello")}},
		Proposals: []raft.Proposal{{Data: []byte("x")}}, Reads: []raft.RequestID{{Boot: 1, Sequence: 2}}}
	data := written(f, func(w *wire.Writer) error { return w.WriteMessage(&m, nil) })
	split := bytes.Index(data, []byte{0x91, 0x98, 5, 3, 2, 5, 0xc0})
	if split < 0 {
		f.Fatal("the entries' heads are not where they were")
	}
	f.Add(uint8(wire.KindMessage), data[wire.HeaderBytes:split], data[split:])
	for kind, write := range map[wire.Kind]func(w *wire.Writer) error{
		wire.KindHello:          func(w *wire.Writer) error { return w.WriteHello(&wire.Hello{ClusterID: "c", Purpose: 1}) },
		wire.KindWelcome:        func(w *wire.Writer) error { return w.WriteWelcome(&wire.Welcome{Name: "n"}) },
		wire.KindBootstrap:      func(w *wire.Writer) error { return w.WriteBootstrap(&wire.Bootstrap{Name: "n"}) },
		wire.KindSnapshotEnd:    func(w *wire.Writer) error { return w.WriteSnapshotEnd(7) },
		wire.KindSnapshotResult: func(w *wire.Writer) error { return w.WriteSnapshotResult(wire.SnapshotResult{Problem: "p"}) },
	} {
		f.Add(uint8(kind), written(f, write)[wire.HeaderBytes:], []byte(nil))
	}
	f.Add(uint8(wire.KindSnapshotChunk), []byte{0x91, 7}, []byte("data"))
	f.Fuzz(func(t *testing.T, kind uint8, control, payload []byte) {
		r := wire.NewReader(bytes.NewReader(frame(wire.Kind(kind), control, payload)), wire.MaxFrameBytes)
		fr, err := r.Next()
		if err != nil {
			return
		}
		decodeAny(t, &fr)
	})
}

// decodeAny decodes f by its kind and checks that the result is stable.
func decodeAny(t *testing.T, f *wire.Frame) {
	switch f.Kind {
	case wire.KindMessage:
		checkFrame(t, f, (*wire.Frame).Message, func(w *wire.Writer, v *raft.Message) error { return w.WriteMessage(v, nil) })
	case wire.KindHello:
		checkFrame(t, f, (*wire.Frame).Hello, (*wire.Writer).WriteHello)
	case wire.KindWelcome:
		checkFrame(t, f, (*wire.Frame).Welcome, (*wire.Writer).WriteWelcome)
	case wire.KindBootstrap:
		checkFrame(t, f, (*wire.Frame).Bootstrap, (*wire.Writer).WriteBootstrap)
	case wire.KindSnapshotEnd:
		checkFrame(t, f, (*wire.Frame).SnapshotEnd, func(w *wire.Writer, v *uint64) error { return w.WriteSnapshotEnd(*v) })
	case wire.KindSnapshotResult:
		checkFrame(t, f, (*wire.Frame).SnapshotResult, func(w *wire.Writer, v *wire.SnapshotResult) error { return w.WriteSnapshotResult(*v) })
	case wire.KindSnapshotChunk:
		if _, data, err := f.SnapshotChunk(); err == nil && len(data) > wire.MaxChunkBytes {
			t.Fatalf("a chunk of %d bytes was accepted", len(data))
		}
	}
}

func checkFrame[T any](t *testing.T, f *wire.Frame, decode func(*wire.Frame) (T, error), write func(*wire.Writer, *T) error) {
	t.Helper()
	value, err := decode(f)
	if err != nil {
		return
	}
	encode := func(v *T) ([]byte, error) {
		var b bytes.Buffer
		err := write(wire.NewWriter(&b), v)
		return b.Bytes(), err
	}
	checkStable(t, value, encode, func(data []byte) (T, error) {
		f := next(t, data)
		return decode(&f)
	})
}
