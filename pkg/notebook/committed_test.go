package notebook

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"latent/pkg/backend/backendtest"
	"latent/pkg/pythontest"
)

var update = flag.Bool("update", false, "execute the notebooks and commit their outputs anew")

// root is the repository's.
const root = "../.."

// book is a notebook file of format 4, as far as it is looked at.
type book struct {
	Cells    []bookCell     `json:"cells"`
	Metadata map[string]any `json:"metadata"`
	Format   int            `json:"nbformat"`
	Minor    int            `json:"nbformat_minor"`
}

type bookCell struct {
	ID       string         `json:"id"`
	Type     string         `json:"cell_type"`
	Metadata map[string]any `json:"metadata"`
	Source   lines          `json:"source"`
	Count    *int           `json:"execution_count,omitempty"`
	Outputs  []bookOutput   `json:"outputs,omitempty"`
}

type bookOutput struct {
	Type     string           `json:"output_type"`
	Name     string           `json:"name,omitempty"`
	Text     lines            `json:"text,omitempty"`
	Data     map[string]lines `json:"data,omitempty"`
	Metadata map[string]any   `json:"metadata,omitempty"`
}

// lines are a text that the file has in one piece, or in lines.
type lines string

func (l *lines) UnmarshalJSON(data []byte) error {
	var parts []string
	if err := json.Unmarshal(data, &parts); err != nil {
		var whole string
		err := json.Unmarshal(data, &whole)
		*l = lines(whole)
		return err
	}
	*l = lines(strings.Join(parts, ""))
	return nil
}

func (l lines) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(strings.SplitAfter(string(l), "\n"))
	return out.Bytes(), err
}

func readBook(t *testing.T, path string) book {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b book
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return b
}

// sources is the checksum of what a notebook executes. An execution leaves it in the metadata.
func (b book) sources() string {
	hash := sha256.New()
	for _, cell := range b.Cells {
		if cell.Type == "code" {
			fmt.Fprintf(hash, "%d %s", len(cell.Source), cell.Source)
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

const sourcesKey = "latent_sources_sha256"

func books(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "notebooks", "*.ipynb"))
	if err != nil || len(files) == 0 {
		t.Fatalf("notebooks: %v, %v", files, err)
	}
	return files
}

// The committed notebooks have the outputs of the cells that they have: all executed in order, without an error, and after the
// last change of a cell. They have pictures, as PNG.
func TestCommitted(t *testing.T) {
	for _, file := range books(t) {
		b := readBook(t, file)
		name := filepath.Base(file)
		if got, want := b.Metadata[sourcesKey], b.sources(); got != want {
			t.Errorf("%s: a cell was changed after the notebook was executed; LATENT_LONG=1 go test ./pkg/notebook -run Execute/%s -update", name, name)
		}
		count, pictures := 0, 0
		for _, cell := range b.Cells {
			if cell.Type != "code" {
				continue
			}
			count++
			if cell.Count == nil || *cell.Count != count {
				t.Errorf("%s: code cell %d was not executed in its turn", name, count)
			}
			for _, output := range cell.Outputs {
				if output.Type == "error" {
					t.Errorf("%s: code cell %d ended with an error", name, count)
				}
				if output.Data["image/png"] != "" {
					pictures++
				}
			}
		}
		if pictures == 0 {
			t.Errorf("%s shows no picture", name)
		}
		for path, want := range b.kept(t) {
			if got, err := os.ReadFile(filepath.Join(root, path)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s is another picture than that of %s (%v); LATENT_LONG=1 go test ./pkg/notebook -run Execute/%s -update", path, name, err, name)
			}
		}
	}
}

// The notebooks run from top to bottom with the real kernel, and show what is committed: the same texts with the same figures, but
// for times and names of folders, and the same pictures, but for what another processor's rounding changes.
func TestExecute(t *testing.T) {
	python := pythontest.Interpreter(t, "testdata/requirements.txt")
	backendtest.XLA(t)
	if os.Getenv("LATENT_DATA_DIR") == "" {
		t.Skip("SKIPPED: MNIST's files are not there; set LATENT_DATA_DIR")
	}
	env := kernel(t)
	dir := checkout(t)
	for _, file := range books(t) {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(python, "-m", "nbconvert", "--to", "notebook", "--execute", "--output-dir", t.TempDir(), "--output", "executed.ipynb", filepath.Join(dir, "notebooks", name))
			cmd.Env = env
			executed := filepath.Join(cmd.Args[7], "executed.ipynb")
			if output, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			got := readBook(t, executed)
			got.clean()
			if *update {
				got.write(t, file)
				return
			}
			compareBooks(t, readBook(t, file), got)
		})
	}
}

