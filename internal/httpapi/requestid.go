package httpapi

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
)

// requestIDs names the requests that went wrong, so that a client's report can
// be found in the log. A name is the same length each time and unlikely to be
// given twice, by whatever member and after whatever restart.
type requestIDs struct {
	boot uint64
	last atomic.Uint32
}

func newRequestIDs() requestIDs { return requestIDs{boot: rand.Uint64()} }

func (r *requestIDs) next() string { return fmt.Sprintf("%016x-%08x", r.boot, r.last.Add(1)) }
