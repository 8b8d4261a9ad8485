package optuna

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite testdata/export.journal; then look at what changed, and run with LATENT_LONG=1")

// Optuna itself reads this file as it is meant: TestOptunaReads compares.
func TestExport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	if err := Export(t.Context(), path, sampleStudy(), sampleTrials()); err != nil {
		t.Fatal(err)
	}
	got := read(t, path)
	if *update {
		if err := os.WriteFile("testdata/export.journal", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, "testdata/export.journal"); !bytes.Equal(got, want) {
		t.Errorf("the journal is\n%s\nwant\n%s", got, want)
	}
	// Again, over itself.
	if err := Export(t.Context(), path, sampleStudy(), sampleTrials()); err != nil || !bytes.Equal(read(t, path), got) {
		t.Errorf("exported twice: %v", err)
	}
	onlyFile(t, path)
}

// A journal of Optuna's own: the ids by which its next lines count, and what is in the study. The figures are those of the program
// that made it, testdata/journal.py: 2 studies and 5 trials, one study deleted with its 2 trials, which go on to count.
func TestOptunasJournal(t *testing.T) {
	m := mirrorOf(t, "testdata/optuna.journal", "noise × rate")
	if m.trials != 5 || m.study != 1 || !maps.Equal(m.studies, map[int]string{1: "noise × rate", 2: "another"}) {
		t.Errorf("%d trials, study %d of %v", m.trials, m.study, m.studies)
	}
	if !slices.Equal(m.maximize, []bool{false}) || m.attrs["seen"] != `{"by":"a person"}` || len(m.latest) != 0 {
		t.Errorf("maximize %v, attributes %v, of sweeps %v", m.maximize, m.attrs, m.latest)
	}
	for _, id := range []int{2, 3} {
		trial := m.told[id]
		if trial == nil || trial.state != Done || len(trial.values) != 1 || trial.values[0] != trial.params["train.learning_rate"] ||
			!math.IsNaN(trial.curve[1]) || !math.IsInf(trial.curve[2], -1) || trial.attrs["hand"] != `"\u00e9\n"` {
			t.Errorf("trial %d: %+v", id, trial)
		}
	}
	other := mirrorOf(t, "testdata/optuna.journal", "another")
	if trial := other.told[4]; !slices.Equal(other.maximize, []bool{true, false}) || trial.state != Done || !slices.Equal(trial.values, []float64{math.Inf(1), 1}) {
		t.Errorf("the other study: %v, %+v", other.maximize, trial)
	}

	// Sweeps go on with it, and take nothing away.
	path := copyOf(t, "testdata/optuna.journal")
	tell(t, path, sampleStudy(), sampleTrials()...)
	if !bytes.HasPrefix(read(t, path), read(t, "testdata/optuna.journal")) {
		t.Error("what Optuna wrote has changed")
	}
	wantTold(t, path, sampleStudy(), sampleTrials())
	err := Export(t.Context(), path, sampleStudy(), sampleTrials())
	if err == nil || !strings.Contains(err.Error(), "choose another file") {
		t.Errorf("exporting over Optuna's trials: %v", err)
	}
}

