package command

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"latent/pkg/rundir/smalldisk"
)

// A run that fills its disk ends with status 1 and says so. Copied to where there is space, it goes on, and ends with the bits
// of one that was left alone.
func TestFullDisk(t *testing.T) {
	smalldisk.Run(t, 2<<20, func(t *testing.T, disk smalldisk.Disk) {
		dir := t.TempDir()
		config := filepath.Join(dir, "run.yaml")
		text := `
data: {dataset: glyphs, train: 200, test: 40, validation: 20}
model: {kind: dense, encoder: [16, 8], decoder: [16]}
train: {batch_size: 32, epochs: 8, keep_checkpoints: 3}
output: {grid: {every: 2}}
`
		if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		latent := func(args ...string) (string, error) {
			cmd := exec.Command("latent", args...)
			cmd.Env = append(os.Environ(), "GOMLX_BACKEND=go")
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
		// Beside pictures, four checkpoints of 308 KB: three of steps, of which the newest is the best, and the one that is written.
		if err := os.WriteFile(filepath.Join(disk.Path, "filler"), make([]byte, 800<<10), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := latent("run", config, "--out", disk.Path)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
			t.Fatalf("on a full disk: %v, want exit status %d\n%s", err, exitFailed, out)
		}
		if !strings.Contains(out, "latent: save checkpoint "+disk.Path) || !strings.Contains(out, "no space left on device; earlier checkpoints are kept") {
			t.Errorf("it does not say what happened:\n%s", out)
		}

		moved := filepath.Join(dir, "moved")
		if err := os.CopyFS(moved, os.DirFS(runsIn(t, disk.Path)[0])); err != nil {
			t.Fatal(err)
		}
		if out, err := latent("run", "--resume", moved); err != nil || !strings.Contains(out, "going on after step") {
			t.Errorf("going on elsewhere: %v\n%s", err, out)
		}
		whole := filepath.Join(dir, "whole")
		if out, err := latent("run", config, "--out", whole); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, name := range []string{"checkpoints/best.ckpt", "checkpoints/step-000000048.ckpt"} {
			if !bytes.Equal(contents(t, moved, name), contents(t, runsIn(t, whole)[0], name)) {
				t.Errorf("%s differs from the undisturbed run's", name)
			}
		}
	})
}
