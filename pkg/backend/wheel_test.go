package backend

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recordOf is the line of a wheel's list of files for one of them.
func recordOf(t *testing.T, name string, data []byte) string {
	t.Helper()
	digest, err := hex.DecodeString(fileOf(data).sha256)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s,sha256=%s,%d\n", name, base64.RawURLEncoding.EncodeToString(digest), len(data))
}

const (
	member13 = "jax_plugins/xla_cuda13/" + jaxPluginName
	record13 = "jax_cuda13_pjrt-0.12.0.dist-info/RECORD"
)

// A plugin among a Python's packages is what its wheel says, at its first use already, and may be upgraded.
func TestVerifyWheel(t *testing.T) {
	newTrial(t)
	site := t.TempDir()
	plugin := library(t, "JAX's plugin")
	path := put(t, site, member13, plugin)
	list := func(data []byte) {
		put(t, site, record13, []byte("jax_plugins/xla_cuda13/__init__.py,sha256=AA,1\n"+recordOf(t, member13, data)+record13+",,\n"))
	}
	list(plugin)
	if _, err := verify(path); err != nil {
		t.Fatal(err)
	}
	if got := versionOf(path, ""); got != "jax-cuda13-pjrt 0.12.0" {
		t.Errorf("the version is %q", got)
	}
	newer := library(t, "JAX's pluggin")
	put(t, site, member13, newer)
	if _, err := verify(path); err == nil || !strings.Contains(err.Error(), "it was altered; run with its Python: pip install --force-reinstall --no-deps jax-cuda13-pjrt==0.12.0") {
		t.Errorf("an altered plugin: %v", err)
	}
	list(newer)
	if _, err := verify(path); err != nil {
		t.Errorf("after an upgrade: %v", err)
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := verify(path); err == nil || !strings.Contains(err.Error(), "it was cut off: EOF; run with its Python: pip install") {
		t.Errorf("a plugin that was cut off: %v", err)
	}
	// Where the wheel does not say, the plugin is remembered as others are.
	for _, text := range []string{"", member13 + ",,\n", member13 + ",sha256=?,5\n", "not,four,columns,\n"} {
		put(t, site, member13, plugin)
		put(t, site, record13, []byte(text))
		if _, err := verify(path); err != nil {
			t.Errorf("with a RECORD of %q: %v", text, err)
		}
		put(t, site, member13, newer)
		if _, err := verify(path); err == nil || !strings.Contains(err.Error(), "when it was first used") {
			t.Errorf("altered, with a RECORD of %q: %v", text, err)
		}
	}
}

func TestInstallWheel(t *testing.T) {
	c := newTrial(t)
	noPythons(t) // after newTrial, whose folder it takes the place of
	dir, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	plugin := library(t, "JAX's plugin")
	good := map[string][]byte{
		"jax_plugins/xla_cuda13/__init__.py": []byte("raise SystemExit(1)"), member13: plugin,
		record13: []byte(recordOf(t, member13, plugin)),
	}
	with := func(changed map[string][]byte) []byte {
		all := maps.Clone(good)
		maps.Copy(all, changed)
		var out bytes.Buffer
		archive := zip.NewWriter(&out)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if all[name] == nil {
				continue
			}
			w, err := archive.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(all[name]); err != nil {
				t.Fatal(err)
			}
		}
		if err := archive.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	ctx := context.Background()
	path, err := Install(ctx, CUDA, write(t, "jax.whl", with(nil)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, member13); path != want {
		t.Errorf("installed %s, want %s", path, want)
	}
	if found, err := findPlugin(ctx, CUDA, &packages{}); err != nil || found != path {
		t.Errorf("found %s, %v, want %s", found, err, path)
	}
	plugins, _ := List(ctx, CUDA)
	if len(plugins) != 1 || plugins[0].Err != nil || plugins[0].Version != "jax-cuda13-pjrt 0.12.0" {
		t.Errorf("the list has %+v", plugins)
	}
	if left := leftOver(t, dir); !slices.Equal(left, []string{"jax_cuda13_pjrt-0.12.0.dist-info", "jax_plugins"}) {
		t.Errorf("left %v", left)
	}

	// Nothing of a wheel that is not right is put in the place of what is there.
	large := make([]byte, 10<<20)
	for name, data := range map[string][]byte{
		"no wheel":            []byte("PK no archive"),
		"cut off":             with(nil)[:200],
		"of another package":  with(map[string][]byte{record13: nil, "jax-0.12.0.dist-info/RECORD": good[record13]}),
		"without a plugin":    with(map[string][]byte{member13: nil}),
		"plugin not listed":   with(map[string][]byte{record13: []byte("a,sha256=AA,1\n")}),
		"another plugin":      with(map[string][]byte{member13: library(t, "JAX's plugIn")}),
		"more than is listed": with(map[string][]byte{member13: append(plugin[:len(plugin):len(plugin)], large...)}),
		"too large a list":    with(map[string][]byte{record13: large}),
		"no library":          with(map[string][]byte{member13: []byte("text"), record13: []byte(recordOf(t, member13, []byte("text")))}),
		"too large a plugin": with(map[string][]byte{record13: []byte(strings.Replace(recordOf(t, member13, plugin),
			fmt.Sprintf(",%d\n", len(plugin)), fmt.Sprintf(",%d\n", int64(mostPlugin)+1), 1))}),
		"outside": with(map[string][]byte{member13: nil, "../" + member13: plugin}),
	} {
		from := write(t, "bad.whl", data)
		if got, err := Install(ctx, CUDA, from, Options{}); err == nil {
			t.Errorf("%s: installed %s", name, got)
		} else if !strings.Contains(err.Error(), from) {
			t.Errorf("%s: %v: the error does not name the file", name, err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, plugin) {
			t.Errorf("%s: the plugin that was there is %d bytes, %v", name, len(got), err)
		}
		if left := leftOver(t, dir); len(left) != 2 {
			t.Errorf("%s left %v", name, left)
		}
	}
	if _, err := Install(ctx, CUDA, write(t, "own.so", c.plugin), Options{}); err == nil || !strings.Contains(err.Error(), "GOMLX_BACKEND=xla:/") {
		t.Errorf("a plugin without its wheel: %v", err)
	}

	// One for another CUDA takes its place.
	member12 := strings.Replace(member13, "13", "12", 1)
	other := with(map[string][]byte{member13: nil, record13: nil, member12: plugin, "jax_cuda12_pjrt-0.12.0.1.dist-info/RECORD": []byte(recordOf(t, member12, plugin))})
	path, err = Install(ctx, CUDA, write(t, "jax.whl", other), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := findPlugin(ctx, CUDA, &packages{}); err != nil || found != path || versionOf(found, "") != "jax-cuda12-pjrt 0.12.0.1" {
		t.Errorf("found %s, %v, want %s", found, err, path)
	}
	// Damaged, it is told how it came here.
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := verify(path); err == nil || !strings.Contains(err.Error(), "latent backend install xla:cuda --from WHEEL") {
		t.Errorf("damaged: %v", err)
	}
}