// A run told in any steps, by one process or two, cut off anywhere, is told once. Seeds replay it.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 0))
		path := filepath.Join(t.TempDir(), "journal")
		study := sampleStudy()
		journals := []*Journal{open(t, path, study), open(t, path, study)}
		final := sampleTrials()
		for i := range final {
			final[i].Curve = slices.SortedFunc(slices.Values(final[i].Curve), func(a, b Report) int { return a.Step - b.Step })
		}
		told := make([]int, len(final)) // how far each is: waiting, running, its reports, its end
		for slices.ContainsFunc(final, func(f Trial) bool { return told[f.Number] <= len(f.Curve)+2 }) {
			var batch []Trial
			for range 1 + r.IntN(3) {
				f := final[r.IntN(len(final))]
				told[f.Number] = min(told[f.Number]+r.IntN(3), len(f.Curve)+3)
				batch = append(batch, onTheWay(f, told[f.Number]))
			}
			// Of a trial that is in the batch twice, the later is the newer.
			j := journals[r.IntN(2)]
			if err := j.Append(t.Context(), batch...); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if r.IntN(8) == 0 { // cut off in the middle of what was written last, or before it
				size := len(read(t, path))
				if err := os.Truncate(path, int64(size-r.IntN(min(size, 400)))); err != nil {
					t.Fatal(err)
				}
				for i := range journals {
					journals[i] = open(t, path, study)
				}
				for i, f := range final {
					if err := journals[0].Append(t.Context(), onTheWay(f, told[i])); err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
				}
			}
		}
		for _, j := range journals {
			if err := j.Append(t.Context(), final...); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		wantTold(t, path, study, final)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// onTheWay is what is known of a trial after so many steps of its life.
func onTheWay(f Trial, steps int) Trial {
	switch {
	case f.State == Waiting || steps > len(f.Curve)+2:
		return f
	case steps == 0:
		return Trial{Number: f.Number, State: Waiting}
	}
	return Trial{Number: f.Number, State: Running, Params: f.Params, Started: f.started(), Attrs: f.Attrs, Curve: f.Curve[:min(steps-1, len(f.Curve))]}
}

// Cut off at any byte, a journal is read to its last whole line. Continued from there, it ends with the bytes of one that was left
// alone: what is cut is the last write's, and is made again.
func TestCutAnywhere(t *testing.T) {
	study, trials := sampleStudy(), sampleTrials()
	path := filepath.Join(t.TempDir(), "journal")
	tell(t, path, study, trials[1])
	before := len(read(t, path))
	tell(t, path, study, trials[0], trials[7], trials[8])
	whole := read(t, path)
	for size := before; size <= len(whole); size++ {
		lines := bytes.LastIndexByte(whole[:size], '\n') + 1
		for _, tail := range []string{"", "\x00\x00", "\x00\n"} { // after a power cut, some file systems have zeros
			cut := append(whole[:size:size], tail...)
			got, torn, err := newMirror(study.Name).read(bytes.NewReader(cut))
			if err != nil || got != int64(lines) || torn != (lines < len(cut)) {
				t.Fatalf("cut at %d, then %q: %d bytes of %d, torn %v, %v", size, tail, got, lines, torn, err)
			}
			if size%211 != 0 && size != len(whole) {
				continue
			}
			if err := os.WriteFile(path, cut, 0o644); err != nil {
				t.Fatal(err)
			}
			tell(t, path, study, trials[1], trials[0], trials[7], trials[8])
			if got := read(t, path); !bytes.Equal(got, whole) {
				t.Fatalf("cut at %d, then %q: the journal is\n%s\nwant\n%s", size, tail, got, whole)
			}
		}
	}
}

// What has finished cannot change in Optuna; the trial that runs again is another one.
func TestRunAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	study := sampleStudy()
	j := open(t, path, study)
	first := Trial{Number: 0, State: Done, Values: []float64{1}, Started: start, Finished: after(1)}
	running := Trial{Number: 0, State: Running, Started: start}
	second := Trial{Number: 0, State: Done, Values: []float64{2}, Started: after(2), Finished: after(3)}
	late := `{"op_code":6,"worker_id":"x","trial_id":0,"state":0,"values":null,"datetime_start":"2026-11-24T15:15:30.123456+00:00"}` + "\n"
	for i, step := range []struct {
		told   Trial
		trials int // of Optuna
	}{
		{running, 1},
		{Trial{Number: 0, State: Waiting}, 1}, // its worker died
		{running, 1},
		{first, 1},
		{first, 1},
		{running, 1}, // comes late
		{Trial{Number: 0, State: Waiting}, 2},
		{Trial{Number: 0, State: Waiting}, 2},
		{Trial{Number: 0, State: Running, Started: after(2)}, 2},
		{second, 2},
		{second, 2},
		{first, 3}, // taken back
	} {
		if err := j.Append(t.Context(), step.told); err != nil {
			t.Fatal(err)
		}
		m := mirrorOf(t, path, study.Name)
		got := m.told[m.latest[0]]
		if m.trials != step.trials || (got.state != step.told.State || !slices.Equal(got.values, step.told.Values)) && i != 5 {
			t.Errorf("step %d: %d trials, %+v", i, m.trials, got)
		}
		if i == 4 {
			add(t, path, late) // as Optuna does, it changes nothing
		}
	}
}

// What is told twice is written once, NaN among it, which equals nothing.
func TestToldTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	study := sampleStudy()
	var trials []Trial
	for _, trial := range sampleTrials() {
		trials = append(trials, onTheWay(trial, len(trial.Curve)+1), trial)
	}
	trials[2].Attrs = map[string]any{"nan": math.NaN(), "infinite": math.Inf(-1), "one": 1.0, "list": []any{1, "x"}}
	tell(t, path, study, trials[2])
	once := read(t, path)
	tell(t, path, study, trials[2])
	if got := read(t, path); !bytes.Equal(got, once) {
		t.Errorf("told again: %s", got[len(once):])
	}
	tell(t, path, study, trials...)
	once = read(t, path)
	for i := 1; i < len(trials); i += 2 {
		tell(t, path, study, trials[i])
	}
	if got := read(t, path); !bytes.Equal(got, once) {
		t.Errorf("told again: %s", got[len(once):])
	}
}

