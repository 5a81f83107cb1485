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

// Counters are what a state counts as it goes on.
type Counters struct {
	Keys, Configured, KeptResults                   int
	Bytes, SchemaBytes, HistoryBytes, KeptBytes     int64
	NamespaceKeys, NamespaceResults, NamespaceOlder map[string]int
	NamespaceBytes                                  map[string]int64
}

// CountersOf returns those of a state.
func CountersOf(s *State) Counters {
	c := Counters{
		Keys: s.keys, Configured: s.configured, KeptResults: len(s.kept.byName),
		Bytes: s.bytes, SchemaBytes: s.schemaBytes, HistoryBytes: s.history.bytes, KeptBytes: s.kept.bytes,
		NamespaceKeys: map[string]int{}, NamespaceResults: s.kept.counts, NamespaceOlder: map[string]int{}, NamespaceBytes: map[string]int64{},
	}
	s.spaces.Scan(func(name string, sp *space) bool {
		c.NamespaceKeys[name], c.NamespaceOlder[name], c.NamespaceBytes[name] = sp.entries.Len(), sp.olderLen(), sp.bytes
		return true
	})
	return c
}

// DamageSettings flips a bit in the settings of a state, and DamageNamespace in
// those of a namespace.
func DamageSettings(s *State) { s.settings.HistoryBytes ^= 1 << 20 }

func DamageNamespace(s *State, name string) { s.space(name).settings.QuotaBytes ^= 1 << 20 }

// SetLevel gives a state a feature level, as a program that knows it would.
func SetLevel(s *State, level uint64) { s.settings.FeatureLevel = level }

// MaxConfiguredNamespaces is how many namespaces may have settings.
const MaxConfiguredNamespaces = maxConfiguredSpaces

// FollowSteps is how many changes a follower looks at in one go.
const FollowSteps = followSteps

// Validated puts the guard of its namespace around a command, of what a view has.
func Validated(command []byte, v *View, never bool) []byte {
	fields, err := decodeCommand(command)
	if err != nil {
		panic(err)
	}
	var namespace string
	var g guard
	switch f := fields.(type) {
	case *putFields:
		namespace = f.Namespace
	case *deleteFields:
		namespace = f.Namespace
	case *txnFields:
		namespace = f.Namespace
	case *rollbackFields:
		namespace = f.Namespace
	case *attachFields:
		g.namespace, g.validated = f.Namespace, v.Revision
	case *detachFields:
		namespace = f.Namespace
	case *guardedFields:
		g.idempotency, command, namespace = f.Idempotency, f.Command, f.Namespace
		copy(g.fingerprint[:], f.Fingerprint)
		if commandKind(command[0]) == kindAttachSchema {
			g.namespace, g.validated, namespace = namespace, v.Revision, ""
		}
	default:
		return command
	}
	if namespace != "" {
		g.namespace, g.validated = namespace, schemasOf(v.space(namespace))
	}
	if never {
		g.validated = neverValidated
	}
	command, err = g.around(command)
	if err != nil {
		panic(err)
	}
	return command
}
