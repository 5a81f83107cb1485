package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// lineBytesMax bounds a line of a stream: the largest revision, 8 MiB, each byte of
// it shown by six as JSON shows control characters, and what stands around it.
const lineBytesMax = 64 << 20

// errSilent is why a stream is given up that says nothing.
var errSilent = errors.New("the node fell silent")

// A stream is an answer that is read line by line while it comes. It ends with an
// error when nothing comes for too long.
type stream struct {
	call     call
	endpoint string
	response *http.Response
	lines    *bufio.Reader
	// context ends with the stream; silence ends it when the timer does.
	context context.Context
	end     context.CancelCauseFunc
	silence *time.Timer
	// patience is how long nothing may come.
	patience time.Duration
}

// follow opens a stream, at several endpoints if need be. The caller closes it.
func (c *Client) follow(ctx context.Context, call call, patience time.Duration) (*stream, error) {
	var s *stream
	err := c.retry(ctx, call, func(endpoint string) error {
		s = &stream{call: call, endpoint: endpoint, patience: patience}
		s.context, s.end = context.WithCancelCause(ctx)
		s.silence = time.AfterFunc(patience, func() { s.end(errSilent) })
		var err error
		s.response, err = c.open(s.context, endpoint, call) //nolint:bodyclose // closed by close, which whoever follows calls
		if err != nil {
			err = s.because(err)
			s.close()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.silence.Stop()
	s.lines = bufio.NewReader(s.response.Body)
	return s, nil
}

// close gives the stream up.
func (s *stream) close() {
	s.silence.Stop()
	s.end(nil)
	if s.response != nil {
		s.response.Body.Close()
	}
}

// because names silence as the reason of an error that it caused.
func (s *stream) because(err error) error {
	if errors.Is(context.Cause(s.context), errSilent) {
		return &Error{Op: s.call.describe(), Endpoint: s.endpoint, Outcome: Rejected, Retryable: true, Err: errSilent}
	}
	return err
}

// line returns the next line without its end; io.EOF after the last. A line that
// the answer ends within is an error.
func (s *stream) line() ([]byte, error) {
	// While the caller works, the node isn't the one who is silent.
	defer s.silence.Stop()
	var line []byte
	for {
		s.silence.Reset(s.patience) // nor is one that sends a long line piece by piece
		piece, err := s.lines.ReadSlice('\n')
		if len(line)+len(piece) > lineBytesMax {
			return nil, s.broken(fmt.Errorf("a line is longer than %d bytes", lineBytesMax))
		}
		line = append(line, piece...)
		switch {
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil, io.EOF
		case errors.Is(err, io.EOF):
			return nil, s.broken(io.ErrUnexpectedEOF)
		default:
			return nil, s.because(s.broken(err))
		}
	}
}

// broken is the error of a stream that can't be read to its end.
func (s *stream) broken(err error) error {
	return &Error{Op: s.call.describe(), Endpoint: s.endpoint, Status: s.response.StatusCode,
		Outcome: outcomeUnread(s.call), Retryable: true, Err: err}
}
