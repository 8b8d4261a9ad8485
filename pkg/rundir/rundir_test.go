package rundir

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var startTime = time.Date(2026, 11, 24, 10, 15, 30, 0, time.UTC)

func newRun(t *testing.T) *Run {
	t.Helper()
	run, err := Create(t.TempDir(), "trial", startTime)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	return run
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	now := startTime
	paths := map[string]bool{}
	for range 20 { // in the same second
		run, err := Create(dir, "mnist-denoise", now)
		if err != nil {
			t.Fatal(err)
		}
		defer run.Close()
		if want := filepath.Join(dir, "mnist-denoise", "2026-11-24T10-15-30-"); !strings.HasPrefix(run.Path, want) {
			t.Errorf("%s does not begin with %s", run.Path, want)
		}
		paths[run.Path] = true
	}
	if len(paths) != 20 {
		t.Errorf("20 runs lie in %d folders", len(paths))
	}
	for _, name := range []string{"", ".", "..", "../up", "/etc", "a/b", `a\b`, ".hidden", "line\nbreak", strings.Repeat("x", 200)} {
		if run, err := Create(dir, name, now); err == nil {
			t.Errorf("made a run of the name %q in %s", name, run.Path)
		}
	}
}

func TestSampleNames(t *testing.T) {
	run := newRun(t)
	for _, name := range []string{"final", "epoch-0010", "epoch-0000", "epoch-0001"} {
		if err := run.SaveSample(name, []byte("png of "+name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(run.Path, samplesDir)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"final", "epoch-0010", "epoch-0000", "epoch-0001"} {
		if err := run.SaveSample(name, []byte("png of "+name)); err != nil {
			t.Fatalf("after the pictures were removed: %v", err)
		}
	}
	if err := run.SaveSample("../../escaped", nil); err == nil {
		t.Error("wrote a picture outside the run's folder")
	}
	samples, err := run.Samples()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, sample := range samples {
		names = append(names, sample.Name)
	}
	if want := []string{"epoch-0000", "epoch-0001", "epoch-0010", "final"}; !slices.Equal(names, want) {
		t.Errorf("pictures are %q, want %q", names, want)
	}
}

func TestLock(t *testing.T) {
	run := newRun(t)
	if err := run.WriteManifest(NewManifest()); err != nil {
		t.Fatal(err)
	}
	other, err := Open(run.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("locking a run that is being written: %v, want ErrLocked", err)
	}
	if err := run.Close(); err != nil {
		t.Fatal(err)
	}
	if err := other.Lock(); err != nil {
		t.Errorf("locking a run that was closed: %v", err)
	}
	other.Close()
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"): "no such file",
		file:                          "is a file",
		dir:                           "it is not a run's folder",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("opening %s: %v, want %q", path, err, want)
		}
	}
}

func TestManifest(t *testing.T) {
	run := newRun(t)
	m := NewManifest()
	m.Name, m.Seed, m.State = "trial", 42, Diverged
	m.Timings["train"] = 1.5
	m.Result.Test = map[string]Number{"mse": 0.03, "psnr": Number(math.Inf(1))}
	m.Result.TrainLoss = Number(math.NaN())
	if err := run.WriteManifest(m); err != nil {
		t.Fatal(err)
	}
	got, err := run.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if !math.IsNaN(float64(got.Result.TrainLoss)) || !math.IsNaN(float64(got.Result.Test["psnr"])) {
		t.Errorf("figures that are not finite came back as %v and %v, want NaN", got.Result.TrainLoss, got.Result.Test["psnr"])
	}
	got.Result, m.Result = Result{}, Result{}
	if !reflect.DeepEqual(got, m) {
		t.Errorf("read %+v, wrote %+v", got, m)
	}

	for contents, want := range map[string]string{
		`{"version": 2}`:  "this program reads version 1",
		`{"version": 1,`:  "damaged: truncated after 14 bytes; restore it from a copy, or train again from " + run.ConfigPath(),
		``:                "damaged: truncated after 0 bytes",
		"{\n\"seed\": x}": "damaged: line 2: invalid character 'x'",
	} {
		if err := os.WriteFile(run.ManifestPath(), []byte(contents), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := run.Manifest(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), run.ManifestPath()) {
			t.Errorf("manifest %q: %v, want its path and %q", contents, err, want)
		}
	}
}

