package httpapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/conclave-dev/conclave/pkg/config"
)

const (
	// maxBatchItems is how many keys and prefixes one batch may ask for, and
	// maxBatchBytes the size of its body: that many of the longest names, all
	// of them escaped.
	maxBatchItems = 256
	maxBatchBytes = 1 << 20
	// maxReplyBytes bounds a reply that isn't streamed.
	maxReplyBytes = 16 << 20
)

// batchBody is the body of a batch.
type batchBody struct {
	Items []batchItem `json:"items"`
}

// batchItem asks for a key, or for all keys with a prefix, which may be empty.
type batchItem struct {
	Namespace string  `json:"namespace"`
	Key       *string `json:"key"`
	Prefix    *string `json:"prefix"`
}

func (i *batchItem) check() error {
	if (i.Key == nil) == (i.Prefix == nil) {
		return errMalformed.because("it must have either a key or a prefix")
	}
	if err := config.CheckNamespace(i.Namespace); err != nil {
		return err
	}
	if i.Key != nil {
		return config.CheckKey(*i.Key)
	}
	return config.CheckPrefix(*i.Prefix)
}

func (b *batchBody) check() error {
	if n := len(b.Items); n == 0 || n > maxBatchItems {
		return errMalformed.because("items: there are %d and must be 1 to %d", n, maxBatchItems)
	}
	for i := range b.Items {
		if err := b.Items[i].check(); err != nil {
			return fmt.Errorf("items[%d]: %w", i, err)
		}
	}
	return nil
}

// batchParameters are the query parameters of a batch.
var batchParameters = append([]string{"revision"}, readParameters...)

// readBatch serves /v1/batch: {"revision":N,"results":[...]} with a result for
// each item in order, {"entry":...} for a key, null when it is absent, and
// {"entries":[...]} for a prefix. All of it is as of one revision.
func (h *Handler) readBatch(w http.ResponseWriter, r *http.Request, to target) error {
	fresh, err := readOptions(to.query)
	if err != nil {
		return err
	}
	if fresh.At, err = readRevision(to.query); err != nil {
		return err
	}
	var batch batchBody
	if err := h.readJSON(r, maxBatchBytes, &batch); err != nil {
		return err
	}
	if err := batch.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.ReadTimeout)
	defer cancel()
	view, standing, err := h.Store.View(ctx, fresh)
	if err != nil {
		return &harmlessError{fmt.Errorf("read a batch: %w", err)}
	}
	reply := replyBuffer{handler: h}
	defer reply.release()
	if err := reply.batch(&batch, view, standing.Revision); err != nil {
		return &harmlessError{err}
	}
	setStanding(w.Header(), standing)
	w.Header().Set("Content-Type", "application/json")
	setLength(w.Header(), len(reply.bytes))
	_, _ = w.Write(reply.bytes) // the client may be gone; there is nobody else to tell
	return nil
}

// batch writes the results of a batch as of a revision that the view can be read
// at.
func (b *replyBuffer) batch(batch *batchBody, view *config.View, revision uint64) error {
	b.text(fmt.Sprintf(`{"revision":%d,"results":[`, revision))
	for i := range batch.Items {
		if i > 0 {
			b.text(",")
		}
		b.result(&batch.Items[i], view, revision)
	}
	b.text("]}\n")
	return b.err
}

func (b *replyBuffer) result(item *batchItem, view *config.View, revision uint64) {
	if item.Key != nil {
		entry, err := view.GetAt(item.Namespace, *item.Key, revision)
		if err != nil {
			b.fail(err)
			return
		}
		b.text(`{"entry":`)
		if entry != nil {
			b.entry(item.Namespace, entry)
		} else {
			b.text("null")
		}
		b.text("}")
		return
	}
	entries, err := view.Scan(item.Namespace, *item.Prefix, revision)
	if err != nil {
		b.fail(err)
		return
	}
	b.text(`{"entries":[`)
	comma := ""
	for entry := range entries {
		b.text(comma)
		b.entry(item.Namespace, entry)
		if comma = ","; b.err != nil {
			return
		}
	}
	b.text("]}")
}

// replyBuffer gathers a reply piece by piece, within the limit of one reply and
// of all together. After the first error it takes nothing more.
type replyBuffer struct {
	handler *Handler
	bytes   []byte
	err     error
}

func (b *replyBuffer) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// release gives the reply's weight back.
func (b *replyBuffer) release() { b.handler.replies.Release(int64(len(b.bytes))) }

func (b *replyBuffer) text(s string) { b.append([]byte(s)) }

// entry adds an entry with its value.
func (b *replyBuffer) entry(namespace string, e *config.Entry) {
	head := mustEncode(newEntryBody(namespace, e))
	b.append(head[:len(head)-1]) // without the brace
	_ = writeValue(b, e.Value)   // the error stays with the buffer
}

// Write implements io.Writer.
func (b *replyBuffer) Write(piece []byte) (int, error) {
	b.append(piece)
	return len(piece), b.err
}

func (b *replyBuffer) append(piece []byte) {
	switch {
	case b.err != nil:
	case len(b.bytes)+len(piece) > maxReplyBytes:
		b.fail(errReplyTooLarge.because("the reply has more than %d bytes: ask for less at a time", maxReplyBytes))
	case !b.handler.replies.TryAcquire(int64(len(piece))):
		b.fail(fmt.Errorf("%w: the replies being sent take %d bytes", config.ErrOverloaded, b.handler.MaxReplyBytes))
	default:
		b.bytes = append(b.bytes, piece...)
	}
}
