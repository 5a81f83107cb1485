package node

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write into the pages of docs what their examples print")

// pageExample is a block of sh on a page, with what the page says that it prints.
type pageExample struct {
	line   int
	script string
	// output is empty when no block of output follows. In it, ... stands for
	// anything within a line.
	output string
	// from and to are the lines of output, counted from 0; to is behind the last.
	from, to int
}

// readExamples returns the examples of a page in order.
func readExamples(t *testing.T, lines []string) (found []pageExample) {
	t.Helper()
	end := func(from int) int {
		for i := from; i < len(lines); i++ {
			if lines[i] == "```" {
				return i
			}
		}
		t.Fatalf("line %d: the block has no end", from)
		return 0
	}
	for i := 0; i < len(lines); i++ {
		switch lines[i] {
		case "```sh":
			e := pageExample{line: i + 1}
			last := end(i + 1)
			e.script = strings.Join(lines[i+1:last], "\n")
			found, i = append(found, e), last
		case "```output":
			if len(found) == 0 || found[len(found)-1].from != 0 {
				t.Fatalf("line %d: output of nothing", i+1)
			}
			e := &found[len(found)-1]
			e.from, e.to = i+1, end(i+1)
			e.output = strings.Join(lines[e.from:e.to], "\n")
			i = e.to
		}
	}
	return found
}

// matches tells whether what was printed is what a page says.
func matches(told, printed string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(told), regexp.QuoteMeta("..."), "[^\n]*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(printed)
}

// passing is what differs from run to run.
var passing = regexp.MustCompile(`("requestId":"|"time":"|Date: |Conclave-Staleness-Ms: )[^"\n]+`)

// rewritten returns the lines of a block of output: those that were there where
// they are still true, and otherwise what was printed.
func rewritten(told []string, printed string) []string {
	lines := strings.Split(passing.ReplaceAllString(printed, "$1..."), "\n")
	for i := range min(len(lines), len(told)) {
		if matches(told[i], lines[i]) {
			lines[i] = told[i]
		}
	}
	return lines
}

// runExamples runs all examples in one shell, as a reader would who pastes them
// one after the other, and returns what each printed.
func runExamples(t *testing.T, examples []pageExample, addresses *strings.Replacer) []string {
	t.Helper()
	const mark = "\n-- the end of the example at line %d --\n"
	var script strings.Builder
	for _, e := range examples {
		fmt.Fprintf(&script, "%s\nprintf '%s'\n", addresses.Replace(e.script), strings.ReplaceAll(fmt.Sprintf(mark, e.line), "\n", `\n`))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh", "-c", script.String())
	shell.Dir = t.TempDir()
	shell.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	shell.Stdout, shell.Stderr = &out, &out
	if err := shell.Run(); err != nil && ctx.Err() != nil {
		t.Fatalf("the examples don't end: %v; they printed\n%s", errors.Join(err, ctx.Err()), out.String())
	}
	rest := strings.ReplaceAll(out.String(), "\r\n", "\n")
	var printed []string
	for _, e := range examples {
		one, after, ended := strings.Cut(rest, fmt.Sprintf(mark, e.line))
		if !ended {
			t.Fatalf("line %d: the example ends the shell and prints\n%s", e.line, rest)
		}
		printed, rest = append(printed, strings.TrimRight(one, "\n")), after
	}
	return printed
}

// clients are the addresses that the pages have for the clients of the three
// nodes of node dev, and the reverse.
func (c *trio) clients() (here, there *strings.Replacer) {
	var to, back []string
	for i := range 3 {
		shown := fmt.Sprintf("127.0.0.1:%d", 8400+10*i)
		to, back = append(to, shown, c.at(i, 0)), append(back, c.at(i, 0), shown)
	}
	return strings.NewReplacer(to...), strings.NewReplacer(back...)
}

// TestTheExamplesOfTheAPIPagePrintWhatItSays runs the page against three nodes
// with the real curl and a real shell. With -rewrite it writes what differs into
// the page.
func TestTheExamplesOfTheAPIPagePrintWhatItSays(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed here")
	}
	path := filepath.Join("..", "..", "docs", "api.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(page), "\n")
	examples := readExamples(t, lines)
	if len(examples) < 15 {
		t.Fatalf("docs/api.md has only %d examples: are its blocks still called sh and output?", len(examples))
	}
	c := newTrio(t)
	c.formed()
	to, back := c.clients()
	printed := runExamples(t, examples, to)
	for i := range 3 {
		c.stop(i)
	}
	for i := len(examples) - 1; i >= 0; i-- { // The last first, so that lines keep their numbers.
		e, got := examples[i], back.Replace(printed[i])
		if matches(e.output, got) {
			continue
		}
		if *rewrite && e.from > 0 {
			lines = slices.Concat(lines[:e.from], rewritten(lines[e.from:e.to], got), lines[e.to:])
			continue
		}
		t.Errorf("docs/api.md:%d:\n%s\nprints\n%s\nand not\n%s", e.line, e.script, got, e.output)
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
