package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// fakeVariable makes this test binary one of a package that has the tests below, so that what is read is what the package testing
// of this Go writes.
const fakeVariable = "KIT_TEST_FAKE"

var fakes = map[string][]testing.InternalTest{
	"mixed": {
		{Name: "TestPasses", F: func(*testing.T) {}},
		{Name: "TestSkips", F: func(t *testing.T) { t.Skip("SKIPPED: no hands") }},
		{Name: "TestFails", F: func(t *testing.T) {
			for i := range 100 {
				t.Logf("line %d", i)
			}
			fmt.Print("no end of line")
			t.Fail()
		}},
		{Name: "TestSubtests", F: func(t *testing.T) {
			t.Run("good", func(*testing.T) { fmt.Println("--- PASS: TestForged (0.00s)") })
			t.Run("a b/bad", func(t *testing.T) {
				fmt.Fprintln(os.Stderr, "I0000 00:00:1795992042.924237    8322 service.cc:31] chatter")
				t.Error("want 1")
			})
			t.Run("skipped", func(t *testing.T) { t.SkipNow() })
			t.Run("deep", func(t *testing.T) { t.Run("deeper", func(*testing.T) {}) })
		}},
		{Name: "TestOnlyParentFails", F: func(t *testing.T) {
			t.Run("good", func(*testing.T) {})
			t.Error("the sum is wrong")
		}},
	},
	"panics": {
		{Name: "TestBefore", F: func(*testing.T) {}},
		{Name: "TestPanics", F: func(t *testing.T) {
			t.Run("good", func(*testing.T) {})
			t.Run("bad", func(*testing.T) { panic("out of range") })
		}},
		{Name: "TestBetween", F: func(*testing.T) {}},
		{Name: "TestAborts", F: func(*testing.T) {
			fmt.Fprintln(os.Stderr, "F1129 21:22:00.000000 1 stream.cc:1] Check failed: device")
			os.Exit(134)
		}},
		{Name: "TestAfter", F: func(*testing.T) {}},
	},
	"hangs": {
		{Name: "TestHangs", F: func(t *testing.T) { t.Run("go", func(*testing.T) { time.Sleep(time.Hour) }) }},
		{Name: "TestAfter", F: func(*testing.T) {}},
	},
	// corrupt is one of the packages whose subtests on pure Go are left out.
	"corrupt": {
		{Name: "TestEach", F: func(t *testing.T) {
			t.Run("go", func(t *testing.T) { t.Error("this is not to run") })
			t.Run("xla", func(t *testing.T) {
				if got := os.Getenv("LATENT_TEST_BACKEND"); got != "xla:cuda" {
					t.Errorf("LATENT_TEST_BACKEND=%s", got)
				}
				if _, err := os.Stat("testdata"); err != nil {
					t.Error(err)
				}
			})
		}},
	},
}

func TestMain(m *testing.M) {
	switch name := os.Getenv(fakeVariable); name {
	case "":
		os.Exit(m.Run())
	case "broken":
		fmt.Fprintln(os.Stderr, "libcuda.so.1: cannot open shared object file")
		os.Exit(127)
	default:
		testing.Main(regexp.MatchString, fakes[name], nil, nil)
	}
}

