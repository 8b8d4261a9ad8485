package experiment_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
)

// edit replaces the first old in a file of the run by new.
func edit(t *testing.T, run *rundir.Run, name, old, new string) {
	t.Helper()
	path := filepath.Join(run.Path, name)
	text := read(t, run, name)
	if !strings.Contains(text, old) {
		t.Fatalf("%s has no %q", path, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(text, old, new, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A run verifies, and leaves its folder as it was. A figure that was changed afterwards is found, and so is a config.
func TestVerify(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		ctx := context.Background()
		run, err := experiment.Run(ctx, load(t, b, tiny), experiment.Options{})
		if err != nil {
			t.Fatal(err)
		}
		before := read(t, run, "manifest.json") + read(t, run, "metrics.jsonl")
		found, err := experiment.Verify(ctx, run.Path, 0, experiment.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if v := found[0]; v.Epochs != 4 || v.Windows < 4 || !v.Test || len(v.Differences) > 0 || len(v.Environment) > 0 {
			t.Errorf("verified: %+v, want 4 epochs, their windows, the test, and nothing different", v)
		}
		if read(t, run, "manifest.json")+read(t, run, "metrics.jsonl") != before {
			t.Error("verifying changed the run's folder")
		}
		if found, err := experiment.Verify(ctx, run.Path, 2, experiment.Options{}); err != nil || found[0].Epochs != 2 || found[0].Test {
			t.Errorf("verified two epochs: %+v, %v", found, err)
		}

		checkpoint := filepath.Join(run.Path, "checkpoints", "best.ckpt")
		whole := read(t, run, "checkpoints/best.ckpt")
		// It may be the same file as the newest checkpoint.
		if err := os.Remove(checkpoint); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(checkpoint, []byte(whole[:100]), 0o644); err != nil {
			t.Fatal(err)
		}
		if found, err := experiment.Verify(ctx, run.Path, 1, experiment.Options{}); !errors.Is(err, experiment.ErrDiffers) ||
			len(found[0].Differences) != 1 || found[0].Differences[0].Where != "the best epoch's checkpoint" {
			t.Errorf("verified a cut-off checkpoint: %+v, %v", found, err)
		}
		if err := os.WriteFile(checkpoint, []byte(whole), 0o644); err != nil {
			t.Fatal(err)
		}

		state := read(t, run, "metrics.jsonl")
		state = state[strings.Index(state, `"state_sha256":"`):][:24]
		edit(t, run, "metrics.jsonl", state, state[:23]+"x")
		edit(t, run, "manifest.json", `"mse": 0.`, `"mse": 0.1`)
		found, err = experiment.Verify(ctx, run.Path, 0, experiment.Options{})
		if !errors.Is(err, experiment.ErrDiffers) {
			t.Fatalf("verified changed records: %v", err)
		}
		var where []string
		for _, d := range found[0].Differences {
			where = append(where, d.Where)
		}
		if got := strings.Join(where, ", "); got != "epoch 1: state_sha256, test images: mse" && got != "epoch 1: state_sha256, corrupted test images: mse" {
			t.Errorf("found differences in %s", got)
		}

		edit(t, run, "config.yaml", "learning_rate: 0.003", "learning_rate: 0.0031")
		if found, err = experiment.Verify(ctx, run.Path, 1, experiment.Options{}); !errors.Is(err, experiment.ErrDiffers) || len(found[0].Differences) < 3 {
			t.Errorf("verified with another learning rate: %+v, %v", found[0], err)
		}
	})
}

// Runs that trained together are verified together; one that was stopped, as far as it came.
func TestVerifyGroup(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		ctx := context.Background()
		runs, err := experiment.RunSeeds(ctx, load(t, b, tiny, "train.epochs=2"), []int64{1, 2, 3}, experiment.Options{})
		if err != nil {
			t.Fatal(err)
		}
		edit(t, runs[2], "metrics.jsonl", `"train_loss":0.`, `"train_loss":1.`)
		found, err := experiment.Verify(ctx, runs[1].Path, 0, experiment.Options{})
		if !errors.Is(err, experiment.ErrDiffers) || !strings.Contains(err.Error(), "1 of 3 runs") {
			t.Fatalf("verified a group with a changed run: %v", err)
		}
		for i, want := range []int{0, 0, 1} {
			if v := found[i]; len(v.Differences) != want || v.Epochs != 2 || !v.Test {
				t.Errorf("run %d: %+v, want %d differences", i+1, v, want)
			}
		}
	})
}
