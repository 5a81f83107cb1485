package client

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// sent is one server-sent event (the HTML standard, section 9.2).
type sent struct {
	// id is empty when the event has none of its own.
	id, kind string
	data     []byte
	// retry is the pause that the node wants before a connection is made anew, 0
	// when it says nothing.
	retry time.Duration
}

// event reads the next event; io.EOF after the last. One that is cut off doesn't
// count, as in the standard.
func (s *stream) event() (*sent, error) {
	e := &sent{}
	for begun := false; ; {
		line, err := s.line()
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			if begun {
				return e, nil
			}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		begun = begun || len(name) > 0 // a comment is no event
		switch string(name) {
		case "id":
			e.id = string(value)
		case "event":
			e.kind = string(value)
		case "data":
			if len(e.data)+len(value) > lineBytesMax {
				return nil, s.broken(fmt.Errorf("an event is longer than %d bytes", lineBytesMax))
			}
			if e.data != nil {
				e.data = append(e.data, '\n')
			}
			e.data = append(e.data, value...)
		case "retry":
			if millis, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				e.retry = time.Duration(millis) * time.Millisecond
			}
		}
	}
}
