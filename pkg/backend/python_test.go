package backend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakePython is a python3 that runs a shell script instead.
func fakePython(t *testing.T, script string) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("Pythons are asked for CUDA's plugin, on linux")
	}
	path := filepath.Join(t.TempDir(), "bin", "python3")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// saying is a script that answers with these folders, as Python does.
func saying(folders ...string) string {
	return `printf '\0` + strings.Join(folders, `\0`) + `\0'`
}

// noPythons leaves no Python to be asked but what a test names.
func noPythons(t *testing.T) {
	t.Helper()
	for _, variable := range []string{pythonVariable, "VIRTUAL_ENV", "CONDA_PREFIX", "CUDA_HOME", "CUDA_PATH", "PJRT_PLUGIN_LIBRARY_PATH"} {
		t.Setenv(variable, "")
	}
	t.Setenv("PATH", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
}

// put puts a file into a folder, and returns its path.
func put(t *testing.T, folder, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSearchPath(t *testing.T) {
	const limit = 500 * time.Millisecond
	for name, c := range map[string]struct {
		script string
		want   []string
		err    string
	}{
		"as Python answers":    {script: saying("", "/a/python311.zip", "/a b/site-packages"), want: []string{"/a/python311.zip", "/a b/site-packages"}},
		"no current folder":    {script: saying("", ".", "lib", "/a"), want: []string{"/a"}},
		"a talkative start-up": {script: "echo hello from sitecustomize\n" + saying("/a") + "\necho bye", want: []string{"/a"}},
		"with no folders":      {script: saying("", "")},
		"garbage":              {script: "head -c 3000 /dev/zero | tr '\\0' x", err: "does not answer as Python 3 does"},
		"nothing":              {script: ":", err: "does not answer as Python 3 does"},
		"that fails":           {script: "echo first >&2; echo 'No module named encodings' >&2; exit 3", err: "exit status 3: No module named encodings"},
		"that hangs":           {script: "exec sleep 60", err: "did not say within 500ms"},
	} {
		path := fakePython(t, c.script)
		begin := time.Now()
		got, err := searchPath(context.Background(), path, limit)
		if c.err == "" && (err != nil || !slices.Equal(got, c.want)) {
			t.Errorf("a Python %s: %q, %v, want %q", name, got, err, c.want)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), path)) {
			t.Errorf("a Python %s: %v, want %q and its path", name, err, c.err)
		}
		if took := time.Since(begin); took > 20*limit {
			t.Errorf("a Python %s took %v", name, took)
		}
	}
	if _, err := searchPath(context.Background(), filepath.Join(t.TempDir(), "python3"), limit); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a Python that is not there: %v", err)
	}
	// What one goes on printing is not kept.
	if _, err := searchPath(context.Background(), fakePython(t, "exec yes"), limit); err == nil || !strings.Contains(err.Error(), "did not say") {
		t.Errorf("a Python that prints for ever: %v", err)
	}
}

// The real one answers too, and a module of the current folder does not get in its way.
func TestSearchPathOfPython(t *testing.T) {
	found := interpreters()
	if len(found) == 0 {
		t.Skip("SKIPPED: there is no python3")
	}
	t.Chdir(t.TempDir())
	put(t, ".", "json.py", []byte("print('taken for the standard library'); raise SystemExit(1)"))
	put(t, ".", "sys.py", []byte("raise SystemExit(1)"))
	folders, err := searchPath(context.Background(), found[0], time.Minute)
	if err != nil || len(folders) == 0 {
		t.Errorf("%s says %q, %v", found[0], folders, err)
	}
}

func TestInterpreters(t *testing.T) {
	noPythons(t)
	if got := interpreters(); len(got) > 0 {
		t.Errorf("with no Python anywhere: %q", got)
	}
	environment, conda, path := fakePython(t, ":"), fakePython(t, ":"), fakePython(t, ":")
	t.Setenv("PATH", filepath.Dir(path))
	t.Setenv("VIRTUAL_ENV", filepath.Dir(filepath.Dir(environment)))
	t.Setenv("CONDA_PREFIX", filepath.Dir(filepath.Dir(conda)))
	if got, want := interpreters(), []string{environment, conda, path}; !slices.Equal(got, want) {
		t.Errorf("asks %q, want %q", got, want)
	}
	// An active environment is first on the PATH, and is asked once; one without a Python is passed over.
	t.Setenv("PATH", filepath.Dir(environment))
	t.Setenv("CONDA_PREFIX", t.TempDir())
	if got, want := interpreters(), []string{environment}; !slices.Equal(got, want) {
		t.Errorf("asks %q, want %q", got, want)
	}
	t.Setenv(pythonVariable, "/opt/python")
	if got, want := interpreters(), []string{"/opt/python"}; !slices.Equal(got, want) {
		t.Errorf("asks %q, want that of %s alone", got, pythonVariable)
	}
}

