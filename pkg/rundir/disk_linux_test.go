package rundir

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"latent/pkg/rundir/smalldisk"
)

// A disk that fills up, at a checkpoint and then to the last byte, is a clear error, and leaves what was saved before.
func TestFullDisk(t *testing.T) {
	smalldisk.Run(t, 1<<20, func(t *testing.T, disk smalldisk.Disk) {
		run := runOn(t, disk.Path)
		state := func(step int) Checkpoint { return adamState(step, 100, 60, 100) } // 148 KB
		// With one to keep, the best and two newest fit, beside the one that is written.
		filler := filepath.Join(disk.Path, "filler")
		for step, keep := 1, 1; ; step++ {
			if err := run.AppendWindow(Window{Step: step}); err != nil {
				t.Fatal(err)
			}
			if step == 5 {
				fill(t, filler, 400<<10)
				keep = 1000
			}
			err := run.SaveCheckpoint(state(step), step == 3, keep)
			if err == nil {
				continue
			}
			if step < 6 || !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("step %d: %v", step, err)
			}
			for _, want := range []string{run.CheckpointPath(step), "no space left on device", "earlier checkpoints are kept"} {
				if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("error is %q, want one line with %q", err, want)
				}
			}
			wantSaved(t, run, state(step-1), state(3))

			// To the last byte.
			fill(t, filler+"2", 1<<20)
			for err = nil; err == nil; step++ {
				err = run.AppendWindow(Window{Step: step})
			}
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), metricsFile) {
				t.Errorf("error is %v, want that of the full disk, and the file", err)
			}
			if err := run.WriteManifest(NewManifest()); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), run.ManifestPath()) {
				t.Errorf("error is %v, want that of the full disk, and the file", err)
			}
			break
		}
		run.Close()

		// The next process finds everything, and goes on when there is space again.
		run, err := Open(run.Path)
		if err != nil {
			t.Fatal(err)
		}
		if err := run.Lock(); err != nil {
			t.Fatal(err)
		}
		defer run.Close()
		steps, err := run.steps()
		if err != nil {
			t.Fatal(err)
		}
		last := slices.Max(steps)
		wantSaved(t, run, state(last), state(3))
		if _, err := run.RewindMetrics(last); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("rewinding metrics on a full disk: %v", err)
		}
		if err := errors.Join(os.Remove(filler), os.Remove(filler+"2")); err != nil {
			t.Fatal(err)
		}
		if warnings, err := run.RewindMetrics(last); err != nil || len(warnings) > 0 {
			t.Errorf("rewinding metrics: %q, %v", warnings, err)
		}
		if windows, _, err := run.Metrics(); err != nil || len(windows) != last {
			t.Errorf("%d windows are left of %d steps, %v", len(windows), last, err)
		}
		if err := run.SaveCheckpoint(state(last+1), false, 2); err != nil {
			t.Error(err)
		}
		wantSaved(t, run, state(last+1), state(3))
	})
}

// A folder that became read-only is a clear error, and can be read.
func TestReadOnlyDisk(t *testing.T) {
	smalldisk.Run(t, 1<<20, func(t *testing.T, disk smalldisk.Disk) {
		run := runOn(t, disk.Path)
		if err := errors.Join(run.AppendWindow(Window{Step: 1}), run.SaveCheckpoint(sample(1), true, 2), run.Close()); err != nil {
			t.Fatal(err)
		}
		disk.SetReadOnly(t, true)
		if _, err := Create(disk.Path, "another", startTime); !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "choose another with --out") {
			t.Errorf("making a run: %v", err)
		}
		run, err := Open(run.Path)
		if err != nil {
			t.Fatal(err)
		}
		if err := run.Lock(); err != nil {
			t.Fatal(err)
		}
		defer run.Close()
		for name, err := range map[string]error{
			metricsFile:  run.AppendWindow(Window{Step: 2}),
			stepName(2):  run.SaveCheckpoint(sample(2), false, 2),
			manifestFile: run.WriteManifest(NewManifest()),
		} {
			if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), filepath.Join(run.Path, "")) || !strings.Contains(err.Error(), name) {
				t.Errorf("writing %s: %v, want the read-only file system and the file", name, err)
			}
		}
		wantSaved(t, run, sample(1), sample(1))
		disk.SetReadOnly(t, false)
		if err := errors.Join(run.AppendWindow(Window{Step: 2}), run.SaveCheckpoint(sample(2), false, 2)); err != nil {
			t.Error(err)
		}
		wantSaved(t, run, sample(2), sample(1))
	})
}

// runOn makes a run with a manifest.
func runOn(t *testing.T, dir string) *Run {
	t.Helper()
	run, err := Create(dir, "trial", startTime)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.WriteManifest(NewManifest()); err != nil {
		t.Fatal(err)
	}
	return run
}

// fill writes a file of so many bytes, or of as many as there is space for.
func fill(t *testing.T, path string, size int) {
	t.Helper()
	if err := os.WriteFile(path, make([]byte, size), 0o644); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// wantSaved wants these checkpoints, a manifest and metrics that can be read, and no file that is half-written.
func wantSaved(t *testing.T, run *Run, newest, best Checkpoint) {
	t.Helper()
	if c, warnings, err := run.LatestCheckpoint(); err != nil || len(warnings) > 0 || c.Step != newest.Step || !slices.EqualFunc(c.Tensors, newest.Tensors, sameTensor) {
		t.Errorf("the newest checkpoint is not that of step %d as it was saved: %q, %v", newest.Step, warnings, err)
	}
	if c, err := run.BestCheckpoint(); err != nil || c.Step != best.Step || !slices.EqualFunc(c.Tensors, best.Tensors, sameTensor) {
		t.Errorf("the best checkpoint is not that of step %d as it was saved: %v", best.Step, err)
	}
	if _, err := run.Manifest(); err != nil {
		t.Error(err)
	}
	if _, _, err := run.Metrics(); err != nil {
		t.Error(err)
	}
	if halves := halvesLeft(t, run); len(halves) > 0 {
		t.Errorf("left %q", halves)
	}
}