// A checkpoint comes back bit for bit, NaNs and zeros of both signs included.
func TestCheckpointRoundTrip(t *testing.T) {
	run := newRun(t)
	rapid.Check(t, func(t *rapid.T) {
		c := Checkpoint{Step: rapid.IntRange(0, 999_999_999).Draw(t, "step"), Meta: json.RawMessage(`{"epoch":3}`)}
		for range rapid.IntRange(0, 4).Draw(t, "tensors") {
			dims := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 3).Draw(t, "dims")
			count := 1
			for _, dim := range dims {
				count *= dim
			}
			bits := rapid.SliceOfN(rapid.Uint32(), count, count).Draw(t, "bits")
			values := make([]float32, count)
			for i, b := range bits {
				values[i] = math.Float32frombits(b)
			}
			c.Tensors = append(c.Tensors, Tensor{Name: rapid.String().Draw(t, "name"), Dims: dims, Values: values})
		}
		if err := run.SaveCheckpoint(c, true, 1); err != nil {
			t.Fatal(err)
		}
		latest, warnings, err := run.LatestCheckpoint()
		if err != nil || len(warnings) > 0 {
			t.Fatal(err, warnings)
		}
		best, err := run.BestCheckpoint()
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []*Checkpoint{latest, best} {
			if got.Step != c.Step || string(got.Meta) != string(c.Meta) || len(got.Tensors) != len(c.Tensors) {
				t.Fatalf("read %+v, wrote %+v", got, c)
			}
			for i, tensor := range c.Tensors {
				if !slices.Equal(got.Tensors[i].Dims, tensor.Dims) || got.Tensors[i].Name != strings.ToValidUTF8(tensor.Name, "\ufffd") ||
					!slices.EqualFunc(got.Tensors[i].Values, tensor.Values, sameBits) {
					t.Fatalf("read %+v, wrote %+v", got.Tensors[i], tensor)
				}
			}
		}
		if err := os.Remove(run.CheckpointPath(c.Step)); err != nil {
			t.Fatal(err)
		}
	})
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }

func sample(step int) Checkpoint {
	return Checkpoint{Step: step, Meta: json.RawMessage(`{}`), Tensors: []Tensor{
		{Name: "encoder0/weights", Dims: []int{2, 3}, Values: []float32{1, 2, 3, 4, 5, float32(step)}},
		{Name: "encoder0/biases", Dims: []int{3}, Values: []float32{7, 8, 9}},
	}}
}

