// Package runs is the runs below a folder.
//
//	entries, unread, err := runs.List("runs")        // the newest first
//	newest, err := runs.Find("runs", "mnist-denoise") // or a path, or the beginning of TIME-ID
//	psnr, found := newest.Figure("psnr")
//	run, err := newest.Open()                        // for pictures, metrics, checkpoints
//
// A folder is a run's where it has a manifest.json that pkg/rundir reads. One whose manifest is damaged is in the list too, with
// [Damaged] as its state, and so is one that a killed process left before it wrote a manifest.
//
// Promised: nothing is written; a damaged run, or a folder that cannot be read, hides no other; a run is in the list once, also where
// links lead to it; the order is the same each time. Ten thousand runs take less than a second (go test ./pkg/runs -bench List).
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

	"latent/pkg/message"
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
	// Linked says that a link leads to the run: it lies elsewhere, and may be others'.
	Linked bool
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

// mostLinks bounds the links that are followed.
const mostLinks = 1000

// List returns the runs in a folder and below it, the newest first; those of one moment in the order of their paths, and the
// damaged ones, whose moment is not known, last. Folders whose names begin with a dot are passed over. A folder that is itself a
// run's is the only one of its list. A run that lies there and that links lead to, too, is listed where it lies. Unread are the folders that
// cannot be read, and why.
func List(dir string) (entries []Entry, unread []error, err error) {
	dir = filepath.Clean(dir)
	info, err := os.Stat(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("list runs: %w", err)
	}
	if !info.IsDir() {
		return nil, nil, fmt.Errorf("list runs: %s is a file; give the folder of runs", dir)
	}
	w := walk{seen: map[string]bool{}, followed: map[string]bool{real(dir): true}}
	if err := w.below(dir, maxDepth); err != nil {
		return nil, nil, fmt.Errorf("list runs: %w", err)
	}
	// Where links lead is looked at after all that lies there, and in the order of their paths, so that what is found does not depend on
	// which folder was read first.
	for len(w.links) > 0 {
		links := w.links
		w.links = nil
		slices.SortFunc(links, func(a, b link) int { return strings.Compare(a.path, b.path) })
		for _, l := range links {
			if len(w.followed) > mostLinks {
				w.unread = append(w.unread, fmt.Errorf("%s: not followed, as more than %d links were", l.path, mostLinks))
				break
			}
			if err := w.follow(l); err != nil {
				return nil, nil, fmt.Errorf("list runs: %w", err)
			}
		}
	}
	slices.SortFunc(w.entries, func(a, b Entry) int {
		return cmp.Or(b.Manifest.Started.Compare(a.Manifest.Started), strings.Compare(a.Path, b.Path))
	})
	slices.SortFunc(w.unread, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return w.entries, w.unread, nil
}

// link is a link to a folder, so many folders above the deepest that is looked at.
type link struct {
	path  string
	depth int
}

// walk looks for runs, in several folders at once.
type walk struct {
	mutex   sync.Mutex
	entries []Entry
	unread  []error
	links   []link // that were not followed yet
	linked  bool   // what is looked at lies behind a link
	// seen are the runs, and followed the folders that were looked at, by their paths without links. Links that lead round in a ring end
	// there. Runs are only entered once there are links.
	seen, followed map[string]bool
}

// below adds the runs in a folder and below it.
func (w *walk) below(path string, depth int) error {
	var group errgroup.Group
	// Most of the time goes to waiting for the disk.
	group.SetLimit(8 * runtime.GOMAXPROCS(0))
	return cmp.Or(w.folder(&group, path, depth), group.Wait())
}

// follow adds the runs that a link leads to, but for those that were seen.
func (w *walk) follow(l link) error {
	info, err := os.Stat(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // it leads nowhere
	case err != nil:
		w.unread = append(w.unread, err) // a ring of links, or behind a folder that cannot be read
		return nil
	case !info.IsDir():
		return nil
	}
	target := real(l.path)
	if w.followed[target] {
		return nil
	}
	w.followed[target] = true
	if len(w.seen) == 0 {
		for _, e := range w.entries {
			w.seen[real(e.Path)] = true
		}
	}
	known := len(w.entries)
	w.linked = true
	if err := w.below(l.path, l.depth); err != nil {
		return err
	}
	found := w.entries[known:]
	slices.SortFunc(found, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	kept := slices.DeleteFunc(found, func(e Entry) bool {
		path := real(e.Path)
		was := w.seen[path]
		w.seen[path] = true
		return was
	})
	w.entries = w.entries[:known+len(kept)]
	return nil
}

// real is a path without links.
func real(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return path
}

// folder adds the run that a folder is, or those below it, that many folders deep.
func (w *walk) folder(group *errgroup.Group, path string, depth int) error {
	if entry, ok := read(path); ok {
		entry.Linked = w.linked
		w.mutex.Lock()
		w.entries = append(w.entries, entry)
		w.mutex.Unlock()
		return nil
	}
	if depth == 0 {
		return nil
	}
	children, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed meanwhile
	}
	if err != nil {
		w.mutex.Lock()
		w.unread = append(w.unread, err)
		w.mutex.Unlock()
		return nil
	}
	for _, child := range children {
		if strings.HasPrefix(child.Name(), ".") {
			continue
		}
		below := filepath.Join(path, child.Name())
		if child.Type()&fs.ModeSymlink != 0 {
			w.mutex.Lock()
			w.links = append(w.links, link{below, depth - 1})
			w.mutex.Unlock()
		}
		if !child.IsDir() {
			continue
		}
		look := func() error { return w.folder(group, below, depth-1) }
		// Where all are busy, this one does it itself: waiting for a free one, all might wait.
		if !group.TryGo(look) {
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
		entry.Err = fmt.Errorf("%s: its process died before it wrote a manifest; remove it: latent runs rm %s", path, message.Quote(path))
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
	entries, _, err := List(dir)
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
		return Entry{}, fmt.Errorf("no run %s: neither is it the folder of one, nor has a run below %s that name or TIME-ID; see latent runs list %s", name, dir, message.Quote(dir))
	case 1:
		return matches[0], nil
	}
	var paths []string
	for _, entry := range matches[:min(len(matches), 5)] {
		paths = append(paths, entry.Path)
	}
	return Entry{}, fmt.Errorf("%d runs below %s begin or end with %s: %s; write more of it", len(matches), dir, name, strings.Join(paths, ", "))
}
