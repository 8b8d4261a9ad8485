package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// Locked says whether a process is writing to the run.
func (r *Run) Locked() (bool, error) {
	path := filepath.Join(r.Path, lockFile)
	if err := checkLockFile(path); err != nil {
		return false, err
	}
	// Opened without being made: who only looks leaves nothing. A shared lock is refused where a writer has the other kind.
	lock := flock.New(path, flock.SetFlag(os.O_RDONLY))
	free, err := lock.TryRLock()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for a lock of %s: %w", r.Path, err)
	}
	return !free, lock.Close()
}

// checkLockFile refuses what a lock would be made outside the folder by, or wait for.
func checkLockFile(path string) error {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file (%v); remove it", path, info.Mode())
	}
	return nil
}

// IsFolder says whether a folder is one that [Create] or [CreateAt] made, be its manifest damaged or not there: a process that dies
// before it writes one leaves such a folder, and so does [Run.Remove] that dies on its way.
func IsFolder(path string) bool {
	lock, err := os.Lstat(filepath.Join(path, lockFile))
	if err != nil || !lock.Mode().IsRegular() {
		return false
	}
	checkpoints, err := os.Lstat(filepath.Join(path, checkpointsDir))
	return err == nil && checkpoints.IsDir()
}

// File is a file of a run's folder.
type File struct {
	Path string `json:"path"` // seen from the folder
	Size int64  `json:"size"` // bytes; of a file with two names only at the first
}

// Files lists the regular files of the run in the order of their paths. Links are not followed.
func (r *Run) Files() ([]File, error) {
	var files []File
	var seen []os.FileInfo // those with a second name
	err := filepath.WalkDir(r.Path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(r.Path, path)
		if err != nil {
			return err
		}
		size := info.Size()
		if strings.HasSuffix(name, checkpointSuffix) { // the best may be the newest too
			for _, other := range seen {
				if os.SameFile(info, other) {
					size = 0
				}
			}
			seen = append(seen, info)
		}
		files = append(files, File{Path: name, Size: size})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the files of a run: %w", err)
	}
	return files, nil
}

// SpareCheckpoints lists the checkpoints of a run that is done which its figures do not rest on: all but the best, or but the
// newest where that was measured. Without them the run can be measured, exported and used as before. Of a run that may go on,
// there are none.
func (r *Run) SpareCheckpoints() ([]File, error) {
	m, err := r.Manifest()
	if err != nil {
		return nil, err
	}
	if m.State != Done {
		return nil, nil
	}
	steps, err := r.steps()
	if err != nil {
		return nil, err
	}
	needed, err := os.Lstat(filepath.Join(r.Path, checkpointsDir, bestCheckpoint))
	if m.Result.Weights != "best" {
		if len(steps) == 0 {
			return nil, nil
		}
		needed, err = os.Lstat(r.CheckpointPath(steps[len(steps)-1]))
		steps = steps[:len(steps)-1]
	}
	if err != nil {
		return nil, fmt.Errorf("%s: the evaluated checkpoint is missing: %w; the others are kept", r.Path, err)
	}
	var spare []File
	for _, step := range steps {
		info, err := os.Lstat(r.CheckpointPath(step))
		if err != nil {
			return nil, fmt.Errorf("list checkpoints: %w", err)
		}
		if !os.SameFile(info, needed) { // a second name of it takes no room
			spare = append(spare, File{Path: filepath.Join(checkpointsDir, stepName(step)), Size: info.Size()})
		}
	}
	return spare, nil
}

// RemoveSpareCheckpoints removes them, with the run locked.
func (r *Run) RemoveSpareCheckpoints() error {
	if err := r.Lock(); err != nil {
		return err
	}
	defer r.Close()
	spare, err := r.SpareCheckpoints() // only now does nobody else write
	if err != nil {
		return err
	}
	for _, file := range spare {
		if err := os.Remove(filepath.Join(r.Path, file.Path)); err != nil {
			return fmt.Errorf("remove a checkpoint: %w", err)
		}
	}
	return nil
}

// HalfWritten lists what a killed process was writing; nothing while another writes.
func (r *Run) HalfWritten() ([]File, error) {
	if locked, err := r.Locked(); locked || err != nil {
		return nil, err
	}
	var files []File
	for _, dir := range []string{"", checkpointsDir, samplesDir, picturesDir} {
		names, err := halfWrittenIn(filepath.Join(r.Path, dir))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			info, err := os.Lstat(filepath.Join(r.Path, dir, name))
			if err != nil {
				return nil, fmt.Errorf("look for half-written files: %w", err)
			}
			files = append(files, File{Path: filepath.Join(dir, name), Size: info.Size()})
		}
	}
	return files, nil
}

// RemoveHalfWritten removes it.
func (r *Run) RemoveHalfWritten() error {
	if err := r.Lock(); err != nil { // which does that
		return err
	}
	return r.Close()
}

// Remove removes the folder of a run, which nobody may be writing, with all that is in it. Links in it are removed, not what they
// lead to; the folder itself must not be one.
func (r *Run) Remove() error {
	path, err := filepath.Abs(r.Path) // which has no slash at its end, that would follow a link
	if err != nil {
		return fmt.Errorf("remove run: %w", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("remove run: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("remove run: %s is not a folder (%v); give the run's folder", path, info.Mode())
	}
	if err := r.Lock(); err != nil {
		return fmt.Errorf("remove run: %w", err)
	}
	defer r.Close()
	// The manifest goes first: what is left, should the rest fail, does not look like a run with its results.
	if err := os.Remove(r.ManifestPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove run: %w", err)
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("remove run: %w", err)
	}
	return nil
}
