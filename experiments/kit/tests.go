package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// important are the packages whose tests matter most on another device, in this order. Those of the archive that are not
// among them come last.
var important = []string{"train", "experiment", "evaluate", "model", "corrupt", "random", "feature", "restore"}

// pureGo are the packages whose tests on pure Go take long, and are of no use to those on XLA beside them: they have run
// where the archive was made. In the others, some tests compare the two.
var pureGo = []string{"experiment", "corrupt"}

// suite is what is known of a package's tests. Tests without subtests are counted, and each subtest by itself.
type suite struct {
	Package  string    `json:"package"`
	Passed   int       `json:"passed"`
	Failed   int       `json:"failed"`
	Skipped  int       `json:"skipped"`
	Seconds  float64   `json:"seconds"`
	State    string    `json:"state"` // waiting, running, done, stopped
	Crashes  int       `json:"crashes,omitempty"`
	Failures []failure `json:"failures,omitempty"`
	Skips    []string  `json:"skips,omitempty"` // the names of those skipped, with what they said
}

// failure is a test that failed, with the last lines of what it said.
type failure struct {
	Test string `json:"test"`
	Said string `json:"said"`
}

// tests runs the packages' test binaries on the backend, several at once.
func (k *kit) tests(ctx context.Context, o *outcome) error {
	names, err := k.testPackages()
	if err != nil {
		return err
	}
	suites := make([]*suite, len(names))
	for i, name := range names {
		suites[i] = &suite{Package: name, State: "waiting"}
	}
	show := func(change func()) {
		k.change(func() {
			change()
			o.Data = suites
			o.Figure, o.details = describeSuites(suites)
		})
	}
	errs := make([]error, len(suites))
	k.together(len(suites), func(i int) {
		s := suites[i]
		if ctx.Err() != nil {
			errs[i] = fmt.Errorf("%s: no time was left for its tests", s.Package)
			return
		}
		begun := time.Now()
		show(func() { s.State = "running" })
		errs[i] = k.testPackage(ctx, s, show)
		show(func() { s.Seconds = time.Since(begun).Seconds() })
	})
	return errors.Join(errs...)
}

// testPackages are the packages to test: those asked for, or all whose tests are in the archive.
func (k *kit) testPackages() ([]string, error) {
	found, err := filepath.Glob(filepath.Join(k.root, "pkg", "*", "*.test"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, path := range found {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".test"))
	}
	for _, name := range k.packages {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("PACKAGES: no tests of %s in the archive; it has those of %s", name, strings.Join(names, " "))
		}
	}
	if k.packages != nil {
		names = slices.Clone(k.packages)
	}
	if len(names) == 0 {
		return nil, errors.New("no test binaries are in the archive; pack it with PACKAGES")
	}
	rank := func(name string) int {
		if i := slices.Index(important, name); i >= 0 {
			return i
		}
		return len(important)
	}
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return names, nil
}

// testPackage runs the tests of a package. Where their process ends before its time, killed by a check of XLA for example, the
// test that ran then has failed, and the others run in another.
func (k *kit) testPackage(ctx context.Context, s *suite, show func(func())) error {
	var done []string // tests that need not run again
	for {
		// A test that hangs leaves a fifth of the time to those after it.
		deadline, _ := ctx.Deadline()
		attempt := time.Until(deadline) * 4 / 5
		if attempt < k.leastAttempt {
			show(func() { s.State = "stopped" })
			return errors.Join(s.err(), fmt.Errorf("%s: no time was left for the rest of its tests", s.Package))
		}
		output := newTestOutput()
		_, err := k.execute(ctx, child{
			label:   s.Package,
			command: []string{filepath.Join(k.root, "pkg", s.Package, s.Package+".test"), "-test.v=test2json", "-test.timeout=" + attempt.String(), "-test.skip=" + skipPattern(s.Package, done)},
			dir:     filepath.Join(k.root, "pkg", s.Package),
			env:     []string{"LATENT_TEST_BACKEND=" + k.backend},
			output:  output,
		})
		reason := "the process came to no end"
		if err != nil {
			reason = err.Error()
		}
		output.close(reason)
		show(func() { s.add(output) })
		switch {
		case ctx.Err() != nil, !output.ended && len(output.order) == 0, output.ended && err != nil && !output.failed():
			// The time is over, or it ended before its first test, or after its last.
			show(func() { s.State = "stopped" })
			return errors.Join(s.err(), err)
		case output.ended:
			show(func() { s.State = "done" })
			return s.err()
		}
		done = append(done, output.top()...)
		show(func() { s.Crashes++ })
	}
}

