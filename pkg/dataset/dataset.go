// Package dataset holds images in memory: the MNIST family, generated glyphs and the user's own folders.
//
// A [Source] is a value with a few documented fields, the same fields that a config names under `data:`.
//
//	source := dataset.Kinds["glyphs"]()
//	split, err := source.Load(ctx, dataset.Options{})
//	fmt.Println(split.Train.Len(), split.Validation.Len(), split.Test.Len())
//
// Promised: the same source gives the same images in the same order, on every machine but for a folder's pictures, whose
// scaling may differ by a shade between kinds of processor; a published file is checked against its published checksum,
// and the checksum of whatever was read is in [Split.Checksums]; no network but for a dataset that is not there yet.
//
// What is not here: scaling pixels to [-1, 1] and damaging them, which happens in the compiled program (pkg/train).
package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Source is a dataset that a config can name.
type Source interface {
	// Load reads or makes the images.
	Load(ctx context.Context, options Options) (*Split, error)

	// TrainImages is the number of training images that Load will give, or 0 where only loading tells.
	TrainImages() int

	// ValidationImages is the number of images that are held out of training for validation.
	ValidationImages() int
}

// Kinds holds every dataset that a config can name, with its defaults.
var Kinds = map[string]func() Source{
	"mnist":         func() Source { return newIDX(mnist) },
	"fashion-mnist": func() Source { return newIDX(fashionMNIST) },
	"kmnist":        func() Source { return newIDX(kmnist) },
	"glyphs": func() Source {
		return &Glyphs{Holdout: Holdout{Validation: familyValidation}, Train: 60000, Test: 10000, Colour: "grey"}
	},
	"folder": func() Source {
		return &Folder{Height: 28, Width: 28, Colour: "grey", TestFraction: 0.1}
	},
}

// Options is what loading needs beside the config.
type Options struct {
	// Progress is where a download's progress bar goes; nil shows none.
	Progress io.Writer
}

// Holdout says which training images are used, and which are kept back.
type Holdout struct {
	// Validation is how many of the training images are held out: they choose the best epoch, and are never trained on.
	// 0 holds out none.
	Validation int `yaml:"validation" min:"0" max:"10000000"`

	// SplitSeed decides which images are held out. It is not the experiment's seed, so that runs with several seeds are
	// measured on the same images.
	SplitSeed int64 `yaml:"split_seed" min:"0"`

	// Limit trains on only so many of the remaining images, which split_seed chooses too, for a quick look; 0 uses all.
	Limit int `yaml:"limit" min:"0"`
}

// ValidationImages is the number of images held out.
func (h Holdout) ValidationImages() int { return h.Validation }

// trainOf is how many of n images are trained on.
func (h Holdout) trainOf(n int) int {
	n -= h.Validation
	if h.Limit > 0 {
		n = min(n, h.Limit)
	}
	return max(n, 0)
}

// check reports a holdout that leaves none of n images to train on.
func (h Holdout) check(n int, report func(key, problem string)) {
	if h.Validation >= n {
		report("validation", fmt.Sprintf("%d images held out of %d leave none to train on; lower it", h.Validation, n))
	}
}

// shuffled returns 0 … n−1 in the order that the split's seed gives them.
func (h Holdout) shuffled(n int) []int {
	return rand.New(rand.NewPCG(uint64(h.SplitSeed), 0x6c6174656e74)).Perm(n) // "latent"
}

// split divides the images that order names: the first of them are held out, the next are trained on. Both parts have the
// images in the dataset's own order.
func (h Holdout) split(images *Images, order []int) (train, validation *Images, err error) {
	h.check(len(order), func(key, problem string) { err = fmt.Errorf("data.%s: %s", key, problem) })
	if err != nil {
		return nil, nil, err
	}
	held, rest := order[:h.Validation], order[h.Validation:]
	rest = rest[:h.trainOf(len(order))]
	return images.Select(slices.Sorted(slices.Values(rest))), images.Select(slices.Sorted(slices.Values(held))), nil
}

// Images are pictures of one size, and their labels.
type Images struct {
	Height, Width, Channels int
	// Pixels are the images one after another: [image, height, width, channel], 0 black, 255 white.
	Pixels []uint8
	// Labels are the images' classes, an index into Split.Classes each; nil where there are none.
	Labels []uint8
}

// Size is the number of values of an image.
func (im *Images) Size() int { return im.Height * im.Width * im.Channels }

// Len is the number of images.
func (im *Images) Len() int {
	if im == nil || im.Size() == 0 {
		return 0
	}
	return len(im.Pixels) / im.Size()
}

// At is image i, [height, width, channel]: a part of Pixels, not a copy.
func (im *Images) At(i int) []uint8 {
	size := im.Size()
	return im.Pixels[i*size : (i+1)*size : (i+1)*size]
}

// Select returns copies of the images at these places, in this order.
func (im *Images) Select(places []int) *Images {
	selected := &Images{Height: im.Height, Width: im.Width, Channels: im.Channels, Pixels: make([]uint8, 0, len(places)*im.Size())}
	for _, i := range places {
		selected.Pixels = append(selected.Pixels, im.At(i)...)
		if im.Labels != nil {
			selected.Labels = append(selected.Labels, im.Labels[i])
		}
	}
	return selected
}

// Split is a dataset's three parts.
type Split struct {
	Train, Validation, Test *Images
	// Classes names the labels; empty where there are none.
	Classes []string
	// Checksums holds SHA-256 sums in hexadecimal digits: of every file that was read, by its base name; of glyphs, those of
	// the pixels, by "train" (validation included) and "test"; of a folder, one over all its files, by the folder's base name.
	Checksums map[string]string
}

// sum returns data's SHA-256 in hexadecimal digits.
func sum(data []byte) string {
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:])
}

// inParallel calls do for 0 … n−1 on all cores, and stops early with the context's error.
func inParallel(ctx context.Context, n int, do func(i int)) error {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	workers.Wait()
	return ctx.Err()
}
