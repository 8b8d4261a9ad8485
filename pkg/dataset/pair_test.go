package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"latent/pkg/scale"
)

// pairs are folders of damaged and of clean pictures: damaged picture i has the shade i, its target 100 + i.
func pairs(t *testing.T, n int) (damaged, clean string) {
	t.Helper()
	damaged, clean = t.TempDir(), t.TempDir()
	for i := range n {
		save(t, damaged, fmt.Sprintf("%03d.png", i), uniform(6, 5, uint8(i)))
		save(t, clean, fmt.Sprintf("%03d.png", i), uniform(6, 5, uint8(100+i)))
	}
	return damaged, clean
}

// Each sample keeps its target, in every part of the data, scaled pictures and patches alike.
func TestPairs(t *testing.T) {
	damaged, clean := pairs(t, 60)
	for name, d := range map[string]Folder{
		"scaled":  {Height: 2, Width: 2},
		"patches": {Patch: 3, PatchesPerImage: 2},
	} {
		d.Dir, d.Target, d.Colour, d.Scale = []string{damaged}, []string{clean}, "grey", scale.Options{Kind: "range"}
		d.Own = Own{TestFraction: 0.3, Holdout: Holdout{Validation: 7, Resident: "device"}}
		split, err := d.Load(t.Context(), Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for part, s := range map[string]*Samples{"train": split.Train, "validation": split.Validation, "test": split.Test} {
			if s.Len() == 0 || s.Target == nil || s.Target.Len() != s.Len() {
				t.Fatalf("%s, %s: %d samples, targets %+v", name, part, s.Len(), s.Target)
			}
			for i := range s.Len() {
				row := s.Row(i).Uint8
				if len(row) != 2*s.Size() || row[s.Size()] != 100+row[0] {
					t.Fatalf("%s, %s: sample %d is %v", name, part, i, row)
				}
			}
		}
	}
}

// Files without a target, and targets of other sizes, are named.
func TestPairsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, damaged, clean string)
		want   string
	}{
		"missing": {func(t *testing.T, _, clean string) {
			if err := os.Remove(filepath.Join(clean, "003.png")); err != nil {
				t.Fatal(err)
			}
		}, "1 of 12 pictures have no target in data.target"},
		"two": {func(t *testing.T, _, clean string) {
			save(t, clean, "004.gif.png", uniform(6, 5, 1))
			save(t, clean, "004.PNG", uniform(6, 5, 1))
		},
			"004.png: more than one file matches as its target"},
		"size": {func(t *testing.T, _, clean string) { save(t, clean, "005.png", uniform(5, 6, 1)) }, "005.png is 6×5, but its target"},
	} {
		damaged, clean := pairs(t, 12)
		c.change(t, damaged, clean)
		d := Folder{Dir: []string{damaged}, Height: 2, Width: 2, Colour: "grey", Pairs: Pairs{Target: []string{clean}}, Own: Own{TestFraction: 0.3}}
		if _, err := d.Load(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

// A table's rows have those of another as targets.
func TestPairsOfTables(t *testing.T) {
	dir := t.TempDir()
	var rows, targets strings.Builder
	rows.WriteString("a,b\n")
	targets.WriteString("a,b\n")
	for i := range 40 {
		fmt.Fprintf(&rows, "%d,%d\n", i, 2*i)
		fmt.Fprintf(&targets, "%d,%d\n", 100+i, 100+2*i)
	}
	for name, text := range map[string]string{"rows.csv": rows.String(), "targets.csv": targets.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d := Kinds["table"]().(*Table)
	d.Files, d.Target = []string{filepath.Join(dir, "rows.csv")}, []string{filepath.Join(dir, "targets.csv")}
	split, err := d.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Samples{split.Train, split.Test} {
		if s.Target == nil || s.Target.Len() != s.Len() {
			t.Fatalf("%d rows, targets %+v", s.Len(), s.Target)
		}
		for i := range s.Len() {
			own, target := s.At(i), s.Target.At(i)
			for j := range 2 {
				if target.At(j) != 100+own.At(j) {
					t.Fatalf("row %d: %g becomes %g", i, own.At(j), target.At(j))
				}
			}
		}
	}
	if !slices.Equal(split.Train.Target.Features, []string{"a", "b"}) {
		t.Errorf("features %v", split.Train.Target.Features)
	}
}