// The plugin for the newest CUDA comes first within a folder, and the folders in Python's order.
func TestCandidatesOfPython(t *testing.T) {
	noPythons(t)
	first, second := t.TempDir(), t.TempDir()
	member := func(cuda string) string { return filepath.Join("jax_plugins", "xla_cuda"+cuda, jaxPluginName) }
	want := []string{
		put(t, first, member("13"), nil), put(t, first, member("12"), nil), put(t, second, member("9"), nil),
	}
	for _, other := range []string{"jax_plugins/xla_rocm7/xla_rocm_plugin.so", "jax_plugins/13/" + jaxPluginName, "jax_plugins/xla_cudax/" + jaxPluginName} {
		put(t, second, other, nil)
	}
	asked := filepath.Join(t.TempDir(), "asked")
	python := fakePython(t, "echo >> "+asked+"; "+saying("", "/nowhere", first, second, first))
	list := func() []string {
		return slices.DeleteFunc(slices.Collect(candidates(context.Background(), CUDA, &packages{})), func(path string) bool {
			_, err := os.Stat(path)
			return err != nil
		})
	}

	t.Setenv("PATH", filepath.Dir(python)+":/bin:/usr/bin")
	if got := list(); !slices.Equal(got, want) {
		t.Errorf("of the Python on the PATH: %q, want %q", got, want)
	}
	// What is installed elsewhere comes before Python's, and then Python is not asked.
	own, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	installed := put(t, own, member("12"), nil)
	os.Remove(asked)
	if got, err := findPlugin(context.Background(), CUDA, &packages{}); err != nil || got != installed {
		t.Errorf("found %s, %v, want %s", got, err, installed)
	}
	if _, err := os.Stat(asked); err == nil {
		t.Error("Python was asked for a plugin that was there without it")
	}
	// The Python that the user names comes first.
	t.Setenv(pythonVariable, python)
	if got, want := list(), append(want, installed); !slices.Equal(got, want) {
		t.Errorf("with %s: %q, want %q", pythonVariable, got, want)
	}
	// One that was named and does not answer is not passed over.
	t.Setenv(pythonVariable, fakePython(t, "exit 1"))
	if got, err := findPlugin(context.Background(), CUDA, &packages{}); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("with a Python that fails: %s, %v", got, err)
	}
}

// Python is asked for CUDA alone.
func TestPythonIsLeftAlone(t *testing.T) {
	noPythons(t)
	asked := filepath.Join(t.TempDir(), "asked")
	t.Setenv(pythonVariable, fakePython(t, "echo >> "+asked))
	for _, err := range []error{
		func() error { _, err := findPlugin(context.Background(), CPU, nil); return err }(),
		func() error { _, err := OpenInstalled("xla:cpu", Options{}); return err }(),
	} {
		if !errors.Is(err, ErrNotInstalled) && err.Error() != fmt.Sprint(xlaUsable()) {
			t.Errorf("looking for the CPU's plugin: %v", err)
		}
	}
	List(context.Background(), CPU)
	b, err := OpenInstalled("go", Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, err := os.Stat(asked); err == nil {
		t.Error("Python was asked for a plugin for the CPU")
	}
	List(context.Background(), CPU, CUDA)
	if _, err := os.Stat(asked); err != nil {
		t.Error("Python was not asked for a list of all plugins")
	}
}

// Where there is no plugin, the error says what was asked, and every way to one.
func TestNoCUDA(t *testing.T) {
	noPythons(t)
	without, hangs := fakePython(t, saying("", "/nowhere")), fakePython(t, "exec sleep 60")
	for _, c := range []struct{ path, want string }{
		{t.TempDir(), "there is no python3 on the PATH"},
		{filepath.Dir(without), "these Pythons have none: " + without},
		{filepath.Dir(hangs) + ":/bin:/usr/bin", hangs + " did not say within 300ms where its packages are; set LATENT_PYTHON"},
	} {
		t.Setenv("PATH", c.path)
		_, err := findPlugin(context.Background(), CUDA, &packages{limit: 300 * time.Millisecond})
		if !errors.Is(err, ErrNotInstalled) {
			t.Fatalf("%s: %v", c.want, err)
		}
		for _, want := range []string{c.want, `pip install "jax[cuda13]"`, "jax-cuda13-pjrt", "latent backend install xla:cuda", "GOMLX_BACKEND=xla:/"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v\nlacks %q", err, want)
			}
		}
	}
}