func TestKeepsNewestAndFallsBack(t *testing.T) {
	run := newRun(t)
	for step := 100; step <= 500; step += 100 {
		if err := run.SaveCheckpoint(sample(step), step == 200, 3); err != nil {
			t.Fatal(err)
		}
	}
	if steps, err := run.steps(); err != nil || !slices.Equal(steps, []int{300, 400, 500}) {
		t.Errorf("kept the steps %v, %v, want 300, 400 and 500", steps, err)
	}
	if best, err := run.BestCheckpoint(); err != nil || best.Step != 200 {
		t.Errorf("the best checkpoint is %+v, %v, want that of step 200", best, err)
	}

	// Damage the newest, then the one before, then all.
	for i, want := range []int{400, 300} {
		if err := os.Truncate(run.CheckpointPath(want+100), 100); err != nil {
			t.Fatal(err)
		}
		c, warnings, err := run.LatestCheckpoint()
		if err != nil {
			t.Fatal(err)
		}
		if c.Step != want || len(warnings) != i+1 || !strings.Contains(warnings[0], stepName(500)) {
			t.Errorf("went on from step %d with warnings %q, want step %d", c.Step, warnings, want)
		}
	}
	if err := os.Rename(filepath.Join(run.Path, checkpointsDir, bestCheckpoint), run.CheckpointPath(400)); err != nil {
		t.Fatal(err)
	}
	if c, warnings, err := run.LatestCheckpoint(); err != nil || c.Step != 300 || !strings.Contains(warnings[1], "it holds step 200") {
		t.Errorf("with another step's file in place of step 400's: %+v, %q, %v", c, warnings, err)
	}
	if err := os.WriteFile(run.CheckpointPath(300), []byte("not a checkpoint, but long enough to be looked at twice"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, warnings, err := run.LatestCheckpoint(); !errors.Is(err, ErrNoCheckpoint) || len(warnings) != 3 {
		t.Errorf("with nothing usable: %v and %q, want ErrNoCheckpoint and three warnings", err, warnings)
	}
}

// A run that went back behind damaged checkpoints writes older ones than they are. Those must stay, and be found.
func TestGoesOnBehindDamage(t *testing.T) {
	for _, keep := range []int{1, 2} {
		run := newRun(t)
		for _, step := range []int{300, 400, 500} {
			if err := run.SaveCheckpoint(sample(step), false, 2); err != nil {
				t.Fatal(err)
			}
		}
		for _, step := range []int{400, 500} {
			if err := os.Truncate(run.CheckpointPath(step), 100); err != nil {
				t.Fatal(err)
			}
		}
		for _, step := range []int{100, 200, 300} {
			if err := run.SaveCheckpoint(sample(step), false, keep); err != nil {
				t.Fatal(err)
			}
			if c, warnings, err := run.LatestCheckpoint(); err != nil || c.Step != step || len(warnings) > 0 {
				t.Errorf("keeping %d, after step %d was saved: %+v, %q, %v", keep, step, c, warnings, err)
			}
		}
		if steps, err := run.steps(); err != nil || len(steps) != keep {
			t.Errorf("keeping %d left %v, %v", keep, steps, err)
		}
	}
}

// A run of a later program is not taken for a damaged one, and trained again from before it.
func TestRefusesOtherFormat(t *testing.T) {
	run := newRun(t)
	for _, step := range []int{100, 200} {
		if err := run.SaveCheckpoint(sample(step), false, 2); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(run.CheckpointPath(200))
	if err != nil {
		t.Fatal(err)
	}
	data[len(checkpointMagic)]++
	if err := os.WriteFile(run.CheckpointPath(200), sign(data[:len(data)-sha256.Size]), 0o644); err != nil {
		t.Fatal(err)
	}
	_, _, err = run.LatestCheckpoint()
	if err == nil || !strings.Contains(err.Error(), stepName(200)+": it has version 2, but this program reads version 1") {
		t.Errorf("error is %v, want the file and both versions", err)
	}
	// The version's byte alone is damage.
	if err := os.WriteFile(run.CheckpointPath(200), data, 0o644); err != nil {
		t.Fatal(err)
	}
	if c, warnings, err := run.LatestCheckpoint(); err != nil || c.Step != 100 || len(warnings) != 1 {
		t.Errorf("with a damaged version: %+v, %q, %v, want step 100 and a warning", c, warnings, err)
	}
}

// What a killed process was writing is removed by the next that writes, and by none that reads.
func TestHalfWrittenFiles(t *testing.T) {
	run := newRun(t)
	if err := run.WriteManifest(NewManifest()); err != nil {
		t.Fatal(err)
	}
	if err := run.SaveSample("epoch-0000", nil); err != nil {
		t.Fatal(err)
	}
	var halves []string
	for _, dir := range []string{".", checkpointsDir, samplesDir} {
		halves = append(halves, filepath.Join(run.Path, dir, temporaryPrefix+"123"))
	}
	kept := []string{filepath.Join(run.Path, "notes.txt"), filepath.Join(filepath.Dir(run.Path), temporaryPrefix+"123")}
	for _, path := range slices.Concat(halves, kept) {
		if err := os.WriteFile(path, []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	there := func(paths []string) (n int) {
		for _, path := range paths {
			if _, err := os.Stat(path); err == nil {
				n++
			}
		}
		return n
	}
	other, err := Open(run.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Lock(); !errors.Is(err, ErrLocked) || there(halves) != 3 {
		t.Errorf("%d of 3 files are left while another process writes, %v", there(halves), err)
	}
	run.Close()
	if err := other.Lock(); err != nil || there(halves) != 0 || there(kept) != 2 {
		t.Errorf("%d half-written files are left and %d of 2 others, %v", there(halves), there(kept), err)
	}
	other.Close()
}

// A write that fails in the middle leaves the old contents and no rest.
func TestFailedWriteLeavesOld(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("disk full")
	err := writeFile(path, func(w io.Writer) error {
		w.Write([]byte("half of the ne"))
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("error is %v, want %v", err, failure)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "old" {
		t.Errorf("the file holds %q, %v, want the old contents", data, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left %v", entries)
	}
}

// For every history of records, cut at every byte and rewound to every step, exactly the records up to that step are left.
func TestMetricsRewind(t *testing.T) {
	run := newRun(t)
	rapid.Check(t, func(t *rapid.T) {
		if err := os.Remove(run.MetricsPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		var ends []int // of the lines, in bytes
		var steps []int
		step := 0
		for range rapid.IntRange(1, 8).Draw(t, "lines") {
			var err error
			if step > 0 && rapid.Bool().Draw(t, "epoch") {
				psnr := Number(rapid.Float64Range(0, 40).Draw(t, "psnr"))
				err = run.AppendEpoch(Epoch{Epoch: step, Step: step, ValPSNR: &psnr})
			} else {
				step += rapid.IntRange(1, 50).Draw(t, "steps")
				err = run.AppendWindow(Window{Step: step, Loss: Number(rapid.Float64().Draw(t, "loss"))})
			}
			if err != nil {
				t.Fatal(err)
			}
			info, err := run.metrics.Stat()
			if err != nil {
				t.Fatal(err)
			}
			ends, steps = append(ends, int(info.Size())), append(steps, step)
		}
		run.metrics.Close()
		run.metrics = nil
		written, err := os.ReadFile(run.MetricsPath())
		if err != nil {
			t.Fatal(err)
		}

		cut := rapid.IntRange(0, len(written)).Draw(t, "cut")
		to := rapid.IntRange(0, step+1).Draw(t, "to")
		keep := 0
		for i := range ends {
			if ends[i] <= cut && steps[i] <= to {
				keep = ends[i]
			}
		}
		if err := os.WriteFile(run.MetricsPath(), written[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		if warnings, err := run.RewindMetrics(to); err != nil || len(warnings) > 0 {
			t.Fatal(err, warnings)
		}
		left, err := os.ReadFile(run.MetricsPath())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(left, written[:keep]) {
			t.Fatalf("cut at %d, rewound to step %d, left\n%s\nwant\n%s", cut, to, left, written[:keep])
		}
		windows, epochs, err := run.Metrics()
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(left, []byte("\n")); len(windows)+len(epochs) != lines {
			t.Fatalf("read %d records of %d lines", len(windows)+len(epochs), lines)
		}
	})
}

// A line damaged in the middle is dropped with a warning when the run goes on, and those after it are kept.
func TestMetricsDamage(t *testing.T) {
	run := newRun(t)
	lines := []string{`{"kind":"window","step":1}`, `{"kind":"win\x00\x00w","step":2}`, `{"kind":"epoch","step":3,"epoch":1}`}
	if err := os.WriteFile(run.MetricsPath(), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	warnings, err := run.RewindMetrics(3)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "metrics.jsonl:2: ") {
		t.Errorf("warnings %q, %v, want one that names line 2", warnings, err)
	}
	if windows, epochs, err := run.Metrics(); err != nil || len(windows) != 1 || len(epochs) != 1 {
		t.Errorf("left %v and %v, %v, want a window and an epoch", windows, epochs, err)
	}
}

// Neither endless lines nor many damaged ones fill the memory or the screen.
func TestMetricsOfNonsense(t *testing.T) {
	run := newRun(t)
	long := `{"kind":"window","step":1,"x":"` + strings.Repeat("x", 3*maxMetricsLine) + "\"}\n"
	text := long + strings.Repeat("?\n", 50) + `{"kind":"window","step":2}` + "\n" + long[:2*maxMetricsLine]
	if err := os.WriteFile(run.MetricsPath(), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run.Metrics(); err == nil || !strings.Contains(err.Error(), "metrics.jsonl:1: damaged: truncated after 1048576 bytes") {
		t.Errorf("error %v, want one of line 1", err)
	}
	warnings, err := run.RewindMetrics(3)
	if err != nil || len(warnings) != warningsShown+1 || !strings.Contains(warnings[warningsShown], "41 more") {
		t.Errorf("%q, %v, want %d warnings and one that counts the other 41", warnings, err, warningsShown)
	}
	if windows, epochs, err := run.Metrics(); err != nil || len(windows) != 1 || len(epochs) != 0 {
		t.Errorf("left %v and %v, %v, want a window", windows, epochs, err)
	}
}

func TestMetricsErrors(t *testing.T) {
	run := newRun(t)
	if err := os.WriteFile(run.MetricsPath(), []byte("{\"kind\":\"window\",\"step\":1}\n{\"kind\":\"dream\"}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run.Metrics(); err == nil || !strings.Contains(err.Error(), `metrics.jsonl:2: damaged: unknown kind "dream"; remove the line`) {
		t.Errorf("error is %v, want the file, the line and the kind", err)
	}
}

// A manifest may come from anywhere: what it says the program was is shown only where it is a name.
func TestProgram(t *testing.T) {
	for command, want := range map[string]string{
		"": "latent", "latent run a.yaml": "latent", "restorer-2 run": "restorer-2", "\x1b[2J run": "latent", "-x run": "latent", "a;b run": "latent",
	} {
		if got := Program(command); got != want {
			t.Errorf("%q: got %q, want %q", command, got, want)
		}
	}
}

// A reader that takes a few records at a time, while another process writes, gets each once, and a line that is not whole yet later.
func TestMetricsFrom(t *testing.T) {
	run, err := Create(t.TempDir(), "demo", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	place, read := int64(0), []int{}
	take := func(most int) {
		t.Helper()
		windows, epochs, after, err := run.MetricsFrom(place, most)
		if err != nil || len(windows)+len(epochs) > most {
			t.Fatalf("%d windows and %d epochs, want at most %d; error %v", len(windows), len(epochs), most, err)
		}
		for _, w := range windows {
			read = append(read, w.Step)
		}
		place = after
	}
	take(3) // there is no file
	for step := range 5 {
		if err := run.AppendWindow(Window{Step: step}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := run.metrics.WriteString(`{"kind":"window",`); err != nil {
		t.Fatal(err)
	}
	take(3)
	take(3)
	take(3)
	if _, err := run.metrics.WriteString(`"step":5}` + "\n" + `{"kind":"epoch","step":5}` + "\n"); err != nil {
		t.Fatal(err)
	}
	take(3)
	if want := []int{0, 1, 2, 3, 4, 5}; !slices.Equal(read, want) {
		t.Errorf("read %v, want %v", read, want)
	}
	if _, err := run.metrics.WriteString("damaged\n"); err != nil {
		t.Fatal(err)
	}
	if _, _, after, err := run.MetricsFrom(place, 3); err == nil || after != place {
		t.Errorf("a damaged line: place %d, want %d; error %v", after, place, err)
	}
}
