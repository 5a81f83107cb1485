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
// hold, and names that a shell has a use of its own for (see isShells).
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
		if isShells(name) {
			return nil, &RenderError{[]string{e.Key}, "is the variable " + name + ", which shells act on or set themselves"}
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

// shellNames are variables that a shell acts on by itself or gives values of its
// own, in POSIX (POSIX.1-2024, XCU 2.5.3) or in bash ("Shell Variables" in its
// manual). Under them a value would be carried out, would change what the lines
// after it mean, would end the script, or would not be there to be read.
var shellNames = func() map[string]bool {
	names := map[string]bool{}
	for _, list := range []string{
		// Carried out as commands, or read as scripts.
		"ENV PS0 PS1 PS2 PS3 PS4 PROMPT_COMMAND MAILPATH FPATH",
		// How words are split and expanded, where commands and directories are
		// found, how long the shell waits, where it writes.
		"PATH IFS CDPATH PWD OLDPWD GLOBIGNORE EXECIGNORE POSIXLY_CORRECT FUNCNEST OPTIND OPTERR TMOUT HISTFILE",
		// Read-only: to set one ends the script, and what follows is not set.
		"UID EUID PPID SHELLOPTS BASHOPTS",
		// Always the shell's own, whatever is set.
		"_ BASH BASHPID RANDOM SRANDOM SECONDS LINENO EPOCHSECONDS EPOCHREALTIME DIRSTACK FUNCNAME GROUPS HISTCMD PIPESTATUS",
	} {
		for _, name := range strings.Fields(list) {
			names[name] = true
		}
	}
	return names
}()

// shellPrefixes begin the names of what only bash reads, exported functions among
// them (BASH_FUNC_), and of what the loaders of Linux and macOS put into programs.
var shellPrefixes = []string{"BASH_", "LD_", "DYLD_"}

// isShells tells whether a shell or the loader of programs has a use of its own
// for a variable, so that it can't simply be what the key's readers work on.
func isShells(name string) bool {
	return shellNames[name] || slices.ContainsFunc(shellPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
