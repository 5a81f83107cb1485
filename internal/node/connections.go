package node

import (
	"syscall"

	"github.com/conclave-dev/conclave/internal/httpapi"
)

const (
	// opsConnections bounds the connections to the operations port.
	opsConnections = 256
	// ownFiles is how many files and connections a node needs for itself: those of
	// its log, its peers and its operators.
	ownFiles = opsConnections + 768
)

// clientConnections is how many clients may be connected to a node that may have so
// many files open, 0 when nobody knows: what is its own must not be lacking because
// of them. It is at least 64.
func clientConnections(files uint64) int {
	if files == 0 || files >= httpapi.DefaultMaxConnections+ownFiles {
		return httpapi.DefaultMaxConnections
	}
	return int(max(files, ownFiles+64) - ownFiles) //nolint:gosec // it is small
}

// openFiles is how many files this process may have open. The runtime of Go has
// raised the limit as far as it may be.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return limit.Cur
}