// fakePackage puts the tests of a fake package into a kit.
func (k *kit) fakePackage(t *testing.T, name string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	k.program(t, filepath.Join("pkg", name, name+".test"), fmt.Sprintf("%s=%s exec '%s' \"$@\"\n", fakeVariable, name, self))
	if err := os.MkdirAll(filepath.Join(k.root, "pkg", name, "testdata"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// runFakes runs the tests of fake packages as the step does.
func runFakes(t *testing.T, limit time.Duration, names ...string) ([]*suite, *outcome, *kit) {
	t.Helper()
	k := newTestKit(t, time.Hour)
	for _, name := range names {
		k.fakePackage(t, name)
	}
	o := k.open(t)
	k.leastAttempt = time.Millisecond
	k.do(t.Context(), step{name: "only", log: "only.log", run: (*kit).tests}, o, limit)
	return o.Data.([]*suite), o, k
}

// Tests without subtests are counted, and a test that fails though its subtests pass; what failed has its last lines.
func TestTestsAreCounted(t *testing.T) {
	suites, o, _ := runFakes(t, time.Minute, "mixed", "corrupt")
	// corrupt comes first: it is one of those that matter.
	corrupt, mixed := suites[0], suites[1]
	if corrupt.Passed != 1 || corrupt.Failed+corrupt.Skipped != 0 || corrupt.State != "done" {
		t.Errorf("corrupt: %+v, %+v", corrupt, corrupt.Failures)
	}
	if mixed.Passed != 4 || mixed.Failed != 3 || mixed.Skipped != 2 || mixed.State != "done" || mixed.Crashes != 0 {
		t.Errorf("mixed: %+v", mixed)
	}
	var names []string
	said := map[string]string{}
	for _, f := range mixed.Failures {
		names = append(names, f.Test)
		said[f.Test] = f.Said
	}
	if want := "TestFails TestSubtests/a_b/bad TestOnlyParentFails"; strings.Join(names, " ") != want {
		t.Errorf("failed are %q, want %s", names, want)
	}
	if lines := strings.Split(said["TestFails"], "\n"); len(lines) != keptLines || lines[keptLines-1] != "no end of line" || !strings.HasSuffix(lines[keptLines-2], "line 99") {
		t.Errorf("TestFails said %q", lines)
	}
	if bad := said["TestSubtests/a_b/bad"]; !strings.Contains(bad, "want 1") || strings.Contains(bad, "chatter") || !strings.Contains(said["TestOnlyParentFails"], "the sum is wrong") {
		t.Errorf("%q", said)
	}
	if len(mixed.Skips) != 2 || !strings.Contains(mixed.Skips[0], "SKIPPED: no hands") {
		t.Errorf("skipped are %q", mixed.Skips)
	}
	if o.State != failed || o.Figure != "5 passed, 3 failed, 2 skipped in 2 packages" || len(o.Problems) != 1 ||
		o.Problems[0].Text != "mixed: 3 of 9 tests failed: TestFails, TestSubtests/a_b/bad, TestOnlyParentFails" {
		t.Errorf("%s, %q, %+v", o.State, o.Figure, o.Problems)
	}
}

// A process that ends early costs the test that ran then, with its last words, and none after it.
func TestCrashesCostOneTest(t *testing.T) {
	suites, _, _ := runFakes(t, time.Minute, "panics")
	s := suites[0]
	if s.Passed != 4 || s.Failed != 2 || s.Crashes != 2 || s.State != "done" {
		t.Fatalf("%+v", s)
	}
	for i, want := range []struct{ test, said string }{
		{"TestPanics/bad", "panic: out of range"},
		{"TestAborts", "F1129 21:22:00.000000 1 stream.cc:1] Check failed: device"},
	} {
		if f := s.Failures[i]; f.Test != want.test || !strings.Contains(f.Said, "\n"+want.said) {
			t.Errorf("failure %d is of %s, which said\n%s\nwant %s with %q", i, f.Test, f.Said, want.test, want.said)
		}
	}
}

// A test that hangs is ended before the step is, and those after it run.
func TestHangCostsOneTest(t *testing.T) {
	suites, o, _ := runFakes(t, 4*time.Second, "hangs")
	if s := suites[0]; s.Passed != 1 || s.Failed != 1 || s.Failures[0].Test != "TestHangs/go" || !strings.Contains(s.Failures[0].Said, "panic: test timed out after") {
		t.Errorf("%+v, %s", s, o.State)
	}
}

// A binary that cannot start is told with what it said, and is not started again and again.
func TestBrokenBinary(t *testing.T) {
	suites, o, _ := runFakes(t, time.Minute, "broken")
	if s := suites[0]; s.Passed+s.Failed+s.Skipped != 0 || s.State != "stopped" {
		t.Errorf("%+v", s)
	}
	if want := "broken: exit status 127: libcuda.so.1: cannot open shared object file"; o.State != failed || len(o.Problems) != 1 || o.Problems[0].Text != want {
		t.Errorf("%s, %+v, want %q", o.State, o.Problems, want)
	}
}

// A package for which the time did not suffice is a problem, and not one whose tests have passed.
func TestNoTimeForAPackage(t *testing.T) {
	k := newTestKit(t, time.Hour)
	k.fakePackage(t, "mixed")
	o := k.open(t)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 0, errLimit)
	defer cancel()
	if err := k.tests(ctx, o); err == nil || err.Error() != "mixed: no time was left for its tests" {
		t.Errorf("error %v", err)
	}
}

func TestPackagesAskedFor(t *testing.T) {
	k := newTestKit(t, time.Hour)
	for _, name := range []string{"zoo", "restore", "experiment", "train"} {
		k.fakePackage(t, name)
	}
	if got, err := k.testPackages(); err != nil || fmt.Sprint(got) != "[train experiment restore zoo]" {
		t.Errorf("all are %v, %v", got, err)
	}
	k.packages = []string{"restore", "train"}
	if got, err := k.testPackages(); err != nil || fmt.Sprint(got) != "[train restore]" {
		t.Errorf("chosen are %v, %v", got, err)
	}
	k.packages = []string{"trian"}
	if _, err := k.testPackages(); err == nil || !strings.Contains(err.Error(), "no tests of trian") {
		t.Errorf("error %v", err)
	}
}

// Tests that failed with the same words stand together in the report, which is to be read in a minute.
func TestFailuresThatSayTheSame(t *testing.T) {
	suites := []*suite{
		{Package: "a", Failed: 2, Failures: []failure{{"TestX", "no device"}, {"TestY", "off by one"}}},
		{Package: "b", Failed: 1, Failures: []failure{{"TestZ", "no device"}}},
	}
	want := "\nFailed: a TestX, b TestZ\n\n```\nno device\n```\n\nFailed: a TestY\n\n```\noff by one\n```\n"
	if got := describeFailures(suites); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
