package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"latent/pkg/cache"
)

// same checks that two splits hold the same samples with the same labels, scale and checksums.
func same(t *testing.T, what string, got, want *Split) {
	t.Helper()
	for i, parts := range [][2]*Samples{{got.Train, want.Train}, {got.Validation, want.Validation}, {got.Test, want.Test}} {
		a, b := parts[0], parts[1]
		if a.Len() != b.Len() || !reflect.DeepEqual(a.Labels, b.Labels) || !reflect.DeepEqual(a.Features, b.Features) || !reflect.DeepEqual(a.Scale, b.Scale) {
			t.Fatalf("%s: part %d: %d samples, labels %v, scale %v; want %d, %v, %v", what, i, a.Len(), a.Labels, a.Scale, b.Len(), b.Labels, b.Scale)
		}
		for k := range a.Len() {
			if a.At(k).Compare(b.At(k)) != 0 {
				t.Fatalf("%s: part %d: sample %d differs", what, i, k)
			}
		}
	}
	if !reflect.DeepEqual(got.Checksums, want.Checksums) || !reflect.DeepEqual(got.Classes, want.Classes) || !reflect.DeepEqual(got.Skipped, want.Skipped) {
		t.Errorf("%s: %v %v %v, want %v %v %v", what, got.Checksums, got.Classes, got.Skipped, want.Checksums, want.Classes, want.Skipped)
	}
}

// entries are those of the cache.
func entries(t *testing.T) []cache.Info {
	t.Helper()
	c, err := cache.Default()
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.List()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// What is streamed is what would be resident; it is decoded once, anew where a file was replaced or the entry damaged, even by a file
// of the same size and time.
func TestStreamedFolder(t *testing.T) {
	t.Setenv("LATENT_CACHE_DIR", t.TempDir())
	dir := t.TempDir()
	for i := range 24 {
		save(t, dir, fmt.Sprintf("%c/%02d.png", 'a'+i%2, i), uniform(5, 5, uint8(i)))
	}
	saveFile(t, dir, "a/04.png", []byte("no picture"))
	d := Kinds["folder"]().(*Folder)
	d.Dir, d.Height, d.Width, d.OnBad, d.Validation, d.TestFraction = []string{dir}, 4, 4, "skip", 3, 0.3
	load := func(resident string) *Split {
		t.Helper()
		d.Resident = resident
		split, err := d.Load(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return split
	}
	want := load("device")
	if want.Train.Streamed || len(entries(t)) != 0 {
		t.Errorf("streamed %v, %d entries of the cache", want.Train.Streamed, len(entries(t)))
	}
	first := load("stream")
	same(t, "streamed", first, want)
	if !first.Train.Streamed || len(entries(t)) != 1 {
		t.Errorf("streamed %v, %d entries of the cache", first.Train.Streamed, len(entries(t)))
	}
	same(t, "from the cache", load("stream"), want)
	same(t, "from the cache without streaming", load("auto"), want)

	entry := filepath.Join(os.Getenv("LATENT_CACHE_DIR"), "data", entries(t)[0].Key+".values")
	info, err := os.Stat(entry)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(entry)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(entry) // what is mapped stays
	whole[len(whole)/2] ^= 1
	if err := os.WriteFile(entry, whole, info.Mode()); err != nil {
		t.Fatal(err)
	}
	same(t, "from a damaged entry", load("stream"), want)

	path := filepath.Join(dir, "b/05.png")
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	save(t, dir, "b/05.png", uniform(5, 5, 250))
	if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	replaced := load("stream")
	same(t, "with a file replaced", replaced, load("device"))
	if replaced.Checksums[filepath.Base(dir)] == want.Checksums[filepath.Base(dir)] {
		t.Error("a file that was replaced is not noticed")
	}
}

func TestStreamedTable(t *testing.T) {
	t.Setenv("LATENT_CACHE_DIR", t.TempDir())
	path := write(t, filepath.Join(t.TempDir(), "rows.csv"), rowsOf(60))
	d := Kinds["table"]().(*Table)
	d.Files, d.Label, d.Ignore, d.Validation = []string{path}, "kind", []string{"id"}, 5
	var splits []*Split
	for _, resident := range []string{"device", "stream", "stream", "auto"} {
		d.Resident = resident
		split, err := d.Load(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		splits = append(splits, split)
		same(t, resident, split, splits[0])
	}
	if !splits[1].Train.Streamed || splits[0].Train.Streamed || len(entries(t)) != 1 {
		t.Errorf("streamed %v and %v, %d entries", splits[1].Train.Streamed, splits[0].Train.Streamed, len(entries(t)))
	}
	write(t, path, rowsOf(61))
	split, err := d.Load(t.Context(), Options{})
	if err != nil || split.Train.Len()+split.Validation.Len()+split.Test.Len() != 61 {
		t.Errorf("a row more: %+v, %v", split, err)
	}
}
