package experiment

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"latent/pkg/message"
)

// statusLine is a terminal with a last line that says what is being done. The line goes when anything else is written.
type statusLine struct {
	out     io.Writer
	mu      sync.Mutex
	pending bool
}

// Write clears the line, and writes.
func (s *statusLine) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.clear(); err != nil {
		return 0, err
	}
	return s.out.Write(p)
}

// Control clears the line, and writes what moves the cursor.
func (s *statusLine) Control(sequence string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.clear(); err != nil {
		return err
	}
	return message.Control(s.out, sequence)
}

func (s *statusLine) clear() error {
	if !s.pending {
		return nil
	}
	s.pending = false
	return message.Control(s.out, startOfLine)
}

// startOfLine takes away what stands on the terminal's last line.
const startOfLine = "\r\x1b[K"

// busy says on a terminal what begins, which may take a while; elsewhere nothing.
func (o Options) busy(format string, args ...any) {
	s, ok := o.Log.(*statusLine)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	message.Control(s.out, startOfLine)
	fmt.Fprint(s.out, fitted(columnsOf(s.out), fmt.Sprintf(format, args...), "", " …"))
	s.pending = true
}

// idle clears the line of [Options.busy].
func (o Options) idle() {
	if s, ok := o.Log.(*statusLine); ok {
		s.Write(nil)
	}
}

// columnsOf is the width of a terminal; 0 where that is not known.
func columnsOf(out io.Writer) int {
	if s, ok := out.(*statusLine); ok {
		out = s.out
	}
	if w, ok := out.(*message.Writer); ok {
		out = w.Unwrap()
	}
	file, ok := out.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}
