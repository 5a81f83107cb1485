package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// Two outcomes that programs often tell apart from the rest, for errors.Is.
var (
	// ErrNotFound: there is no such key.
	ErrNotFound = errors.New("not found")
	// ErrChanged: the key is not as the condition of the write wants it. Read
	// it again and decide anew.
	ErrChanged = errors.New("changed meanwhile")
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
	// Status is the HTTP status, 0 when no answer came.
	Status int
	// Code is the kind of refusal for programs, Title and Detail say it to
	// people. All are empty when the answer was no refusal of a node.
	Code, Title, Detail string
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
	// RequestID finds the request in the node's log.
	RequestID string
	// Err is what prevented an answer, such as the context's error.
	Err error
}

// Error says what was asked, what came of it and, for a write, its outcome.
func (e *Error) Error() string {
	text := e.Op
	if e.Status != 0 {
		text += fmt.Sprintf(": HTTP %d", e.Status)
	}
	for _, part := range []string{e.Code, e.Title, e.Detail} {
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

// Is matches ErrNotFound and ErrChanged.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Code == "key_not_found" // other things may be missing too
	case ErrChanged:
		return e.Status == http.StatusPreconditionFailed
	}
	return false
}

// outcomeUnread judges a call that may have reached a node, and whose answer
// can't be read.
func outcomeUnread(c call) Outcome {
	if c.writes() {
		return Unknown
	}
	return Rejected
}

// readError reads a refusal. What doesn't have the form of one comes from
// something between us and the nodes, which may have passed a write on.
func readError(c call, response *http.Response, body []byte) *Error {
	e := &Error{Op: c.describe(), Status: response.StatusCode, Outcome: outcomeUnread(c), RetryAfter: retryAfter(response.Header)}
	mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if mediaType != "application/problem+json" {
		e.Err = fmt.Errorf("the answer is %q and not a node's refusal: is this the client port of a node?", mediaType)
		return e
	}
	var problem struct {
		Title, Code, Detail, RequestID, CurrentETag string
		Outcome                                     Outcome
		Retryable                                   bool
	}
	if err := json.Unmarshal(body, &problem); err != nil {
		e.Err = fmt.Errorf("decode the refusal: %w", err)
		return e
	}
	e.Code, e.Title, e.Detail, e.RequestID = problem.Code, problem.Title, problem.Detail, problem.RequestID
	e.Retryable = problem.Retryable
	e.CurrentRevision, _ = readETag(problem.CurrentETag) // the tag of an absent key is no revision
	if problem.Outcome == Rejected {
		e.Outcome = Rejected
	}
	return e
}

// retryAfter reads the header Retry-After in its form of seconds.
func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.ParseUint(header.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
