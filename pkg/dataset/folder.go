package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"golang.org/x/image/draw"

	"latent/pkg/array"
	"latent/pkg/picture"
	"latent/pkg/scale"
)

// Folder reads the user's own pictures: every PNG, JPEG, GIF, WebP, BMP and TIFF file in a folder and its subfolders, scaled to one size
// (see Fit). Transparent areas become black. If there are subfolders, the first level gives the classes. Each page of a TIFF file is a
// picture; of a GIF file, only the first frame is read. If any file has more than 8 bits per channel, all pictures have 16; if any file has
// floats, all have float32. Animated WebP files, and TIFF files with JPEG or fax compression, are not supported.
type Folder struct {
	// Dir is the folder, and is required; or a list of folders, files and patterns such as "2026-*/*.tif". With several folders, each is a
	// class. Links in folders are not followed.
	Dir []string `yaml:"dir" path:"yes" single:"yes" maxitems:"1000000"`

	// Height is the height of the images after scaling, in pixels.
	Height int `yaml:"height" min:"1" max:"4096"`

	// Width is the width of the images after scaling, in pixels.
	Width int `yaml:"width" min:"1" max:"4096"`

	// Fit says how pictures with another aspect ratio are brought to height and width: crop cuts out their centre, pad scales them to fit
	// inside and fills the rest with black (0 for floats), and stretch distorts them.
	Fit string `yaml:"fit" enum:"crop,pad,stretch"`

	// Patch keeps pictures at their own sizes and trains on square patches with this side, in pixels, instead of scaling to height and
	// width. The run's seed draws new positions in each epoch; evaluation uses whole pictures. The model must work on pictures of any size,
	// such as unet or dncnn. 0 scales all pictures to one size.
	Patch int `yaml:"patch" min:"0" max:"4096"`

	// PatchesPerImage is the number of patches of each picture in an epoch.
	PatchesPerImage int `yaml:"patches_per_image" min:"1" max:"100000"`

	// Augment varies the training pictures at random, each time they are used: flip mirrors them, rotate90 rotates them by multiples of 90
	// degrees (square pictures only), brightness adds up to a tenth of the range, and contrast stretches or shrinks the values about their
	// mean by up to a fifth.
	Augment []string `yaml:"augment,flow" enum:"flip,rotate90,brightness,contrast" maxitems:"4"`

	// Colour is the number of channels of the images: grey, one (their luma); rgb, three; or all, those of the files, which must then all
	// have the same number. With all, alpha is a channel too.
	Colour string `yaml:"colour" enum:"grey,rgb,all"`

	// Scale maps pixels to the model's scale: by default, the range of the files' numbers, 0 to 255 or 0 to 65535, to -1 and 1.
	Scale scale.Options `yaml:"scale"`

	// OnBad says what happens if a picture cannot be used because it is damaged or too large: refuse rejects the whole folder; skip leaves
	// the picture out and names it in the manifest and the report.
	OnBad string `yaml:"on_bad" enum:"refuse,skip"`

	// Masks mark the anomalous pixels of the test pictures: a folder, or a list of folders, files and patterns, with one mask for each
	// anomalous picture. A mask has the picture's size and name, with or without the suffix _mask, and any extension. Pixels above half of
	// the mask's highest value are anomalous; a picture without a mask is normal everywhere. Masks evaluate heat maps, and are not used in
	// training.
	Masks []string `yaml:"masks" path:"yes" single:"yes" maxitems:"1000000"`

	Networked `yaml:",inline"`

	Pairs `yaml:",inline"`

	Own `yaml:",inline"`
}

// Check wants a folder.
func (d *Folder) Check(report func(key, problem string)) {
	if len(d.Dir) == 0 || slices.Contains(d.Dir, "") {
		report("dir", "missing; name the folder with your pictures")
	}
	d.checkPairs(d.Pairs, report)
	if slices.Contains(d.Augment, "rotate90") && d.Patch == 0 && d.Height != d.Width {
		report("augment", fmt.Sprintf("rotate90 needs square pictures, and these have %d×%d pixels; leave it out, or make height and width the same", d.Height, d.Width))
	}
	if problem := d.Scale.Problem(); problem != "" {
		report("scale", problem)
	}
	d.Features.check(d.Scale, report)
	d.checkFeatures(report)
}

