package mutants

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A patch is a unified diff.
type patch []filePatch

type filePatch struct {
	// path is slash-separated and relative to the module's root.
	path  string
	hunks []hunk
}

// A hunk replaces lines by others. Where they stand is found by the lines
// themselves, so that a change elsewhere in the file doesn't matter.
type hunk struct{ old, new []string }

// parsePatch reads a unified diff of files that stay.
func parsePatch(text string) (patch, error) {
	var p patch
	for n, line := range strings.Split(text, "\n") {
		var last *filePatch
		if len(p) > 0 {
			last = &p[len(p)-1]
		}
		switch {
		case strings.HasPrefix(line, "--- "):
		case strings.HasPrefix(line, "+++ b/"):
			p = append(p, filePatch{path: line[len("+++ b/"):]})
		case line == "":
		case last == nil:
			return nil, fmt.Errorf("line %d: %q before any file", n+1, line)
		case strings.HasPrefix(line, "@@"):
			last.hunks = append(last.hunks, hunk{})
		case len(last.hunks) == 0:
			return nil, fmt.Errorf("line %d: %q before any hunk", n+1, line)
		default:
			h := &last.hunks[len(last.hunks)-1]
			switch line[0] {
			case ' ':
				h.old, h.new = append(h.old, line[1:]), append(h.new, line[1:])
			case '-':
				h.old = append(h.old, line[1:])
			case '+':
				h.new = append(h.new, line[1:])
			default:
				return nil, fmt.Errorf("line %d: %q is no line of a hunk", n+1, line)
			}
		}
	}
	if len(p) == 0 {
		return nil, errors.New("it changes no file")
	}
	return p, nil
}

// paths returns the files that the patch changes, in order.
func (p patch) paths() []string {
	var paths []string
	for _, f := range p {
		paths = append(paths, f.path)
	}
	slices.Sort(paths)
	return paths
}

// apply returns the changed files of the module in root, by path.
func (p patch) apply(root string) (map[string]string, error) {
	changed := map[string]string{}
	for _, f := range p {
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(f.path)))
		if err != nil {
			return nil, err
		}
		text := "\n" + string(source)
		for i, h := range f.hunks {
			before := "\n" + strings.Join(h.old, "\n") + "\n"
			if found := strings.Count(text, before); found != 1 {
				return nil, fmt.Errorf("%s: the lines of hunk %d stand there %d times, want once", f.path, i+1, found)
			}
			text = strings.Replace(text, before, "\n"+strings.Join(h.new, "\n")+"\n", 1)
		}
		changed[f.path] = text[1:]
	}
	return changed, nil
}

// overlay applies the patch to copies in dir and returns the file that go build
// -overlay wants.
func (p patch) overlay(root, dir string) (string, error) {
	changed, err := p.apply(root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for path, text := range changed {
		file := filepath.Join(dir, strings.ReplaceAll(path, "/", "_"))
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(root, filepath.FromSlash(path))] = file
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, list, 0o644)
}