// A dashboard deletes the study; the sweep begins it again, with new ids.
func TestStudyDeleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	study, trials := sampleStudy(), sampleTrials()
	j := open(t, path, study)
	if err := j.Append(t.Context(), trials[0], trials[7]); err != nil {
		t.Fatal(err)
	}
	add(t, path, `{"op_code":1,"worker_id":"x","study_id":0}`+"\n")
	if err := j.Append(t.Context(), trials[7]); err != nil {
		t.Fatal(err)
	}
	m := mirrorOf(t, path, study.Name)
	if m.study != 1 || m.trials != 3 || m.latest[7] != 2 || len(m.told) != 1 || m.told[2].state != Running {
		t.Errorf("study %d, %d trials, %v", m.study, m.trials, m.latest)
	}
	add(t, path, `{"op_code":1,"worker_id":"x","study_id":1}`+"\n")
	if err := j.Append(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m := mirrorOf(t, path, study.Name); m.study != 2 {
		t.Errorf("study %d: ids of deleted ones are not given again", m.study)
	}
}

// Several processes on one file: each trial is told once.
func TestManyWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	study := sampleStudy()
	const writers, each = 4, 12
	var group sync.WaitGroup
	var want []Trial
	for w := range writers {
		for i := range each {
			want = append(want, Trial{Number: i*writers + w, State: Done, Values: []float64{float64(w)}, Started: start, Finished: after(i)})
		}
		group.Go(func() {
			j, err := Open(t.Context(), path, study)
			for i := 0; err == nil && i < each; i++ {
				done := want[w*each+i]
				err = errors.Join(
					j.Append(t.Context(), Trial{Number: done.Number, State: Running, Started: start}),
					j.Append(t.Context(), done))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	wantTold(t, path, study, want)
	if m := mirrorOf(t, path, study.Name); m.trials != len(want) {
		t.Errorf("%d trials, want %d", m.trials, len(want))
	}
	onlyFile(t, path)
}

func TestRefused(t *testing.T) {
	good := string(read(t, "testdata/export.journal"))
	study := func(change func(*Study)) Study {
		s := sampleStudy()
		change(&s)
		return s
	}
	same := study(func(*Study) {})
	for name, test := range map[string]struct {
		file  string
		study Study
		want  string
	}{
		"another file":    {"name: mnist\n", same, "line 1: not an operation of an Optuna journal"},
		"without an end":  {"hello", same, "line 1: not an operation"},
		"other JSON":      {`{"a": 1}` + "\n", same, "line 1: not an operation"},
		"damaged":         {strings.Replace(good, `"state":1`, `"state:1`, 1), same, "line 5: not an operation"},
		"no trial":        {good + `{"op_code":5,"worker_id":""}` + "\n" + good, same, "line 15: not an operation"},
		"later Optuna":    {good + `{"op_code":11,"worker_id":""}` + "\n", same, "line 15: operation 11, which Optuna 5.0 does not have"},
		"a word":          {good + `{"op_code":"x"}` + "\n" + good, same, "line 15: not an operation"},
		"more objectives": {good, study(func(s *Study) { s.Maximize, s.Metrics = []bool{false, true}, nil }), "different objectives; choose another file"},
		"other direction": {good, study(func(s *Study) { s.Maximize = []bool{true} }), "different objectives"},
		"other options":   {good, study(func(s *Study) { s.Space[6].Options = []string{"a", "b", "c"} }), `parameter "model.encoder" of a different kind`},
		"other kind":      {good, study(func(s *Study) { s.Space[5].Kind = Float }), `parameter "seed" of a different kind`},
		"no logarithm":    {good, study(func(s *Study) { s.Space[0].Log = false }), `parameter "train.learning_rate" of a different kind`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			if err := os.WriteFile(path, []byte(test.file), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Open(t.Context(), path, test.study)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if string(read(t, path)) != test.file {
				t.Error("the file has changed")
			}
			onlyFile(t, path)
		})
	}
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, same); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a pipe: %v", err)
	}
	path = filepath.Join(t.TempDir(), "no folder", "journal")
	if _, err := Open(t.Context(), path, same); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	// Wider bounds, and one parameter more, are no clash in Optuna.
	wider := study(func(s *Study) {
		s.Space[0].Low = 1e-5
		s.Space = append(s.Space, Parameter{Name: "more", Kind: Float, High: 1})
	})
	open(t, copyOf(t, "testdata/export.journal"), wider)
}

func TestChecks(t *testing.T) {
	for want, change := range map[string]func(*Study, *Trial){
		"no name":            func(s *Study, _ *Trial) { s.Name = "" },
		"no objective":       func(s *Study, _ *Trial) { s.Maximize = nil },
		"2 names for them":   func(s *Study, _ *Trial) { s.Metrics = []string{"a", "b"} },
		"two parameters":     func(s *Study, _ *Trial) { s.Space = append(s.Space, s.Space[0]) },
		"no options":         func(s *Study, _ *Trial) { s.Space[6].Options = nil },
		"is above high":      func(s *Study, _ *Trial) { s.Space[1].Low = math.NaN() },
		"whole numbers":      func(s *Study, _ *Trial) { s.Space[5].Low = 0.5 },
		"needs low above 0":  func(s *Study, _ *Trial) { s.Space[0].Low = 0 },
		"step -1 is below":   func(s *Study, _ *Trial) { s.Space[1].Step = -1 },
		"start at 0":         func(_ *Study, t *Trial) { t.Number = -1 },
		"unknown state 9":    func(_ *Study, t *Trial) { t.State = 9 },
		`"x" is not a param`: func(_ *Study, t *Trial) { t.Params = map[string]float64{"x": 1} },
		"cannot be 3":        func(_ *Study, t *Trial) { t.Params = map[string]float64{"model.encoder": 3} },
		"cannot be 0.5":      func(_ *Study, t *Trial) { t.Params = map[string]float64{"seed": 0.5} },
		"cannot be NaN":      func(_ *Study, t *Trial) { t.Params = map[string]float64{"corrupt.noise_factor": math.NaN()} },
		"0 values for 1":     func(_ *Study, t *Trial) { t.Values = nil },
		"2 values for 1":     func(_ *Study, t *Trial) { t.State, t.Values = Pruned, []float64{1, 2} },
		"has no start time":  func(_ *Study, t *Trial) { t.State, t.Started = Running, time.Time{} },
		"has no finish time": func(_ *Study, t *Trial) { t.Finished = time.Time{} },
		`user_attrs: f: `:    func(_ *Study, t *Trial) { t.Attrs = map[string]any{"f": func() {}} },
		`attribute "h": `:    func(s *Study, _ *Trial) { s.Attrs = map[string]any{"g": []float64{}, "h": []any{math.NaN()}} },
	} {
		study, trial := sampleStudy(), Trial{State: Done, Values: []float64{1}, Started: start, Finished: start}
		change(&study, &trial)
		path := filepath.Join(t.TempDir(), "journal")
		err := Export(t.Context(), path, study, []Trial{trial})
		j, err2 := Open(t.Context(), path, study)
		if err2 == nil {
			err2 = j.Append(t.Context(), trial)
		}
		for _, err := range []error{err, err2} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	take := map[string]func() error{
		"a link of Optuna's": func() error { return os.Symlink("relative/journal", path+".lock") },
		"a file of Optuna's": func() error { return os.WriteFile(path+".lock", nil, 0o600) },
	}
	for name, take := range take {
		if err := take(); err != nil {
			t.Fatal(err)
		}
		// Held by one that lives: whoever does not want to wait gets its own error, with the lock's name.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := Open(ctx, path, sampleStudy())
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), path+".lock") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: the journal was written", name)
		}
		// Left behind by one that died: nobody waits for ever.
		l := lock{journal: path, grace: 30 * time.Millisecond}
		if err := l.acquire(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// It was held for too long, and another process has it.
		other := lock{journal: path, grace: 30 * time.Millisecond}
		if err := other.acquire(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := l.release(); err == nil || !strings.Contains(err.Error(), "was removed while") {
			t.Errorf("%s: %v", name, err)
		}
		if err := other.release(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	tell(t, path, sampleStudy())
	onlyFile(t, path)
}

// A file that somebody replaced or removed is read anew.
func TestReplacedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	study, trials := sampleStudy(), sampleTrials()
	j := open(t, path, study)
	if err := j.Append(t.Context(), trials[:4]...); err != nil {
		t.Fatal(err)
	}
	// Somebody exports over it what has more; and deletes it.
	if err := Export(t.Context(), path, study, trials[2:]); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(t.Context(), trials[1:3]...); err != nil {
		t.Fatal(err)
	}
	wantTold(t, path, study, trials[1:])
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(t.Context(), trials...); err != nil {
		t.Fatal(err)
	}
	wantTold(t, path, study, trials)
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// Hostile bytes are an error or a journal, never a panic.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"testdata/export.journal", "testdata/optuna.journal"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"op_code":4,"study_id":0,"state":-1,"values":[NaN,"x"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMirror("noise × rate")
		size, _, err := m.read(bytes.NewReader(data))
		if size > int64(len(data)) || err == nil && size > 0 && data[size-1] != '\n' {
			t.Errorf("%d bytes of %d, %v", size, len(data), err)
		}
	})
}

