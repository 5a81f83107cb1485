package config_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// fingerprintOf returns the fingerprint within a write with an idempotency key.
func fingerprintOf(t *testing.T, write interface{ Encode() ([]byte, error) }) string {
	t.Helper()
	_, rest, found := bytes.Cut(encode(t, write), []byte{0xc4, 0x20})
	if !found {
		t.Fatalf("%+v has no fingerprint", write)
	}
	return hex.EncodeToString(rest[:32])
}

// TestFingerprintsAreThoseOfOtherReleases holds them to what they always were: a
// write that is sent again may come to a member of another release.
func TestFingerprintsAreThoseOfOtherReleases(t *testing.T) {
	for want, write := range map[string]interface{ Encode() ([]byte, error) }{
		"7c6770a75a1fac975f433e4ccac187a92f60db784dcf596a1722856adc4a6bb0": &config.Put{Namespace: "n", Key: "k", Value: []byte("v"), MediaType: "text/plain", If: config.IfRevision(42), Idempotency: "i"},
		"f6950e6d671366db7dc0087c2c54736eddc16eddaafbfcf5a239d91a14ad7bba": &config.Delete{Namespace: "n", Key: "k", If: config.IfRevision(42), Idempotency: "i"},
		"5a191ea77f4003208593dfe6664814064b5da6e9cc6cb142ed489eb5a18e5e47": &config.Txn{Namespace: "n", Idempotency: "i", If: []config.Condition{{Key: "k", Is: config.IfVersion(42)}},
			Then: []config.Operation{putOp("k", "v")}, Else: []config.Operation{delOp("k"), getOp("l")}},
		"17dceace10955651e4b8822295cb36cf6cb7be7e7dcc253d3b9dad9294c44c83": &config.Rollback{Namespace: "n", Prefix: "a/", To: 42, Reason: "why", Idempotency: "i"},
		"ce59164c05a660c41844f2328aa00911575e1d231edeb4ec6eceba0e65c0ae41": &config.AttachSchema{Namespace: "n", Prefix: "a/", Document: []byte("{}"), If: config.IfAbsent(), Idempotency: "i"},
		"6e4b8185d758a49e318ab98e399e4f5aa187d942659c62bb173900c3ec9a7705": &config.DetachSchema{Namespace: "n", Prefix: "a/", If: config.IfExists(), Idempotency: "i"},
	} {
		got := fingerprintOf(t, write)
		if got != want {
			t.Errorf("%+v has the fingerprint\n\t%s, want\n\t%s", write, got, want)
		}
	}
}