// checkFeatures reports what a network cannot make features of.
func (d *Folder) checkFeatures(report func(key, problem string)) {
	training, test := d.Targets()
	switch {
	case !d.Features.uses():
	case d.Patch > 0:
		report("features", "a network needs pictures of one size, and data.patch keeps their own sizes; leave one out")
	case len(d.Masks) > 0:
		report("masks", "masks mark pixels, and with data.features samples are the outputs of a network; leave one out")
	case training || test:
		report("features", "samples with targets are pictures, not features; leave one out")
	case len(d.Augment) > 0:
		report("features", "the network's features are computed once for each picture, and augment varies pictures in each epoch; leave one out")
	}
}

// ScaleOptions is how values are scaled.
func (d *Folder) ScaleOptions() scale.Options { return d.Features.scale(d.Scale) }

// TrainImages is 0: only loading tells.
func (d *Folder) TrainImages() int { return 0 }

const (
	maxFolderPixels = 4 << 30 // of all images after scaling, in bytes
	errorsShown     = 10
)

// Load reads and scales the pictures, and divides them by their names.
func (d *Folder) Load(ctx context.Context, options Options) (*Split, error) {
	d = d.sized()
	files, leftOut, err := listed("data.dir", d.Dir)
	if err != nil {
		return nil, err
	}
	tests, others, err := listed("data.test", d.Test)
	if err != nil {
		return nil, err
	}
	for ending, count := range others {
		leftOut[ending] += count
	}
	read, err := d.reading()(ctx, slices.Concat(files, tests), d.title())
	if err != nil {
		return nil, err
	}
	targets, err := d.readTargets(ctx, files, tests, &read)
	if err != nil {
		return nil, err
	}
	given := 0
	for _, f := range read.Frames {
		if f.File >= len(files) {
			given++
		}
	}
	names, classes := read.label()
	p, err := d.divide(len(read.Frames), given, func(i int) string { return names[i] }, classed{labels: read.samples.Labels, classes: classes})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.title(), err)
	}
	checksums := map[string]string{filepath.Base(d.Dir[0]): read.checksum()}
	network, err := d.Features.apply(ctx, options, "folder "+d.title(), checksums, &read.samples)
	if err != nil {
		return nil, err
	}
	split := &Split{}
	if d.Patch > 0 {
		all := read.samples
		split.Train, split.Validation, split.Test = all.patchesOf(p.train, d.PatchesPerImage), all.patchesOf(p.validation, 1), all.patchesOf(p.test, 1)
		split.Calibration = all.patchesOf(p.calibration, 1)
		split.Train.Streamed = true
	} else {
		split = p.of(read.samples)
		split.Train.Streamed = d.streams(split.Train.bytes())
	}
	if targets.samples != nil && len(d.Target) == 0 { // of the test alone
		first, places := len(read.Frames)-given, make([]int, given)
		for i := range places {
			places[i] = p.test[i] - first
		}
		split.Test.Target = targets.samples.PicturesAt(places)
	}
	tested := make([]frame, len(p.test))
	for i, place := range p.test {
		tested[i], split.Names = read.Frames[place], append(split.Names, names[place])
	}
	if len(d.Masks) > 0 {
		if split.Masks, err = d.readMasks(ctx, slices.Concat(files, tests), tested); err != nil {
			return nil, err
		}
	}
	split.Train.Augment = augmentOf(d.Augment)
	split.Classes, split.LeftOut, split.Skipped, split.Checksums, split.Network = classes, leftOut, read.Skipped, checksums, network
	if targets.samples != nil {
		split.Checksums["targets"] = targets.checksum()
	}
	return split, split.rescale(d.ScaleOptions(), false)
}

// sized is the folder with the pictures that its network wants.
func (d *Folder) sized() *Folder {
	if size := d.Features.Size; d.Features.uses() && size > 0 {
		other := *d
		other.Height, other.Width = size, size
		return &other
	}
	return d
}

