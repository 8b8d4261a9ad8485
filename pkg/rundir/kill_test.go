//go:build unix

package rundir

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A process that saves checkpoints without pause is killed at 60 random moments. Each time the newest checkpoint is whole, holds
// its step's values, and is no older than the last that was said to be saved; so is the best.
func TestKilledWhileSaving(t *testing.T) {
	const variable = "LATENT_TEST_SAVE_TO"
	if path := os.Getenv(variable); path != "" {
		saveWithoutPause(t, path)
		return
	}
	run := newRun(t)
	if err := run.WriteManifest(NewManifest()); err != nil {
		t.Fatal(err)
	}
	run.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	draw := rand.New(rand.NewPCG(1, 2))
	saved, halves := 0, 0
	for kill := range 60 {
		cmd := exec.Command(exe, "-test.run=^TestKilledWhileSaving$")
		cmd.Env = append(os.Environ(), variable+"="+run.Path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		reader := bufio.NewReader(out)
		first, err := reader.ReadString('\n') // it has begun
		time.Sleep(time.Duration(draw.IntN(30_000)) * time.Microsecond)
		cmd.Process.Kill()
		rest, _ := io.ReadAll(reader)
		cmd.Wait()
		if err != nil {
			t.Fatalf("kill %d: the process ended by itself: %s%s", kill, first, rest)
		}
		for line := range strings.Lines(first + string(rest)) {
			if !strings.HasSuffix(line, "\n") {
				continue
			}
			if _, err := fmt.Sscanf(line, "saved %d\n", &saved); err != nil {
				t.Fatalf("kill %d: it says %q", kill, line)
			}
		}

		latest, warnings, err := run.LatestCheckpoint()
		if err != nil || len(warnings) > 0 {
			t.Fatalf("kill %d: %v, %q", kill, err, warnings)
		}
		if latest.Step != saved && latest.Step != saved+1 || !slices.EqualFunc(latest.Tensors, killState(latest.Step).Tensors, sameTensor) {
			t.Errorf("kill %d: after step %d was saved, the newest checkpoint is of step %d, or has not its values", kill, saved, latest.Step)
		}
		// The best, every third, is written before the newest: it may be of the step that was not finished.
		best, err := run.BestCheckpoint()
		if latest.Step < 3 && errors.Is(err, ErrNoCheckpoint) {
			continue
		}
		if err != nil || best.Step%3 != 0 || best.Step < latest.Step-2 || best.Step > latest.Step+1 ||
			!slices.EqualFunc(best.Tensors, killState(best.Step).Tensors, sameTensor) {
			t.Errorf("kill %d: the newest is of step %d, the best %+v, %v", kill, latest.Step, best, err)
		}
		halves += len(halvesLeft(t, run))
		if kill%2 == 0 { // else the next process does it
			if err := run.Lock(); err != nil {
				t.Fatal(err)
			}
			if left := halvesLeft(t, run); len(left) > 0 {
				t.Errorf("kill %d: %q are left", kill, left)
			}
			if warnings, err := run.RewindMetrics(latest.Step); err != nil || len(warnings) > 0 {
				t.Fatal(err, warnings)
			}
			if windows, _, err := run.Metrics(); err != nil || len(windows) != latest.Step {
				t.Errorf("kill %d: %d lines of metrics for %d steps, %v", kill, len(windows), latest.Step, err)
			}
			run.Close()
		}
	}
	if halves < 10 {
		t.Errorf("%d of 60 kills met a file that was being written: too few for this test", halves)
	}
}

// killState is the state of a step, 600 KB.
func killState(step int) Checkpoint {
	values := make([]float32, 150_000)
	for i := range values {
		values[i] = float32(step) + float32(i%1000)/1000
	}
	return Checkpoint{Step: step, Meta: json.RawMessage(`{}`), Tensors: []Tensor{{Name: "x", Dims: []int{150, 1000}, Values: values}}}
}

// saveWithoutPause goes on with a run as an experiment does, and says which steps it saved, until it is killed.
func saveWithoutPause(t *testing.T, path string) {
	run, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Lock(); err != nil {
		t.Fatal(err)
	}
	step := 0
	if latest, _, err := run.LatestCheckpoint(); err == nil {
		step = latest.Step
	}
	if _, err := run.RewindMetrics(step); err != nil {
		t.Fatal(err)
	}
	if step > 0 {
		fmt.Println("saved", step)
	}
	for step++; ; step++ {
		if err := run.AppendWindow(Window{Step: step}); err != nil {
			t.Fatal(err)
		}
		if err := run.SaveCheckpoint(killState(step), step%3 == 0, 2); err != nil {
			t.Fatal(err)
		}
		fmt.Println("saved", step)
	}
}

// halvesLeft finds what a process left that was killed while it wrote.
func halvesLeft(t *testing.T, run *Run) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(run.Path, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), temporaryPrefix) {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// A pipe in a checkpoint's place does not make the reader wait, nor a link lead it elsewhere.
func TestNoRegularFile(t *testing.T) {
	run := newRun(t)
	if err := run.SaveCheckpoint(sample(1), false, 9); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(elsewhere, encoded(t, sample(2)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Symlink(elsewhere, run.CheckpointPath(2)),
		syscall.Mkfifo(run.CheckpointPath(3), 0o644),
		os.Mkdir(run.CheckpointPath(4), 0o755),
		syscall.Mkfifo(run.MetricsPath(), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c, warnings, err := run.LatestCheckpoint()
	if err != nil || c.Step != 1 || len(warnings) != 3 {
		t.Errorf("read step %+v with warnings %q, %v, want step 1 and three warnings", c, warnings, err)
	}
	for _, warning := range warnings {
		if !strings.Contains(warning, "is not a regular file") {
			t.Errorf("warning %q", warning)
		}
	}
	if _, _, err := run.Metrics(); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("metrics from a pipe: %v", err)
	}
}
