package rundir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLocked(t *testing.T) {
	run := newRun(t)
	if err := run.WriteManifest(NewManifest()); err != nil {
		t.Fatal(err)
	}
	other, err := Open(run.Path)
	if err != nil {
		t.Fatal(err)
	}
	if locked, err := other.Locked(); !locked || err != nil {
		t.Errorf("a run that is being written: %v, %v", locked, err)
	}
	run.Close()
	for range 100 { // looking takes no lock that stays
		if locked, err := other.Locked(); locked || err != nil {
			t.Fatalf("a run that was closed: %v, %v", locked, err)
		}
	}
	if err := other.Lock(); err != nil {
		t.Fatal(err)
	}
	other.Close()
	lock := filepath.Join(run.Path, lockFile)
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	if locked, err := other.Locked(); locked || err != nil {
		t.Errorf("a copy without its lock: %v, %v", locked, err)
	}
	if _, err := os.Lstat(lock); err == nil {
		t.Error("looking made a lock")
	}
	// A lock that leads elsewhere would be made there.
	elsewhere := filepath.Join(t.TempDir(), "made")
	if err := os.Symlink(elsewhere, lock); err != nil {
		t.Fatal(err)
	}
	if err := other.Lock(); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a link as a lock: %v", err)
	}
	if _, err := os.Lstat(elsewhere); err == nil {
		t.Error("a file was made outside the folder")
	}
}

func TestRemove(t *testing.T) {
	run := newRun(t)
	if err := run.WriteManifest(NewManifest()); err != nil {
		t.Fatal(err)
	}
	other := &Run{Path: run.Path}
	if err := other.Remove(); !errors.Is(err, ErrLocked) {
		t.Errorf("removing a run that is being written: %v, want ErrLocked", err)
	}
	if _, err := run.Manifest(); err != nil {
		t.Fatalf("after a refused removal: %v", err)
	}
	run.Close()

	kept := filepath.Join(t.TempDir(), "kept")
	if err := os.WriteFile(kept, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	link := run.Path + "-link"
	for from, to := range map[string]string{link: run.Path, filepath.Join(run.Path, samplesDir): filepath.Dir(kept)} {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	if err := (&Run{Path: link + "/"}).Remove(); err == nil || !strings.Contains(err.Error(), "is not a folder") {
		t.Errorf("removing by a link: %v", err)
	}
	t.Chdir(run.Path)
	if err := (&Run{Path: "."}).Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(run.Path); err == nil {
		t.Error("the folder is still there")
	}
	if _, err := os.Lstat(kept); err != nil {
		t.Errorf("what a link in the folder led to: %v", err)
	}
}

// Of a run that is done, the checkpoint that was measured stays; of any other, all.
func TestSpareCheckpoints(t *testing.T) {
	for name, c := range map[string]struct {
		state   State
		weights string
		best    int // the step whose checkpoint is the best
		want    string
	}{
		"best first":  {Done, "best", 1, "checkpoints/step-000000002.ckpt checkpoints/step-000000003.ckpt"},
		"best last":   {Done, "best", 3, "checkpoints/step-000000001.ckpt checkpoints/step-000000002.ckpt"},
		"last":        {Done, "last", 1, "checkpoints/step-000000001.ckpt checkpoints/step-000000002.ckpt"},
		"interrupted": {Interrupted, "best", 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			run := newRun(t)
			for step := 1; step <= 3; step++ {
				checkpoint := Checkpoint{Step: step, Meta: []byte("{}"), Tensors: []Tensor{{Name: "w", Dims: []int{2}, Values: []float32{1, 2}}}}
				if err := run.SaveCheckpoint(checkpoint, step == c.best, 3); err != nil {
					t.Fatal(err)
				}
			}
			m := NewManifest()
			m.State, m.Result.Weights = c.state, c.weights
			if err := run.WriteManifest(m); err != nil {
				t.Fatal(err)
			}
			run.Close()
			spare, err := run.SpareCheckpoints()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, file := range spare {
				got = append(got, filepath.ToSlash(file.Path))
			}
			// The best has a second name by its step, which takes no room and stays.
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if err := run.RemoveSpareCheckpoints(); err != nil {
				t.Fatal(err)
			}
			if c.weights == "best" {
				if _, err := run.BestCheckpoint(); err != nil {
					t.Error(err)
				}
			} else if latest, _, err := run.LatestCheckpoint(); err != nil || latest.Step != 3 {
				t.Errorf("%v, %v", latest, err)
			}
		})
	}
	run := newRun(t)
	m := NewManifest()
	m.State, m.Result.Weights = Done, "best"
	if err := run.WriteManifest(m); err != nil {
		t.Fatal(err)
	}
	if _, err := run.SpareCheckpoints(); err == nil || !strings.Contains(err.Error(), "the evaluated checkpoint is missing") {
		t.Errorf("without the best: %v", err)
	}
}