// readTargets reads the targets of what was read of files and tests: of all or of the test's alone, or none. A picture that was skipped,
// itself or its target, is then in neither.
func (d *Folder) readTargets(ctx context.Context, files, tests []file, read *contents) (contents, error) {
	training, test := d.Targets()
	if !test {
		return contents{}, nil
	}
	var inputs, targets []file
	first := len(files) // of those with targets
	if training {
		found, err := targetsOf("data.target", d.Target, files)
		if err != nil {
			return contents{}, err
		}
		inputs, targets, first = files, found, 0
	}
	if len(tests) > 0 {
		found, err := targetsOf("data.test_target", d.TestTarget, tests)
		if err != nil {
			return contents{}, err
		}
		inputs, targets = slices.Concat(inputs, tests), slices.Concat(targets, found)
	}
	if err := checkSizes(ctx, "target", inputs, targets); err != nil {
		return contents{}, err
	}
	other := *d
	other.Dir = slices.Concat(d.Target, d.TestTarget)
	both, err := other.reading()(ctx, targets, other.title())
	if err != nil {
		return contents{}, err
	}
	if err := read.samples.fits(both.samples); err != nil {
		return contents{}, fmt.Errorf("read %s, %s: %w", d.title(), other.title(), err)
	}
	read.pair(&both, first)
	if training {
		read.samples.Target = both.samples
	}
	return both, nil
}

// pair keeps of what was read, and of the targets of its files from the first-th on, the pictures that both have.
func (read *contents) pair(targets *contents, first int) {
	type place struct{ file, page int }
	known := map[place]int{}
	for i, f := range targets.Frames {
		known[place{f.File + first, f.Page}] = i
	}
	var own, other []int
	for i, f := range read.Frames {
		if f.File < first {
			own = append(own, i)
		} else if j, found := known[place{f.File, f.Page}]; found {
			own, other = append(own, i), append(other, j)
		}
	}
	read.Skipped = append(read.Skipped, targets.Skipped...)
	read.keep(own)
	targets.keep(other)
}

// keep keeps the pictures at places.
func (read *contents) keep(places []int) {
	if len(places) == len(read.Frames) {
		return
	}
	var frames []frame
	for _, i := range places {
		frames = append(frames, read.Frames[i])
	}
	read.Frames = frames
	read.samples = read.samples.PicturesAt(places)
}

// checksum is one over the names and the contents of all pictures.
func (read *contents) checksum() string {
	digest := sha256.New()
	for _, f := range read.Frames {
		fmt.Fprintf(digest, "%q %s\n", f.Name, read.Sums[f.File])
	}
	return hex.EncodeToString(digest.Sum(nil))
}

// label gives the pictures the classes that their names have, and returns names and classes; no classes where there are no subfolders.
func (read *contents) label() (names, classes []string) {
	for _, f := range read.Frames {
		names = append(names, f.Name)
	}
	if classes = classesOf(names); classes == nil {
		return names, nil
	}
	for _, name := range names {
		class, _ := slices.BinarySearch(classes, classOf(name))
		read.samples.Labels = append(read.samples.Labels, uint8(class))
	}
	return names, classes
}

// All reads all pictures, without dividing them, in the order of their names: as patches, one of each, where they keep their sizes.
func (d *Folder) All(ctx context.Context) (*Whole, error) {
	files, _, err := listed("data.dir", d.Dir)
	if err != nil {
		return nil, err
	}
	read, err := d.reading()(ctx, files, d.title())
	if err != nil {
		return nil, err
	}
	whole := &Whole{Samples: read.samples}
	whole.Names, whole.Classes = read.label()
	return whole, nil
}

// Whole are samples that were read without dividing them.
type Whole struct {
	*Samples
	// Names are those of pictures; nil of rows.
	Names []string
	// Classes names the labels; empty where there are none.
	Classes []string
}

// reading is how the pictures are read: scaled, or at their own sizes.
func (d *Folder) reading() func(ctx context.Context, files []file, title string) (contents, error) {
	if d.Patch > 0 {
		return d.readPatches
	}
	return d.read
}

