package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

func TestMembershipRoundTripKeepsEveryField(t *testing.T) {
	want := filled[raft.Membership](t)
	data, err := wire.EncodeMembership(&want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.DecodeMembership(data)
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, got, want)
}

func TestSnapshotMetaRoundTripKeepsEveryField(t *testing.T) {
	want := filled[raft.SnapshotMeta](t)
	data, err := wire.EncodeSnapshotMeta(&want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.DecodeSnapshotMeta(data)
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, got, want)
}

// The bytes below are on the disks of running clusters. If this test fails,
// the change that made it fail can't read them.
func TestStoredFormatIsUnchanged(t *testing.T) {
	meta := raft.SnapshotMeta{
		Index: 300, Term: 7, MembershipIndex: 12, ChainHash: 0xfedcba9876543210,
		Membership: raft.Membership{
			Members:  []raft.Member{{ID: 1, Name: "a", Address: "a:1"}, {ID: 2, Name: "b", Address: "b:1"}},
			Voters:   []raft.MemberID{1},
			Learners: []raft.MemberID{2},
		},
	}
	data, err := wire.EncodeSnapshotMeta(&meta)
	if err != nil {
		t.Fatal(err)
	}
	const want = "0195cd012c0794929301a161a3613a319302a162a3623a319101c091020ccffedcba9876543210"
	if got := hex.EncodeToString(data); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// A text of 32 bytes and more is a str8, never a raw16.
	long := raft.Membership{Members: []raft.Member{{ID: 1, Name: "node-0.conclave.example.svc.local", Address: "a"}}}
	if data, err = wire.EncodeMembership(&long); err != nil {
		t.Fatal(err)
	}
	wantLong := "0194919301d921" + hex.EncodeToString([]byte(long.Members[0].Name)) + "a161c0c0c0"
	if got := hex.EncodeToString(data); got != wantLong {
		t.Errorf("got  %s\nwant %s", got, wantLong)
	}
}

func TestEqualMembershipsHaveEqualBytes(t *testing.T) {
	a, err := wire.EncodeMembership(&raft.Membership{Voters: []raft.MemberID{1}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := wire.EncodeMembership(&raft.Membership{
		Members: []raft.Member{}, Voters: []raft.MemberID{1}, Outgoing: []raft.MemberID{}, Learners: []raft.MemberID{},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("nil lists give %x, empty ones %x", a, b)
	}
}

func TestDecodeMembershipNamesWhatIsWrong(t *testing.T) {
	m := filled[raft.Membership](t)
	good, err := wire.EncodeMembership(&m)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		data []byte
		want error
	}{
		{"nothing", nil, wire.ErrTruncated},
		{"version only", good[:1], wire.ErrTruncated},
		{"cut", good[:len(good)-1], wire.ErrTruncated},
		{"longer", append(bytes.Clone(good), 0), wire.ErrTrailing},
		{"later version", append([]byte{2}, good[1:]...), wire.ErrVersion},
		{"text for a list", []byte{1, 0x91, 0xa1, 'x'}, wire.ErrMalformed},
		{"negative member", []byte{1, 0x92, 0xc0, 0x91, 0xff}, wire.ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := wire.DecodeMembership(test.data); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestFieldsAddedByALaterProgramArePassedOver(t *testing.T) {
	// A membership with a fifth field, as a later program might write it.
	got, err := wire.DecodeMembership([]byte{1, 0x95, 0xc0, 0x91, 0x07, 0xc0, 0xc0, 0xa3, 'n', 'e', 'w'})
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, got, raft.Membership{Voters: []raft.MemberID{7}})
}

func TestFieldsUnknownToAnEarlierProgramAreZero(t *testing.T) {
	got, err := wire.DecodeMembership([]byte{1, 0x92, 0xc0, 0x91, 0x07})
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, got, raft.Membership{Voters: []raft.MemberID{7}})
}
