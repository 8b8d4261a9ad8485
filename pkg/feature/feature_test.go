package feature

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/dataset"
	"latent/pkg/random"
)

// bars returns images of 8×8 with a bright bar among noise, in its place the class, of which the last are held out.
func bars(validation int) *dataset.Split {
	const n, side, classes = 600, 8, 4
	images := &dataset.Samples{Height: side, Width: side, Channels: 1}
	for i := range n {
		class := i % classes
		for j := range side * side {
			value := uint8(random.NewSeed(int64(i)).Block(uint32(j), 0)[0] % 100)
			if j/side/2 == class {
				value += 100
			}
			images.Values.Uint8 = append(images.Values.Uint8, value)
		}
		images.Labels = append(images.Labels, uint8(class))
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return &dataset.Split{Train: images.Select(order[:n-validation]), Validation: images.Select(order[n-validation:]), Classes: []string{"a", "b", "c", "d"}}
}

// A classifier is trained once, and again where its file was damaged, with the same bits; how many images are held out changes
// nothing.
func TestOpenOnce(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		dir := t.TempDir()
		open := func(validation int) (c *Classifier, said string) {
			var log bytes.Buffer
			c, err := Open(context.Background(), b, bars(validation), Options{Dir: dir, Log: &log})
			if err != nil {
				t.Fatal(err)
			}
			return c, log.String()
		}
		first, said := open(100)
		if !strings.Contains(said, "training a classifier") {
			t.Errorf("the first time it said %q", said)
		}
		again, said := open(0)
		if said != "" || again.SHA256 != first.SHA256 {
			t.Errorf("the second time it said %q, and has checksum %s, before %s", said, again.SHA256, first.SHA256)
		}

		files, err := filepath.Glob(filepath.Join(dir, "*.ckpt"))
		if err != nil || len(files) != 1 {
			t.Fatalf("files %v, %v, want one", files, err)
		}
		data, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(files[0], data, 0o644); err != nil {
			t.Fatal(err)
		}
		again, said = open(100)
		if !strings.Contains(said, "wrong checksum") || !strings.Contains(said, "training it again") || again.SHA256 != first.SHA256 {
			t.Errorf("of a damaged file it said %q, and has checksum %s, before %s", said, again.SHA256, first.SHA256)
		}
		if _, said = open(100); said != "" {
			t.Errorf("after it was trained again it said %q", said)
		}
	})
}

// Where the classifier cannot be kept, it is there all the same. What it makes of an image does not depend on the others.
func TestDescribe(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		split := bars(0)
		c, err := Open(context.Background(), b, split, Options{Dir: filepath.Join(file, "below"), Log: &log})
		if err != nil || !strings.Contains(log.String(), "is not saved") {
			t.Fatalf("said %q, %v", log.String(), err)
		}
		all, err := c.Describe(context.Background(), split.Train) // more than a batch
		if err != nil {
			t.Fatal(err)
		}
		if accuracy := all.Accuracy(split.Train.Labels); accuracy < 0.9 {
			t.Errorf("an accuracy of %g on its own training images", accuracy)
		}
		last := []int{split.Train.Len() - 2, split.Train.Len() - 1}
		two, err := c.Describe(context.Background(), split.Train.Select(last))
		if err != nil {
			t.Fatal(err)
		}
		if !mat.EqualApprox(two.Features, all.Features.Slice(last[0], last[1]+1, 0, features), 1e-5) {
			t.Error("the features of the last two images depend on those before")
		}
		if _, err := c.Describe(context.Background(), &dataset.Samples{Height: 2, Width: 2, Channels: 1}); err == nil {
			t.Error("described images of another size")
		}
	})
}

func TestNoLabels(t *testing.T) {
	split := bars(0)
	split.Classes = nil
	if _, err := Open(context.Background(), nil, split, Options{}); !errors.Is(err, ErrNoLabels) {
		t.Errorf("error is %v", err)
	}
}