// title says which folder it is.
func (d *Folder) title() string {
	if len(d.Dir) > 1 {
		return fmt.Sprintf("%s and %d more", d.Dir[0], len(d.Dir)-1)
	}
	return strings.Join(d.Dir, "")
}

// file is a picture file, and the name that it has in the dataset: its path below its folder, with slashes.
type file struct{ path, name string }

// listed returns the picture files that paths and patterns mean, those of each in the order of their names, and counts what else is in
// folders by ending. Where there are several folders, names begin with theirs; of files that a pattern matches, they begin where the
// pattern has its first sign.
func listed(key string, patterns []string) (files []file, leftOut map[string]int, err error) {
	leftOut = map[string]int{}
	var paths, roots []string // a root is what a name leaves out
	for _, pattern := range patterns {
		found, err := Paths(key, []string{pattern})
		if err != nil {
			return nil, nil, err
		}
		for _, path := range found {
			paths, roots = append(paths, path), append(roots, rootOf(pattern, path))
		}
	}
	for i, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, nil, fmt.Errorf("read %s %q: %w", key, path, err)
		}
		if !info.IsDir() {
			if len(paths) == 1 {
				if frames, err := picture.Frames(path); err == nil && len(frames) < 2 {
					return nil, nil, fmt.Errorf("read %s %q: one picture; name a folder of them, or a pattern such as \"photos/*.png\"", key, path)
				}
			}
			files = append(files, file{path, filepath.ToSlash(strings.TrimPrefix(path, roots[i]))})
			continue
		}
		names, others, err := picture.List(path)
		if err != nil {
			return nil, nil, fmt.Errorf("read %s %q: %w", key, path, err)
		}
		for ending, count := range others {
			leftOut[ending] += count
		}
		prefix := ""
		if len(paths) > 1 {
			prefix = filepath.Base(path) + "/"
		}
		for _, name := range names {
			files = append(files, file{filepath.Join(path, filepath.FromSlash(name)), prefix + name})
		}
	}
	return files, leftOut, nil
}

// rootOf is the part of a path, which a pattern means, before the pattern's first sign: whole folders, or all but the file's name where it
// has none.
func rootOf(pattern, path string) string {
	parts := strings.Split(path, string(filepath.Separator))
	signs := strings.Split(filepath.Clean(pattern), string(filepath.Separator))
	named := 1 // parts from the first sign on
	if i := slices.IndexFunc(signs, func(part string) bool { return strings.ContainsAny(part, "*?[") }); i >= 0 && !strings.HasSuffix(path, filepath.Clean(pattern)) {
		named = len(signs) - i
	}
	kept := strings.Join(parts[max(0, len(parts)-named):], string(filepath.Separator))
	return strings.TrimSuffix(path, kept)
}

// frame is a picture of a file.
type frame struct {
	File int // its place in the list
	Page int // in the file
	Name string

	head head
}

// head is what a file says of a picture.
type head struct {
	picture.Frame
	size Size // where pictures keep their own
	err  error
}

// headsOf reads what a file says of its pictures, at least one. A file that cannot be read has one, which is found to be damaged later.
func (d *Folder) headsOf(path string) []head {
	opened, err := picture.Open(path)
	if err != nil {
		return []head{{err: err}}
	}
	defer opened.Close()
	var heads []head
	for page, found := range opened.Frames() {
		h := head{Frame: found}
		if d.Patch > 0 {
			h.size.Height, h.size.Width, h.err = opened.Size(page)
		}
		heads = append(heads, h)
	}
	return heads
}

// contents are what is in a folder.
type contents struct {
	samples *Samples

	Frames  []frame  // the samples
	Sums    []string // SHA-256 of each file
	Skipped []string
	// Places are those of the frames among the samples, where some were skipped.
	Places []int
}