// TestWhatAClientAsksForMakesTheFingerprint, all of it.
func TestWhatAClientAsksForMakesTheFingerprint(t *testing.T) {
	seen := map[string]int{}
	for i, write := range []interface{ Encode() ([]byte, error) }{
		keyed("i", "a", "b"), keyed("i", "ab", ""), keyed("i", "a", "c"), keyed("i", "c", "b"),
		&config.Put{Namespace: "pay", Key: "a", Value: []byte("b"), MediaType: "text/html", Idempotency: "i"},
		&config.Put{Namespace: "pay", Key: "a", Value: []byte("b"), MediaType: "text/plain", If: config.IfExists(), Idempotency: "i"},
		&config.Put{Namespace: "pay", Key: "a", Value: []byte("b"), MediaType: "text/plain", If: config.IfAbsent(), Idempotency: "i"},
		&config.Put{Namespace: "pay", Key: "a", Value: []byte("b"), MediaType: "text/plain", If: config.IfRevision(1), Idempotency: "i"},
		&config.Delete{Namespace: "pay", Key: "a", Idempotency: "i"}, &config.Delete{Namespace: "pay", Key: "b", Idempotency: "i"},
		&config.Delete{Namespace: "pay", Key: "a", If: config.IfExists(), Idempotency: "i"},
		&config.Txn{Namespace: "pay", Idempotency: "i", Then: []config.Operation{delOp("a"), delOp("b")}},
		&config.Txn{Namespace: "pay", Idempotency: "i", Then: []config.Operation{delOp("a")}, Else: []config.Operation{delOp("b")}},
		&config.Txn{Namespace: "pay", Idempotency: "i", Else: []config.Operation{delOp("a"), delOp("b")}},
		&config.Txn{Namespace: "pay", Idempotency: "i", Then: []config.Operation{getOp("a"), delOp("b")}},
		&config.Txn{Namespace: "pay", Idempotency: "i", Then: []config.Operation{putOp("a", ""), delOp("b")}},
		&config.Txn{Namespace: "pay", Idempotency: "i", Then: []config.Operation{putOp("a", "1"), delOp("b")}},
		&config.Txn{Namespace: "pay", Idempotency: "i", If: []config.Condition{{Key: "a", Is: config.IfExists()}}, Then: []config.Operation{delOp("a"), delOp("b")}},
		&config.Txn{Namespace: "pay", Idempotency: "i", If: []config.Condition{{Key: "a", Is: config.IfVersion(0)}}, Then: []config.Operation{delOp("a"), delOp("b")}},
		&config.Rollback{Namespace: "pay", To: 1, Idempotency: "i"}, &config.Rollback{Namespace: "pay", To: 2, Idempotency: "i"},
		&config.Rollback{Namespace: "pay", Prefix: "a", To: 1, Idempotency: "i"}, &config.Rollback{Namespace: "pay", To: 1, Reason: "a", Idempotency: "i"},
		&config.AttachSchema{Namespace: "pay", Document: []byte("{}"), Idempotency: "i"}, &config.AttachSchema{Namespace: "pay", Document: []byte("true"), Idempotency: "i"},
		&config.AttachSchema{Namespace: "pay", Prefix: "a", Document: []byte("{}"), Idempotency: "i"},
		&config.AttachSchema{Namespace: "pay", Document: []byte("{}"), If: config.IfAbsent(), Idempotency: "i"},
		&config.DetachSchema{Namespace: "pay", Idempotency: "i"}, &config.DetachSchema{Namespace: "pay", Prefix: "a", Idempotency: "i"},
		&config.DetachSchema{Namespace: "pay", If: config.IfExists(), Idempotency: "i"},
	} {
		sum := fingerprintOf(t, write)
		if other, twice := seen[sum]; twice {
			t.Errorf("writes %d and %d have one fingerprint", other, i)
		}
		seen[sum] = i
	}
}

// TestAWriteThatIsSentAgainInAnotherEncodingReturnsItsFirstResult as a member of
// another release may encode it.
func TestAWriteThatIsSentAgainInAnotherEncodingReturnsItsFirstResult(t *testing.T) {
	write := keyed("i", "a", "1")
	write.If = config.IfRevision(0)
	command := encode(t, write)
	inner := encode(t, &config.Put{Namespace: "pay", Key: "a", Value: []byte("1"), MediaType: "text/plain", If: config.IfRevision(0)})
	longer := append(bytes.Clone(inner[:len(inner)-1]), 0xcd, 0, 0) // revision 0, in two bytes
	again := bytes.Replace(command, append([]byte{0xc4, byte(len(inner))}, inner...), append([]byte{0xc4, byte(len(longer))}, longer...), 1)
	if bytes.Equal(command, again) {
		t.Fatalf("%x doesn't hold %x", command, inner)
	}
	l := newLog(t)
	first := l.state.Apply(1, config.Stamp{}, config.Origin{}, command)
	if second := l.state.Apply(2, config.Stamp{}, config.Origin{}, again); first.Outcome != config.OutcomeApplied || second != first {
		t.Errorf("%+v, and again %+v", first, second)
	}
	if strings.Contains(string(again), string(inner)) {
		t.Error("both are encoded alike")
	}
}
