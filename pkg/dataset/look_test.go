package dataset

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"latent/pkg/scale"
)

// List names the pictures that a folder reads, and Sizes says how it divides them.
func TestList(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		save(t, dir, fmt.Sprintf("%s/%02d.png", []string{"a", "b"}[i%2], i), uniform(4, 4, uint8(10*i)))
	}
	saveFile(t, dir, "a/x.heic", nil)
	l, err := List("data.dir", []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Paths) != 20 || l.Names[0] != "a/00.png" || !maps.Equal(l.Classes, map[string]int{"a": 10, "b": 10}) || !maps.Equal(l.LeftOut, map[string]int{".heic": 1}) {
		t.Errorf("%+v", l)
	}
	d := Folder{Dir: []string{dir}, Height: 4, Width: 4, Colour: "grey", Scale: scale.Options{Kind: "range"}, OnBad: "refuse",
		Own: Own{TestFraction: 0.3, Holdout: Holdout{Validation: 2}}}
	split, err := d.Load(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	train, validation, test, err := d.Sizes(len(l.Names), func(i int) string { return l.Names[i] })
	if want := []int{split.Train.Len(), split.Validation.Len(), split.Test.Len()}; err != nil || !slices.Equal([]int{train, validation, test}, want) {
		t.Errorf("%d, %d and %d, want %d, error %v", train, validation, test, want, err)
	}
	if _, err := List("data.dir", []string{dir + "/none"}); err == nil {
		t.Error("no error where there is no folder")
	}
}
