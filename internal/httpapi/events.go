package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/conclave-dev/conclave/pkg/config"
)

// eventPieceBytes of a value are encoded at a time, so that a watch of large
// values takes no more memory than one of small ones. Base64 turns it into whole
// groups.
const eventPieceBytes = 12 << 10

var (
	eventsType  = []string{"text/event-stream"}
	linesType   = []string{streamMediaType}
	noBuffering = []string{"no"}
)

// changeBody is what a watch shows of a key, without its value.
type changeBody struct {
	Op             string `json:"op"`
	Key            string `json:"key"`
	Revision       uint64 `json:"revision"`
	CreateRevision uint64 `json:"createRevision,omitempty"`
	Version        uint64 `json:"version,omitempty"`
	Type           string `json:"type,omitempty"`
}

// operation names what made an entry.
func operation(e *config.Entry) string {
	if e.Deleted() {
		return "delete"
	}
	return "put"
}

// writeChange encodes an entry as a change.
func writeChange(w io.Writer, e *config.Entry) error {
	head, err := json.Marshal(changeBody{
		Op: operation(e), Key: e.Key, Revision: e.ModRevision,
		CreateRevision: e.CreateRevision, Version: e.Version, Type: e.MediaType,
	})
	if err != nil {
		return err
	}
	if e.Deleted() {
		_, err = w.Write(head)
		return err
	}
	if _, err = w.Write(head[:len(head)-1]); err != nil { // without the brace
		return err
	}
	return writeValue(w, e.Value)
}

// writeValue adds a value to an object that lacks its closing brace, and the brace.
func writeValue(w io.Writer, value []byte) error {
	if utf8.Valid(value) {
		return writeText(w, value)
	}
	return writeBase64(w, value)
}

// writeText encodes UTF-8 as the field text and closes the object.
func writeText(w io.Writer, value []byte) error {
	if _, err := io.WriteString(w, `,"text":"`); err != nil {
		return err
	}
	for len(value) > 0 {
		n := min(len(value), eventPieceBytes)
		for n < len(value) && !utf8.RuneStart(value[n]) {
			n--
		}
		piece, err := json.Marshal(string(value[:n]))
		if err != nil {
			return err
		}
		if _, err := w.Write(piece[1 : len(piece)-1]); err != nil { // without the quotes
			return err
		}
		value = value[n:]
	}
	_, err := io.WriteString(w, `"}`)
	return err
}

// writeBase64 encodes bytes as the field base64 and closes the object.
func writeBase64(w io.Writer, value []byte) error {
	if _, err := io.WriteString(w, `,"base64":"`); err != nil {
		return err
	}
	for len(value) > 0 {
		n := min(len(value), eventPieceBytes)
		if _, err := w.Write(base64.StdEncoding.AppendEncode(nil, value[:n])); err != nil {
			return err
		}
		value = value[n:]
	}
	_, err := io.WriteString(w, `"}`)
	return err
}

// eventWriter writes events to a client, as server-sent events (the HTML standard,
// section 9.2) or one JSON document a line. After the first error it writes
// nothing more; flush returns that.
type eventWriter struct {
	to         http.ResponseWriter
	controller *http.ResponseController
	lines      bool
	// timeout is how long the client may take to accept a piece.
	timeout time.Duration
	// until is when the client must have taken what is being sent, zero for no
	// such moment.
	until time.Time
	err   error
	// scratch gathers small parts for one write.
	scratch []byte
}

func newEventWriter(w http.ResponseWriter, lines bool, timeout time.Duration) *eventWriter {
	return &eventWriter{to: w, controller: http.NewResponseController(w), lines: lines, timeout: timeout}
}

// Write implements io.Writer: it writes in pieces, each with a deadline of its
// own.
func (e *eventWriter) Write(data []byte) (written int, err error) {
	for e.err == nil && written < len(data) {
		now := time.Now()
		if !e.until.IsZero() && now.After(e.until) {
			e.err = fmt.Errorf("the initial state took longer than %v", maxStream)
			break
		}
		_ = e.controller.SetWriteDeadline(now.Add(e.timeout))
		n := 0
		n, e.err = e.to.Write(data[written:min(len(data), written+streamPieceBytes)])
		written += n
	}
	return written, e.err
}

func (e *eventWriter) text(parts ...string) {
	e.scratch = e.scratch[:0]
	for _, part := range parts {
		e.scratch = append(e.scratch, part...)
	}
	_, _ = e.Write(e.scratch) // the error stays with the writer
}

// flush sends what was written on its way.
func (e *eventWriter) flush() error {
	if e.err == nil {
		_ = e.controller.SetWriteDeadline(time.Now().Add(e.timeout))
		e.err = e.controller.Flush()
		// None between two events: it would end an idle stream of HTTP/2.
		_ = e.controller.SetWriteDeadline(time.Time{})
	}
	return e.err
}

// end gives net/http the time to end the reply.
func (e *eventWriter) end() { _ = e.controller.SetWriteDeadline(time.Now().Add(e.timeout)) }

// beginChanges begins an event that holds the changes of a revision, or a part
// of the initial state if that is 0: such an event is no place to resume from.
func (e *eventWriter) beginChanges(revision uint64) {
	number := strconv.FormatUint(revision, 10)
	switch {
	case e.lines && revision > 0:
		e.text(`{"event":"change","revision":`, number, `,"changes":[`)
	case e.lines:
		e.text(`{"event":"change","changes":[`)
	case revision > 0:
		e.text("id: ", number, "\nevent: change\ndata: [")
	default:
		e.text("event: change\ndata: [")
	}
}

// change adds a change to the event that was begun.
func (e *eventWriter) change(entry *config.Entry, comma bool) {
	if comma {
		e.text(",")
	}
	if err := writeChange(e, entry); err != nil && e.err == nil {
		e.err = err
	}
}

func (e *eventWriter) endChanges() {
	if e.lines {
		e.text("]}\n")
	} else {
		e.text("]\n\n")
	}
}

// progress is the event "sync" or "bookmark": everything up to a revision was
// sent, and the client can resume from there.
func (e *eventWriter) progress(event string, revision uint64) {
	number := strconv.FormatUint(revision, 10)
	if e.lines {
		e.text(`{"event":"`, event, `","revision":`, number, "}\n")
	} else {
		e.text("id: ", number, "\nevent: ", event, "\ndata: {\"revision\":", number, "}\n\n")
	}
}

// resync says that the client has to read the state anew. The empty id makes a
// browser forget what it would resume from.
func (e *eventWriter) resync(oldest uint64) {
	number := strconv.FormatUint(oldest, 10)
	if e.lines {
		e.text(`{"event":"resync","oldestRevision":`, number, "}\n")
	} else {
		e.text("id\nevent: resync\ndata: {\"oldestRevision\":", number, "}\n\n")
	}
}

// bye says why the stream ends here and when to come back.
func (e *eventWriter) bye(reason string, after time.Duration) {
	millis := strconv.FormatInt(after.Milliseconds(), 10)
	fields := `"reason":"` + reason + `","reconnectAfterMs":` + millis + "}\n"
	if e.lines {
		e.text(`{"event":"bye",`, fields)
	} else {
		e.text("retry: ", millis, "\nevent: bye\ndata: {", fields, "\n")
	}
}

// hint tells how long to wait before coming back after a loss. Lines have no such
// thing.
func (e *eventWriter) hint(after time.Duration) {
	if !e.lines {
		e.text("retry: ", strconv.FormatInt(after.Milliseconds(), 10), "\n\n")
	}
}
