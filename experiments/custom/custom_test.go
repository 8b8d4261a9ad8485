package main

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/rogpeppe/go-internal/testscript"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/corrupt/corrupttest"
	"latent/pkg/model"
	"latent/pkg/model/modeltest"
	"latent/pkg/random"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"custom": main}) }

// What every corruption and every model promises.
func TestScratches(t *testing.T) {
	corrupttest.Run(t, corrupttest.Case{Chain: corrupt.Chain{
		&Scratches{Count: 3, Width: corrupt.Range{0.5, 1.5}, Brightness: corrupt.Range{0.5, 1}},
	}})
}

func TestMaxout(t *testing.T) {
	modeltest.Run(t, &Maxout{Hidden: 12, Pieces: 3, Latent: 5, Output: "tanh"})
}

// The mean length of a chord through a random point of the unit square, at a random angle, is
// 4/π (log(1 + √2) + (1 − √2)/3) = 0.946, with a deviation of 0.24; so much of a line, times its width, is painted.
func TestScratchesCover(t *testing.T) {
	const side, images, width = 40, 200, 3
	scratches := &Scratches{Count: 1, Width: corrupt.Fixed(width), Brightness: corrupt.Fixed(1)}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		output, err := ExecOnce(b.Compute, func(seed, width, brightness *Node) *Node {
			g := seed.Graph()
			black := MulScalar(Ones(g, shapes.Make(dtypes.Float32, images, side, side, 1)), -1)
			return scratches.Apply(black, []*Node{width, width, brightness, brightness}, random.KeyFromNode(seed))
		}, []uint32{1, 2}, float32(width), float32(1))
		if err != nil {
			t.Fatal(err)
		}
		covered := 0.0
		for _, v := range tensors.MustCopyFlatData[float32](output) {
			covered += float64(v+1) / 2
		}
		const want, deviation = 0.946, 0.24
		if mean := covered / images / width / side; math.Abs(mean-want) > 4*deviation/math.Sqrt(images) {
			t.Errorf("a line is as long as %.3f sides in the mean, want %.3f", mean, want)
		}
	})
}

// With pieces x W₁ + b₁ = x and x W₂ + b₂ = −x, a maxout unit is |x|.
func TestMaxoutIsAbsolute(t *testing.T) {
	layer := maxoutLayer{"abs", 1, 1, 2}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		output, err := ExecOnce(b.Compute, func(x, weight, bias *Node) *Node {
			return layer.Apply(&model.Pass{Weights: model.Weights{"abs.weight": weight, "abs.bias": bias}}, x)
		}, [][]float32{{-2}, {0}, {3.5}}, [][]float32{{1, -1}}, []float32{0, 0})
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range tensors.MustCopyFlatData[float32](output) {
			if want := []float64{2, 0, 3.5}[i]; math.Abs(float64(got)-want) > 1e-6 {
				t.Errorf("got %g, want %g", got, want)
			}
		}
	})
}

// The commands know the kinds: testdata/commands.txtar.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GOMLX_BACKEND", "go")
			text, err := os.ReadFile("scratches.yaml")
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "scratches.yaml"), text, 0o644)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": exits},
	})
}

// exits runs a command and wants its exit status to be 2: the input is wrong.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[0], args[1:]...)
	if exit := (*exec.ExitError)(nil); neg || !errors.As(err, &exit) || exit.ExitCode() != 2 {
		ts.Fatalf("%v, want exit status 2", err)
	}
}

// Copied out of Latent's module into one of its own, the program builds, and runs with no network.
func TestOutside(t *testing.T) {
	latent, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	copyTo := func(from, name string) {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"main.go", "scratches.go", "maxout.go", "scratches.yaml"} {
		copyTo(name, name)
	}
	copyTo("../../go.sum", "go.sum")
	module := "module example.org/scratches\n\ngo 1.26.5\n\nrequire latent v0.0.0\n\nreplace latent => " + latent + "\n"
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(module), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod", "GOWORK=off", "GOMLX_BACKEND=go")
		text, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, text)
		}
		return string(text)
	}
	// The program of README.md, too.
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(readme), "```go\npackage main\n")
	text, _, closed := strings.Cut("package main\n"+after, "```")
	if err := os.Mkdir(filepath.Join(dir, "readme"), 0o755); err != nil || !found || !closed {
		t.Fatalf("no Go program in README.md, or: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "readme/main.go"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	run("go", "vet", "./readme")

	program := filepath.Join(dir, "restorer")
	run("go", "build", "-o", program, ".")
	run(program, "run", "scratches.yaml", "data.train=300", "data.validation=50", "data.test=50", "train.epochs=1", "--out", "runs")
	manifests, err := filepath.Glob(filepath.Join(dir, "runs/scratches/*/manifest.json"))
	if err != nil || len(manifests) != 1 {
		t.Fatalf("manifests %v, error %v", manifests, err)
	}
	manifest, err := os.ReadFile(manifests[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"state": "done"`, `"latent": "devel"`, `"example.org/scratches": "devel"`, `"gomlx": "v`, `"command": "restorer run scratches.yaml `} {
		if !strings.Contains(string(manifest), want) {
			t.Errorf("the manifest has no %s:\n%s", want, manifest)
		}
	}
}
