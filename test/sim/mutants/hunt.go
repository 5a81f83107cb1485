package mutants

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Catch is what became of the hunt for one bug.
type Catch struct {
	Bug Bug
	// Seed is the first seed that failed, 0 when none did within the budget.
	Seed int
	// Oracle is what the simulator complained of.
	Oracle string
	Took   time.Duration
}

var failure = regexp.MustCompile(`FAILED seed=(\d+): ([^\n]*)`)

// Hunt builds the simulator with the bug and plays seeds 1 to budget until one fails.
// The module lies in root; dir is for files that may be thrown away afterwards.
func Hunt(ctx context.Context, root, dir string, bug Bug, budget int) (Catch, error) {
	began := time.Now()
	overlay, err := bug.patch.overlay(root, dir)
	if err != nil {
		return Catch{}, fmt.Errorf("%s: %w", bug.Name, err)
	}
	binary := filepath.Join(dir, "sim.test")
	if out, err := command(ctx, root, "go", "test", "-c", "-overlay", overlay, "-o", binary, "./test/sim"); err != nil {
		return Catch{}, fmt.Errorf("%s: build: %w\n%s", bug.Name, err, out)
	}
	out, err := command(ctx, root, binary, "-test.run", "^TestSeeds$", "-test.timeout", "0",
		"-seeds", strconv.Itoa(budget), "-first", "1", "-stop-at-first-failure")
	if err := os.Remove(binary); err != nil {
		return Catch{}, err
	}
	catch := Catch{Bug: bug, Took: time.Since(began)}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return catch, nil
	case !errors.As(err, &exit) || ctx.Err() != nil:
		return Catch{}, fmt.Errorf("%s: %w", bug.Name, err)
	}
	// Several seeds are under way at a time; those before the failing ones were
	// played to their end, so the lowest is the first that fails.
	for _, found := range failure.FindAllSubmatch(out, -1) {
		seed, err := strconv.Atoi(string(found[1]))
		if err != nil {
			return Catch{}, err
		}
		if catch.Seed == 0 || seed < catch.Seed {
			catch.Seed, catch.Oracle = seed, string(found[2])
		}
	}
	if catch.Seed == 0 {
		return Catch{}, fmt.Errorf("%s: the simulator ended without naming a seed:\n%s", bug.Name, tail(out))
	}
	return catch, nil
}

// command runs a program in root and returns all that it wrote.
func command(ctx context.Context, root, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = root
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.Bytes(), err
}

// tail returns the end of a program's output.
func tail(out []byte) []byte {
	const most = 4000
	return out[max(0, len(out)-most):]
}

// Table writes catches as a table of Markdown.
func Table(catches []Catch, budget int) string {
	var b strings.Builder
	caught := 0
	for _, c := range catches {
		if c.Seed > 0 {
			caught++
		}
	}
	fmt.Fprintf(&b, "%d of %d planted bugs caught within %d seeds each.\n\n", caught, len(catches), budget)
	fmt.Fprintf(&b, "| no | name | caught by seed | what the simulator said |\n|---|---|---|---|\n")
	for _, c := range catches {
		seed := strconv.Itoa(c.Seed)
		if c.Seed == 0 {
			seed = "not within " + strconv.Itoa(budget)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.Bug.Number, c.Bug.Name, seed, cell(c.Oracle))
	}
	return b.String()
}

// cell shortens a text to what fits into a table.
func cell(text string) string {
	const longest = 140
	text = strings.ReplaceAll(strings.TrimSpace(text), "|", "/")
	if len(text) > longest {
		text = text[:longest] + "..."
	}
	return text
}
