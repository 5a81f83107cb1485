package history

import (
	"testing"
	"time"
)

func TestPausesAreBetweenAcknowledgementsOfWrites(t *testing.T) {
	h := History{
		Operations: []Operation{
			put("a", 5, 10, 1), put("b", 11, 20, 2), failed(put("c", 21, 30, 0), Unknown),
			failed(put("d", 31, 40, 0), Rejected), get("b", 41, 45, 2), put("e", 50, 60, 3), put("f", 61, 62, 4),
		},
		Marks: []Mark{{"cut", 15}},
	}
	from := h.At("cut")
	for to, want := range map[time.Duration]Pause{70: {20, 60}, 50: {20, 50}, 16: {15, 16}} {
		if got := h.LongestPause(from, to); got != want {
			t.Errorf("the longest pause until %d is %v, want %v", to, got, want)
		}
	}
	if got, want := h.Count(from), (Count{Acknowledged: 3, Rejected: 1, Unknown: 1}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