// add counts the tests of a process.
func (s *suite) add(output *testOutput) {
	for _, t := range output.counted() {
		switch t.result {
		case "PASS":
			s.Passed++
		case "SKIP":
			s.Skipped++
			s.Skips = append(s.Skips, strings.TrimSpace(t.name+" "+strings.TrimSpace(strings.Join(t.said, " "))))
		default:
			s.Failed++
			s.Failures = append(s.Failures, failure{t.name, strings.Join(t.said, "\n")})
		}
	}
}

// mostNamed is how many failed tests an error names; the report has all.
const mostNamed = 5

// err is nil where no test failed.
func (s *suite) err() error {
	if s.Failed == 0 {
		return nil
	}
	var names []string
	for _, f := range s.Failures[:min(mostNamed, len(s.Failures))] {
		names = append(names, f.Test)
	}
	if s.Failed > mostNamed {
		names = append(names, "…")
	}
	return fmt.Errorf("%s: %d of %d tests failed: %s", s.Package, s.Failed, s.Passed+s.Failed+s.Skipped, strings.Join(names, ", "))
}

// describeSuites is the step's figure, and its details.
func describeSuites(suites []*suite) (figure, details string) {
	var sum suite
	t := table{header: []string{"package", "passed", "failed", "skipped", "s", ""}}
	var skips strings.Builder
	for _, s := range suites {
		sum.Passed, sum.Failed, sum.Skipped = sum.Passed+s.Passed, sum.Failed+s.Failed, sum.Skipped+s.Skipped
		note := s.State
		if s.Crashes > 0 {
			note = fmt.Sprintf("%s; its process ended early %d times, and was started again for the tests after", s.State, s.Crashes)
		}
		t.add(s.Package, s.Passed, s.Failed, s.Skipped, fmt.Sprintf("%.1f", s.Seconds), note)
		for _, skip := range s.Skips {
			fmt.Fprintf(&skips, "- skipped: %s, %s\n", s.Package, skip)
		}
	}
	figure = fmt.Sprintf("%d passed, %d failed, %d skipped in %d packages", sum.Passed, sum.Failed, sum.Skipped, len(suites))
	return figure, t.String() + describeFailures(suites) + "\n" + skips.String()
}

// mostShown is how many different outputs of failed tests the report shows; the log has all.
const mostShown = 20

// describeFailures names all tests that failed, with what they said: those that said the same, such as that there is no device,
// together.
func describeFailures(suites []*suite) string {
	names := map[string][]string{} // by what they said
	var order []string
	for _, s := range suites {
		for _, f := range s.Failures {
			if names[f.Said] == nil {
				order = append(order, f.Said)
			}
			names[f.Said] = append(names[f.Said], s.Package+" "+f.Test)
		}
	}
	var text strings.Builder
	for i, said := range order {
		fmt.Fprintf(&text, "\nFailed: %s\n", strings.Join(names[said], ", "))
		if i < mostShown {
			fmt.Fprintf(&text, "\n%s", codeBlock(said))
		}
	}
	return text.String()
}

// skipPattern is a pattern for -test.skip.
func skipPattern(name string, done []string) string {
	var patterns []string
	if slices.Contains(pureGo, name) {
		patterns = append(patterns, "./^go$")
	}
	if len(done) > 0 {
		quoted := make([]string, len(done))
		for i, test := range done {
			quoted[i] = regexp.QuoteMeta(test)
		}
		patterns = append(patterns, "^("+strings.Join(quoted, "|")+")$")
	}
	return strings.Join(patterns, "|")
}
