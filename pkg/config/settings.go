package config

import (
	"context"
	"fmt"
)

// Settings are what the whole store keeps to. They are part of the state, so all
// members have the same; no flag of a member overrides them. In PutSettings a
// field that is 0 means its default.
type Settings struct {
	// QuotaBytes is what live keys and values may take in all. When they take
	// more, bytes can't be added, and deletes still can.
	// Default 256 MiB, 1 MiB to 64 GiB.
	QuotaBytes int64
	// HistoryAgeMillis and HistoryRevisions: a revision is pruned when it is
	// older than the one and there are more than the other.
	// Defaults 7 days and 10,000, up to ten years and ten million.
	HistoryAgeMillis uint64
	HistoryRevisions uint64
	// HistoryBytes is what history may take. Beyond it the oldest is pruned,
	// whatever its age. Default 256 MiB, 1 MiB to 64 GiB.
	HistoryBytes int64
	// IdempotencyWindowMillis is for how long the result of a write with an
	// idempotency key is kept. Default and minimum 10 minutes, up to a day.
	IdempotencyWindowMillis uint64
	// FeatureLevel is what commands may demand of all members; it never falls.
	// Raise it when every member runs a program that knows it: one that doesn't
	// stands still at the change. The default is what it is already. 1 to
	// FeatureLevel, at first 1.
	FeatureLevel uint64
}

const (
	defaultQuotaBytes              = 256 << 20
	defaultHistoryAgeMillis        = 7 * 24 * 60 * 60 * 1000
	defaultHistoryRevisions        = 10_000
	defaultHistoryBytes            = 256 << 20
	defaultIdempotencyWindowMillis = 10 * 60 * 1000
)

// Bounds of settings. Apply holds commands to them too, so they can only change
// with the feature level.
const (
	minSettingBytes       = 1 << 20
	maxSettingBytes       = 64 << 30
	maxHistoryAgeMillis   = 10 * 365 * 24 * 60 * 60 * 1000
	maxHistoryRevisions   = 10_000_000
	minIdempotencyMillis  = defaultIdempotencyWindowMillis
	maxIdempotencyMillis  = 24 * 60 * 60 * 1000
	minNamespaceQuota     = namespaceOverheadBytes
	maxConfiguredSpaces   = 10_000
	firstFeatureLevel     = 1
	unchangedFeatureLevel = 0
)

// initialSettings are those of an empty store. They are the same in every
// release: members of two of them may read one log from its beginning.
var initialSettings = Settings{
	QuotaBytes: defaultQuotaBytes, HistoryAgeMillis: defaultHistoryAgeMillis, HistoryRevisions: defaultHistoryRevisions,
	HistoryBytes: defaultHistoryBytes, IdempotencyWindowMillis: defaultIdempotencyWindowMillis, FeatureLevel: firstFeatureLevel,
}

// NamespaceSettings are what one namespace keeps to. The zero value is that of a
// namespace without settings.
type NamespaceSettings struct {
	// QuotaBytes is what the namespace's live keys and values may take; 0 means
	// whatever the store allows. 1 KiB to 64 GiB.
	QuotaBytes int64
}

// PutSettings replaces the settings of the store as one revision, which changes
// no key. The zero Settings are the defaults.
type PutSettings struct {
	Settings
	// If must hold of the settings' own revision, which is 0 before the first
	// change; otherwise ErrConflict.
	If Precondition
}

// PutNamespaceSettings replaces the settings of a namespace as one revision,
// which changes no key. The zero NamespaceSettings remove them.
type PutNamespaceSettings struct {
	Namespace string
	NamespaceSettings
	// If must hold of the settings' own revision, which is 0 while the namespace
	// has none; otherwise ErrConflict.
	If Precondition
}

// settingsFields are settings in the log, without defaults: what is 0 there is
// kept as it is. Append only.
type settingsFields struct {
	QuotaBytes              int64
	HistoryAgeMillis        uint64
	HistoryRevisions        uint64
	HistoryBytes            int64
	IdempotencyWindowMillis uint64
	FeatureLevel            uint64
	IfKind                  preconditionKind
	IfRevision              uint64
}

