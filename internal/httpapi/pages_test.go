package httpapi

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

// tableBelow returns the rows of the first table of docs/api.md below a heading.
func tableBelow(t *testing.T, heading string) (rows []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n"+heading+"\n")
	if !found {
		t.Fatalf("docs/api.md has no %q", heading)
	}
	_, table, _ := strings.Cut(section, "|\n|---")
	_, table, _ = strings.Cut(table, "|\n")
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		rows = append(rows, strings.TrimSpace(line))
	}
	return rows
}

// sameRows compares a table of the page with what the code says.
func sameRows(t *testing.T, heading string, want []string) {
	t.Helper()
	got := tableBelow(t, heading)
	for _, row := range want {
		if !slices.Contains(got, row) {
			t.Errorf("docs/api.md, %q lacks\n%s", heading, row)
		}
	}
	for _, row := range got {
		if !slices.Contains(want, row) {
			t.Errorf("docs/api.md, %q has what is not so:\n%s", heading, row)
		}
	}
	if len(got) < 20 {
		t.Errorf("docs/api.md, %q has only %d rows: is it still a table?", heading, len(got))
	}
}

func TestThePageOfTheAPITellsEveryError(t *testing.T) {
	var want []string
	for _, k := range declared {
		code, outcome, retryable := k.code, "rejected", "no"
		if k == kindInvalid {
			code += "_..."
		}
		if k.unknown {
			outcome = "unknown"
		}
		if k.retryable {
			retryable = "yes"
		}
		want = append(want, fmt.Sprintf("| %d | `%s` | %s | %s | %s |", k.status, code, outcome, retryable, k.title))
	}
	sameRows(t, "## Errors", want)
}

// size is a number of bytes as the page writes it.
type size int64

func (s size) String() string {
	for _, unit := range []struct {
		shift int
		name  string
	}{{30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if s >= 1<<unit.shift && s%(1<<unit.shift) == 0 {
			return fmt.Sprintf("%d %s", s>>unit.shift, unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", int64(s))
}

func TestThePageOfTheAPITellsTheLimits(t *testing.T) {
	o := Options{}.withDefaults()
	set := config.NewState().View().Settings
	millis := func(n uint64) time.Duration { return time.Duration(n) * time.Millisecond }
	var want []string
	for _, limit := range []struct {
		what  string
		value any
	}{
		{"name of a namespace", size(config.MaxNamespaceBytes)},
		{"key, and prefix", size(config.MaxKeyBytes)},
		{"value", size(config.MaxValueBytes)},
		{"media type", size(config.MaxMediaTypeBytes)},
		{"idempotency key", size(config.MaxIdempotencyKeyBytes)},
		{"schema", size(config.MaxSchemaBytes)},
		{"schemas of a namespace", config.MaxSchemas},
		{"body of settings", size(maxSettingsBytes)},
		{"answers kept for idempotency keys of a namespace", config.MaxKeptResults},
		{"keys that one revision changes", config.MaxRevisionChanges},
		{"their keys and values together", size(config.MaxRevisionBytes)},
		{"all live keys and values, unless set otherwise", size(set.QuotaBytes)},
		{"history is kept for, unless set otherwise", fmt.Sprintf("%d days", millis(set.HistoryAgeMillis)/(24*time.Hour))},
		{"or for so many revisions, if they are more", set.HistoryRevisions},
		{"and takes at most", size(set.HistoryBytes)},
		{"items of a page, unless asked for", config.DefaultListLimit},
		{"items of a page, at most", config.MaxListLimit},
		{"values of a page together, beyond the first", size(config.MaxValueBytes)},
		{"operations of a transaction, and conditions", config.MaxTxnOperations},
		{"body of a transaction", size(maxTxnBytes)},
		{"reason of a rollback", size(config.MaxReasonBytes)},
		{"items of a batch", maxBatchItems},
		{"body of a batch", size(maxBatchBytes)},
		{"reply that isn't a stream", size(maxReplyBytes)},
		{"stream of a listing", maxStream},
		{"wait for a change", maxWait},
		{"bookmark of a watch, at the latest after", o.BookmarkInterval},
		{"64 KiB of a watch, until its client has taken them", o.WatchWriteTimeout},
		{"linear, session or bounded read", o.ReadTimeout},
		{"write, until its outcome is called unknown", o.WriteTimeout},
		{"head of a request", size(maxHeaderBytes)},
		{"query", size(maxQueryBytes)},
		{"entity tags in one header", maxTags},
		{"nesting of JSON in a request", maxJSONDepth},
		{"items of an array in a request", maxJSONItems},
		{"connections to a node", DefaultMaxConnections},
		{"requests that a node serves at a time", o.MaxRequests},
		{"listings that a node streams at a time", o.MaxStreams},
		{"watches and waiting requests at a node", config.DefaultMaxWatches},
		{"values that a node renders or patches at a time", o.MaxDocuments},
		{"rendered prefixes that a node keeps", size(o.MaxRenderedBytes)},
		{"bodies that a node takes at a time", size(o.MaxBodyBytes)},
		{"replies that a node gathers at a time", size(o.MaxReplyBytes)},
	} {
		text := fmt.Sprint(limit.value)
		if d, ok := limit.value.(time.Duration); ok {
			text = fmt.Sprintf("%g s", d.Seconds())
			if d >= time.Minute {
				text = fmt.Sprintf("%g min", d.Minutes())
			}
		}
		want = append(want, fmt.Sprintf("| %s | %s |", limit.what, text))
	}
	sameRows(t, "## Limits", want)
}
