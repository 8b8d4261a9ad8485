package runs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"latent/pkg/rundir"
)

var begin = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// manifestOf is one of a usual size: 5 KB.
func manifestOf(name string, minute int, state rundir.State) *rundir.Manifest {
	m := rundir.NewManifest()
	m.Name, m.State, m.Started, m.ConfigSHA256 = name, state, begin.Add(time.Duration(minute)*time.Minute), strings.Repeat("0", 64)
	m.ConfigSections = map[string]string{}
	for i := range 11 {
		m.ConfigSections[fmt.Sprint("section-", i)] = strings.Repeat("0", 64)
	}
	for i := range 47 {
		m.Data.Classes = append(m.Data.Classes, fmt.Sprint(i))
	}
	for i := range 7 {
		m.Model.Layers = append(m.Model.Layers, rundir.Layer{Name: fmt.Sprint("encoder.layer_", i), Description: "dense 784 → 256, relu", Parameters: 200960})
	}
	m.Timings = map[string]float64{"train": 20, "compile": 2}
	m.Result.Test = map[string]rundir.Number{"psnr": rundir.Number(minute), "mse": 0.03}
	return m
}

// create makes a run's folder at DIR/NAME/ID, and leaves it.
func create(t testing.TB, path string, m *rundir.Manifest) {
	t.Helper()
	run, err := rundir.CreateAt(path, true)
	if err == nil && m != nil {
		err = run.WriteManifest(m)
	}
	if err := errors.Join(err, run.Close()); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	create(t, filepath.Join(dir, "a/2026-11-24T10-01-00-aaaa"), manifestOf("a", 1, rundir.Done))
	create(t, filepath.Join(dir, "a/2026-11-24T10-03-00-bbbb"), manifestOf("a", 3, rundir.Running)) // nobody holds its lock
	create(t, filepath.Join(dir, "b/2026-11-24T10-02-00-cccc"), manifestOf("b", 2, rundir.Failed))
	create(t, filepath.Join(dir, "sweeps/s/2026-11-24T10-00-00-dddd/trials/0001-42"), manifestOf("s", 0, rundir.Pruned))
	create(t, filepath.Join(dir, "c/no-manifest"), nil)
	create(t, filepath.Join(dir, "c/cut-off"), manifestOf("c", 5, rundir.Done))
	if err := os.Truncate(filepath.Join(dir, "c/cut-off/manifest.json"), 1000); err != nil {
		t.Fatal(err)
	}
	create(t, filepath.Join(dir, "c/huge"), manifestOf("c", 5, rundir.Done))
	if err := os.Truncate(filepath.Join(dir, "c/huge/manifest.json"), 1<<40); err != nil {
		t.Fatal(err)
	}
	create(t, filepath.Join(dir, "c/null"), manifestOf("c", 5, rundir.Done))
	write(t, filepath.Join(dir, "c/null/manifest.json"), "null")
	// What is no run: another program's manifest, hidden folders.
	write(t, filepath.Join(dir, "web/manifest.json"), `{"name": "app", "icons": []}`)
	write(t, filepath.Join(dir, "web2/manifest.json"), `{"version": "1.0"}`)
	create(t, filepath.Join(dir, ".hidden/run"), manifestOf("a", 1, rundir.Done))
	live, err := rundir.CreateAt(filepath.Join(dir, "b/live"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if err := live.WriteManifest(manifestOf("b", 4, rundir.Running)); err != nil {
		t.Fatal(err)
	}
	newborn, err := rundir.CreateAt(filepath.Join(dir, "b/newborn"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer newborn.Close()

	entries, unread, err := List(dir)
	if err != nil || len(unread) > 0 {
		t.Fatal(err, unread)
	}
	var got []string
	for _, e := range entries {
		path, _ := filepath.Rel(dir, e.Path)
		got = append(got, fmt.Sprintf("%s %s %s", path, e.Manifest.Name, e.State))
		if (e.State == Damaged) != (e.Err != nil) {
			t.Errorf("%s is %s with error %v", path, e.State, e.Err)
		}
	}
	want := []string{
		"b/live b running",
		"a/2026-11-24T10-03-00-bbbb a killed",
		"b/2026-11-24T10-02-00-cccc b failed",
		"a/2026-11-24T10-01-00-aaaa a done",
		"sweeps/s/2026-11-24T10-00-00-dddd/trials/0001-42 s pruned",
		"b/newborn b running",
		"c/cut-off c damaged",
		"c/huge c damaged",
		"c/no-manifest c damaged",
		"c/null c damaged",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if first := entries[0]; first.Seconds() != 22 {
		t.Errorf("%g seconds, want 22", first.Seconds())
	}
	if psnr, found := entries[1].Figure("psnr"); psnr != 3 || !found {
		t.Errorf("psnr %g, %v; want 3", psnr, found)
	}
	if _, found := entries[8].Figure("psnr"); found {
		t.Error("a damaged run has figures")
	}
}

// Runs are listed where they lie, and by the first link that leads to them where they lie elsewhere; rings of links end.
func TestListLinks(t *testing.T) {
	base := t.TempDir()
	dir, away := filepath.Join(base, "runs"), filepath.Join(base, "away")
	create(t, filepath.Join(dir, "a/here"), manifestOf("a", 9, rundir.Done))
	create(t, filepath.Join(away, "one"), manifestOf("b", 8, rundir.Done))
	create(t, filepath.Join(away, "b/two"), manifestOf("b", 7, rundir.Done))
	write(t, filepath.Join(base, "file"), "")
	for name, target := range map[string]string{
		"0-again": "a/here", "a/ring": "..", "a/ring2": ".", "self": "self", "nowhere": "gone", "file": "../file",
		"run": "../away/one", "run2": "../away/one", "z-all": "../away", "z-all2": "../away",
	} {
		if err := os.Symlink(filepath.FromSlash(target), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../runs", filepath.Join(away, "back")); err != nil {
		t.Fatal(err)
	}
	entries, unread, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		path, _ := filepath.Rel(dir, e.Path)
		got = append(got, fmt.Sprint(filepath.ToSlash(path), " ", e.Linked))
	}
	if want := []string{"a/here false", "run true", "z-all/b/two true"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(unread) != 1 || !strings.Contains(unread[0].Error(), "self") {
		t.Errorf("unread %v, want the link to itself alone", unread)
	}
}

func TestListErrors(t *testing.T) {
	if _, _, err := List(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	if _, _, err := List(file); err == nil || !strings.Contains(err.Error(), "is a file") {
		t.Errorf("a file: %v", err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for path, m := range map[string]*rundir.Manifest{
		"mnist/2026-11-24T10-01-00-aaaa":   manifestOf("mnist", 1, rundir.Done),
		"mnist/2026-11-24T10-02-00-bbbb":   manifestOf("mnist", 2, rundir.Done),
		"mnist-2/2026-11-25T10-01-00-cccc": manifestOf("mnist-2", 3, rundir.Done),
	} {
		create(t, filepath.Join(dir, path), m)
	}
	for name, want := range map[string]string{
		"mnist": "2026-11-24T10-02-00-bbbb", // the newest of that name, not mnist-2's
		filepath.Join(dir, "mnist/2026-11-24T10-01-00-aaaa"): "2026-11-24T10-01-00-aaaa",
		"mnist/2026-11-24T10-01-00-aaaa":                     "2026-11-24T10-01-00-aaaa",
		"mnist/2026-11-24T10-01":                             "2026-11-24T10-01-00-aaaa",
		"2026-11-25":                                         "2026-11-25T10-01-00-cccc",
		"cccc":                                               "2026-11-25T10-01-00-cccc",
		"2026-11-24":                                         "error: 2 runs below",
		"mnis":                                               "error: no run mnis",
		"":                                                   "error: no run",
		"../../etc":                                          "error: no run",
	} {
		entry, err := Find(dir, name)
		got := "error: "
		if err != nil {
			got += err.Error()
		} else {
			got = entry.ID()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
	if _, err := Find(filepath.Join(dir, "none"), "mnist"); err == nil || !strings.Contains(err.Error(), "nor is there a folder") {
		t.Errorf("without a folder: %v", err)
	}
}

// What is listed are runs of those that are there, whatever is done to one manifest.
func FuzzManifest(f *testing.F) {
	whole, err := json.Marshal(manifestOf("a", 1, rundir.Done))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:100])
	f.Add([]byte(`{"version": 1, "started": "2026-11-24T10:00:00Z", "config_sha256": "0", "result": {"test": {"psnr": null}}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, manifest []byte) {
		dir := t.TempDir()
		create(t, filepath.Join(dir, "a"), manifestOf("a", 1, rundir.Done))
		create(t, filepath.Join(dir, "b"), nil)
		write(t, filepath.Join(dir, "b/manifest.json"), string(manifest))
		entries, _, err := List(dir)
		if err != nil || !slices.ContainsFunc(entries, func(e Entry) bool { return e.ID() == "a" && e.State == rundir.Done }) {
			t.Errorf("%v, %v", entries, err)
		}
		for _, e := range entries {
			e.Figure("psnr") // with a manifest of whatever kind
		}
	})
}

// BenchmarkList lists 10,000 runs of ten names.
func BenchmarkList(b *testing.B) {
	dir := b.TempDir()
	for i := range 10000 {
		create(b, filepath.Join(dir, fmt.Sprintf("name-%d/%05d", i%10, i)), manifestOf(fmt.Sprint("name-", i%10), i, rundir.Done))
	}
	for b.Loop() {
		entries, _, err := List(dir)
		if err != nil || len(entries) != 10000 {
			b.Fatalf("%d runs, %v", len(entries), err)
		}
	}
}
