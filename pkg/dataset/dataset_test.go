package dataset

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// numbered returns n images of one pixel, whose value is the image's number.
func numbered(n int) *Samples {
	images := &Samples{Height: 1, Width: 1, Channels: 1}
	for i := range n {
		images.Values.Uint8, images.Labels = append(images.Values.Uint8, uint8(i)), append(images.Labels, uint8(i%10))
	}
	return images
}

func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 256).Draw(t, "images")
		h := Holdout{
			Validation: rapid.IntRange(0, n-1).Draw(t, "validation"),
			SplitSeed:  rapid.Int64Min(0).Draw(t, "split_seed"),
			Limit:      rapid.IntRange(0, n+5).Draw(t, "limit"),
		}
		images, order := numbered(n), h.shuffled(n)
		train, validation, err := divided(h, images, order)
		if err != nil {
			t.Fatal(err)
		}
		if validation.Len() != h.Validation || train.Len() != h.trainOf(n) {
			t.Fatalf("%d training and %d validation images, want %d and %d", train.Len(), validation.Len(), h.trainOf(n), h.Validation)
		}
		for _, part := range []*Samples{train, validation} {
			if !slices.IsSorted(part.Values.Uint8) {
				t.Fatal("a part is not in the dataset's order")
			}
			for i, label := range part.Labels {
				if label != part.At(i).Uint8[0]%10 {
					t.Fatalf("the label of image %d belongs to another image", i)
				}
			}
		}
		if both := slices.Sorted(slices.Values(slices.Concat(train.Values.Uint8, validation.Values.Uint8))); len(slices.Compact(both)) != len(both) {
			t.Fatal("an image is in both parts, or twice in one")
		}
		// A limit chooses among the images that would be trained on without it, and moves none that is held out.
		all, same, err := divided(Holdout{Validation: h.Validation, SplitSeed: h.SplitSeed}, images, order)
		if err != nil || !slices.Equal(same.Values.Uint8, validation.Values.Uint8) {
			t.Fatalf("the limit changes the images held out (%v)", err)
		}
		for _, pixel := range train.Values.Uint8 {
			if !slices.Contains(all.Values.Uint8, pixel) {
				t.Fatalf("image %d is trained on only with a limit", pixel)
			}
		}
	})
}

// divided are the parts of images that are trained on and held out.
func divided(h Holdout, images *Samples, order []int) (train, validation *Samples, err error) {
	split := &Split{}
	err = h.divide(split, images, order)
	return split.Train, split.Validation, err
}

