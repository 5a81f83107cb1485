package raft

import "fmt"

// assert stops the program when an invariant of the algorithm is broken. It is
// for errors of the programmer only: going on would risk acknowledged data, so
// it is always on.
func assert(ok bool, format string, args ...any) {
	if !ok {
		panic("raft: " + fmt.Sprintf(format, args...))
	}
}
