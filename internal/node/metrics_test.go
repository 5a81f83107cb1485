package node

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// exposed reads a scrape and returns a row of the documentation's table for each
// metric of ours: name, type, labels and help.
func exposed(scrape string) []string {
	type family struct{ name, kind, help, labels string }
	var families []family
	for line := range strings.Lines(scrape) {
		line = strings.TrimSpace(line)
		if help, ok := strings.CutPrefix(line, "# HELP conclave_"); ok {
			name, text, _ := strings.Cut(help, " ")
			families = append(families, family{name: "conclave_" + name, help: text})
			continue
		}
		if len(families) == 0 || !strings.Contains(line, "conclave_") {
			continue
		}
		last := &families[len(families)-1]
		if kind, ok := strings.CutPrefix(line, "# TYPE "+last.name+" "); ok {
			last.kind = kind
		} else if _, labels, ok := strings.Cut(line, "{"); ok && last.labels == "" {
			last.labels = labelNames(labels)
		}
	}
	var rows []string
	for _, f := range families {
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |", f.name, f.kind, cmp.Or(f.labels, "-"), f.help))
	}
	slices.Sort(rows)
	return rows
}

// labelNames returns the names of the labels of a line, but for a histogram's own.
func labelNames(line string) string {
	labels, _, _ := strings.Cut(line, "}")
	var names []string
	for label := range strings.SplitSeq(labels, ",") {
		if name, _, _ := strings.Cut(label, "="); name != "le" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func TestTheTableOfMetricsIsWhatIsExposed(t *testing.T) {
	c := newTrio(t)
	newKeyring(c)
	c.formed()
	c.put(0, "key", "value")
	leader := c.leader()
	status, scrape := ask(t, http.MethodGet, "http://"+c.at(leader, 2)+"/metrics", "")
	if leader != 0 { // Which alone has seen a client.
		_, other := ask(t, http.MethodGet, "http://"+c.at(0, 2)+"/metrics", "")
		from := strings.Index(other, "# HELP conclave_http_request_seconds")
		to := from + 1 + strings.Index(other[from+1:], "# HELP")
		scrape += other[from:to]
	}
	for i := range 3 {
		c.stop(i)
	}
	if status != http.StatusOK {
		t.Fatalf("GET /metrics = %d %s", status, scrape)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for line := range strings.Lines(string(page)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "| `conclave_") {
			told = append(told, line)
		}
	}
	found := exposed(scrape)
	for _, row := range found {
		if !slices.Contains(told, row) {
			t.Errorf("docs/metrics.md lacks\n%s", row)
		}
	}
	for _, row := range told {
		if !slices.Contains(found, row) {
			t.Errorf("docs/metrics.md tells of what is not exposed:\n%s", row)
		}
	}
	if len(found) < 40 {
		t.Errorf("only %d metrics are exposed", len(found))
	}
}
