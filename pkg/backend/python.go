package backend

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pythonVariable names the Python whose packages come before all others, and in whose place no other is asked.
const pythonVariable = "LATENT_PYTHON"

// pythonLimit is how long a Python may take to answer. One on a network's disk takes seconds when it starts for the first time.
const pythonLimit = 10 * time.Second

// packages are the folders in which this machine's Pythons keep packages. The Pythons are asked when something of theirs is
// wanted, and then once. The zero value is ready.
type packages struct {
	limit   time.Duration // of each Python; 0 is pythonLimit
	asked   bool
	folders []string
	failed  []error // why a Python did not answer
	pythons []string
}

// PythonFolders lists the folders in which this machine's Pythons keep packages, in the order in which Python would look for one, those of
// one Python after those of another. It runs each Python.
func PythonFolders(ctx context.Context) []string { return (&packages{}).ask(ctx) }

// all is [PythonFolders], but asks once, and none where there are no plugins for CUDA.
func (p *packages) all(ctx context.Context) []string {
	if p.asked || runtime.GOOS != "linux" {
		return p.folders
	}
	return p.ask(ctx)
}

// ask asks the Pythons.
func (p *packages) ask(ctx context.Context) []string {
	p.asked = true
	p.pythons = interpreters()
	for _, interpreter := range p.pythons {
		folders, err := searchPath(ctx, interpreter, cmp.Or(p.limit, pythonLimit))
		if err != nil {
			p.failed = append(p.failed, err)
		}
		for _, folder := range folders {
			if !slices.Contains(p.folders, folder) {
				p.folders = append(p.folders, folder)
			}
		}
	}
	return p.folders
}

// interpreters lists the Pythons to ask: that of LATENT_PYTHON alone, or else those of the active virtual environment, of the
// active Conda environment, and of the PATH. A link is not followed: a virtual environment is one to Python.
func interpreters() []string {
	if chosen := os.Getenv(pythonVariable); chosen != "" {
		return []string{chosen}
	}
	var found []string
	add := func(path string) {
		if info, err := os.Stat(path); err == nil && !info.IsDir() && !slices.Contains(found, path) {
			found = append(found, path)
		}
	}
	for _, variable := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
		if folder := os.Getenv(variable); filepath.IsAbs(folder) {
			add(filepath.Join(folder, "bin", "python3"))
		}
	}
	if path, err := exec.LookPath("python3"); err == nil && filepath.IsAbs(path) {
		add(path)
	}
	return found
}

// searchScript prints where Python looks for packages, each folder between two NULs: what a start-up file of the user's prints
// stands before the first. It imports nothing that a file of the current folder could take the place of.
const searchScript = `import sys; sys.stdout.buffer.write("\0".join(["", *sys.path, ""]).encode("utf-8", "surrogateescape"))`

// mostOutput bounds what is read of a Python's answer.
const mostOutput = 1 << 20

// searchPath asks a Python where it looks for packages.
func searchPath(ctx context.Context, interpreter string, limit time.Duration) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	command := exec.CommandContext(ctx, interpreter, "-c", searchScript)
	command.WaitDelay = time.Second // a child of it may hold on to the pipe
	var stdout, stderr bounded
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		return nil, fmt.Errorf("%s did not say within %v where its packages are; set %s to a Python that does", interpreter, limit, pythonVariable)
	case err != nil:
		return nil, fmt.Errorf("ask %s where its packages are: it does not answer as Python 3 does (%w%s); set %s to one that does", interpreter, err, lastLine(stderr.kept.String()), pythonVariable)
	}
	parts := strings.Split(stdout.kept.String(), "\x00")
	if len(parts) < 3 {
		return nil, fmt.Errorf("ask %s where its packages are: it does not answer as Python 3 does; set %s to one that does", interpreter, pythonVariable)
	}
	return slices.DeleteFunc(parts[1:len(parts)-1], func(folder string) bool { return !filepath.IsAbs(folder) }), nil
}

// lastLine returns the last line of what a program complained of, to be added to an error.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return ": " + last
	}
	return ""
}

// bounded keeps the beginning of what is written to it.
type bounded struct{ kept bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.kept.Write(p[:min(len(p), mostOutput-b.kept.Len())])
	return len(p), nil
}

// jaxPlugins lists JAX's CUDA plugins in a folder of packages, that for the newest CUDA first.
func jaxPlugins(folder string) []string {
	entries, err := os.ReadDir(filepath.Join(folder, "jax_plugins"))
	if err != nil {
		return nil
	}
	versions := map[string]int{}
	var names []string
	for _, entry := range entries {
		digits, isCUDA := strings.CutPrefix(entry.Name(), "xla_cuda")
		if version, err := strconv.Atoi(digits); isCUDA && err == nil {
			names, versions[entry.Name()] = append(names, entry.Name()), version
		}
	}
	slices.SortFunc(names, func(a, b string) int { return versions[b] - versions[a] })
	var found []string
	for _, name := range names {
		path := filepath.Join(folder, "jax_plugins", name, jaxPluginName)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			found = append(found, path)
		}
	}
	return found
}

// jaxPluginName is the plugin's file in JAX's wheels for CUDA.
const jaxPluginName = "xla_cuda_plugin.so"
