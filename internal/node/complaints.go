package node

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// complaintPause is the least time between two lines about the same thing.
const complaintPause = 10 * time.Second

// complaints logs what goes on failing: at once when it changes, and every now
// and then while it stays.
type complaints struct {
	logger *slog.Logger
	mu     sync.Mutex
	last   map[string]complaint
}

type complaint struct {
	text string
	at   time.Time
}

func (c *complaints) say(about, message string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := fmt.Sprint(args...)
	if old, ok := c.last[about]; ok && old.text == text && time.Since(old.at) < complaintPause {
		return
	}
	if c.last == nil {
		c.last = map[string]complaint{}
	}
	c.last[about] = complaint{text: text, at: time.Now()}
	c.logger.Info(message, args...)
}

// untilEnd is a log that takes errors only once end is closed: of nodes that stop
// together, each would warn that the others are unreachable.
type untilEnd struct {
	slog.Handler
	end <-chan struct{}
}

// Enabled implements slog.Handler.
func (h untilEnd) Enabled(ctx context.Context, level slog.Level) bool {
	select {
	case <-h.end:
		return level >= slog.LevelError && h.Handler.Enabled(ctx, level)
	default:
		return h.Handler.Enabled(ctx, level)
	}
}

// WithAttrs implements slog.Handler.
func (h untilEnd) WithAttrs(attrs []slog.Attr) slog.Handler {
	return untilEnd{h.Handler.WithAttrs(attrs), h.end}
}

// WithGroup implements slog.Handler.
func (h untilEnd) WithGroup(name string) slog.Handler {
	return untilEnd{h.Handler.WithGroup(name), h.end}
}
