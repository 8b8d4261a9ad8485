package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"latent/pkg/rundir"
)

// Entry is a sweep in a list.
type Entry struct {
	// Path is the folder, as seen from where the list was asked for: DIR/NAME/TIME-ID.
	Path string
	// Record is what sweep.json says.
	Record Record
}

// Name is that of the sweep's config; of a folder that was moved, as before.
func (e Entry) Name() string {
	name, _, _ := strings.Cut(e.Record.Study, "/")
	return name
}

// ID is the name of the sweep's folder as it was made: TIME-ID.
func (e Entry) ID() string {
	_, id, _ := strings.Cut(e.Record.Study, "/")
	return id
}

// openTime bounds how long a list waits for the trials of one sweep: a database elsewhere may not answer.
const openTime = 5 * time.Second

// Status opens the sweep and reads where it stands.
func (e Entry) Status(ctx context.Context) (*Status, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	return StatusOf(ctx, e.Path)
}

// StatusOf is how the sweep in a folder stands; the folder need not be writable.
func StatusOf(ctx context.Context, path string) (*Status, error) {
	s, err := Look(ctx, path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Status(ctx)
}

// listDepth is how many folders deep below DIR a sweep is looked for: DIR/NAME/TIME-ID.
const listDepth = 2

// List returns the sweeps in a folder and up to two folders below it, the newest first. Trials are not read, nor folders whose names begin
// with a dot.
func List(dir string) ([]Entry, error) {
	var entries []Entry
	if err := below(filepath.Clean(dir), listDepth, &entries); err != nil {
		return nil, fmt.Errorf("list sweeps: %w", err)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return b.Record.Started.Compare(a.Record.Started) })
	return entries, nil
}

// below adds the sweep that a folder is, or those below it.
func below(path string, depth int, entries *[]Entry) error {
	if record, err := readRecord(path); err == nil {
		*entries = append(*entries, Entry{path, record})
		return nil
	}
	children, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, child := range children {
		if depth == 0 || !child.IsDir() || strings.HasPrefix(child.Name(), ".") {
			continue
		}
		err := below(filepath.Join(path, child.Name()), depth-1, entries)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) { // removed meanwhile, or not for us
			return err
		}
	}
	return nil
}

// readRecord reads sweep.json.
func readRecord(path string) (Record, error) {
	var record Record
	file := filepath.Join(path, recordFile)
	data, err := rundir.ReadFile(file, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return record, fmt.Errorf("open sweep: %s has no %s: it is not the folder of a sweep, which is DIR/NAME/TIME-ID", path, recordFile)
	}
	if err != nil {
		return record, fmt.Errorf("open sweep: %w", err)
	}
	if err := json.Unmarshal(data, &record); err != nil {
		return record, fmt.Errorf("open sweep: %s is damaged: %w", file, err)
	}
	if record.Version != recordVersion {
		return record, fmt.Errorf("open sweep: %s has version %d, this program reads version %d", file, record.Version, recordVersion)
	}
	return record, nil
}

// Find returns the folder of a sweep by what a person would call it: its path, from here or from dir; its name, for the newest of that name;
// or the beginning or the end of TIME-ID, where only one sweep below dir has it.
func Find(dir, name string) (string, error) {
	for _, path := range []string{name, filepath.Join(dir, name)} {
		if _, err := os.Stat(filepath.Join(path, recordFile)); err == nil {
			return filepath.Clean(path), nil // whoever opens it says what is wrong with it
		}
	}
	entries, err := List(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	called := filepath.ToSlash(name)
	var matches []string
	for _, entry := range entries {
		if entry.Name() == called {
			return entry.Path, nil
		}
		if rundir.Called(entry.Name(), entry.ID(), called) {
			matches = append(matches, entry.Path)
		}
	}
	switch _, err := os.Stat(name); {
	case len(matches) == 1:
		return matches[0], nil
	case len(matches) > 1:
		return "", fmt.Errorf("%d sweeps below %s begin or end with %s: %s; write more of it", len(matches), dir, name, strings.Join(matches[:min(len(matches), 5)], ", "))
	case err == nil:
		_, err := readRecord(name)
		return "", err
	}
	return "", fmt.Errorf("no sweep %s: neither is it the folder of one, nor has a sweep below %s that name or TIME-ID", name, dir)
}
