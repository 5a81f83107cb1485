package mutants

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// A Bug is one row of the list.
type Bug struct {
	Number, Name string
	// Files are those that its patch changes, Rule what it breaks.
	Files        []string
	Rule, Source string

	patch patch
}

var (
	bugRow    = regexp.MustCompile(`(?m)^\| (\d\d) \| ([a-z-]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$`)
	budgetRow = regexp.MustCompile(`(?m)^Seed budget: (\d+) seeds each`)
)

// List reads the list in dir with its patches, and the seed budget.
func List(dir string) ([]Bug, int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		return nil, 0, err
	}
	budget := budgetRow.FindSubmatch(text)
	if budget == nil {
		return nil, 0, errors.New("README.md names no seed budget")
	}
	seeds, err := strconv.Atoi(string(budget[1]))
	if err != nil {
		return nil, 0, err
	}
	var bugs []Bug
	for _, row := range bugRow.FindAllStringSubmatch(string(text), -1) {
		bug := Bug{Number: row[1], Name: row[2], Files: strings.Split(row[3], ", "), Rule: row[4], Source: row[5]}
		file := bug.Number + "-" + bug.Name + ".patch"
		diff, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return nil, 0, err
		}
		if bug.patch, err = parsePatch(string(diff)); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", file, err)
		}
		bugs = append(bugs, bug)
	}
	return bugs, seeds, nil
}
