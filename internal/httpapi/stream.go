package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

const (
	// streamMediaType is newline-delimited JSON: one document a line.
	streamMediaType = "application/x-ndjson"
	// streamPieceBytes are written at a time, and streamGrace is how long the
	// client may take to accept them.
	streamPieceBytes = 64 << 10
	streamGrace      = 30 * time.Second
	// maxStream is the longest that one stream may take, since it keeps the
	// state of its revision in memory.
	maxStream = 10 * time.Minute
)

// streamEnd is the last line of a stream of entries. Without it the stream was
// cut short.
type streamEnd struct {
	End      bool   `json:"end"`
	Revision uint64 `json:"revision"`
	// Entries is the number of lines before this one.
	Entries int `json:"entries"`
}

// streamKeys answers a listing with a line for each entry, all of them as of one
// revision, however many they are. Nothing is gathered: a line is made when
// the lines before it are on their way. Since its client may take its time, a stream
// counts among the streams and not among the requests.
func (h *Handler) streamKeys(w http.ResponseWriter, r *http.Request, to target, list config.ListOptions, fresh config.ReadOptions) error {
	for _, name := range []string{"limit", "cursor", "delimiter"} {
		if to.query.Has(name) {
			return errUnsupported.because("query parameter %s isn't offered with %s, which has no pages", name, streamMediaType)
		}
	}
	if err := config.CheckPrefix(list.Prefix); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.ReadTimeout)
	defer cancel()
	view, standing, err := h.Store.View(ctx, fresh)
	if err != nil {
		return fmt.Errorf("stream %s/%s: %w", to.namespace, list.Prefix, err)
	}
	entries, err := view.Scan(to.namespace, list.Prefix, standing.Revision)
	if err != nil {
		return fmt.Errorf("stream %s/%s: %w", to.namespace, list.Prefix, err)
	}
	if h.streams.Add(1) > int64(h.MaxStreams) {
		h.streams.Add(-1)
		return fmt.Errorf("%w: %d listings are being streamed", config.ErrOverloaded, h.MaxStreams)
	}
	defer h.streams.Add(-1)
	setStanding(w.Header(), standing)
	w.Header()["Vary"] = varyAccept
	w.Header()["Content-Type"] = linesType
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	h.leave()
	defer h.serving.Add(1)
	lines := newLineWriter(w)
	count := 0
	for entry := range entries {
		count++
		if err := lines.entry(to.namespace, entry, list.Values); err != nil {
			lines.cut()
		}
	}
	if err := errors.Join(lines.write(streamEnd{End: true, Revision: standing.Revision, Entries: count}), lines.buffer.Flush()); err != nil {
		lines.cut()
	}
	return nil
}

// lineWriter writes a stream of lines and moves the deadline of the connection
// on with each piece that is accepted.
type lineWriter struct {
	to         http.ResponseWriter
	controller *http.ResponseController
	buffer     *bufio.Writer
	began      time.Time
}

func newLineWriter(w http.ResponseWriter) *lineWriter {
	l := &lineWriter{to: w, controller: http.NewResponseController(w), began: time.Now()}
	l.buffer = bufio.NewWriterSize(l, streamPieceBytes)
	return l
}

// entry adds an entry as a line. A long value goes on its way piece by piece.
func (l *lineWriter) entry(namespace string, e *config.Entry, withValue bool) error {
	if !withValue {
		return l.write(newEntryBody(namespace, e))
	}
	head, err := json.Marshal(newEntryBody(namespace, e))
	if err != nil {
		return err
	}
	if _, err := l.buffer.Write(head[:len(head)-1]); err != nil { // without the brace
		return err
	}
	if err := writeValue(l.buffer, e.Value); err != nil {
		return err
	}
	return l.buffer.WriteByte('\n')
}

// write adds a line.
func (l *lineWriter) write(document any) error {
	line, err := json.Marshal(document)
	if err != nil {
		return err
	}
	_, err = l.buffer.Write(append(line, '\n'))
	return err
}

// Write implements io.Writer for the buffer.
func (l *lineWriter) Write(data []byte) (written int, err error) {
	for written < len(data) {
		now := time.Now()
		if now.Sub(l.began) > maxStream {
			return written, fmt.Errorf("the stream took longer than %v", maxStream)
		}
		// A writer without deadlines, as in a test, is waited for.
		_ = l.controller.SetWriteDeadline(now.Add(streamGrace))
		n, err := l.to.Write(data[written:min(len(data), written+streamPieceBytes)])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// cut ends the connection without the end that HTTP gives a whole reply, so that
// the client sees that lines are missing.
func (l *lineWriter) cut() { panic(http.ErrAbortHandler) }
