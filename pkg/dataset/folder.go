package dataset

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/image/draw"

	"latent/pkg/picture"
)

// Folder is the user's own pictures: every PNG, JPEG and GIF file (its first frame) in a folder and its subfolders, cut to
// the wanted shape about the middle and scaled to one size. Transparent places are black. Where there are subfolders, the
// first level gives the classes.
type Folder struct {
	// Dir is the folder, and must be given. Links in it are not followed.
	Dir string `yaml:"dir"`

	// Height is that of the images after scaling, in pixels.
	Height int `yaml:"height" min:"1" max:"4096"`

	// Width is that of the images after scaling, in pixels.
	Width int `yaml:"width" min:"1" max:"4096"`

	// Colour says whether the images have one channel (grey: their luma) or three (rgb).
	Colour string `yaml:"colour" enum:"grey,rgb"`

	// TestFraction is the part of the files that become test images. A file's name decides on which side it falls, so that
	// a new file moves no other.
	TestFraction float64 `yaml:"test_fraction" above:"0" below:"1"`

	Holdout `yaml:",inline"`
}

// Check wants a folder.
func (d *Folder) Check(report func(key, problem string)) {
	if d.Dir == "" {
		report("dir", "missing; name the folder with your PNG, JPEG or GIF files")
	}
}

// TrainImages is 0: only loading tells.
func (d *Folder) TrainImages() int { return 0 }

const (
	maxFolderPixels = 4 << 30 // of all images after scaling, in bytes
	errorsShown     = 10
)

// Load reads and scales the pictures.
//
// A number that a file's name and SplitSeed decide ranks the files: the first TestFraction of the numbers' range become
// test images, the next Validation files are held out, and the next Limit are trained on. So a new file moves none between
// test and training, and at most one between the other parts.
func (d *Folder) Load(ctx context.Context, _ Options) (*Split, error) {
	all, names, sums, err := d.read(ctx)
	if err != nil {
		return nil, err
	}
	digest, places, order := sha256.New(), make([]float64, len(names)), make([]int, len(names))
	split := &Split{Classes: classesOf(names)}
	for i, name := range names {
		fmt.Fprintf(digest, "%q %s\n", name, sums[i])
		places[i], order[i] = d.place(name), i
		if len(split.Classes) > 0 {
			class, _ := slices.BinarySearch(split.Classes, classOf(name))
			all.Labels = append(all.Labels, uint8(class))
		}
	}
	split.Checksums = map[string]string{filepath.Base(d.Dir): hex.EncodeToString(digest.Sum(nil))}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(places[a], places[b]) })
	tests, _ := slices.BinarySearchFunc(order, d.TestFraction, func(i int, fraction float64) int { return cmp.Compare(places[i], fraction) })
	if tests == 0 || tests == len(order) {
		return nil, fmt.Errorf("read %s: %d pictures give %d training and %d test images; there must be some of each: add files or change data.test_fraction",
			d.Dir, len(names), len(order)-tests, tests)
	}
	split.Test = all.Select(slices.Sorted(slices.Values(order[:tests])))
	split.Train, split.Validation, err = d.split(all, order[tests:])
	return split, err
}

// All reads and scales all pictures of the folder, without dividing them, in the order of their names.
func (d *Folder) All(ctx context.Context) (*Images, error) {
	all, _, _, err := d.read(ctx)
	return all, err
}

// read returns all images, with the files' names and SHA-256 sums.
func (d *Folder) read(ctx context.Context) (all *Images, names, sums []string, err error) {
	if d.Height < 1 || d.Width < 1 {
		return nil, nil, nil, fmt.Errorf("data.height, data.width: %d×%d, want at least 1×1", d.Height, d.Width)
	}
	if names, err = picture.List(d.Dir); err != nil {
		return nil, nil, nil, fmt.Errorf("read data.dir %q: %w", d.Dir, err)
	}
	all = &Images{Height: d.Height, Width: d.Width, Channels: 1}
	if d.Colour == "rgb" {
		all.Channels = 3
	}
	if len(names) > maxFolderPixels/all.Size() {
		return nil, nil, nil, fmt.Errorf("read %s: %d images of %d bytes need more than %d GiB; lower data.height and data.width",
			d.Dir, len(names), all.Size(), maxFolderPixels>>30)
	}
	all.Pixels = make([]uint8, len(names)*all.Size())
	sums = make([]string, len(names))
	failures := make([]error, len(names))
	err = inParallel(ctx, len(names), func(i int) { sums[i], failures[i] = d.readOne(names[i], all.At(i)) })
	if err != nil {
		return nil, nil, nil, err
	}
	failures = slices.DeleteFunc(failures, func(err error) bool { return err == nil })
	if n := len(failures); n > 0 {
		return nil, nil, nil, fmt.Errorf("%d of %d pictures in %s cannot be used; repair or remove them:\n%w",
			n, len(names), d.Dir, errors.Join(failures[:min(n, errorsShown)]...))
	}
	return all, names, sums, nil
}

// classOf is the first folder of a name, "" for files at the top.
func classOf(name string) string {
	first, _, found := strings.Cut(name, "/")
	if !found {
		return ""
	}
	return first
}

// classesOf lists the classes of all files in order, none where a file has no class or there are more than a label can
// number.
func classesOf(names []string) []string {
	var classes []string
	for _, name := range names {
		class := classOf(name)
		if class == "" {
			return nil
		}
		classes = append(classes, class)
	}
	slices.Sort(classes)
	classes = slices.Compact(classes)
	if len(classes) > math.MaxUint8+1 {
		return nil
	}
	return classes
}

// place is a number in [0, 1) that the file's name and the split's seed decide.
func (d *Folder) place(name string) float64 {
	digest := sha256.Sum256(fmt.Appendf(nil, "%d %s", d.SplitSeed, name))
	return float64(binary.BigEndian.Uint64(digest[:])>>11) / (1 << 53)
}

// readOne puts a file's picture into pixels, [height, width, channel], and returns the file's SHA-256.
func (d *Folder) readOne(name string, pixels []uint8) (string, error) {
	read, err := picture.Read(filepath.Join(d.Dir, filepath.FromSlash(name)))
	if err != nil {
		return "", err
	}
	d.scale(read, pixels)
	return read.SHA256, nil
}

// scale cuts a picture to the shape of the images about its middle, and scales it (Catmull–Rom).
func (d *Folder) scale(picture image.Image, pixels []uint8) {
	cut := picture.Bounds()
	if width := max(1, cut.Dy()*d.Width/d.Height); width < cut.Dx() {
		cut.Min.X += (cut.Dx() - width) / 2
		cut.Max.X = cut.Min.X + width
	} else if height := max(1, cut.Dx()*d.Height/d.Width); height < cut.Dy() {
		cut.Min.Y += (cut.Dy() - height) / 2
		cut.Max.Y = cut.Min.Y + height
	}
	bounds := image.Rect(0, 0, d.Width, d.Height)
	if d.Colour != "rgb" {
		grey := &image.Gray{Pix: pixels, Stride: d.Width, Rect: bounds}
		draw.CatmullRom.Scale(grey, bounds, picture, cut, draw.Over, nil)
		return
	}
	canvas := image.NewRGBA(bounds)
	draw.CatmullRom.Scale(canvas, bounds, picture, cut, draw.Over, nil)
	for i := range d.Width * d.Height {
		copy(pixels[3*i:3*i+3], canvas.Pix[4*i:]) // alpha is left out: the colours are multiplied by it, so over black
	}
}
