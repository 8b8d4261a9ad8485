package notebook

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"latent/pkg/array"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
	"latent/pkg/sweep"
)

// recorder is a page that keeps what was shown last with each id.
type recorder struct {
	t        *testing.T
	texts    map[string]string
	pictures map[string]image.Image
	shown    int
	err      error
}

func newRecorder(t *testing.T) *recorder {
	return &recorder{t: t, texts: map[string]string{}, pictures: map[string]image.Image{}}
}

func (r *recorder) picture(id string, data []byte) error {
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		r.t.Errorf("picture %q: %v", id, err)
	}
	r.pictures[id] = picture
	r.shown++
	return r.err
}

func (r *recorder) text(id, plain, _ string) error {
	r.texts[id] = plain
	r.shown++
	return r.err
}

const tiny = `
name: tiny
data: {dataset: glyphs, train: 300, test: 50, validation: 50}
model: {kind: dense, encoder: [16, 8], decoder: [16]}
train: {batch_size: 50, epochs: 3}
backend: go
`

func load(t *testing.T, overrides ...string) *config.Experiment {
	t.Helper()
	t.Setenv("GOMLX_BACKEND", "")
	e, err := config.Parse("tiny.yaml", []byte(tiny), append(overrides, "output.dir="+t.TempDir())...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A run in a cell ends with the weights of one without it, what it told is on the screen, and the curve is there. What is shown of
// it afterwards are its figures, and the picture of its end.
func TestRun(t *testing.T) {
	p := newRecorder(t)
	shown, err := run(t.Context(), p, "1", load(t))
	if err != nil {
		t.Fatal(err)
	}
	other, err := experiment.Run(t.Context(), load(t), experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := checksum(t, shown), checksum(t, other); got != want {
		t.Errorf("weights %s, want %s", got, want)
	}
	for _, want := range []string{"tiny: ", "epoch 3/3", "PSNR", "final.png"} {
		if !strings.Contains(p.texts["progress-1"], want) {
			t.Errorf("the screen has no %q:\n%s", want, p.texts["progress-1"])
		}
	}
	if strings.ContainsAny(p.texts["progress-1"], "\r\x1b") {
		t.Errorf("the screen has control characters:\n%q", p.texts["progress-1"])
	}
	if p.pictures["loss-1"] == nil {
		t.Error("no curve")
	}

	p = newRecorder(t)
	if err := show(p, shown); err != nil {
		t.Fatal(err)
	}
	manifest, err := shown.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if psnr := manifest.Result.Test["psnr"]; !strings.Contains(p.texts[""], Figures(manifest.Result).Rows[2][1]) || psnr < 1 {
		t.Errorf("PSNR %v is not in\n%s", psnr, p.texts[""])
	}
	data, err := os.ReadFile(filepath.Join(shown.Path, "samples", "final.png"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if got := p.pictures[""].Bounds().Size(); got != image.Pt(want.Width, want.Height) {
		t.Errorf("a picture of %v, want that of the end, %dx%d", got, want.Width, want.Height)
	}
	if _, err := Curves("val_psnr", shown, other); err != nil {
		t.Error(err)
	}
	if _, err := Curves("psnr", shown); err == nil || !strings.Contains(err.Error(), "val_psnr") {
		t.Errorf("curves of an unknown figure: %v", err)
	}
}

func checksum(t *testing.T, run *rundir.Run) string {
	t.Helper()
	_, epochs, err := run.Metrics()
	if err != nil || len(epochs) == 0 {
		t.Fatalf("%d epochs, %v", len(epochs), err)
	}
	return epochs[len(epochs)-1].StateSHA256
}

// A cell that cannot be written to ends the run with that error, and a run that is interrupted says so.
func TestRunFails(t *testing.T) {
	p := newRecorder(t)
	p.err = errors.New("no pipe")
	if _, err := run(t.Context(), p, "1", load(t)); !errors.Is(err, p.err) {
		t.Errorf("a page that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := run(ctx, newRecorder(t), "1", load(t)); !errors.Is(err, experiment.ErrInterrupted) && !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// A sweep in a cell shows its table and its history.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GOMLX_BACKEND", "")
	c, err := config.ParseSweep(filepath.Join(dir, "s.yaml"), []byte("base: tiny.yaml\nspace: {train.learning_rate: {loguniform: [1e-4, 1e-2]}}\nobjective: {metric: val_loss}\nbudget: {trials: 3}\ndir: "+dir), []byte(tiny))
	if err != nil {
		t.Fatal(err)
	}
	s, err := sweep.Create(t.Context(), c, "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := newRecorder(t)
	if err := runSweep(t.Context(), p, "1", s); err != nil {
		t.Fatal(err)
	}
	if table := p.texts["table-1"]; !strings.Contains(table, "3 done") || !strings.Contains(table, "best") {
		t.Errorf("the table at the end:\n%s", table)
	}
	if p.pictures["history-1"] == nil {
		t.Error("no history")
	}
	s.Config.Workers = 2
	if err := Sweep(t.Context(), s); err == nil || !strings.Contains(err.Error(), "workers: 1") {
		t.Errorf("with two workers: %v", err)
	}
}

// In a plain program, text goes out as it is, and pictures to files.
func TestPlain(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	p := &plain{out: &out}
	images := &dataset.Samples{Height: 2, Width: 3, Channels: 1, Values: array.Values{Uint8: make([]uint8, 2*3*120)}}
	if err := show(p, "text", 3.5, Table{Head: []string{"a", "long"}, Rows: [][]string{{"long", "σ"}}}, images, image.NewGray(image.Rect(0, 0, 4, 5))); err != nil {
		t.Fatal(err)
	}
	before, files, found := strings.Cut(out.String(), "picture  ")
	if want := "text\n3.5\na     long\nlong  σ\n"; before != want || !found {
		t.Errorf("shown\n%s, want\n%s", before, want)
	}
	for i, path := range strings.Split(strings.TrimSpace(files), "\npicture  ") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		config, err := png.DecodeConfig(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 && (config.Width != 4 || config.Height != 5) {
			t.Errorf("the second picture is %dx%d, want 4x5", config.Width, config.Height)
		}
	}
	if err := show(p, []byte("GIF89a")); err == nil || !strings.Contains(err.Error(), "no PNG") {
		t.Errorf("bytes that are no PNG: %v", err)
	}
}

// A screen has what a terminal would have, and is not shown for every letter.
func TestScreen(t *testing.T) {
	p := newRecorder(t)
	now := time.Unix(0, 0)
	s := &screen{page: p, id: "s", pause: time.Second, now: func() time.Time { return now }}
	for i, text := range []string{"first\n", "\r\x1b[Kepoch 1 ░░", "\r\x1b[Kepoch 1 █░", "\r\x1b[Kepoch 1 done\n", "one\ntwo", " and more\n", "\r\x1b[Khalf"} {
		now = time.Unix(0, int64(i)*int64(300*time.Millisecond))
		if _, err := s.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if p.shown > 3 {
		t.Errorf("shown %d times in 1.8 seconds, want one a second", p.shown)
	}
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	if got, want := p.texts["s"], "first\nepoch 1 done\none\ntwo and more\nhalf\n"; got != want {
		t.Errorf("the screen is\n%q, want\n%q", got, want)
	}
}

// What is in a table is text in HTML too.
func TestTableHTML(t *testing.T) {
	html := Table{Head: []string{"<b>"}, Rows: [][]string{{"a & b"}}}.HTML()
	if strings.Contains(html, "<b>") || !strings.Contains(html, "<th>&lt;b&gt;</th>") || !strings.Contains(html, "<td>a &amp; b</td>") {
		t.Errorf("HTML %s", html)
	}
}