// read returns all pictures of files.
func (d *Folder) read(ctx context.Context, files []file, title string) (contents, error) {
	if d.Height < 1 || d.Width < 1 {
		return contents{}, fmt.Errorf("data.height, data.width: %d×%d; must be at least 1×1", d.Height, d.Width)
	}
	var place slot
	var noPlace error // there is no cache, or a file is not there, of which reading tells
	if d.Resident != "device" {
		place, noPlace = slotOf("pictures", []any{d.Height, d.Width, d.Fit, d.Colour, d.OnBad}, files)
		if noPlace == nil {
			read := &contents{}
			var err error
			if read.samples, err = place.stored(read); err != nil {
				return contents{}, err
			}
			if read.samples != nil {
				return read.chosen(), nil
			}
		}
	}
	all, frames, err := d.heads(ctx, files)
	if err != nil {
		return contents{}, err
	}
	dtype, size := all.Values.Type(), all.Size()
	switch bytes := int64(len(frames)) * int64(size*dtype.Size()); {
	case d.streams(bytes):
		if noPlace != nil {
			return contents{}, fmt.Errorf("stream %s: %w", title, noPlace)
		}
		return d.readStreamed(ctx, files, title, all, frames, place)
	case bytes > maxFolderPixels:
		return contents{}, fmt.Errorf("read %s: %d images of %d bytes need more than %d GiB; lower data.height and data.width, or set data.resident: stream",
			title, len(frames), size*dtype.Size(), maxFolderPixels>>30)
	}
	all.Values = array.Make(dtype, len(frames)*size)
	read, err := d.decode(ctx, files, title, frames, func(i int) (string, error) {
		return d.readOne(files[frames[i].File].path, frames[i], all.At(i), all.Channels)
	})
	if err != nil {
		return contents{}, err
	}
	read.samples = all
	return read.chosen(), nil
}

// chosen leaves the pictures out that were skipped.
func (read *contents) chosen() contents {
	if len(read.Skipped) > 0 {
		read.samples = read.samples.Select(read.Places)
	}
	return *read
}

// readStreamed decodes pictures into a place in the cache.
func (d *Folder) readStreamed(ctx context.Context, files []file, title string, like *Samples, frames []frame, place slot) (contents, error) {
	if len(frames) > mostStreamed {
		return contents{}, fmt.Errorf("read %s: %d pictures; the limit is %d", title, len(frames), mostStreamed)
	}
	w, err := place.cache.Create(place.key, like.Values.Type(), len(frames)*like.Size())
	if err != nil {
		return contents{}, fmt.Errorf("stream %s: %w", title, err)
	}
	defer w.Abort()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	read, err := d.decode(ctx, files, title, frames, func(i int) (string, error) {
		pixels := array.Make(like.Values.Type(), like.Size())
		sum, err := d.readOne(files[frames[i].File].path, frames[i], pixels, like.Channels)
		if err := w.WriteAt(pixels, i*like.Size()); err != nil {
			stop(fmt.Errorf("stream %s: %w", title, err))
		}
		return sum, err
	})
	if err != nil {
		return contents{}, err
	}
	if read.samples, err = place.commit(w, title, fmt.Sprintf("folder %s, %d %s", title, len(frames), like.kind()), like, read); err != nil {
		return contents{}, err
	}
	return read.chosen(), nil
}

// decode reads all pictures by one, from several goroutines, which returns the SHA-256 of a file with its first page.
func (d *Folder) decode(ctx context.Context, files []file, title string, frames []frame, one func(i int) (string, error)) (*contents, error) {
	read := &contents{Sums: make([]string, len(files))}
	failures := make([]error, len(frames))
	err := InParallel(ctx, len(frames), func(i int) {
		sum, err := one(i)
		if failures[i] = err; frames[i].Page == 0 {
			read.Sums[frames[i].File] = sum
		}
	})
	if err != nil {
		return nil, context.Cause(ctx)
	}
	for i, failure := range failures {
		if failure != nil {
			text := failure.Error()
			for _, dir := range d.Dir {
				text = strings.TrimPrefix(text, dir+string(filepath.Separator))
			}
			read.Skipped = append(read.Skipped, text)
			continue
		}
		read.Places, read.Frames = append(read.Places, i), append(read.Frames, frames[i])
	}
	n := len(read.Skipped)
	if n == 0 {
		read.Places = nil
		return read, nil
	}
	if d.OnBad == "skip" && read.Frames != nil {
		return read, nil
	}
	failures = slices.DeleteFunc(failures, func(err error) bool { return err == nil })
	cure := "repair or remove them, or set data.on_bad: skip"
	if read.Frames == nil {
		cure = "none is left"
	}
	return nil, fmt.Errorf("%d of %d pictures in %s cannot be used; %s:\n%w",
		n, len(frames), title, cure, errors.Join(failures[:min(n, errorsShown)]...))
}

