// Package runs is the runs below a folder.
//
//	entries, err := runs.List("runs")                // the newest first
//	newest, err := runs.Find("runs", "mnist-denoise") // or a path, or the beginning of TIME-ID
//	psnr, found := newest.Figure("psnr")
//	run, err := newest.Open()                        // for pictures, metrics, checkpoints
//
// A folder is a run's where it has a manifest.json that pkg/rundir reads. One whose manifest is damaged is in the list too, with
// [Damaged] as its state, and so is one that a killed process left before it wrote a manifest.
//
// Promised: nothing is written; links are not followed; a damaged run hides no other; the order is the same each time. Ten
// thousand runs take less than a second (go test ./pkg/runs -bench List).
//
// What is not here: what is in a run's folder (pkg/rundir), and opening its model (experiment.Open).
package runs

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"latent/pkg/rundir"
)

// States that no manifest says.
const (
	// Killed is a run whose manifest says that it is running, while no process holds its lock. It can be resumed.
	Killed rundir.State = "killed"
	// Damaged is a folder whose manifest cannot be read, or is not there; see [Entry.Err].
	Damaged rundir.State = "damaged"
)

// States are all that an entry can have.
var States = []rundir.State{rundir.Running, rundir.Done, rundir.Failed, rundir.Interrupted, rundir.Diverged, rundir.Pruned, Killed, Damaged}

// Entry is a run in a list.
type Entry struct {
	// Path is the folder, as seen from where the list was asked for: DIR/NAME/TIME-ID.
	Path string
	// State is the manifest's, or one of this package's.
	State rundir.State
	// Manifest is the run's. Of one that is damaged it is that of a new run, with nothing but a name: the folder's around it.
	Manifest *rundir.Manifest
	// Err says what is damaged; else it is nil.
	Err error
}

// ID is the name of the run's folder: TIME-ID; of a sweep's trials NUMBER-SEED.
func (e Entry) ID() string { return filepath.Base(e.Path) }

// Figure is a figure of the test images, such as "psnr"; see [rundir.Result]. A run that has it not returns false.
func (e Entry) Figure(name string) (float64, bool) {
	value, found := e.Manifest.Result.Test[name]
	return float64(value), found
}

// Seconds is the time that the run took, of all processes that worked on it.
func (e Entry) Seconds() float64 {
	sum := 0.0
	for _, what := range slices.Sorted(maps.Keys(e.Manifest.Timings)) { // in one order: sums of floats depend on it
		sum += e.Manifest.Timings[what]
	}
	return sum
}

// Resumable says whether the run can be gone on with: it was stopped, and is not done.
func (e Entry) Resumable() bool { return e.State == rundir.Interrupted || e.State == Killed }

// Open returns the run's folder.
func (e Entry) Open() (*rundir.Run, error) { return rundir.Open(e.Path) }

// maxDepth is how many folders deep below DIR a run is looked for: a sweep's trials are in DIR/NAME/TIME-ID/trials.
const maxDepth = 6

// List returns the runs in a folder and below it, the newest first; those of one moment in the order of their paths, and the
// damaged ones, whose moment is not known, last. Folders whose names begin with a dot are passed over. A folder that is itself a
// run's is the only one of its list.
func List(dir string) ([]Entry, error) {
	dir = filepath.Clean(dir)
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("list runs: %s is a file; give the folder of runs", dir)
	}
	var w walk
	// Most of the time goes to waiting for the disk.
	w.group.SetLimit(8 * runtime.GOMAXPROCS(0))
	if err := cmp.Or(w.folder(dir, maxDepth), w.group.Wait()); err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	entries := w.entries
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(b.Manifest.Started.Compare(a.Manifest.Started), strings.Compare(a.Path, b.Path))
	})
	return entries, nil
}

// walk looks for runs, in several folders at once.
type walk struct {
	group   errgroup.Group
	mutex   sync.Mutex
	entries []Entry
}

