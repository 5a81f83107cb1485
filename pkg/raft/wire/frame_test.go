package wire_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// frame lays out a frame by hand, as the package comment draws it.
func frame(kind wire.Kind, control, payload []byte) []byte {
	out := []byte{0xC5, 1, byte(kind), 0}
	out = binary.BigEndian.AppendUint32(out, uint32(len(control)))
	out = binary.BigEndian.AppendUint32(out, uint32(len(payload)))
	table := crc32.MakeTable(crc32.Castagnoli)
	crc := crc32.Checksum(payload, table)
	crc = crc32.Update(crc, table, control)
	crc = crc32.Update(crc, table, out)
	out = binary.BigEndian.AppendUint32(out, crc)
	return append(append(out, control...), payload...)
}

// written returns what write writes.
func written(t testing.TB, write func(*wire.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(wire.NewWriter(&b)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// next reads the first frame of data.
func next(t testing.TB, data []byte) wire.Frame {
	t.Helper()
	f, err := wire.NewReader(bytes.NewReader(data), wire.MaxFrameBytes).Next()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Running programs send and expect these bytes. If this test fails, a cluster
// can't be upgraded one node at a time.
func TestFrameFormatIsUnchanged(t *testing.T) {
	m := raft.Message{
		Kind: raft.KindAppendEntries, From: 1, To: 2, Term: 3, LogIndex: 4, LogTerm: 2, Commit: 4, Round: 9,
		Entries: []raft.Entry{
			{Index: 5, Term: 3, Kind: raft.EntryCommand, Data: []byte("hello")},
			{Index: 6, Term: 3, Kind: raft.EntryNoOp},
		},
	}
	got := written(t, func(w *wire.Writer) error { return w.WriteMessage(&m, nil) })
	control, err := hex.DecodeString("dc001605010203040200" + "0409c200c21bc0c0c0c0" + "0000" + "00c0c2")
	if err != nil {
		t.Fatal(err)
	}
	payload, err := hex.DecodeString("9298050302" + "05c094000000000000" + "9806030100c094000000000000" + hex.EncodeToString([]byte("hello")))
	if err != nil {
		t.Fatal(err)
	}
	if want := frame(wire.KindMessage, control, payload); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	hello := written(t, func(w *wire.Writer) error {
		return w.WriteHello(&wire.Hello{MinProtocol: 1, MaxProtocol: 1, ClusterID: "c", Purpose: 2, From: 1, To: 2, Boot: 3, Name: "n", Address: "a"})
	})
	control, err = hex.DecodeString("990101a1630201" + "0203a16ea161")
	if err != nil {
		t.Fatal(err)
	}
	if want := frame(wire.KindHello, control, nil); !bytes.Equal(hello, want) {
		t.Errorf("got  %x\nwant %x", hello, want)
	}
}

func TestFramesFollowEachOtherAndEndCleanly(t *testing.T) {
	data := written(t, func(w *wire.Writer) error {
		return errors.Join(w.WritePing(), w.WriteSnapshotChunk(0, []byte("abc")), w.WritePong())
	})
	r := wire.NewReader(iotest.OneByteReader(bytes.NewReader(data)), wire.MaxFrameBytes)
	for _, want := range []wire.Kind{wire.KindPing, wire.KindSnapshotChunk, wire.KindPong} {
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Kind != want {
			t.Fatalf("got kind %d, want %d", f.Kind, want)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("after the last frame: %v, want io.EOF", err)
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	good := written(t, func(w *wire.Writer) error { return w.WriteSnapshotChunk(7, []byte("payload")) })
	for bit := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := wire.NewReader(bytes.NewReader(bad), 1<<20).Next(); err == nil {
			t.Errorf("bit %d of byte %d flipped: no error", bit%8, bit/8)
		}
	}
}

func TestEveryTruncationIsNoticed(t *testing.T) {
	good := written(t, func(w *wire.Writer) error { return w.WriteSnapshotChunk(7, []byte("payload")) })
	for n := 1; n < len(good); n++ {
		_, err := wire.NewReader(bytes.NewReader(good[:n]), 1<<20).Next()
		if !errors.Is(err, wire.ErrTruncated) {
			t.Errorf("%d of %d bytes: %v, want ErrTruncated", n, len(good), err)
		}
	}
}

func TestReaderNamesWhatIsWrong(t *testing.T) {
	good := frame(wire.KindPing, nil, nil)
	with := func(at int, b byte) []byte {
		bad := bytes.Clone(good)
		bad[at] = b
		return bad
	}
	for _, test := range []struct {
		name string
		data []byte
		want error
		text string
	}{
		{"an HTTP request", []byte("GET / HTTP/1.1\r\n\r\n"), wire.ErrNotProtocol, `GET / HTTP/1.1\r\n`},
		{"a short line", []byte("QUIT\r\n"), wire.ErrNotProtocol, "QUIT"},
		{"a TLS client", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcde"), wire.ErrNotProtocol, "the peer speaks TLS"},
		{"a TLS server", []byte("\x15\x03\x01\x00\x02\x02\x46"), wire.ErrNotProtocol, "the peer speaks TLS"},
		{"later layout", with(1, 2), wire.ErrVersion, "2"},
		{"kind zero", with(2, 0), wire.ErrKind, "kind 0"},
		{"later kind", with(2, 200), wire.ErrKind, "200"},
		{"feature bit", with(3, 0x80), wire.ErrKind, "0x80"},
		{"damaged checksum", with(15, good[15]^1), wire.ErrChecksum, ""},
		{"ping with a payload", frame(wire.KindPing, nil, []byte("x")), wire.ErrTrailing, ""},
		{"long payload", with(8, 0x7f), wire.ErrTooLarge, "limit 1024"},
		{"long control part", with(4, 0x7f), wire.ErrTooLarge, "limit 1024"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := wire.NewReader(bytes.NewReader(test.data), 1024).Next()
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %v with %q", err, test.want, test.text)
			}
		})
	}
}

func TestControlPartHasALimitOfItsOwn(t *testing.T) {
	data := frame(wire.KindMessage, make([]byte, wire.MaxReflectedBytes+1), nil)
	_, err := wire.NewReader(bytes.NewReader(data), wire.MaxFrameBytes).Next()
	if !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

func TestStreamErrorsStayRecognisable(t *testing.T) {
	cause := errors.New("cable pulled")
	_, err := wire.NewReader(iotest.ErrReader(cause), 1024).Next()
	if !errors.Is(err, cause) || errors.Is(err, wire.ErrTruncated) {
		t.Errorf("got %v, want the stream's own error", err)
	}
}
