package command

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"latent/pkg/backend/backendtest"
	"latent/pkg/random"
	"latent/pkg/rundir"
)

// A run killed with SIGKILL at 20 random moments, and resumed each time, ends with the checkpoints, the epochs' records and
// the result of one that was left alone, to the bit. It takes a minute: set LATENT_LONG=1.
func TestKilledRunEndsTheSame(t *testing.T) {
	if os.Getenv("LATENT_LONG") == "" {
		t.Skip("SKIPPED: takes a minute; set LATENT_LONG=1")
	}
	xla := backendtest.XLA(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "run.yaml")
	text := `
data: {dataset: glyphs, train: 6500, test: 500, validation: 500}
corrupt: {kind: gaussian, noise_factor: 0.3}
train: {epochs: 60, batch_size: 100}
output: {grid: {every: 0}}
backend: ` + xla.Name + "\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	latent := func(args ...string) *exec.Cmd {
		cmd := exec.Command("latent", args...)
		cmd.Env = append(os.Environ(), "GOMLX_BACKEND=")
		return cmd
	}
	finish := func(args ...string) {
		t.Helper()
		if out, err := latent(args...).CombinedOutput(); err != nil {
			t.Fatalf("latent %q: %v\n%s", args, err, out)
		}
	}
	whole, killed := filepath.Join(dir, "whole"), filepath.Join(dir, "killed")
	finish("run", config, "--out", whole)

	progressed := 0
	for kill := range 20 {
		args := []string{"run", config, "--out", killed}
		if folders := runsIn(t, killed); len(folders) > 0 {
			args = []string{"run", "--resume", folders[0]}
		}
		cmd := latent(args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Up to 3 s: before the folder is there, while compiling, while training, and while files are written.
		time.Sleep(time.Duration(random.NewSeed(1).Block(uint32(kill), 0)[0]%3000) * time.Millisecond)
		if err := cmd.Process.Kill(); err == nil {
			progressed++
		}
		cmd.Wait()
	}
	if progressed < 15 {
		t.Errorf("only %d of 20 kills met a living process: the run is too short for this test", progressed)
	}
	if folders := runsIn(t, killed); len(folders) == 0 {
		t.Fatal("no kill left a folder")
	} else {
		finish("run", "--resume", folders[0])
	}

	a, b := runsIn(t, whole)[0], runsIn(t, killed)[0]
	for _, name := range []string{"checkpoints/best.ckpt", "checkpoints/step-000003600.ckpt"} {
		if !bytes.Equal(contents(t, a, name), contents(t, b, name)) {
			t.Errorf("%s differs from the undisturbed run's", name)
		}
	}
	if epochs(t, a) != epochs(t, b) {
		t.Errorf("the epochs' records differ:\n%s\n%s", epochs(t, a), epochs(t, b))
	}
	if x, y := result(t, a), result(t, b); x != y {
		t.Errorf("the results differ:\n%s\n%s", x, y)
	}
}

func runsIn(t *testing.T, dir string) []string {
	t.Helper()
	// A folder that was killed before its manifest was written holds nothing to go on with.
	manifests, err := filepath.Glob(filepath.Join(dir, "run", "*", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, manifest := range manifests {
		folders = append(folders, filepath.Dir(manifest))
	}
	return folders
}

func contents(t *testing.T, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// epochs are the lines of the epochs, without their times.
func epochs(t *testing.T, run string) string {
	t.Helper()
	var lines []byte
	for line := range bytes.Lines(contents(t, run, "metrics.jsonl")) {
		if bytes.Contains(line, []byte(`"kind":"epoch"`)) {
			lines = append(lines, regexp.MustCompile(`"seconds":[^,]*,|,"time":"[^"]*"`).ReplaceAll(line, nil)...)
		}
	}
	return string(lines)
}

func result(t *testing.T, run string) string {
	t.Helper()
	opened, err := rundir.Open(run)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := opened.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(manifest.Result)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