// kernel builds GoNB and installs it as a kernel of its own, and returns the environment that Jupyter finds it in.
func kernel(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	env := append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "JUPYTER_DATA_DIR="+filepath.Join(dir, "jupyter"), "GOFLAGS=")
	for _, args := range [][]string{
		{"go", "build", "-o", dir, "github.com/janpfeifer/gonb", "golang.org/x/tools/cmd/goimports"},
		{filepath.Join(dir, "gonb"), "--install", "--force_deps", "--raw_error=true"},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir, cmd.Env = root, env
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, output)
		}
	}
	return env
}

// checkout is the repository in another folder, so that what the notebooks leave is not in this one.
func checkout(t *testing.T) string {
	t.Helper()
	from, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "pkg", "configs"} {
		if err := os.Symlink(filepath.Join(from, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "notebooks"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range books(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "notebooks", filepath.Base(file)), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// clean leaves out what differs from one execution to the next and tells nothing: when cells ran, and the names of what changed
// while they did. Outputs of a stream that came in pieces become one.
func (b *book) clean() {
	delete(b.Metadata, "language_info")
	for i := range b.Cells {
		cell := &b.Cells[i]
		for key := range cell.Metadata {
			if key != "tags" {
				delete(cell.Metadata, key)
			}
		}
		var outputs []bookOutput
		for _, output := range cell.Outputs {
			if last := len(outputs) - 1; output.Type == "stream" && last >= 0 && outputs[last].Name == output.Name && outputs[last].Type == "stream" {
				outputs[last].Text += output.Text
				continue
			}
			if output.Type == "display_data" {
				output.Metadata = map[string]any{}
			}
			outputs = append(outputs, output)
		}
		cell.Outputs = outputs
	}
	b.Metadata[sourcesKey] = b.sources()
}

func (b book) write(t *testing.T, file string) {
	t.Helper()
	// Jupyter's own order of keys, and the lists that the format wants also where they are empty.
	var cells []map[string]any
	for _, cell := range b.Cells {
		written := map[string]any{"id": cell.ID, "cell_type": cell.Type, "metadata": cell.Metadata, "source": cell.Source}
		if cell.Type == "code" {
			written["execution_count"] = cell.Count
			outputs := []map[string]any{}
			for _, output := range cell.Outputs {
				if output.Type == "stream" {
					outputs = append(outputs, map[string]any{"output_type": output.Type, "name": output.Name, "text": output.Text})
				} else {
					outputs = append(outputs, map[string]any{"output_type": output.Type, "data": output.Data, "metadata": map[string]any{}})
				}
			}
			written["outputs"] = outputs
		}
		cells = append(cells, written)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(map[string]any{"cells": cells, "metadata": b.Metadata, "nbformat": b.Format, "nbformat_minor": b.Minor}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, data := range b.kept(t) {
		if err := os.WriteFile(filepath.Join(root, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// keptPrefix begins the tag of a cell whose picture a document shows: the rest is its file.
const keptPrefix = "docs/images/"

// kept returns the pictures of cells with the tag docs/images/NAME.png, as files of the repository.
func (b book) kept(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, cell := range b.Cells {
		tags, _ := cell.Metadata["tags"].([]any)
		for _, tag := range tags {
			name, _ := tag.(string)
			if !strings.HasPrefix(name, keptPrefix) {
				continue
			}
			for _, output := range cell.Outputs {
				if text := output.Data["image/png"]; text != "" {
					files[name] = pngOf(t, string(text))
				}
			}
			if files[name] == nil {
				t.Errorf("a cell with the tag %s shows no picture", name)
			}
		}
	}
	return files
}

// varies says that a cell shows what rounding can change as a whole, such as what a sweep tries after its first results: of its
// outputs only the kinds are compared. The cell has the tag "varies".
func (c bookCell) varies() bool {
	tags, _ := c.Metadata["tags"].([]any)
	return slices.Contains(tags, any("varies"))
}

// channels are a cell's outputs, what was displayed first and then each stream as a whole. The kernel reads the two from pipes of
// their own, so that a line which is printed just before a picture may come after it.
func (c bookCell) channels() []bookOutput {
	var displayed, streams []bookOutput
	for _, output := range c.Outputs {
		if output.Type != "stream" {
			displayed = append(displayed, output)
			continue
		}
		i := slices.IndexFunc(streams, func(s bookOutput) bool { return s.Name == output.Name })
		if i < 0 {
			streams = append(streams, output)
		} else {
			streams[i].Text += output.Text
		}
	}
	slices.SortFunc(streams, func(a, b bookOutput) int { return strings.Compare(a.Name, b.Name) })
	return append(displayed, streams...)
}

// compareBooks reports where a notebook's outputs are others than the committed ones.
func compareBooks(t *testing.T, committed, now book) {
	t.Helper()
	if len(committed.Cells) != len(now.Cells) {
		t.Fatalf("%d cells, committed are %d", len(now.Cells), len(committed.Cells))
	}
	for i, cell := range now.Cells {
		outputs, old := cell.channels(), committed.Cells[i].channels()
		if len(outputs) != len(old) {
			t.Errorf("cell %d has %d outputs, committed are %d", i, len(outputs), len(old))
			continue
		}
		for j, output := range outputs {
			where := fmt.Sprintf("cell %d, output %d", i, j)
			before := old[j]
			if output.Type != before.Type || output.Name != before.Name || len(output.Data) != len(before.Data) {
				t.Errorf("%s is a %s %s, committed is a %s %s", where, output.Type, output.Name, before.Type, before.Name)
				continue
			}
			if cell.varies() {
				continue
			}
			compareTexts(t, where, string(before.Text), string(output.Text))
			compareTexts(t, where, string(before.Data["text/plain"]), string(output.Data["text/plain"]))
			comparePictures(t, where, string(before.Data["image/png"]), string(output.Data["image/png"]))
		}
	}
}

var (
	// fleeting is what no two executions have in common: names of folders, times, speeds; or only roughly: half
	// widths of intervals.
	fleeting = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-[0-9a-f]{4}|[\d.,]+ ?(?:ms|min|s|h|images/s)\b|about [\d.]+ (?:min|s)\b|± ?[\d.]+`)
	spaces   = regexp.MustCompile(`\s+`)
	number   = regexp.MustCompile(`[-−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?`)
)

// figureTolerance is the part by which a figure may differ that another kind of processor computed: training magnifies rounding.
const figureTolerance = 0.1

// compareTexts wants the same words, and numbers that are near.
func compareTexts(t *testing.T, where, before, now string) {
	t.Helper()
	plain := func(text string) string { return spaces.ReplaceAllString(fleeting.ReplaceAllString(text, "TIME"), " ") }
	before, now = plain(before), plain(now)
	if got, want := number.ReplaceAllString(now, "N"), number.ReplaceAllString(before, "N"); got != want {
		t.Errorf("%s says\n%s\ncommitted is\n%s", where, now, before)
		return
	}
	old := number.FindAllString(before, -1)
	for i, text := range number.FindAllString(now, -1) {
		got, want := value(text), value(old[i])
		if !(math.Abs(got-want) <= figureTolerance*math.Max(math.Abs(got), math.Abs(want))) {
			t.Errorf("%s has the number %s, committed is %s, in\n%s", where, text, old[i], now)
		}
	}
}

func value(text string) float64 {
	x, err := strconv.ParseFloat(strings.NewReplacer(",", "", "−", "-").Replace(text), 64)
	if err != nil {
		return math.NaN()
	}
	return x
}

// pictureTolerance is how far the pixels of two pictures may be apart in the mean, of 255.
const pictureTolerance = 8

func comparePictures(t *testing.T, where, before, now string) {
	t.Helper()
	if before == "" && now == "" {
		return
	}
	a, b := decode(t, before), decode(t, now)
	if a.Bounds() != b.Bounds() {
		t.Errorf("%s is a picture of %v, committed is one of %v", where, b.Bounds().Size(), a.Bounds().Size())
		return
	}
	sum := 0.0
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			p, q := color.GrayModel.Convert(a.At(x, y)).(color.Gray), color.GrayModel.Convert(b.At(x, y)).(color.Gray)
			sum += math.Abs(float64(p.Y) - float64(q.Y))
		}
	}
	if mean := sum / float64(a.Bounds().Dx()*a.Bounds().Dy()); mean > pictureTolerance {
		t.Errorf("%s is another picture than the committed one: %.1f of 255 apart in the mean", where, mean)
	}
}

func decode(t *testing.T, text string) image.Image {
	t.Helper()
	picture, err := png.Decode(bytes.NewReader(pngOf(t, text)))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// pngOf is the file of a picture as a notebook has it.
func pngOf(t *testing.T, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(text, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