// namespaceSettingsFields are settings of a namespace in the log. Append only.
type namespaceSettingsFields struct {
	Namespace  string
	QuotaBytes int64
	IfKind     preconditionKind
	IfRevision uint64
}

// Encode checks the settings and returns them as a command. It returns an
// InvalidError when one is out of bounds.
func (p *PutSettings) Encode() ([]byte, error) {
	set := p.Settings
	setDefault(&set.QuotaBytes, defaultQuotaBytes)
	setDefault(&set.HistoryAgeMillis, defaultHistoryAgeMillis)
	setDefault(&set.HistoryRevisions, defaultHistoryRevisions)
	setDefault(&set.HistoryBytes, defaultHistoryBytes)
	setDefault(&set.IdempotencyWindowMillis, defaultIdempotencyWindowMillis)
	if set.FeatureLevel > FeatureLevel {
		return nil, invalid("settings", "feature level %d is unknown here, where %d is the newest", set.FeatureLevel, uint64(FeatureLevel))
	}
	fields := settingsFields{
		QuotaBytes: set.QuotaBytes, HistoryAgeMillis: set.HistoryAgeMillis, HistoryRevisions: set.HistoryRevisions,
		HistoryBytes: set.HistoryBytes, IdempotencyWindowMillis: set.IdempotencyWindowMillis, FeatureLevel: set.FeatureLevel,
		IfKind: p.If.kind, IfRevision: p.If.number,
	}
	if err := fields.check(); err != nil {
		return nil, err
	}
	return encodeCommand(kindSettings, &fields, 0)
}

func setDefault[N int64 | uint64](field *N, value N) {
	if *field == 0 {
		*field = value
	}
}

// Encode checks the settings and returns them as a command. It returns an
// InvalidError when one is out of bounds.
func (p *PutNamespaceSettings) Encode() ([]byte, error) {
	fields := namespaceSettingsFields{
		Namespace: p.Namespace, QuotaBytes: p.QuotaBytes, IfKind: p.If.kind, IfRevision: p.If.number,
	}
	if err := fields.check(); err != nil {
		return nil, err
	}
	return encodeCommand(kindNamespaceSettings, &fields, 0)
}

// check doesn't look at the feature level: what this program doesn't know,
// another may.
func (f *settingsFields) check() error {
	for _, bound := range []struct {
		name             string
		value, low, high uint64
	}{
		{"quota in bytes", uint64(f.QuotaBytes), minSettingBytes, maxSettingBytes},
		{"age of history in milliseconds", f.HistoryAgeMillis, 1, maxHistoryAgeMillis},
		{"revisions of history", f.HistoryRevisions, 1, maxHistoryRevisions},
		{"bytes of history", uint64(f.HistoryBytes), minSettingBytes, maxSettingBytes},
		{"idempotency window in milliseconds", f.IdempotencyWindowMillis, minIdempotencyMillis, maxIdempotencyMillis},
	} {
		// A negative number is far beyond each upper bound.
		if bound.value < bound.low || bound.value > bound.high {
			return invalid("settings", "%s is %d and must be %d to %d", bound.name, int64(bound.value), bound.low, bound.high)
		}
	}
	return checkCondition(f.IfKind)
}

func (f *namespaceSettingsFields) check() error {
	if err := CheckNamespace(f.Namespace); err != nil {
		return err
	}
	if f.QuotaBytes != 0 && (f.QuotaBytes < minNamespaceQuota || f.QuotaBytes > maxSettingBytes) {
		return invalid("settings", "quota in bytes is %d and must be %d to %d, or 0 for none",
			f.QuotaBytes, int64(minNamespaceQuota), int64(maxSettingBytes))
	}
	return checkCondition(f.IfKind)
}

// admit returns OutcomeApplied when the quotas allow a space, nil for an empty
// one, in a store of so many live bytes to grow, and otherwise the refusal. What
// shrinks them is always allowed.
func (set *Settings) admit(sp *space, liveBytes, growth int64) Outcome {
	switch {
	case growth <= 0:
		return OutcomeApplied
	case sp != nil && sp.settings.QuotaBytes != 0 && sp.bytes+growth > sp.settings.QuotaBytes:
		return OutcomeNamespaceQuota
	case liveBytes+growth > set.QuotaBytes:
		return OutcomeQuota
	default:
		return OutcomeApplied
	}
}

