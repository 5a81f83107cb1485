package config_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// formatsPage draws the formats for people, with examples.
const formatsPage = "../../docs/formats.md"

// TestTheStoresExamplesOfTheFormatsPageAreTrue holds the page to what the program
// writes, byte for byte.
func TestTheStoresExamplesOfTheFormatsPageAreTrue(t *testing.T) {
	l := newLog(t)
	command := encode(t, &config.Put{Namespace: "n", Key: "k", Value: []byte("v"), MediaType: "text/plain"})
	l.index++
	l.state.Apply(l.index, config.Stamp{TimeMillis: 1_700_000_000_000, ElapsedMillis: 250}, config.Origin{Member: 0xa1, Boot: 7, Sequence: 2, Answered: 1}, command)
	written := map[string][]byte{
		"put":    command,
		"delete": encode(t, &config.Delete{Namespace: "n", Key: "k", If: config.IfRevision(42)}),
		"transaction": encode(t, &config.Txn{
			Namespace: "n", If: []config.Condition{{Key: "k", Is: config.IfRevision(42)}},
			Then: []config.Operation{{Kind: config.OperationPut, Key: "k", Value: []byte("v"), MediaType: "text/plain"}},
			Else: []config.Operation{{Kind: config.OperationDelete, Key: "a"}},
		}),
		"rollback":           encode(t, &config.Rollback{Namespace: "n", Prefix: "a/", To: 42, Reason: "why"}),
		"settings":           encode(t, &config.PutSettings{Settings: config.Settings{QuotaBytes: 1 << 30}, If: config.IfRevision(42)}),
		"namespace settings": encode(t, quota("n", 1<<20)),
		"recover":            encode(t, &config.Recover{TimeMicros: 1_700_000_000_000_000}),
		"attach schema":      encode(t, &config.AttachSchema{Namespace: "n", Prefix: "a/", Document: []byte("{}")}),
		"detach schema":      encode(t, &config.DetachSchema{Namespace: "n", Prefix: "a/"}),
		"guarded":            encode(t, &config.Delete{Namespace: "n", Key: "k", Idempotency: "i-1"}),
		"snapshot":           snapshot(t, l.state),
	}
	page := examples(t)
	for name, data := range written {
		if !bytes.Equal(page[name], data) {
			t.Errorf("%s: the example %q is\n%x, and what is written is\n%x", formatsPage, name, page[name], data)
		}
	}
	for name := range page {
		if _, ok := written[name]; !ok {
			t.Errorf("%s: nothing writes the example %q", formatsPage, name)
		}
	}
}

// examples reads the page's blocks of the kind store. A line begins with bytes,
// and two spaces stand before what they mean.
func examples(t *testing.T) map[string][]byte {
	t.Helper()
	page, err := os.ReadFile(formatsPage)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	for _, block := range strings.Split(string(page), "```store ")[1:] {
		name, lines, _ := strings.Cut(block, "\n")
		lines, _, _ = strings.Cut(lines, "```")
		for line := range strings.Lines(lines) {
			digits, _, _ := strings.Cut(strings.TrimSpace(line), "  ")
			data, err := hex.DecodeString(digits)
			if err != nil {
				t.Fatalf("%s: %q: %v", formatsPage, line, err)
			}
			found[name] = append(found[name], data...)
		}
	}
	return found
}
