package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Checkpoint is everything that the rest of a run depends on.
type Checkpoint struct {
	Step int `json:"step"`
	// Meta is what the run's driver keeps beside the tensors.
	Meta json.RawMessage `json:"meta"`
	// Tensors are float32 arrays.
	Tensors []Tensor `json:"-"`
}

// Tensor is a named float32 array.
type Tensor struct {
	Name   string
	Dims   []int
	Values []float32
}

const (
	checkpointsDir   = "checkpoints"
	checkpointSuffix = ".ckpt"
	stepPrefix       = "step-"
	bestCheckpoint   = "best" + checkpointSuffix
)

func stepName(step int) string { return fmt.Sprintf("%s%09d%s", stepPrefix, step, checkpointSuffix) }

// CheckpointPath is the path of a step's checkpoint.
func (r *Run) CheckpointPath(step int) string {
	return filepath.Join(r.Path, checkpointsDir, stepName(step))
}

// BestCheckpointPath is the path of the checkpoint with the lowest validation loss.
func (r *Run) BestCheckpointPath() string {
	return filepath.Join(r.Path, checkpointsDir, bestCheckpoint)
}

// SaveCheckpoint writes a step's checkpoint, the best one too where it is that, and then removes all others but the newest keep,
// of at least 1. Whatever fails, the checkpoints before it are still there.
func (r *Run) SaveCheckpoint(c Checkpoint, best bool, keep int) error {
	if err := r.syncMetrics(); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	// The best goes first: if the process dies between the two, the run goes on from the step before and makes it again.
	path := r.CheckpointPath(c.Step)
	if best {
		bestPath := r.BestCheckpointPath()
		if err := r.writeFile(bestPath, c.encode); err != nil {
			return fmt.Errorf("save checkpoint %s: %w; earlier checkpoints are kept", bestPath, err)
		}
		if r.link(bestPath, path) == nil {
			return r.removeOldCheckpoints(c.Step, keep)
		}
	}
	if err := r.writeFile(path, c.encode); err != nil {
		return fmt.Errorf("save checkpoint %s: %w; earlier checkpoints are kept", path, err)
	}
	return r.removeOldCheckpoints(c.Step, keep)
}

// link gives a file of the run a second name, in the place of what has that name. Not every file system can.
func (r *Run) link(path, second string) error {
	temporary := filepath.Join(filepath.Dir(second), temporaryPrefix+filepath.Base(second))
	if err := os.Link(path, temporary); err != nil {
		return err
	}
	defer os.Remove(temporary) // fails once it has its name
	if err := os.Rename(temporary, second); err != nil || r.Relaxed {
		return err
	}
	return syncDir(filepath.Dir(second))
}

