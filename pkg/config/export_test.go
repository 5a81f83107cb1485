package config

// NewStateWithQuota returns an empty state whose quota is small enough for a
// test to fill.
func NewStateWithQuota(bytes int64) *State {
	s := NewState()
	s.quotaBytes = bytes
	return s
}

// ChangeListMax is the number of changes that the hub tells apart.
const ChangeListMax = changeListMax

// Topics returns how many scopes are watched, for tests that look for leaks.
func (s *Store) Topics() int {
	h := &s.state.hub
	h.topicsMu.Lock()
	defer h.topicsMu.Unlock()
	n := len(h.keys)
	for _, p := range h.prefixes {
		n += len(p.topics)
	}
	if h.all != nil {
		n++
	}
	return n
}