func TestLongLine(t *testing.T) {
	m := newMirror("")
	endless := &repeated{left: 2 * maxLine}
	if _, _, err := m.read(endless); err == nil || !strings.Contains(err.Error(), "longer than 64 MiB") {
		t.Errorf("%v", err)
	}
}

type repeated struct{ left int }

func (r *repeated) Read(p []byte) (int, error) {
	n := min(len(p), r.left)
	r.left -= n
	return n, nil
}

// BenchmarkAppend tells a trial's start, one report, and its end, in a journal of 10,000 trials.
func BenchmarkAppend(b *testing.B) {
	path := filepath.Join(b.TempDir(), "journal")
	study := sampleStudy()
	var trials []Trial
	for i := range 10_000 {
		trial := sampleTrials()[0]
		trial.Number = i
		trials = append(trials, trial)
	}
	if err := Export(b.Context(), path, study, trials); err != nil {
		b.Fatal(err)
	}
	j, err := Open(b.Context(), path, study)
	if err != nil {
		b.Fatal(err)
	}
	for n := 10_000; b.Loop(); n++ {
		done := sampleTrials()[0]
		done.Number = n
		running := done
		running.State, running.Curve = Running, nil
		report := running
		report.Curve = done.Curve[:1]
		for _, trial := range []Trial{running, report, done} {
			if err := j.Append(b.Context(), trial); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// wantTold wants the journal to say of each trial, in its last copy, what is known of it, and to have no other copies.
func wantTold(t *testing.T, path string, study Study, trials []Trial) {
	t.Helper()
	m := mirrorOf(t, path, study.Name)
	if len(m.latest) != len(trials) {
		t.Errorf("%d trials, want %d", len(m.latest), len(trials))
	}
	numbered := 0
	for _, trial := range m.told {
		if trial.numbered {
			numbered++
		}
	}
	if numbered != len(trials) {
		t.Errorf("%d trials of Optuna, want %d", numbered, len(trials))
	}
	for _, trial := range trials {
		got := m.told[m.latest[trial.Number]]
		if got == nil {
			t.Errorf("trial %d is not there", trial.Number)
			continue
		}
		state, values := study.outcome(&trial)
		curve := map[int]float64{}
		for _, report := range trial.Curve {
			curve[report.Step] = report.Value
		}
		attrs := 1 + len(trial.Attrs)
		equal := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
		if got.state != state || !slices.Equal(got.values, values) || !maps.Equal(got.params, trial.Params) ||
			!maps.EqualFunc(got.curve, curve, equal) || len(got.attrs) != attrs {
			t.Errorf("trial %d is told as %+v", trial.Number, got)
		}
	}
}

func mirrorOf(t *testing.T, path, name string) *mirror {
	t.Helper()
	m := newMirror(name)
	size, torn, err := m.read(bytes.NewReader(read(t, path)))
	if err != nil || torn || size != int64(len(read(t, path))) {
		t.Fatalf("reading %s: %d bytes, torn %v, %v", path, size, torn, err)
	}
	return m
}

func open(t *testing.T, path string, study Study) *Journal {
	t.Helper()
	j, err := Open(t.Context(), path, study)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func tell(t *testing.T, path string, study Study, trials ...Trial) {
	t.Helper()
	if err := open(t, path, study).Append(t.Context(), trials...); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func copyOf(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(to, read(t, path), 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}

func add(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, append(read(t, path), text...), 0o644); err != nil {
		t.Fatal(err)
	}
}

// onlyFile wants neither a lock nor a temporary file beside it.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v beside the journal, %v", entries, err)
	}
}