// Of normal classes alone, what is held out is kept back to calibrate with, trained on, and nothing is in two parts; without a label, or
// with a class that is not there, the error names it.
func TestNormalAndCalibration(t *testing.T) {
	h := Holdout{Validation: 10, Calibration: 0.25, Normal: []string{"0", "3"}}
	images, order := numbered(200), h.shuffled(200) // 40 of the two classes
	split := &Split{Classes: strings.Fields("0 1 2 3 4 5 6 7 8 9")}
	if err := h.divide(split, images, order); err != nil {
		t.Fatal(err)
	}
	var all []uint8
	for name, part := range map[string]struct {
		samples *Samples
		want    int
	}{"validation": {split.Validation, 10}, "calibration": {split.Calibration, 8}, "train": {split.Train, 22}} {
		if got := part.samples.Len(); got != part.want {
			t.Errorf("%s: %d samples, want %d", name, got, part.want)
		}
		for i, label := range part.samples.Labels {
			if label != 0 && label != 3 || part.samples.At(i).Uint8[0]%10 != label {
				t.Errorf("%s: sample %d has label %d", name, i, label)
			}
		}
		all = append(all, part.samples.Values.Uint8...)
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != 40 {
		t.Errorf("%d different samples in all parts, want 40", len(all))
	}
	if got := h.trainOf(40); got != 22 {
		t.Errorf("trainOf says %d", got)
	}
	h.Normal = []string{"ten"}
	if err := h.divide(split, images, order); err == nil || !strings.Contains(err.Error(), `data.normal: there is no class "ten"; the classes are 0, 1, 2`) {
		t.Errorf("error %v", err)
	}
	if err := h.divide(&Split{}, images, order); err == nil || !strings.Contains(err.Error(), "data.normal: these samples have no labels; name the column") {
		t.Errorf("error %v", err)
	}
	h = Holdout{Calibration: 0.99}
	if err := h.divide(split, numbered(3), []int{0, 1, 2}); err == nil || !strings.Contains(err.Error(), "data.calibration: 0.99 of 3 images leaves none") {
		t.Errorf("error %v", err)
	}
}

// The test of a table with labels has its part of each class, to the nearest whole number, and a new row moves one other of its class at most.
func TestStratified(t *testing.T) {
	own := Own{TestFraction: 0.3}
	labels := make([]uint8, 401)
	for i := range labels {
		if i%20 == 7 {
			labels[i] = 1
		}
	}
	of := func(n int) parts {
		p, err := own.divide(n, 0, RowName, classed{labels: labels[:n], classes: []string{"0", "1"}, stratified: true})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	count := func(places []int, class uint8) (n int) {
		for _, i := range places {
			if labels[i] == class {
				n++
			}
		}
		return n
	}
	before := of(400)
	if rare, usual := count(before.test, 1), count(before.test, 0); rare != 6 || usual != 114 {
		t.Errorf("the test has %d of 20 and %d of 380, want 6 and 114", rare, usual)
	}
	if !slices.IsSorted(before.test) || !slices.IsSorted(before.train) || len(before.test)+len(before.train) != 400 {
		t.Errorf("%d rows for the test, %d to train on", len(before.test), len(before.train))
	}
	moved := 0
	after := of(401)
	for _, i := range before.test {
		if !slices.Contains(after.test, i) {
			moved++
		}
	}
	if moved > 1 || count(after.test, 1) != 6 {
		t.Errorf("a new row moves %d others out of the test", moved)
	}
}

func TestSplitSeedChoosesOthers(t *testing.T) {
	held := func(seed int64) []uint8 {
		h := Holdout{Validation: 50, SplitSeed: seed}
		_, validation, err := divided(h, numbered(200), h.shuffled(200))
		if err != nil {
			t.Fatal(err)
		}
		return validation.Values.Uint8
	}
	if !slices.Equal(held(1), held(1)) {
		t.Error("the same seed holds out other images the second time")
	}
	if slices.Equal(held(1), held(2)) {
		t.Error("two seeds hold out the same images")
	}
}

func TestSplitRefusesToHoldOutAll(t *testing.T) {
	_, _, err := divided(Holdout{Validation: 3}, numbered(3), []int{0, 1, 2})
	if err == nil || !strings.Contains(err.Error(), "data.validation: holding out 3 of 3 images leaves none to train on; lower it") {
		t.Errorf("got %v", err)
	}
}

// TestKinds holds for every dataset that a config can name.
func TestKinds(t *testing.T) {
	for name, kind := range Kinds {
		t.Run(name, func(t *testing.T) {
			if kind() == kind() {
				t.Error("two configs share one source")
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			t.Setenv(dirVariable, "")
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			t.Setenv("HOME", t.TempDir())
			source := kind()
			if folder, ok := source.(*Folder); ok {
				folder.Dir = []string{t.TempDir()}
				save(t, folder.Dir[0], "a.png", uniform(4, 4, 0))
			}
			if _, err := source.Load(ctx, Options{}); !errors.Is(err, context.Canceled) {
				t.Errorf("loading with a cancelled context: got %v, want context.Canceled", err)
			}
		})
	}
}

func TestCheckHoldout(t *testing.T) {
	for name, c := range map[string]struct {
		source interface {
			Source
			Check(func(key, problem string))
		}
		want string
	}{
		"mnist, all but one": {&IDX{Holdout: Holdout{Validation: 59999}}, ""},
		"mnist, all":         {&IDX{Holdout: Holdout{Validation: 60000}}, "validation: holding out 60000 of 60000 images"},
		"glyphs, one":        {&Glyphs{Train: 1}, ""},
		"glyphs, all":        {&Glyphs{Train: 10, Holdout: Holdout{Validation: 12}}, "validation: holding out 12 of 10 images"},
		"folder without dir": {&Folder{}, "dir: missing"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			c.source.Check(func(key, problem string) { got = append(got, key+": "+problem) })
			if all := strings.Join(got, "\n"); (c.want == "") != (all == "") || !strings.HasPrefix(all, c.want) {
				t.Errorf("got %q, want %q", all, c.want)
			}
		})
	}
}

func TestInParallel(t *testing.T) {
	var done [100]atomic.Int32
	if err := InParallel(context.Background(), len(done), func(i int) { done[i].Add(1) }); err != nil {
		t.Fatal(err)
	}
	for i := range done {
		if n := done[i].Load(); n != 1 {
			t.Errorf("%d was done %d times", i, n)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var calls atomic.Int32
	err := InParallel(ctx, 1_000_000, func(int) { calls.Add(1); cancel() })
	if !errors.Is(err, context.Canceled) || calls.Load() == 1_000_000 {
		t.Errorf("after a cancel: %v, and %d calls", err, calls.Load())
	}
}