// heads reads what the files say of themselves, and returns no samples of the kind that they have together, and all pictures.
func (d *Folder) heads(ctx context.Context, files []file) (*Samples, []frame, error) {
	heads := make([][]head, len(files))
	if err := InParallel(ctx, len(files), func(i int) { heads[i] = d.headsOf(files[i].path) }); err != nil {
		return nil, nil, err
	}
	all, dtype := &Samples{Height: d.Height, Width: d.Width, Channels: 1}, dtypes.Uint8
	if d.Colour == "rgb" {
		all.Channels = 3
	}
	var frames []frame
	first := ""
	for i, found := range heads {
		for page, head := range found {
			f := frame{File: i, Page: page, Name: files[i].name, head: head}
			if len(found) > 1 {
				f.Name = fmt.Sprintf("%s#%d", f.Name, page+1)
			}
			frames = append(frames, f)
			if head.Channels == 0 {
				continue
			}
			if head.Type == dtypes.Float32 || head.Type == dtypes.Uint16 && dtype == dtypes.Uint8 {
				dtype = head.Type
			}
			switch {
			case d.Colour != "all":
			case first == "":
				first, all.Channels = files[i].path, head.Channels
			case all.Channels != head.Channels && d.OnBad != "skip":
				return nil, nil, fmt.Errorf("data.colour: all: %s has %d channels, and %s has %d; write grey or rgb, or use files of one kind",
					first, all.Channels, files[i].path, head.Channels)
			}
		}
	}
	all.Values = array.Make(dtype, 0)
	return all, frames, nil
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
	if len(classes) > mostClasses {
		return nil
	}
	return classes
}

// readOne puts a picture of a file into pixels, [height, width, channel], and returns the file's SHA-256 with its first.
func (d *Folder) readOne(path string, f frame, pixels array.Values, channels int) (sum string, err error) {
	opened, err := picture.Open(path)
	if err != nil {
		return "", err
	}
	defer opened.Close()
	if f.Page >= len(opened.Frames()) {
		return "", fmt.Errorf("%s: changed while it was being read", path)
	}
	if head := opened.Frames()[f.Page]; head.Image && d.Colour != "all" && pixels.Float32 == nil {
		image, err := opened.Image(f.Page)
		if err != nil {
			return "", err
		}
		d.fit(image, pixels)
	} else if err := d.fitArray(opened, path, f.Page, pixels, channels); err != nil {
		return "", err
	}
	if f.Page == 0 {
		return opened.SHA256()
	}
	return "", nil
}

// fitArray cuts and scales a picture as fit does, by its numbers: those of floats and of more channels than a picture for people has.
func (d *Folder) fitArray(opened *picture.File, path string, page int, pixels array.Values, channels int) error {
	read, err := opened.Array(page)
	if err != nil {
		return err
	}
	head := opened.Frames()[page]
	values := read.Values.As(dtypes.Float32).Float32
	if pixels.Uint16 != nil {
		values = read.Values.As(dtypes.Uint16).As(dtypes.Float32).Float32 // bytes among 16 bits
	}
	if d.Colour != "all" {
		if values, err = coloured(values, read.Channels, head.Alpha, channels); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	} else if read.Channels != channels {
		return fmt.Errorf("%s: %d channels, but the first picture has %d", path, read.Channels, channels)
	}
	cut, inner := d.fitting(image.Rect(0, 0, read.Width, read.Height))
	fitted := resample(values, read.Width, channels, cut, inner.Dy(), inner.Dx())
	line := inner.Dx() * channels
	for i, value := range fitted {
		pixels.Set(((inner.Min.Y+i/line)*d.Width+inner.Min.X)*channels+i%line, float64(value))
	}
	return nil
}

