package notebook

import (
	"strings"
	"sync"
	"time"
)

// screen is a terminal as far as progress needs one: lines, of which the last is written over and over. It shows itself on a
// page, not more often than every pause, so that a fast run does not flood the notebook.
type screen struct {
	page  page
	id    string
	pause time.Duration
	now   func() time.Time

	mutex sync.Mutex
	lines []string
	last  string // that is not ended yet
	shown time.Time
	err   error
}

// startOfLine is what progress writes over a line with: to its start, and all of it erased.
const startOfLine = "\r\x1b[K"

// Write takes what a program writes to a terminal.
func (s *screen) Write(text []byte) (int, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	parts := strings.SplitAfter(s.last+string(text), "\n")
	for _, part := range parts {
		if i := strings.LastIndex(part, startOfLine); i >= 0 {
			part = part[i+len(startOfLine):]
		}
		line, ended := strings.CutSuffix(part, "\n")
		if ended {
			s.lines = append(s.lines, line)
			line = ""
		}
		s.last = line
	}
	if now := s.now(); now.Sub(s.shown) >= s.pause {
		s.shown = now
		s.show()
	}
	return len(text), s.err
}

// end shows what is on the screen, once more.
func (s *screen) end() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.show()
	return s.err
}

func (s *screen) show() {
	text := strings.Join(append(s.lines[:len(s.lines):len(s.lines)], s.last), "\n")
	text = strings.TrimRight(text, "\n") + "\n"
	if s.err == nil {
		s.err = s.page.text(s.id, text, "")
	}
}