// putSettings carries out a change of the store's settings.
func (s *State) putSettings(f *settingsFields) Result {
	result := Result{Revision: s.revision, Current: s.settingsRevision}
	if !(Precondition{f.IfKind, f.IfRevision}).allows(result.Current) {
		result.Outcome = OutcomeConflict
		return result
	}
	level := f.FeatureLevel
	if level == unchangedFeatureLevel {
		level = s.settings.FeatureLevel
	}
	if level > FeatureLevel {
		s.fault = fmt.Errorf("apply index %d: %w: it raises the feature level to %d, and %d is the newest that is known here",
			s.index+1, ErrUnknownCommand, level, uint64(FeatureLevel))
		result.Outcome = OutcomeUnknownCommand
		return result
	}
	if level < s.settings.FeatureLevel {
		result.Outcome = OutcomeFeatureLevel
		return result
	}
	s.settings = Settings{
		QuotaBytes: f.QuotaBytes, HistoryAgeMillis: f.HistoryAgeMillis, HistoryRevisions: f.HistoryRevisions,
		HistoryBytes: f.HistoryBytes, IdempotencyWindowMillis: f.IdempotencyWindowMillis, FeatureLevel: level,
	}
	s.mark()
	s.settingsRevision = s.revision
	result.Outcome, result.Revision = OutcomeApplied, s.revision
	return result
}

// putNamespaceSettings carries out a change of a namespace's settings.
func (s *State) putNamespaceSettings(f *namespaceSettingsFields) Result {
	result := Result{Revision: s.revision}
	if sp := s.space(f.Namespace); sp != nil {
		result.Current = sp.settingsRevision
	}
	next := NamespaceSettings{QuotaBytes: f.QuotaBytes}
	remove, had := next == NamespaceSettings{}, result.Current != 0
	switch {
	case !(Precondition{f.IfKind, f.IfRevision}).allows(result.Current):
		result.Outcome = OutcomeConflict
		return result
	case remove && !had:
		result.Outcome = OutcomeNotFound
		return result
	case !had && s.configured >= maxConfiguredSpaces:
		result.Outcome = OutcomeTooMany
		return result
	}
	s.mark()
	sp := s.open(f.Namespace)
	sp.settings, sp.settingsRevision = next, s.revision
	switch {
	case remove:
		sp.settingsRevision = 0
		s.configured--
		s.release(sp)
	case !had:
		s.configured++
	}
	result.Outcome, result.Revision = OutcomeApplied, s.revision
	return result
}

// mark makes a revision that changes no key. It has its place in the journal, so
// that no number is missing there.
func (s *State) mark() {
	s.revision++
	revision := newRevision(s.revision, 0)
	revision.TimeMillis, revision.ageMillis = s.turn.stamp.TimeMillis, s.history.ageMillis
	s.changes.setMany() // Whoever waits for the revision is to look.
	s.record(revision)
}

// PutSettings replaces the settings of the store; View.Settings tells them. A nil
// error means the same as for Put; ErrFeatureLevel that the level would have
// fallen. The other errors are those of Put.
func (s *Store) PutSettings(ctx context.Context, p PutSettings) (Result, error) {
	command, err := p.Encode()
	if err != nil {
		return Result{}, err
	}
	result, err := s.propose(ctx, command, true)
	if err != nil {
		return result, fmt.Errorf("put settings: %w", err)
	}
	return result, nil
}

// PutNamespaceSettings replaces the settings of a namespace; View.Namespace tells
// them. A nil error means the same as for Put; ErrNotFound that there were none
// to remove, and ErrTooMany that too many namespaces have settings. The other
// errors are those of Put.
func (s *Store) PutNamespaceSettings(ctx context.Context, p PutNamespaceSettings) (Result, error) {
	command, err := p.Encode()
	if err != nil {
		return Result{}, err
	}
	result, err := s.propose(ctx, command, true)
	if err != nil {
		return result, fmt.Errorf("put settings of namespace %s: %w", p.Namespace, err)
	}
	return result, nil
}
