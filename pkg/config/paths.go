package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"latent/pkg/dataset"
	"latent/pkg/rundir"
)

// paths are the relative paths of a config's file. One is seen from the working directory; where nothing is there, from the directories that
// are recorded beside a config in the folder of a run or a sweep, and from the config's own.
type paths struct {
	found    map[string]string // elsewhere than from the working directory: whole paths, as they are written
	missing  []string
	relative bool     // there are any
	others   []string // directories beside the working directory, whole; nil before they are needed
}

// find returns where the path is that a file has.
func (p *paths) find(file, written string) string {
	if written == "" || filepath.IsAbs(written) {
		return written
	}
	p.relative = true
	if dataset.There(written) {
		return written
	}
	for _, dir := range p.directories(file) {
		if whole := filepath.Join(dir, written); dataset.There(whole) {
			if p.found == nil {
				p.found = map[string]string{}
			}
			p.found[whole] = written
			return whole
		}
	}
	p.missing = append(p.missing, written)
	return written
}

// directories are those beside the working directory.
func (p *paths) directories(file string) []string {
	if p.others != nil {
		return p.others
	}
	p.others = []string{}
	own, err := filepath.Abs(filepath.Dir(file))
	if err != nil || file == "" {
		return nil
	}
	for _, name := range []string{"manifest.json", "sweep.json"} {
		var record struct {
			Directories []string `json:"directories"`
		}
		const most = 1 << 24
		if text, err := rundir.ReadFile(filepath.Join(own, name), most); err == nil && json.Unmarshal(text, &record) == nil {
			p.others = append(p.others, slices.DeleteFunc(record.Directories, func(dir string) bool { return !filepath.IsAbs(dir) })...)
		}
	}
	p.others = append(p.others, own)
	return p.others
}

// where says, of a path that is nowhere, where it was looked for; "" of others.
func (p *paths) where(written string) string {
	if !slices.Contains(p.missing, written) {
		return ""
	}
	here, err := os.Getwd()
	if err != nil {
		here = "the working directory"
	}
	others := slices.DeleteFunc(slices.Clone(p.others), func(dir string) bool { return dir == here })
	if len(others) == 0 {
		return "; it was looked for in the working directory, which is the config's too"
	}
	return fmt.Sprintf("; %s was looked for in the working directory, %s, then in %s, beside the config", written, here, strings.Join(others, ", "))
}

// restore writes paths that were found as they were written.
func (p *paths) restore(node *yaml.Node) {
	if written, found := p.found[node.Value]; found && node.Kind == yaml.ScalarNode {
		node.SetString(written)
	}
	for _, child := range node.Content {
		p.restore(child)
	}
}

// Directories are where relative paths of the experiment are looked for, whole: the working directory, and those beside it that its file had, its own
// among them. A run or a sweep records them, so that its config goes on working from another working directory. It is nil where no path is relative.
func (e *Experiment) Directories() []string {
	here, err := os.Getwd()
	if !e.paths.relative || err != nil {
		return nil
	}
	directories := []string{here}
	for _, dir := range e.paths.directories(e.source.file) {
		if !slices.Contains(directories, dir) {
			directories = append(directories, dir)
		}
	}
	return directories
}

// Lookups says of paths that were nowhere where they were looked for, as the end of an error's text; "" where there are none.
func (e *Experiment) Lookups() string {
	if len(e.paths.missing) == 0 {
		return ""
	}
	return e.paths.where(e.paths.missing[0])
}
