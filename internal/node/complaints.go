package node

import (
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
