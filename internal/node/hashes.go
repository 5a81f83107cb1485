package node

import (
	"encoding/hex"
	"sync"

	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/pkg/config"
	"github.com/conclave-dev/conclave/pkg/raft"
)

const (
	// hashInterval is the distance of the indexes at which every member keeps
	// the hash of its state and tells it to the others. At these the hash takes in
	// a part of the contents, too.
	hashInterval = config.ScrubInterval
	// hashesKept is how many of them are kept.
	hashesKept = 16
)

// hashes are the state's hashes at the last indexes that members compare.
type hashes struct {
	mu   sync.Mutex
	last []admin.StateHash
	// fresh are those that the replica has not heard of. It belongs to the goroutine
	// that applies.
	fresh []raft.StateHash
}

// add keeps the hash of a view.
func (h *hashes) add(v *config.View) {
	h.fresh = append(h.fresh, raft.StateHash{Index: raft.Index(v.Index), Sum: v.Hash})
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.last) == hashesKept {
		h.last = h.last[1:]
	}
	h.last = append(h.last, hashOf(v))
}

// news returns the hashes that were added since the last call.
func (h *hashes) news() []raft.StateHash {
	fresh := h.fresh
	h.fresh = nil
	return fresh
}

// forget drops the hashes of a state that another one replaces.
func (h *hashes) forget() {
	h.fresh = nil
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = nil
}

func hashOf(v *config.View) admin.StateHash {
	return admin.StateHash{Index: v.Index, Hash: hex.EncodeToString(v.Hash[:])}
}

// stateHashes returns the hashes kept, and that of the last index applied.
func (n *node) stateHashes() []admin.StateHash {
	n.hashes.mu.Lock()
	defer n.hashes.mu.Unlock()
	// Room for one more, so that appending leaves the kept ones alone.
	all := append(make([]admin.StateHash, 0, hashesKept+1), n.hashes.last...)
	if now := hashOf(n.state.View()); len(all) == 0 || all[len(all)-1].Index < now.Index {
		all = append(all, now)
	}
	return all
}
