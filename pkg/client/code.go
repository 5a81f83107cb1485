package client

// Code is the kind of a refusal (member code of RFC 9457). Each is an error, for
// errors.Is.
type Code string

// Error returns the code itself.
func (c Code) Error() string { return string(c) }

// The codes that nodes give. A node of a later version may give others.
const (
	CodeMalformed   Code = "malformed"
	CodeUnsupported Code = "unsupported"
	// CodeInvalid stands for all codes that begin with it, such as invalid_key.
	CodeInvalid     Code = "invalid"
	CodeCrossOrigin Code = "cross_origin"
	CodeNoEndpoint  Code = "no_such_endpoint"
	// The three of ErrNotFound: there is no such key, no schema is attached to the
	// prefix, the namespace has no settings of its own.
	CodeNotFound       Code = "key_not_found"
	CodeNoSchema       Code = "schema_not_found"
	CodeNoSettings     Code = "settings_not_found"
	CodeMethod         Code = "method_not_allowed"
	CodeRenderConflict Code = "render_conflict"
	// CodeNotPatchable: the value isn't JSON.
	CodeNotPatchable Code = "not_patchable"
	// CodeFeatureLevel: the write needs a higher one than the store has, or would
	// lower it.
	CodeFeatureLevel  Code = "feature_level"
	CodePruned        Code = "pruned"
	CodeChanged       Code = "revision_mismatch"
	CodeTooLarge      Code = "too_large"
	CodeReplyTooLarge Code = "reply_too_large"
	CodeEncoding      Code = "unsupported_encoding"
	CodeMediaType     Code = "unsupported_media_type"
	CodeUnknownHost   Code = "unknown_host"
	// CodeSchema: a value doesn't satisfy a schema; Error.Violations tells where.
	CodeSchema Code = "schema_violation"
	// CodeIdempotencyKeyReused: the key names another write.
	CodeIdempotencyKeyReused Code = "idempotency_key_reused"
	// CodeNoCondition: the request must say what it is for.
	CodeNoCondition Code = "precondition_required"
	// CodeIdempotencyFull: too many keys are in use; it passes.
	CodeIdempotencyFull Code = "idempotency_full"
	CodeTooManyWatchers Code = "too_many_watchers"
	CodeInternal        Code = "internal"
	CodeNoLeader        Code = "no_leader"
	CodeOverloaded      Code = "overloaded"
	CodeStopping        Code = "stopping"
	CodeParked          Code = "parked"
	CodeNotReady        Code = "not_ready"
	CodeTooStale        Code = "too_stale"
	// CodeSchemaRace: schemas or values changed while they were compared; it passes.
	CodeSchemaRace     Code = "schema_race"
	CodeOutcomeUnknown Code = "outcome_unknown"
	CodeNotReached     Code = "revision_not_reached"
	CodeNotCaughtUp    Code = "not_caught_up"
	CodeDiskFull       Code = "disk_full"
	// CodeTooMany: there are as many, such as schemas, as there may be.
	CodeTooMany Code = "too_many"
	CodeQuota   Code = "quota_exceeded"
)