// folder adds the run that a folder is, or those below it, that many folders deep.
func (w *walk) folder(path string, depth int) error {
	if entry, ok := read(path); ok {
		w.mutex.Lock()
		w.entries = append(w.entries, entry)
		w.mutex.Unlock()
		return nil
	}
	if depth == 0 {
		return nil
	}
	children, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil // removed meanwhile, or not for us
	}
	if err != nil {
		return err
	}
	for _, child := range children {
		if !child.IsDir() || strings.HasPrefix(child.Name(), ".") {
			continue
		}
		below := filepath.Join(path, child.Name())
		look := func() error { return w.folder(below, depth-1) }
		// Where all are busy, this one does it itself: waiting for a free one, all might wait.
		if !w.group.TryGo(look) {
			if err := look(); err != nil {
				return err
			}
		}
	}
	return nil
}

// read returns the run in a folder, where it is one.
func read(path string) (Entry, bool) {
	run := &rundir.Run{Path: path}
	entry := Entry{Path: path}
	m, err := run.Manifest()
	switch {
	case err == nil && !m.Started.IsZero() && m.ConfigSHA256 != "":
		entry.Manifest, entry.State = m, m.State
		if m.State == rundir.Running {
			entry.State = running(run)
		}
		return entry, true
	case !rundir.IsFolder(path):
		return entry, false // nothing, or a manifest of something else
	case err == nil:
		err = fmt.Errorf("read manifest: %s is damaged: it says nothing of the run", run.ManifestPath())
	}
	entry.Manifest, entry.State, entry.Err = rundir.NewManifest(), Damaged, err
	entry.Manifest.Name = filepath.Base(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		if running(run) == rundir.Running { // it has only just begun
			entry.State, entry.Err = rundir.Running, nil
			return entry, true
		}
		entry.Err = fmt.Errorf("%s: its process died before it wrote a manifest; remove it: latent runs rm %s", path, path)
	}
	return entry, true
}

// running tells a run that is running from one that was killed.
func running(run *rundir.Run) rundir.State {
	if locked, err := run.Locked(); err == nil && !locked {
		return Killed
	}
	return rundir.Running
}

// Open returns the run in a folder, as [List] would have it.
func Open(path string) (Entry, error) {
	path = filepath.Clean(path)
	if entry, ok := read(path); ok {
		return entry, nil
	}
	if _, err := rundir.Open(path); err != nil {
		return Entry{}, err
	}
	return Entry{}, fmt.Errorf("open run: %s is not the manifest of a run", filepath.Join(path, "manifest.json"))
}

// Find returns a run by what a person would call it: the path of its folder, from here or from dir; its name, for the newest of that name; or
// the beginning or the end of TIME-ID, where only one run below dir has it.
func Find(dir, name string) (Entry, error) {
	for _, path := range []string{name, filepath.Join(dir, name)} {
		if entry, ok := read(filepath.Clean(path)); ok {
			return entry, nil
		}
	}
	entries, err := List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, fmt.Errorf("no run %s: neither is it the folder of one, nor is there a folder %s with runs", name, dir)
	}
	if err != nil {
		return Entry{}, err
	}
	name = filepath.ToSlash(name)
	for _, entry := range entries {
		if entry.Manifest.Name == name {
			return entry, nil
		}
	}
	var matches []Entry
	for _, entry := range entries {
		if rundir.Called(entry.Manifest.Name, entry.ID(), name) {
			matches = append(matches, entry)
		}
	}
	switch len(matches) {
	case 0:
		return Entry{}, fmt.Errorf("no run %s: neither is it the folder of one, nor has a run below %s that name or TIME-ID; see latent runs list %s", name, dir, dir)
	case 1:
		return matches[0], nil
	}
	var paths []string
	for _, entry := range matches[:min(len(matches), 5)] {
		paths = append(paths, entry.Path)
	}
	return Entry{}, fmt.Errorf("%d runs below %s begin or end with %s: %s; write more of it", len(matches), dir, name, strings.Join(paths, ", "))
}
