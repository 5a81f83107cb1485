package config

// NewStateWithQuota returns an empty state whose quota is small enough for a
// test to fill.
func NewStateWithQuota(bytes int64) *State {
	return NewStateWithLimits(bytes, defaultHistoryAgeMillis, defaultHistoryRevisions, defaultHistoryBytes)
}

// NewStateWithLimits returns an empty state with limits of its quota and its
// history that are small enough for a test to reach.
func NewStateWithLimits(quota int64, ageMillis, revisions uint64, historyBytes int64) *State {
	s := NewState()
	s.settings.QuotaBytes, s.settings.HistoryBytes = quota, historyBytes
	s.settings.HistoryAgeMillis, s.settings.HistoryRevisions = ageMillis, revisions
	return s
}

// PruneSteps is how many changes an index that adds nothing prunes at most.
const PruneSteps = pruneSteps

// MaxChangeSteps is how much a rollback looks at, and MaxPageSteps how much that
// it doesn't show a page passes over.
const (
	MaxChangeSteps = maxChangeSteps
	MaxPageSteps   = maxPageSteps
)

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

// DemandLevel makes puts of the layout that is written now demand a feature
// level until the test ends.
func DemandLevel(t interface{ Cleanup(func()) }, level uint64) {
	layout := commandLayout{kindPut, uint8(len(layouts[kindPut]))}
	levels[layout] = level
	t.Cleanup(func() { delete(levels, layout) })
}

// SetLevel gives a state a feature level, as a program that knows it would.
func SetLevel(s *State, level uint64) { s.settings.FeatureLevel = level }

// MaxConfiguredNamespaces is how many namespaces may have settings.
const MaxConfiguredNamespaces = maxConfiguredSpaces

// FollowSteps is how many changes a follower looks at in one go.
const FollowSteps = followSteps
