package arch

import (
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// operationsPage is where people look when something is wrong.
const operationsPage = "docs/operations.md"

func readPage(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestOperationsPageTellsOfEachConditionAndReason compares the page's sections and
// tables with the constants of api/v1, both ways.
func TestOperationsPageTellsOfEachConditionAndReason(t *testing.T) {
	declared := declaredReasons(t)
	told := map[string][]string{}
	section := ""
	row := regexp.MustCompile("^\\| \\*?`([A-Za-z]+)`\\*? \\|([^|]{10,})\\|([^|]{5,})\\|$")
	for line := range strings.SplitSeq(readPage(t, operationsPage), "\n") {
		if heading, ok := strings.CutPrefix(line, "### "); ok {
			section = heading
		}
		if match := row.FindStringSubmatch(line); match != nil {
			told[section] = append(told[section], match[1])
		}
	}
	for _, condition := range slices.Sorted(maps.Keys(declared)) {
		for _, reason := range declared[condition] {
			if !slices.Contains(told[condition], reason) {
				t.Errorf("%s has no row for the reason %s under the heading ### %s", operationsPage, reason, condition)
			}
		}
	}
	for _, condition := range slices.Sorted(maps.Keys(told)) {
		for _, reason := range told[condition] {
			if !slices.Contains(declared[condition], reason) {
				t.Errorf("%s: under ### %s there is a row for %s, which isn't a reason of it in api/v1", operationsPage, condition, reason)
			}
		}
	}
}

// declaredReasons are the reasons in api/v1 by the condition that the comment of
// their group names. Every condition has such a group.
func declaredReasons(t *testing.T) map[string][]string {
	t.Helper()
	reasons := map[string][]string{}
	groupOf := regexp.MustCompile(`^Reasons of (\w+)`)
	for _, f := range load(t).Files {
		if f.Dir != "api/v1" {
			continue
		}
		for _, declaration := range f.syntax.Decls {
			group, ok := declaration.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			condition := ""
			if match := groupOf.FindStringSubmatch(group.Doc.Text()); match != nil {
				condition = match[1]
			}
			for name, value := range stringConstants(t, group) {
				switch {
				case strings.HasPrefix(name, "Condition"):
					reasons[value] = slices.Clip(reasons[value]) // it is there, with or without reasons
				case strings.HasPrefix(name, "Reason") && condition == "":
					t.Errorf("%s stands in a group whose comment doesn't begin with: Reasons of ...", name)
				case strings.HasPrefix(name, "Reason"):
					reasons[condition] = append(reasons[condition], value)
				}
			}
		}
	}
	for condition, values := range reasons {
		if len(values) == 0 {
			t.Errorf("condition %s has no reasons", condition)
		}
	}
	if len(reasons) < 8 {
		t.Fatalf("api/v1 declares reasons of %d conditions: has their way of being declared changed?", len(reasons))
	}
	return reasons
}

// stringConstants are the constants of a group that are given as a string.
func stringConstants(t *testing.T, group *ast.GenDecl) map[string]string {
	t.Helper()
	constants := map[string]string{}
	for _, spec := range group.Specs {
		value, ok := spec.(*ast.ValueSpec)
		if !ok || len(value.Values) != 1 {
			continue
		}
		literal, ok := value.Values[0].(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			continue
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		constants[value.Names[0].Name] = text
	}
	return constants
}

// TestOperationsPageTellsOfEachMetricToWatch compares the page's sections with the
// metrics that docs/metrics.md says to watch first, both ways. That those exist is
// tested where they are exposed.
func TestOperationsPageTellsOfEachMetricToWatch(t *testing.T) {
	const metricsPage = "docs/metrics.md"
	_, rest, _ := strings.Cut(readPage(t, metricsPage), "What to watch first:")
	paragraph, _, found := strings.Cut(rest, "\n\n")
	if !found {
		t.Fatalf("%s doesn't say what to watch first", metricsPage)
	}
	name := regexp.MustCompile("`(conclave_[a-z_]+)")
	var watched, told []string
	for _, match := range name.FindAllStringSubmatch(paragraph, -1) {
		watched = append(watched, match[1])
	}
	for _, match := range regexp.MustCompile("(?m)^### `(conclave_[a-z_]+)`$").FindAllStringSubmatch(readPage(t, operationsPage), -1) {
		told = append(told, match[1])
	}
	slices.Sort(watched)
	slices.Sort(told)
	if !slices.Equal(watched, told) {
		t.Errorf("%s says to watch\n%q\nand %s has sections for\n%q", metricsPage, watched, operationsPage, told)
	}
}
