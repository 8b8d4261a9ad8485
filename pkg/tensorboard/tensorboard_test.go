package tensorboard

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"io"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"latent/pkg/pythontest"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// open opens a folder's events, and closes them with the test.
func openAt(t *testing.T, dir string, step int) *Writer {
	t.Helper()
	w, err := Open(dir, step)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// The checksum of the RFC 3720's 32 zeros is 0x8a9136aa; masked it is this.
func TestMasked(t *testing.T) {
	crc := uint32(0x8a9136aa)
	if got, want := masked(make([]byte, 32)), bits.RotateLeft32(crc, 17)+0xa282ead8; got != want {
		t.Errorf("masked %#x, want %#x", got, want)
	}
}

func records(t *testing.T, dir string) (events [][]byte, rest int) {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	reader := bytes.NewReader(file)
	for {
		left := reader.Len()
		e, err := readRecord(reader)
		if errors.Is(err, io.EOF) {
			return events, left
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
}

// A run that goes on from a step has each step once, whatever the one before wrote after it, and however its last record was cut off.
func TestGoesOn(t *testing.T) {
	for cut := range 40 {
		dir := t.TempDir()
		w := openAt(t, dir, 0)
		for step := 1; step <= 4; step++ {
			if err := w.Scalars(step, noon, map[string]float64{"loss": float64(step)}); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, fileName)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, whole[:len(whole)-cut], 0o644); err != nil {
			t.Fatal(err)
		}
		w = openAt(t, dir, 2)
		if err := w.Scalars(3, noon, map[string]float64{"loss": 30}); err != nil {
			t.Fatal(err)
		}
		events, rest := records(t, dir)
		var steps []int64
		for _, e := range events {
			steps = append(steps, stepOf(e))
		}
		if !reflect.DeepEqual(steps, []int64{0, 1, 2, 3}) || rest != 0 {
			t.Fatalf("cut off %d bytes: steps %v and %d bytes", cut, steps, rest)
		}
	}
}

// A damaged record ends what is read, and takes no more memory than the file has.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	w := openAt(t, dir, 0)
	if err := w.Scalars(1, noon, map[string]float64{"loss": 1}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, fileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0x40
		if e, err := readRecord(bytes.NewReader(damaged)); err == nil && i < 12+len(e)+4 {
			t.Fatalf("byte %d was changed, and a record read", i)
		}
	}
	huge := binary.LittleEndian.AppendUint64(nil, 1<<40)
	huge = binary.LittleEndian.AppendUint32(huge, masked(huge))
	if _, err := readRecord(bytes.NewReader(huge)); !errors.Is(err, io.EOF) {
		t.Errorf("a record of 2⁴⁰ bytes: %v", err)
	}
	// A link in its place is not followed.
	if err := errors.Join(os.Remove(path), os.Symlink("/dev/zero", path)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, 1); err == nil {
		t.Error("a link was read")
	}
}

// TensorBoard reads what was written.
func TestTensorBoard(t *testing.T) {
	python := pythontest.Interpreter(t, "testdata/requirements.txt")
	dir := t.TempDir()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 7, 3))); err != nil {
		t.Fatal(err)
	}
	run := openAt(t, filepath.Join(dir, "run"), 0)
	parameters := map[string]any{"train.learning_rate": 1e-3, "train.epochs": 3, "model.kind": "dense", "tied": true}
	above := openAt(t, dir, 0)
	for _, err := range []error{
		above.Experiment(noon, parameters, []string{"validation/loss"}),
		run.Start(noon, "trial 3", parameters),
		run.Scalars(60, noon, map[string]float64{"loss/train": 0.5, "validation/loss": 0.25}),
		run.Scalars(120, noon.Add(time.Second), map[string]float64{"loss/train": 0.125}),
		run.Picture(120, noon, "samples", picture.Bytes()),
		run.Histograms(120, noon, map[string][]float32{"weights": {-1, 0, 0.5, 3}, "equal": {2, 2}, "none": nil}),
		run.End(noon, true),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	output, err := exec.Command(python, "testdata/read.py", dir).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	var got, want any
	if err := json.Unmarshal(output, &got); err != nil {
		t.Fatal(err)
	}
	const at = "1795521600.0"
	err = json.Unmarshal([]byte(`{
		"scalars": {"loss/train": [[60, 0.5, `+at+`], [120, 0.125, 1795521601.0]], "validation/loss": [[60, 0.25, `+at+`]]},
		"images": {"samples": [[120, 7, 3, `+jsonOf(picture.Len())+`]]},
		"histograms": {"weights": [[120, 4, 2.5, 4]], "equal": [[120, 2, 4, 2]], "none": [[120, 0, 0, 0]]},
		"hparams": {"train.learning_rate": 0.001, "train.epochs": 3, "model.kind": "dense", "tied": true},
		"group": "trial 3", "status": 1,
		"infos": {"train.learning_rate": 3, "train.epochs": 3, "model.kind": 1, "tied": 2},
		"metrics": ["validation/loss"]}`), &want)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("TensorBoard reads %s", output)
	}
}

func jsonOf(x any) string {
	text, err := json.Marshal(x)
	if err != nil {
		panic(err)
	}
	return string(text)
}
