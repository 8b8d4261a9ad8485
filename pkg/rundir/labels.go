package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"unicode/utf8"
)

// Labels are what people say of a run. They have a file of their own, for the manifest is written by the process that runs: labels can be
// changed at any time, without the run's lock. Of two changes at once the later one stays.
type Labels struct {
	Tags []string `json:"tags"` // in order, each once
	Note string   `json:"note,omitempty"`
}

// Bounds of labels.
const (
	MaxTags = 64   // of a run
	MaxNote = 4096 // bytes
)

var tagRule = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// CheckTag says why a word cannot be a tag.
func CheckTag(tag string) error {
	if !tagRule.MatchString(tag) {
		return fmt.Errorf("tag %q: want 1 to 64 letters, digits, '-', '_' and '.'", tag)
	}
	return nil
}

// Tag adds and removes tags.
func (l *Labels) Tag(add, remove []string) {
	l.Tags = slices.DeleteFunc(append(l.Tags, add...), func(tag string) bool { return slices.Contains(remove, tag) })
	slices.Sort(l.Tags)
	l.Tags = slices.Compact(l.Tags)
}

// Check says what of labels is out of bounds.
func (l Labels) Check() error {
	if len(l.Tags) > MaxTags {
		return fmt.Errorf("%d tags; a run can have %d", len(l.Tags), MaxTags)
	}
	for _, tag := range l.Tags {
		if err := CheckTag(tag); err != nil {
			return err
		}
	}
	if len(l.Note) > MaxNote || !utf8.ValidString(l.Note) {
		return fmt.Errorf("a note of %d bytes; want valid UTF-8 of at most %d", len(l.Note), MaxNote)
	}
	return nil
}

// LabelsPath is the path of tags.json.
func (r *Run) LabelsPath() string { return filepath.Join(r.Path, labelsFile) }

// Labels reads the run's; without a file there are none.
func (r *Run) Labels() (Labels, error) {
	path := r.LabelsPath()
	data, err := readBounded(path, 1<<16)
	if errors.Is(err, fs.ErrNotExist) {
		return Labels{}, nil
	}
	if err != nil {
		return Labels{}, fmt.Errorf("read tags: %w", err)
	}
	var labels Labels
	if err := json.Unmarshal(data, &labels); err != nil {
		return Labels{}, fmt.Errorf("read tags: %s is damaged: %s; remove it, or put a copy of it back", path, inJSON(data, err))
	}
	if err := labels.Check(); err != nil {
		return Labels{}, fmt.Errorf("read tags: %s is damaged: %w; remove it, or put a copy of it back", path, err)
	}
	return labels, nil
}

// WriteLabels replaces the run's.
func (r *Run) WriteLabels(l Labels) error {
	if err := l.Check(); err != nil {
		return fmt.Errorf("%s: %w", r.Path, err)
	}
	if l.Tags == nil {
		l.Tags = []string{}
	}
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return fmt.Errorf("write tags: %w", err)
	}
	return r.write(labelsFile, append(data, '\n'))
}