// WriteCheckpoint writes a file of tensors that belongs to no run: whole or not at all.
func WriteCheckpoint(path string, c Checkpoint) error {
	if err := writeFile(path, c.encode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// removeOldCheckpoints leaves the newest keep up to a step that is on the disk. Those of later steps go too: the run went back
// behind them, for they were damaged. They would count as newer than all that the run writes now, and push it out.
func (r *Run) removeOldCheckpoints(step, keep int) error {
	steps, err := r.steps()
	if err != nil {
		return err
	}
	later, _ := slices.BinarySearch(steps, step+1)
	for _, old := range slices.Delete(steps, max(0, later-max(1, keep)), later) {
		if err := os.Remove(r.CheckpointPath(old)); err != nil {
			return fmt.Errorf("remove an old checkpoint: %w", err)
		}
	}
	return nil
}

// steps lists the steps that have a checkpoint, oldest first.
func (r *Run) steps() ([]int, error) {
	entries, err := os.ReadDir(filepath.Join(r.Path, checkpointsDir))
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	var steps []int
	for _, entry := range entries {
		digits := strings.TrimSuffix(strings.TrimPrefix(entry.Name(), stepPrefix), checkpointSuffix)
		if step, err := strconv.Atoi(digits); err == nil && entry.Name() == stepName(step) {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	return steps, nil
}

// CopyTo puts what a run goes on from into the folder of another, which has nothing yet: its config, its records, and those of its checkpoints that
// are wanted.
func (r *Run) CopyTo(to *Run, want func(*Checkpoint) bool) error {
	config, err := r.Config()
	if err != nil {
		return err
	}
	metrics, err := os.Open(r.MetricsPath())
	if err != nil {
		return fmt.Errorf("copy the run's records: %w", err)
	}
	defer metrics.Close()
	copied := to.writeFile(to.MetricsPath(), func(w io.Writer) error { _, err := io.Copy(w, metrics); return err })
	if err := errors.Join(to.WriteConfig(config), copied); err != nil {
		return err
	}
	steps, err := r.steps()
	if err != nil {
		return err
	}
	paths := map[string]string{r.BestCheckpointPath(): to.BestCheckpointPath()}
	for _, step := range steps {
		paths[r.CheckpointPath(step)] = to.CheckpointPath(step)
	}
	for from, path := range paths {
		c, err := ReadCheckpoint(from)
		best := from == r.BestCheckpointPath()
		if errors.Is(err, fs.ErrNotExist) || !best && (err != nil || !want(c)) { // a damaged one is passed over as on resuming
			continue
		}
		if err == nil {
			err = to.writeFile(path, c.encode)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ErrNoCheckpoint says that a run has none that can be used.
var ErrNoCheckpoint = errors.New("no usable checkpoint")

// LatestCheckpoint reads the newest checkpoint; where that is damaged, the one before it, and so on, with a warning for
// each that was passed over.
func (r *Run) LatestCheckpoint() (c *Checkpoint, warnings []string, err error) {
	checkpoints, warnings, err := CommonCheckpoint([]*Run{r})
	if err != nil {
		return nil, warnings, err
	}
	return checkpoints[0], warnings, nil
}

// CommonCheckpoint reads the checkpoints of the newest step of which all runs have one, with a warning for each damaged one
// that was passed over. A whole one that this program cannot read, of another version or dtype, is an error: training on from
// before it would throw it away.
func CommonCheckpoint(runs []*Run) (all []*Checkpoint, warnings []string, err error) {
	steps, err := runs[0].steps()
	if err != nil {
		return nil, nil, err
	}
	for _, step := range slices.Backward(steps) {
		all = nil
		for _, run := range runs {
			c, err := run.readStep(step)
			if errors.Is(err, errOtherFormat) || errors.Is(err, fs.ErrPermission) {
				return nil, warnings, err
			}
			if err != nil {
				if !errors.Is(err, fs.ErrNotExist) {
					warnings = append(warnings, fmt.Sprintf("%v; trying the previous one", err))
				}
				break
			}
			all = append(all, c)
		}
		if len(all) == len(runs) {
			return all, warnings, nil
		}
	}
	return nil, warnings, fmt.Errorf("%s: %w", filepath.Join(runs[0].Path, checkpointsDir), ErrNoCheckpoint)
}

// BestCheckpoint reads the checkpoint with the lowest validation loss.
func (r *Run) BestCheckpoint() (*Checkpoint, error) {
	c, err := r.readCheckpoint(bestCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", r.BestCheckpointPath(), ErrNoCheckpoint)
	}
	return c, err
}

func (r *Run) readStep(step int) (*Checkpoint, error) {
	c, err := r.readCheckpoint(stepName(step))
	if err == nil && c.Step != step {
		return nil, fmt.Errorf("read checkpoint %s: it holds step %d", r.CheckpointPath(step), c.Step)
	}
	return c, err
}

func (r *Run) readCheckpoint(name string) (*Checkpoint, error) {
	return ReadCheckpoint(filepath.Join(r.Path, checkpointsDir, name))
}

// ReadCheckpoint reads a file that [WriteCheckpoint] wrote, in a run or elsewhere. One that was damaged is an error.
func ReadCheckpoint(path string) (*Checkpoint, error) {
	file, size, err := openRegular(path)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	defer file.Close()
	c, err := decodeCheckpoint(file, size)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint %s: %w", path, err)
	}
	return c, nil
}
