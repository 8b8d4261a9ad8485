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

func newRun(t *testing.T) *Run {
	t.Helper()
	run, err := Create(t.TempDir(), "trial", time.Date(2026, 11, 24, 10, 15, 30, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	return run
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 11, 24, 10, 15, 30, 0, time.UTC)
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
		dir:                           "is not the folder of a run",
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
		`{"version": 2}`: "this program reads version 1",
		`{"version": 1,`: "unexpected end",
		``:               "unexpected end",
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

func encoded(t testing.TB, c Checkpoint) []byte {
	var out bytes.Buffer
	if err := c.encode(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Every byte of a checkpoint is guarded: none can be changed, and the file be cut nowhere, without an error.
func TestDamagedCheckpoint(t *testing.T) {
	data := encoded(t, sample(5))
	for i := range data {
		if _, err := decodeCheckpoint(data[:i]); err == nil {
			t.Errorf("read a checkpoint cut off after %d of %d bytes", i, len(data))
		}
		for bit := range 8 {
			flipped := slices.Clone(data)
			flipped[i] ^= 1 << bit
			if _, err := decodeCheckpoint(flipped); err == nil {
				t.Errorf("read a checkpoint with bit %d of byte %d flipped", bit, i)
			}
		}
	}
	if _, err := decodeCheckpoint(append(slices.Clone(data), 0)); err == nil {
		t.Error("read a checkpoint with a byte after its end")
	}
}

// A file whose checksum agrees can still be hostile: it may not make the reader panic or take memory beyond its own size.
func FuzzDecodeCheckpoint(f *testing.F) {
	sign := func(body []byte) []byte {
		digest := sha256.Sum256(body)
		return append(slices.Clone(body), digest[:]...)
	}
	whole := encoded(f, sample(5))
	f.Add(whole[:len(whole)-sha256.Size])
	for _, dims := range []string{"[4611686018427387904,4]", "[-1]", "[2147483647,2147483647]", "[0,9223372036854775807]", "null"} {
		head := `{"step":1,"dtype":"float32","tensors":[{"name":"x","dims":` + dims + `}]}`
		body := append(slices.Clone(checkpointMagic), byte(len(head)), 0, 0, 0, 0, 0, 0, 0)
		f.Add(append(body, head...))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := decodeCheckpoint(sign(body))
		if err != nil {
			return
		}
		count := 0
		for _, tensor := range c.Tensors {
			count += len(tensor.Values)
		}
		if 4*count > len(body) {
			t.Errorf("%d values out of %d bytes", count, len(body))
		}
	})
}

func TestKeepsNewestAndFallsBack(t *testing.T) {
	run := newRun(t)
	for step := 100; step <= 500; step += 100 {
		if err := run.SaveCheckpoint(sample(step), step == 200, 3); err != nil {
			t.Fatal(err)
		}
	}
	names, err := run.steps()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{stepName(300), stepName(400), stepName(500)}; !slices.Equal(names, want) {
		t.Errorf("kept %q, want %q", names, want)
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
	if err := os.WriteFile(run.CheckpointPath(300), []byte("not a checkpoint, but long enough to be looked at twice"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, warnings, err := run.LatestCheckpoint(); !errors.Is(err, ErrNoCheckpoint) || len(warnings) != 3 {
		t.Errorf("with nothing usable: %v and %q, want ErrNoCheckpoint and three warnings", err, warnings)
	}
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
		if err := os.Remove(run.metricsPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
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
		written, err := os.ReadFile(run.metricsPath())
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
		if err := os.WriteFile(run.metricsPath(), written[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		if err := run.RewindMetrics(to); err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadFile(run.metricsPath())
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

func TestMetricsErrors(t *testing.T) {
	run := newRun(t)
	if err := os.WriteFile(run.metricsPath(), []byte("{\"kind\":\"window\",\"step\":1}\n{\"kind\":\"dream\"}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run.Metrics(); err == nil || !strings.Contains(err.Error(), `metrics.jsonl:2: unknown kind "dream"`) {
		t.Errorf("error is %v, want the file, the line and the kind", err)
	}
}
