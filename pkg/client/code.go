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
	CodeInvalid         Code = "invalid"
	CodeCrossOrigin     Code = "cross_origin"
	CodeNoEndpoint      Code = "no_such_endpoint"
	CodeNotFound        Code = "key_not_found"
	CodeMethod          Code = "method_not_allowed"
	CodePruned          Code = "pruned"
	CodeChanged         Code = "revision_mismatch"
	CodeRenderConflict  Code = "render_conflict"
	CodeTooLarge        Code = "too_large"
	CodeReplyTooLarge   Code = "reply_too_large"
	CodeEncoding        Code = "unsupported_encoding"
	CodeMediaType       Code = "unsupported_media_type"
	CodeUnknownHost     Code = "unknown_host"
	CodeTooManyWatchers Code = "too_many_watchers"
	CodeInternal        Code = "internal"
	CodeNoLeader        Code = "no_leader"
	CodeOverloaded      Code = "overloaded"
	CodeStopping        Code = "stopping"
	CodeParked          Code = "parked"
	CodeNotReady        Code = "not_ready"
	CodeTooStale        Code = "too_stale"
	CodeOutcomeUnknown  Code = "outcome_unknown"
	CodeNotReached      Code = "revision_not_reached"
	CodeNotCaughtUp     Code = "not_caught_up"
	// CodeIdempotencyKeyReused: the key names another write.
	CodeIdempotencyKeyReused Code = "idempotency_key_reused"
	// CodeIdempotencyFull: too many keys are in use; it passes.
	CodeIdempotencyFull Code = "idempotency_full"
	CodeDiskFull        Code = "disk_full"
	CodeQuota           Code = "quota_exceeded"
)
