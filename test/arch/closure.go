package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// A Reach says what a package must not reach, however many imports lie between.
type Reach struct {
	// Root is the package's folder. One that doesn't exist yet reaches nothing.
	Root string
	// Never lists the bans, in the patterns of a Rule.
	Never []Ban
}

// CheckReach follows the imports of each root through every module and reports
// the shortest way to each banned package that it finds, at most one a ban.
func CheckReach(t *Tree, reaches []Reach) ([]Violation, error) {
	present := t.Packages()
	var found []Violation
	for _, reach := range reaches {
		if !slices.Contains(present, reach.Root) {
			continue
		}
		graph, err := t.graph(reach.Root)
		if err != nil {
			return nil, fmt.Errorf("list what %s imports: %w", reach.Root, err)
		}
		for _, ban := range reach.Never {
			if way := graph.shortest("./"+reach.Root, ban.Imports); way != nil {
				found = append(found, Violation{t.firstStep(reach.Root, way[1]), fmt.Sprintf(
					"%s must not reach %s: %s (by way of %s)",
					reach.Root, way[len(way)-1], ban.Reason, strings.Join(way, " -> "))})
			}
		}
	}
	return found, nil
}

// firstStep returns where dir imports the package.
func (t *Tree) firstStep(dir, imported string) string {
	for _, i := range t.Imports(dir) {
		if i.Path == imported {
			return i.Pos
		}
	}
	return dir // the go command found it in a file of another form, such as cgo
}

// importGraph maps each package to what it imports directly; paths of the
// module's own packages are relative, as in Import.
type importGraph map[string][]string

// graph asks the go command for everything that the package in dir reaches.
func (t *Tree) graph(dir string) (importGraph, error) {
	var stderr bytes.Buffer
	list := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Imports", "./"+dir)
	list.Dir, list.Stderr = t.Root, &stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	graph := make(importGraph)
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&pkg); errors.Is(err, io.EOF) {
			return graph, nil
		} else if err != nil {
			return nil, fmt.Errorf("decode its answer: %w", err)
		}
		for _, imported := range pkg.Imports {
			from := t.relative(pkg.ImportPath)
			graph[from] = append(graph[from], t.relative(imported))
		}
	}
}

// shortest returns the packages on a shortest way from root to one that a
// pattern takes in, both ends included, or nil when there is none.
func (g importGraph) shortest(root string, patterns []string) []string {
	cameFrom := map[string]string{root: ""}
	for queue := []string{root}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at != root && matchesAny(patterns, at) {
			var way []string
			for p := at; p != ""; p = cameFrom[p] {
				way = append(way, p)
			}
			slices.Reverse(way)
			return way
		}
		for _, next := range g[at] {
			if _, seen := cameFrom[next]; !seen {
				cameFrom[next] = at
				queue = append(queue, next)
			}
		}
	}
	return nil
}
