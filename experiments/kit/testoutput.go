package main

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// testOutput reads what a test binary says with -test.v=test2json, as go tool test2json would, which needs Go. It is given the
// output as it comes, by Write. There, what the package testing itself says begins with a mark; all else is what tests say.
type testOutput struct {
	mu      sync.Mutex
	line    []byte // not yet whole
	current string // the test that lines belong to; "" between tests
	tests   map[string]*test
	order   []string // in which they began
	since   []string // the last lines after the last mark, see fatal
	fatal   bool     // since begins with the last words of a process, and is not to move on
	ended   bool     // the binary came to its end and said PASS or FAIL
	// just are the tests that were the last to end, if they failed: one that panics is reported so, and all above it.
	just []string
}

// test is one test or subtest.
type test struct {
	name   string
	result string // PASS, FAIL or SKIP; "" while it runs
	said   []string
	parent bool // it has subtests
	// seconds are as the package testing prints them, to 10 ms.
	seconds float64
}

func newTestOutput() *testOutput { return &testOutput{tests: map[string]*test{}} }

// keptLines is how much of what a test says is kept.
const keptLines = 40

const mark = '\x16'

// Write takes a piece of the output.
func (o *testOutput) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.line = append(o.line, text...)
	for {
		end := bytes.IndexByte(o.line, '\n')
		if end < 0 {
			return len(text), nil
		}
		o.take(string(o.line[:end]))
		o.line = append(o.line[:0], o.line[end+1:]...)
	}
}

// reported is a line about a test, without its mark.
var reported = regexp.MustCompile(`^(?:=== (RUN|PAUSE|CONT|NAME) +(.*)|--- (PASS|FAIL|SKIP): (.*) \(([0-9.]+)s\))$`)

// lastWords begin what a process says that is about to be ended: by Go, by a signal, or by a check of XLA.
var lastWords = regexp.MustCompile(`^(panic: |fatal error: |runtime: |SIG[A-Z]+: |F\d{4,8} )`)

// take takes a whole line. The mark may stand behind what a test said without an end of line.
func (o *testOutput) take(line string) {
	said, marked, found := strings.Cut(line, string(mark))
	if said != "" || !found {
		o.say(said)
	}
	if !found {
		return
	}
	o.since, o.fatal = nil, false
	if marked == "PASS" || marked == "FAIL" {
		o.ended = true
		return
	}
	match := reported.FindStringSubmatch(marked)
	if match == nil {
		o.say(marked)
		return
	}
	if verb, name := match[1], match[2]; verb != "" {
		if o.current = strings.TrimSpace(name); verb == "RUN" {
			o.begin(o.current)
		}
		if verb != "NAME" {
			o.just = nil
		}
		return
	}
	o.current = match[4]
	t := o.begin(o.current)
	t.result = match[3]
	if t.result != "FAIL" {
		o.just = nil
	} else {
		o.just = append(o.just, t.name)
	}
	t.seconds, _ = strconv.ParseFloat(match[5], 64)
}

// begin returns a test, a new one where it was not known.
func (o *testOutput) begin(name string) *test {
	t := o.tests[name]
	if t == nil {
		t = &test{name: name}
		o.tests[name] = t
		o.order = append(o.order, name)
		if slash := strings.LastIndexByte(name, '/'); slash >= 0 && o.tests[name[:slash]] != nil {
			o.tests[name[:slash]].parent = true
		}
	}
	return t
}

// say keeps a line for the test that it belongs to, unless it is of interest to nobody.
func (o *testOutput) say(line string) {
	if chatter.MatchString(line) {
		return
	}
	if t := o.tests[o.current]; t != nil {
		t.said = lastLines(append(t.said, line))
	}
	if !o.fatal && lastWords.MatchString(line) {
		o.since, o.fatal = nil, true
	}
	if o.since = append(o.since, line); o.fatal {
		o.since = o.since[:min(len(o.since), keptLines)]
	} else {
		o.since = lastLines(o.since)
	}
}

func lastLines(lines []string) []string { return lines[max(0, len(lines)-keptLines):] }

// close ends the reading, after the process has ended. Where the binary did not come to its end, the tests that ran then have
// failed, and the process's last words are theirs, after the reason given. Where none ran, they are those of the tests that had
// just failed.
func (o *testOutput) close(reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.line) > 0 {
		o.take(string(o.line))
		o.line = nil
	}
	if o.ended {
		return
	}
	last := o.just
	for _, t := range o.tests {
		if t.result == "" {
			last = append(last, t.name)
		}
	}
	for _, name := range last {
		o.tests[name].result = "FAIL"
		o.tests[name].said = append([]string{reason}, o.since...)
	}
}

// top are the names of the tests that began and are no subtests, in their order.
func (o *testOutput) top() []string {
	return slices.DeleteFunc(slices.Clone(o.order), func(name string) bool { return strings.Contains(name, "/") })
}

// counted are the tests without subtests, in their order: the others only sum these up. A test that failed though none of its
// subtests did is counted too.
func (o *testOutput) counted() []*test {
	var all []*test
	for _, name := range o.order {
		t := o.tests[name]
		if !t.parent || t.result == "FAIL" && !o.childFailed(name) {
			all = append(all, t)
		}
	}
	return all
}

func (o *testOutput) childFailed(name string) bool {
	for _, t := range o.tests {
		if strings.HasPrefix(t.name, name+"/") && t.result == "FAIL" {
			return true
		}
	}
	return false
}

// failed says whether a test did.
func (o *testOutput) failed() bool {
	for _, t := range o.tests {
		if t.result == "FAIL" {
			return true
		}
	}
	return false
}
