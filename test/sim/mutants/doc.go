// Package mutants keeps deliberate bugs, one patch each, and finds out how many
// seeds the simulator needs to catch them. README.md lists them with the rules that
// they break and the seed budget.
//
// Two tests belong to make check: every patch still fits the source, and what it
// makes still compiles. The hunt itself takes long:
//
//	make sim-mutants [MUTANTS=10,13]
//
// builds the test of package sim once a bug, with go test -overlay, plays seeds until
// one fails, and writes RESULTS.md when it went through all.
//
// Nothing that ships knows of a bug: the patches are applied to copies.
package mutants
