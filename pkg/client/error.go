package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Three outcomes that programs often tell apart from the rest, for errors.Is.
var (
	// ErrNotFound: there is no such key, or no such schema or settings.
	ErrNotFound = errors.New("not found")
	// ErrChanged: the key, or what else was to be written, is not as the condition
	// of the write wants it. Read it again and decide anew.
	ErrChanged = errors.New("changed meanwhile")
	// ErrOutcomeUnknown: the write may have been applied, or may still be.
	ErrOutcomeUnknown = errors.New("outcome unknown")
)

// Outcome says what has become of a write that failed.
type Outcome string

const (
	// Rejected: it was certainly not applied.
	Rejected Outcome = "rejected"
	// Unknown: it may have been applied, or may still be.
	Unknown Outcome = "unknown"
)

// Error is every failure of a call: a refusal by a node (RFC 9457), or no
// readable answer at all. It never holds a value.
type Error struct {
	// Op is method and path of the request.
	Op string
	// Endpoint is where it was sent to last.
	Endpoint string
	// Status is the HTTP status, 0 when no answer came.
	Status int
	// Code is the kind of refusal for programs, Title and Detail say it to
	// people. All are empty when the answer was no refusal of a node.
	Code          Code
	Title, Detail string
	// Outcome is what has become of the write. A read is always Rejected.
	Outcome Outcome
	// Retryable is set when the same request may succeed later; RetryAfter is
	// the pause that the node asks for, 0 when it names none. A write whose
	// outcome is Unknown is never called so: sent again, it could undo what
	// somebody wrote in between.
	Retryable  bool
	RetryAfter time.Duration
	// CurrentRevision is the key's revision when it was not as the condition
	// wants it, 0 when the key is absent or the node doesn't tell.
	CurrentRevision uint64
	// OldestRevision is, with CodePruned, the oldest that can still be read at.
	OldestRevision uint64
	// Violations tell, with CodeSchema, where values don't satisfy a schema. There
	// may be more of them.
	Violations []Violation
	// RequestID finds the request in the node's log.
	RequestID string
	// Err is what prevented an answer, such as the context's error.
	Err error
}

// Violation is a place in a value that doesn't satisfy a schema.
type Violation struct {
	// Key is that of the value, empty when the value itself was sent.
	Key string `json:"key,omitempty"`
	// Pointer is the place in the value, SchemaPointer the one in the schema (JSON
	// pointers, RFC 6901); empty is the whole.
	Pointer       string `json:"pointer"`
	SchemaPointer string `json:"schemaPointer"`
	// Message says what is wrong there, without quoting the value.
	Message string `json:"message"`
}

// Error says what was asked, what came of it and, for a write, its outcome.
func (e *Error) Error() string {
	text := e.Op
	if e.Status != 0 {
		text += fmt.Sprintf(": HTTP %d", e.Status)
	}
	for _, part := range []string{string(e.Code), e.Title, e.Detail} {
		if part != "" {
			text += ": " + part
		}
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Outcome == Unknown {
		text += " (it may have been applied all the same)"
	}
	return text
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is matches a Code, ErrNotFound, ErrChanged and ErrOutcomeUnknown.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound: // 404 alone may mean that nothing is served there
		return e.Code == CodeNotFound || e.Code == CodeNoSchema || e.Code == CodeNoSettings
	case ErrChanged:
		return e.Status == http.StatusPreconditionFailed
	case ErrOutcomeUnknown:
		return e.Outcome == Unknown
	case CodeInvalid:
		return strings.HasPrefix(string(e.Code), "invalid_") // each says what is invalid
	}
	code, ok := target.(Code)
	return ok && code == e.Code
}

// outcomeUnread judges a call that may have reached a node, and whose answer
// can't be read.
func outcomeUnread(c call) Outcome {
	if c.writes() {
		return Unknown
	}
	return Rejected
}

// read fills in what a refusal says. What doesn't have the form of one comes from
// something between us and the nodes, which may have passed a write on.
func (e *Error) read(header http.Header, body []byte) {
	e.RetryAfter = retryAfter(header)
	mediaType, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	if mediaType != "application/problem+json" {
		e.Retryable = e.Outcome == Rejected && (e.Status == http.StatusBadGateway ||
			e.Status == http.StatusServiceUnavailable || e.Status == http.StatusGatewayTimeout)
		if wantsTLS(e.Status, body) {
			e.Outcome, e.Err = Rejected, errors.New("the endpoint speaks TLS: call it by https://")
			return
		}
		e.Err = fmt.Errorf("the answer is %q and not a node's refusal: is this the client port of a node?", mediaType)
		return
	}
	var problem struct {
		Title, Detail, RequestID, CurrentETag string
		Code                                  Code
		OldestRevision                        uint64
		Outcome                               Outcome
		Retryable                             bool
		Errors                                []Violation
	}
	if err := json.Unmarshal(body, &problem); err != nil {
		e.Err = fmt.Errorf("decode the refusal: %w", err)
		return
	}
	e.Code, e.Title, e.Detail, e.RequestID = problem.Code, problem.Title, problem.Detail, problem.RequestID
	e.Retryable, e.OldestRevision, e.Violations = problem.Retryable, problem.OldestRevision, problem.Errors
	e.CurrentRevision, _ = readETag(problem.CurrentETag) // the tag of an absent key is no revision
	if problem.Outcome == Rejected {
		e.Outcome = Rejected
	}
}

// retryAfter reads the header Retry-After in its form of seconds.
func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.ParseUint(header.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
