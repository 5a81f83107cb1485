package config_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// TestCommandsKeepTheirBytes holds the encoding to what logs on disks hold. A
// change here is a new version of a command's layout.
func TestCommandsKeepTheirBytes(t *testing.T) {
	for want, c := range map[string]interface{ Encode() ([]byte, error) }{
		"0101" + "96" + "a3706179" + "a5646275726c" + "c40178" + "b86170706c69636174696f6e2f6f637465742d73747265616d" + "00" + "00": &config.Put{
			Namespace: "pay", Key: "dburl", Value: []byte("x")},
		"0101" + "96" + "a3706179" + "a161" + "c400" + "a3612f62" + "01" + "2a": &config.Put{
			Namespace: "pay", Key: "a", Value: []byte{}, MediaType: "a/b", If: config.IfRevision(42)},
		"0201" + "94" + "a3706179" + "a161" + "00" + "00": &config.Delete{Namespace: "pay", Key: "a"},
		"0201" + "94" + "a3706179" + "a161" + "02" + "00": &config.Delete{Namespace: "pay", Key: "a", If: config.IfExists()},
		"0201" + "94" + "a3706179" + "a161" + "01" + "00": &config.Delete{Namespace: "pay", Key: "a", If: config.IfAbsent()},
	} {
		if got := hex.EncodeToString(encode(t, c)); got != want {
			t.Errorf("%+v is encoded as\n\t%s, want\n\t%s", c, got, want)
		}
	}
}

func TestCommandsThatCannotSucceedAreNotMade(t *testing.T) {
	for says, c := range map[string]struct {
		command interface{ Encode() ([]byte, error) }
		err     error
	}{
		"invalid namespace":  {&config.Put{Namespace: "Pay", Key: "a"}, config.ErrInvalid},
		"invalid key":        {&config.Put{Namespace: "pay", Key: "a//b"}, config.ErrInvalid},
		"invalid media type": {&config.Put{Namespace: "pay", Key: "a", MediaType: "text"}, config.ErrInvalid},
		"the value has 2097153 bytes and may have 2097152": {
			&config.Put{Namespace: "pay", Key: "a", Value: make([]byte, config.MaxValueBytes+1)}, config.ErrTooLarge},
		"invalid key: it has 0 bytes": {&config.Delete{Namespace: "pay"}, config.ErrInvalid},
	} {
		command, err := c.command.Encode()
		if command != nil || !errors.Is(err, c.err) || !strings.Contains(err.Error(), says) {
			t.Errorf("Encode = %v, want an error that says %q", err, says)
		}
	}
}

func TestTheLargestPutFitsIntoACommand(t *testing.T) {
	l := newLog(t)
	got := l.apply(&config.Put{
		Namespace: strings.Repeat("n", config.MaxNamespaceBytes), Key: strings.Repeat("k", config.MaxKeyBytes),
		Value: make([]byte, config.MaxValueBytes), MediaType: "a/" + strings.Repeat("b", config.MaxMediaTypeBytes-2),
	})
	if got.Outcome != config.OutcomeApplied {
		t.Errorf("%+v", got)
	}
	restored := config.NewState()
	if err := restored.Restore(strings.NewReader(string(snapshot(t, l.state)))); err != nil {
		t.Error(err)
	}
}
