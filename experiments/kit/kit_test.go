package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// newTestKit is a kit in a folder of its own, with this much time in all, that says nothing.
func newTestKit(t *testing.T, total time.Duration) *kit {
	t.Helper()
	root := t.TempDir()
	s := settings{backend: "xla:cuda", time: total, parallel: 1, root: root, temp: filepath.Join(root, "temp"), out: filepath.Join(root, "out"), started: time.Now()}
	for _, dir := range []string{s.temp, s.out} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	k := newKit(s, io.Discard, io.Discard)
	k.grace = 100 * time.Millisecond
	return k
}

// open gives a kit a report with one step and a log, for what is called outside of run.
func (k *kit) open(t *testing.T) *outcome {
	t.Helper()
	k.report = newReport(k.settings, []step{{name: "only", title: "Only"}})
	var err error
	if k.log, err = openLog(filepath.Join(k.out, "only.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.log.Close() })
	return k.report.Steps[0]
}

// program writes a shell script into the kit's folder.
func (k *kit) program(t *testing.T, name, script string) string {
	t.Helper()
	path := filepath.Join(k.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// onDisk is the report as someone finds it who looks now.
func (k *kit) onDisk(t *testing.T) (r report, markdown string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(k.out, jsonFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(k.out, markdownFile))
	if err != nil {
		t.Fatal(err)
	}
	return r, string(text)
}

func states(r report) string {
	var words []string
	for _, o := range r.Steps {
		words = append(words, string(o.State))
	}
	return strings.Join(words, ", ")
}

// Steps run in their order, whatever becomes of those before, and each finds the report of all before it on the disk.
func TestEveryStepRuns(t *testing.T) {
	k := newTestKit(t, time.Minute)
	var seen []string
	saw := func(k *kit) {
		r, _ := k.onDisk(t)
		seen = append(seen, states(r))
	}
	all := k.run(t.Context(), []step{
		{name: "good", title: "Good", log: "good.log", share: 1, run: func(k *kit, _ context.Context, o *outcome) error {
			saw(k)
			k.change(func() { o.Figure = "42 of | them" })
			return nil
		}},
		{name: "bad", title: "Bad", log: "bad.log", share: 1, run: func(k *kit, ctx context.Context, _ *outcome) error {
			saw(k)
			_, err := k.execute(ctx, child{label: "a child", command: []string{"/bin/sh", "-c", "exec >&2; echo why; echo sh: because; echo '  see there'; exit 3"}})
			return errors.Join(errors.New("first"), err)
		}},
		{name: "panics", title: "Panics", log: "a.log", share: 1, run: func(k *kit, _ context.Context, _ *outcome) error {
			saw(k)
			k.together(3, func(i int) {
				if i == 1 {
					panic("at the disco")
				}
			})
			return nil
		}},
		{name: "last", title: "Last", log: "a.log", share: 1, run: func(k *kit, _ context.Context, _ *outcome) error { saw(k); return nil }},
	})
	if all {
		t.Error("run says that all passed")
	}
	want := []string{"running, waiting, waiting, waiting", "passed, running, waiting, waiting", "passed, failed, running, waiting", "passed, failed, failed, running"}
	if got := strings.Join(seen, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the steps found\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	r, markdown := k.onDisk(t)
	if states(r) != "passed, failed, failed, passed" || !r.Finished {
		t.Errorf("%s, finished %v", states(r), r.Finished)
	}
	if len(r.Steps[1].Problems) != 2 || r.Steps[1].Problems[1].Text != "a child: exit status 3: sh: because" || r.Steps[2].Problems[0].Text != "panic: at the disco" {
		t.Errorf("problems %+v, %+v", r.Steps[1].Problems, r.Steps[2].Problems)
	}
	for _, words := range []string{
		"2 of 4 steps passed", "Not passed: bad (failed), panics (failed).", `| Good | passed | 0.0 | 42 of \| them |`,
		"| Bad | **FAILED** | 0.0 | first |", "- Bad: a child: exit status 3: sh: because (log: [bad.log](bad.log))",
	} {
		if !strings.Contains(markdown, words) {
			t.Errorf("the report lacks %q:\n%s", words, markdown)
		}
	}
}

// A child that takes too long is killed with all that it started, though it does not want to end.
func TestLimitKillsTheGroup(t *testing.T) {
	k := newTestKit(t, time.Minute)
	o := k.open(t)
	pidFile := filepath.Join(k.root, "pid")
	script := fmt.Sprintf("trap '' INT TERM; sleep 60 & echo $! > %s; echo waiting; wait; wait", pidFile)
	begun := time.Now()
	k.do(t.Context(), step{name: "only", log: "only.log", run: func(k *kit, ctx context.Context, _ *outcome) error {
		_, err := k.execute(ctx, child{label: "stubborn", command: []string{"/bin/sh", "-c", script}, output: io.Discard})
		return err
	}}, o, time.Second)
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	if o.State != outOfTime || len(o.Problems) != 1 || o.Problems[0] != (problem{"stubborn: stopped at its limit of time", "waiting"}) {
		t.Errorf("%s, %+v", o.State, o.Problems)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		t.Errorf("process %d, which the child had started, lives on", pid)
	}
}

// alive says whether a process runs a little later still. One that is dead may be in the list until its parent asks for it.
func alive(pid int) bool {
	for range 200 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return true
}

// What a child leaves behind when it ends by itself is killed too.
func TestNothingIsLeftBehind(t *testing.T) {
	k := newTestKit(t, time.Minute)
	k.open(t)
	out, err := k.execute(t.Context(), child{label: "parent", command: []string{"/bin/sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"}})
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		t.Errorf("process %d lives on", pid)
	}
}

// Ctrl-C ends the step that runs, and the report says which were not run.
func TestInterrupted(t *testing.T) {
	k := newTestKit(t, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	all := k.run(ctx, []step{
		{name: "long", title: "Long", log: "a.log", share: 1, run: func(k *kit, ctx context.Context, _ *outcome) error {
			time.AfterFunc(100*time.Millisecond, cancel)
			_, err := k.execute(ctx, child{label: "a child", command: []string{"/bin/sleep", "60"}})
			return err
		}},
		{name: "never", title: "Never", log: "a.log", share: 1, run: func(*kit, context.Context, *outcome) error {
			t.Error("a step was begun after the interrupt")
			return nil
		}},
	})
	if r, _ := k.onDisk(t); all || states(r) != "interrupted, not run" {
		t.Errorf("all passed %v; %s", all, states(r))
	}
}

// A step gets its share of what is left, and what it does not use goes to those after it. Here is a minute and the time for
// closing, and the first of three steps uses none of its 20 s, the second all that is left.
func TestShares(t *testing.T) {
	k := newTestKit(t, 0)
	k.time = time.Minute + k.closing
	now := k.started
	k.now = func() time.Time { return now }
	var limits []time.Duration
	record := func(use time.Duration) func(*kit, context.Context, *outcome) error {
		return func(k *kit, _ context.Context, o *outcome) error {
			limits = append(limits, time.Duration(o.Limit*float64(time.Second)))
			now = now.Add(use)
			return nil
		}
	}
	all := k.run(t.Context(), []step{
		{name: "a", log: "a.log", share: 2, run: record(0)},
		{name: "b", log: "a.log", share: 3, run: record(58 * time.Second)},
		{name: "c", log: "a.log", share: 1, run: record(0)},
	})
	if want := "[20s 45s]"; fmt.Sprint(limits) != want {
		t.Errorf("limits %v, want %s", limits, want)
	}
	r, _ := k.onDisk(t)
	if all || states(r) != "passed, passed, out of time" || r.Steps[2].Figure != "no time was left to begin" {
		t.Errorf("all passed %v; %s, %q", all, states(r), r.Steps[2].Figure)
	}
}

// A short run leaves the long steps out, and has passed without them; a trial without a card leaves none out.
func TestShortRun(t *testing.T) {
	nothing := func(*kit, context.Context, *outcome) error { return nil }
	two := []step{{name: "a", log: "a.log", share: 1, run: nothing}, {name: "b", log: "a.log", share: 1, long: true, run: nothing}}
	for _, c := range []struct {
		backend string
		minutes time.Duration
		want    string
	}{
		{"xla:cuda", 4, "passed, left out"},
		{"xla:cuda", 8, "passed, passed"},
		{"xla:cpu", 4, "passed, passed"},
	} {
		k := newTestKit(t, c.minutes*time.Minute)
		k.backend = c.backend
		all := k.run(t.Context(), two)
		if r, _ := k.onDisk(t); !all || states(r) != c.want {
			t.Errorf("%s, %d minutes: all passed %v; %s, want %s", c.backend, c.minutes, all, states(r), c.want)
		}
	}
}

func TestSettings(t *testing.T) {
	env := func(entries ...string) func(string) string {
		return func(name string) string {
			for _, entry := range entries {
				if key, value, _ := strings.Cut(entry, "="); key == name {
					return value
				}
			}
			return ""
		}
	}
	s, err := readSettings(env("MINUTES=4", "PACKAGES= train  model", "PARALLEL=3", "PYTHON=/bin/sh"))
	if err != nil {
		t.Fatal(err)
	}
	if s.backend != "xla:cuda" || s.time != 4*time.Minute || fmt.Sprint(s.packages) != "[train model]" || s.parallel != 3 || s.python != "/bin/sh" || !s.short() || s.trial() {
		t.Errorf("%+v", s)
	}
	if s, err := readSettings(env()); err != nil || s.time != 8*time.Minute || s.packages != nil || s.short() {
		t.Errorf("without an environment: %+v, %v", s, err)
	}
	for _, entry := range []string{"KIT_BACKEND=cuda", "MINUTES=0", "MINUTES=NaN", "MINUTES=eight", "PARALLEL=0", "PYTHON=/nowhere/python"} {
		name, _, _ := strings.Cut(entry, "=")
		if _, err := readSettings(env(entry)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want one that names %s", entry, err, name)
		}
	}
}

// A report is not written over; a folder with other things in it is not refused.
func TestOldReportStays(t *testing.T) {
	dir := t.TempDir()
	if _, err := makeOut(dir); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, markdownFile), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := makeOut(dir); err == nil || !strings.Contains(err.Error(), "name another folder") {
		t.Errorf("a folder with a report: error %v", err)
	}
}

// A log that grows too long keeps its beginning and its end, and says how much is not there.
func TestLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	log, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	const lines = 100_000 // of 160 bytes
	for i := range lines {
		fmt.Fprintf(log, "line %0154d\n", i)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lost := lines*160 - logHead - logTail
	middle := fmt.Sprintf("\n… %d bytes are left out here …\n", lost)
	if len(text) != logHead+logTail+len(middle) || !strings.HasPrefix(string(text), fmt.Sprintf("line %0154d\n", 0)) ||
		!strings.HasSuffix(string(text), "00099999\n") || string(text[logHead:logHead+len(middle)]) != middle {
		t.Errorf("%d bytes, want %d; at the gap %q", len(text), logHead+logTail+len(middle), text[logHead-20:logHead+60])
	}
}

// Lines of children are whole and bear their names, however they come in pieces.
func TestPrefixed(t *testing.T) {
	var to strings.Builder
	p := &prefixed{to: &to, prefix: "a: "}
	for _, piece := range []string{"one\ntw", "o\n", "\n", "\x16=== RUN", " TestA\nend"} {
		io.WriteString(p, piece)
	}
	p.flush()
	if want := "a: one\na: two\na: \na: === RUN TestA\na: end\n"; to.String() != want {
		t.Errorf("got %q, want %q", to.String(), want)
	}
}

func TestDemote(t *testing.T) {
	got := demote("# Title\n\nText # here.\n\n## Part\n\n```\n# no heading\n```\n### Deep\n")
	if want := "Text # here.\n\n### Part\n\n```\n# no heading\n```\n#### Deep\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The folder of the report comes back from some machines only with eight files in it, each of 16 MiB.
func TestFewFiles(t *testing.T) {
	files := map[string]bool{markdownFile: true, jsonFile: true}
	for _, s := range steps {
		if s.log == "" {
			t.Errorf("%s has no log", s.name)
		}
		files[s.log] = true
	}
	if len(files) > 8 {
		t.Errorf("%d files: %v", len(files), files)
	}
}

// What has one cause is told once, with the last words of the first who met it.
func TestOneCauseIsToldOnce(t *testing.T) {
	r := report{Steps: []*outcome{
		{Title: "A", Log: "a.log", Problems: []problem{{"run: no device", "words\nrun: no device"}}},
		{Title: "B", Problems: []problem{{"verify: no device", "the same words"}, {"alone", ""}}},
	}}
	want := "\n## What went wrong\n\n- A: run: no device (log: [a.log](a.log))\n\n  ```\n  words\n  run: no device\n  ```\n\n" +
		"- B: verify: as above\n- B: alone\n"
	if got := r.wrong(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