// coloured makes pixels with so many channels, 1 or 3, of those that a picture has. Alpha is left out.
func coloured(values []float32, has int, alpha bool, channels int) ([]float32, error) {
	colours := has
	if alpha {
		colours--
	}
	if colours != 1 && colours != 3 {
		return nil, fmt.Errorf("%d channels are neither grey nor RGB; set data.colour: all", has)
	}
	if has == channels {
		return values, nil
	}
	n := len(values) / has
	made := make([]float32, 0, n*channels)
	for i := range n {
		pixel := values[i*has:][:colours]
		switch {
		case channels == 3 && colours == 1:
			made = append(made, pixel[0], pixel[0], pixel[0])
		case channels == 3:
			made = append(made, pixel...)
		case colours == 1:
			made = append(made, pixel[0])
		default: // luma, as in JPEG
			made = append(made, 0.299*pixel[0]+0.587*pixel[1]+0.114*pixel[2])
		}
	}
	return made, nil
}

// fitting returns the part of a picture that is shown, and where it comes to lie in an image.
func (d *Folder) fitting(picture image.Rectangle) (part, inner image.Rectangle) {
	inner = image.Rect(0, 0, d.Width, d.Height)
	switch d.Fit {
	case "pad":
		return picture, within(inner, picture.Dx(), picture.Dy())
	case "stretch":
		return picture, inner
	}
	return within(picture, d.Width, d.Height), inner
}

// within returns the largest rectangle of a shape about the middle of another.
func within(outer image.Rectangle, width, height int) image.Rectangle {
	wide, high := max(1, outer.Dy()*width/height), max(1, outer.Dx()*height/width)
	if wide < outer.Dx() {
		outer.Min.X += (outer.Dx() - wide) / 2
		outer.Max.X = outer.Min.X + wide
	} else if high < outer.Dy() {
		outer.Min.Y += (outer.Dy() - high) / 2
		outer.Max.Y = outer.Min.Y + high
	}
	return outer
}

// fit scales a picture (Catmull–Rom).
func (d *Folder) fit(picture image.Image, pixels array.Values) {
	part, inner := d.fitting(picture.Bounds())
	bounds := image.Rect(0, 0, d.Width, d.Height)
	if pixels.Uint16 != nil {
		d.fitDeep(picture, part, inner, pixels.Uint16)
		return
	}
	if d.Colour != "rgb" {
		grey := &image.Gray{Pix: pixels.Uint8, Stride: d.Width, Rect: bounds}
		draw.CatmullRom.Scale(grey, inner, picture, part, draw.Over, nil)
		return
	}
	canvas := image.NewRGBA(bounds)
	draw.CatmullRom.Scale(canvas, inner, picture, part, draw.Over, nil)
	for i := range d.Width * d.Height {
		copy(pixels.Uint8[3*i:3*i+3], canvas.Pix[4*i:]) // alpha is left out: the colours are multiplied by it, so over black
	}
}

// fitDeep scales a part of a picture, with 16 bits. One that has the right size already is taken as it is, to the bit.
func (d *Folder) fitDeep(picture image.Image, part, inner image.Rectangle, pixels []uint16) {
	canvas, same := image.NewRGBA64(image.Rect(0, 0, d.Width, d.Height)), part.Size() == inner.Size()
	if same {
		draw.Draw(canvas, inner, picture, part.Min, draw.Src)
	} else {
		draw.CatmullRom.Scale(canvas, inner, picture, part, draw.Over, nil)
	}
	grey, isGrey := picture.(*image.Gray16)
	for i := range d.Width * d.Height {
		at := image.Pt(i%d.Width, i/d.Width)
		c := canvas.RGBA64At(at.X, at.Y)
		switch {
		case d.Colour == "rgb":
			pixels[3*i], pixels[3*i+1], pixels[3*i+2] = c.R, c.G, c.B
		case isGrey && same && at.In(inner):
			from := at.Sub(inner.Min).Add(part.Min)
			pixels[i] = grey.Gray16At(from.X, from.Y).Y // luma of equal channels may be one less
		default:
			pixels[i] = color.Gray16Model.Convert(c).(color.Gray16).Y
		}
	}
}
