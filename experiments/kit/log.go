package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Sizes of logs, in bytes: what is kept of their beginning, at once, and of what each step says beyond it, when the
// step ends.
const (
	logHead = 6 << 20
	logTail = 2 << 20
)

// logFile is a file of bounded size that several children write to at once.
type logFile struct {
	mu   sync.Mutex
	file *os.File
	room int    // for the head
	rest []byte // the tail, and up to as much again before it
	lost int    // bytes between the two
}

// openLog opens a log, a new one or one to go on with.
func openLog(path string) (*logFile, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &logFile{file: file, room: max(0, logHead-int(info.Size()))}, nil
}

// Write never fails on account of the bound. A disk that is full must not end what is logged, so that its error is told by Close.
func (l *logFile) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	head := text[:min(len(text), l.room)]
	l.room -= len(head)
	l.file.Write(head)
	l.rest = append(l.rest, text[len(head):]...)
	if over := len(l.rest) - logTail; over > logTail {
		l.rest = append(l.rest[:0], l.rest[over:]...)
		l.lost += over
	}
	return len(text), nil
}

// Close writes the tail.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if over := len(l.rest) - logTail; over > 0 {
		l.rest = l.rest[over:]
		l.lost += over
	}
	var err error
	if l.lost > 0 {
		_, err = fmt.Fprintf(l.file, "\n… %d bytes are left out here …\n", l.lost)
	}
	_, restErr := l.file.Write(l.rest)
	return errors.Join(err, restErr, l.file.Close())
}

// prefixed writes whole lines with a prefix, so that those of several children can be told apart in one log. It leaves out the
// marks of the package testing.
type prefixed struct {
	mu     sync.Mutex // a child has two streams
	to     io.Writer
	prefix string
	line   []byte // not yet whole
}

// longestLine is where a line is broken, lest one without an end fills the memory.
const longestLine = 1 << 16

func (p *prefixed) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line = append(p.line, text...)
	for {
		end := bytes.IndexByte(p.line, '\n')
		if end < 0 && len(p.line) < longestLine {
			return len(text), nil
		}
		if end < 0 {
			end = len(p.line) - 1
		}
		line := bytes.TrimSuffix(p.line[:end+1], []byte("\n"))
		fmt.Fprintf(p.to, "%s%s\n", p.prefix, bytes.ReplaceAll(line, []byte{mark}, nil))
		p.line = append(p.line[:0], p.line[end+1:]...)
	}
}

// flush writes a last line that has no end.
func (p *prefixed) flush() {
	if len(p.line) > 0 {
		io.WriteString(p, "\n")
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const (
	tailBytes = 8192
	tailLines = 15 // shown
)

func (t *tail) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, text...)
	t.text = t.text[max(0, len(t.text)-tailBytes):]
	return len(text), nil
}

// String is the last lines, without XLA's chatter.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	lines = slices.DeleteFunc(lines, chatter.MatchString)
	lines = lines[max(0, len(lines)-tailLines):]
	for i, line := range lines[:max(0, len(lines)-1)] { // the last says why
		lines[i] = shorten(line)
	}
	return strings.Join(lines, "\n")
}

// chatter are lines that XLA logs for its makers, with times and thread numbers, so that no two are alike.
var chatter = regexp.MustCompile(`^(I\d{4} |WARNING: All log messages before absl::InitializeLog)`)
