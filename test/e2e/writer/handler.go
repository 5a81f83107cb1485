package main

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/conclave-dev/conclave/test/e2e/history"
)

// maxMarks bounds the marks of a history.
const maxMarks = 1000

// handler tells how it goes.
func (w *writer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /mark", func(reply http.ResponseWriter, r *http.Request) {
		name := r.FormValue("name")
		if name == "" {
			http.Error(reply, "name: is missing", http.StatusBadRequest)
			return
		}
		mark, ok := w.mark(name)
		if !ok {
			http.Error(reply, "there are too many marks", http.StatusTooManyRequests)
			return
		}
		answer(reply, mark)
	})
	mux.HandleFunc("GET /count", func(reply http.ResponseWriter, _ *http.Request) { answer(reply, w.count()) })
	mux.HandleFunc("POST /stop", func(reply http.ResponseWriter, _ *http.Request) {
		w.stop()
		w.mu.Lock()
		defer w.mu.Unlock()
		answer(reply, &w.history)
	})
	return mux
}

// mark notes the moment, unless there are too many marks.
func (w *writer) mark(name string) (history.Mark, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	mark := history.Mark{Name: name, At: time.Since(w.began)}
	if len(w.history.Marks) >= maxMarks {
		return mark, false
	}
	w.history.Marks = append(w.history.Marks, mark)
	return mark, true
}

// count counts the writes since the latest mark, or since the beginning.
func (w *writer) count() history.Count {
	w.mu.Lock()
	defer w.mu.Unlock()
	var from time.Duration
	if marks := w.history.Marks; len(marks) > 0 {
		from = marks[len(marks)-1].At
	}
	return w.history.Count(from)
}

func answer(reply http.ResponseWriter, value any) {
	reply.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(reply).Encode(value) // whoever asked may be gone
}
