package config

import (
	"bytes"
	"slices"
	"strings"
)

// renderEnv returns a line NAME='value' for each entry, sorted by name, that a
// POSIX shell evaluates to exactly the entry's bytes, whatever they are: within
// single quotes only the single quote itself means something
// (POSIX.1-2024, XCU 2.2.2), so it stands outside of them, as in 'it'\”s'.
//
// The name is the key without the prefix, in upper case, with '_' for every
// character but A-Z and 0-9, and before a digit that would come first. Refused
// are two keys of one name, a value with a NUL byte, which no variable can
// hold, and names that would change how the shell runs.
func renderEnv(entries []namedEntry) ([]byte, error) {
	var out limitedBuffer
	keys := map[string]string{}
	lines := make([]string, 0, len(entries))
	for _, e := range entries {
		name := variableName(e.name)
		if other, taken := keys[name]; taken {
			return nil, &RenderError{[]string{other, e.Key}, "are both the variable " + name}
		}
		keys[name] = e.Key
		if changesShell(name) {
			return nil, &RenderError{[]string{e.Key}, "is the variable " + name + ", which changes how programs run"}
		}
		if at := bytes.IndexByte(e.Value, 0); at >= 0 {
			return nil, &RenderError{[]string{e.Key}, "has a NUL byte, which no variable can hold"}
		}
		lines = append(lines, name+"='"+strings.ReplaceAll(string(e.Value), "'", `'\''`)+"'\n")
	}
	slices.SortFunc(lines, func(a, b string) int {
		return strings.Compare(a[:strings.IndexByte(a, '=')], b[:strings.IndexByte(b, '=')])
	})
	for _, line := range lines {
		if _, err := out.Write([]byte(line)); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// variableName returns the name of the variable for a key.
func variableName(key string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, key)
	if name[0] <= '9' {
		name = "_" + name
	}
	return name
}

// changesShell tells whether a variable of the name changes how the shell or
// the programs that it starts run, rather than what they work on.
func changesShell(name string) bool {
	switch name {
	case "PATH", "IFS", "ENV", "BASH_ENV":
		return true
	}
	return strings.HasPrefix(name, "LD_")
}
