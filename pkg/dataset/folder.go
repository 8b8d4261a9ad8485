package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	_ "image/gif"
	_ "image/jpeg"
	_ "image/png"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/image/draw"
)

// Folder is the user's own pictures: every PNG, JPEG and GIF file (its first frame) in a folder and its subfolders, cut to
// the wanted shape about the middle and scaled to one size. Transparent places are black. Where there are subfolders, the
// first level gives the classes.
type Folder struct {
	// Dir is the folder.
	Dir string `yaml:"dir"`

	// Height is that of the images after scaling, in pixels.
	Height int `yaml:"height" min:"1" max:"4096"`

	// Width is that of the images after scaling, in pixels.
	Width int `yaml:"width" min:"1" max:"4096"`

	// Colour says whether the images have one channel or three.
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
	maxFolderFiles  = 2_000_000
	maxFileBytes    = 256 << 20
	maxFilePixels   = 200_000_000 // of a picture before scaling
	maxFolderPixels = 4 << 30     // of all images after scaling, in bytes
	errorsShown     = 10
)

// Load reads and scales the pictures.
func (d *Folder) Load(ctx context.Context, _ Options) (*Split, error) {
	names, err := d.files()
	if err != nil {
		return nil, err
	}
	split := &Split{Checksums: map[string]string{}}
	split.Classes = classesOf(names)
	channels := 1
	if d.Colour == "rgb" {
		channels = 3
	}
	if size := d.Height * d.Width * channels; len(names) > maxFolderPixels/size {
		return nil, fmt.Errorf("read %s: %d images of %d bytes need more than %d GiB; lower data.height and data.width",
			d.Dir, len(names), size, maxFolderPixels>>30)
	}
	all := &Images{Height: d.Height, Width: d.Width, Channels: channels}
	split.Test = &Images{Height: d.Height, Width: d.Width, Channels: channels}
	digest := sha256.New()
	var failures []error
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		data, pixels, err := d.read(name)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", filepath.Join(d.Dir, name), err))
			continue
		}
		fmt.Fprintf(digest, "%s %s\n", sum(data), name)
		part := all
		if d.isTest(name) {
			part = split.Test
		}
		part.Pixels = append(part.Pixels, pixels...)
		if len(split.Classes) > 0 {
			part.Labels = append(part.Labels, uint8(slices.Index(split.Classes, classOf(name))))
		}
	}
	if len(failures) > 0 {
		shown := failures[:min(len(failures), errorsShown)]
		return nil, fmt.Errorf("%d of %d pictures cannot be used; repair or remove them:\n%w", len(failures), len(names), errors.Join(shown...))
	}
	if all.Len() == 0 || split.Test.Len() == 0 {
		return nil, fmt.Errorf("read %s: %d pictures give %d training and %d test images; there must be some of each: add files or change data.test_fraction",
			d.Dir, len(names), all.Len(), split.Test.Len())
	}
	split.Checksums[filepath.Base(d.Dir)] = fmt.Sprintf("%x", digest.Sum(nil))
	split.Train, split.Validation, err = d.split(all)
	return split, err
}

// files lists the pictures' names relative to Dir, with slashes, in order. Links are not followed.
func (d *Folder) files() ([]string, error) {
	var names []string
	err := fs.WalkDir(os.DirFS(d.Dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch strings.ToLower(path.Ext(name)) {
		case ".png", ".jpg", ".jpeg", ".gif":
			if entry.Type().IsRegular() {
				names = append(names, name)
			}
		}
		if len(names) > maxFolderFiles {
			return fmt.Errorf("more than %d pictures", maxFolderFiles)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read data.dir %q: %w", d.Dir, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("read data.dir %q: no PNG, JPEG or GIF files there", d.Dir)
	}
	slices.Sort(names)
	return names, nil
}

// classOf is the first folder of a name, "" for files at the top.
func classOf(name string) string {
	first, _, found := strings.Cut(name, "/")
	if !found {
		return ""
	}
	return first
}

// classesOf lists the classes of all files, none where a file has no class or there are more than a label can number.
func classesOf(names []string) []string {
	var classes []string
	for _, name := range names {
		class := classOf(name)
		if class == "" {
			return nil
		}
		if len(classes) == 0 || classes[len(classes)-1] != class {
			classes = append(classes, class)
		}
	}
	if len(classes) > math.MaxUint8+1 {
		return nil
	}
	return classes
}

// isTest draws the file's side from its name and the split's seed.
func (d *Folder) isTest(name string) bool {
	digest := sha256.Sum256(fmt.Appendf(nil, "%d %s", d.SplitSeed, name))
	return float64(binary.BigEndian.Uint32(digest[:]))/(1<<32) < d.TestFraction
}

// read returns a file and its picture's pixels: [height, width, channels].
func (d *Folder) read(name string) (data, pixels []uint8, err error) {
	if data, err = readBounded(filepath.Join(d.Dir, filepath.FromSlash(name)), maxFileBytes); err != nil {
		return nil, nil, err
	}
	header, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, nil, err
	}
	if header.Width <= 0 || header.Height <= 0 || header.Width > maxFilePixels/header.Height {
		return nil, nil, fmt.Errorf("%d×%d pixels, at most %d are read", header.Width, header.Height, maxFilePixels)
	}
	picture, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, nil, err
	}
	return data, d.scale(picture), nil
}

// scale cuts a picture to the shape of the images about its middle, and scales it (Catmull–Rom).
func (d *Folder) scale(picture image.Image) []uint8 {
	cut := picture.Bounds()
	if width := cut.Dy() * d.Width / d.Height; width < cut.Dx() {
		cut.Min.X += (cut.Dx() - width) / 2
		cut.Max.X = cut.Min.X + max(1, width)
	} else if height := cut.Dx() * d.Height / d.Width; height < cut.Dy() {
		cut.Min.Y += (cut.Dy() - height) / 2
		cut.Max.Y = cut.Min.Y + max(1, height)
	}
	bounds := image.Rect(0, 0, d.Width, d.Height)
	if d.Colour == "grey" {
		grey := image.NewGray(bounds)
		draw.CatmullRom.Scale(grey, bounds, picture, cut, draw.Over, nil)
		return grey.Pix
	}
	canvas := image.NewRGBA(bounds)
	draw.Draw(canvas, bounds, image.Black, image.Point{}, draw.Src)
	draw.CatmullRom.Scale(canvas, bounds, picture, cut, draw.Over, nil)
	pixels := make([]uint8, 0, d.Width*d.Height*3)
	for i := 0; i < len(canvas.Pix); i += 4 {
		pixels = append(pixels, canvas.Pix[i:i+3]...)
	}
	return pixels
}
