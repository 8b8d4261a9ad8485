// Package dataset holds samples, pictures or vectors: the MNIST family, generated glyphs, shapes and sums of known features, and the
// user's own folders and tables.
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
// What is not here: scaling values to the model's scale and damaging them, which happens in the compiled program (pkg/train).
package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/array"
	"latent/pkg/host"
	"latent/pkg/scale"
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

// Scaled is a source whose scale a config can choose. The config's check asks for it.
type Scaled interface{ ScaleOptions() scale.Options }

// Kinds holds every dataset that a config can name, with its defaults.
var Kinds = map[string]func() Source{
	"mnist":         func() Source { return newIDX(mnist) },
	"fashion-mnist": func() Source { return newIDX(fashionMNIST) },
	"kmnist":        func() Source { return newIDX(kmnist) },
	"glyphs": func() Source {
		return &Glyphs{Holdout: holdout(familyValidation), Train: 60000, Test: 10000, Colour: "grey"}
	},
	"shapes": func() Source {
		return &Shapes{Holdout: holdout(2000), Train: 40000, Test: 10000, Side: 32, Colour: "grey"}
	},
	"synthsae": func() Source {
		return &SynthSAE{Holdout: holdout(5000), Train: 200_000, Test: 10_000, Features: 1024, Dims: 128, Orthogonal: 100,
			Often: 0.4, Seldom: 5e-4, Exponent: 0.5, Magnitude: 5, LastMagnitude: 4, Deviation: 0.5, Rank: 25, Correlation: 0.1,
			Roots: 16, Branching: 4, Depth: 3, Exclusive: true, Scale: scale.Options{Kind: "none"}}
	},
	"table": func() Source {
		return &Table{Missing: "refuse", Header: "auto", Scale: scale.Options{Kind: "standardise"}, Own: Own{TestFraction: 0.1, Holdout: holdout(0)}}
	},
	"folder": func() Source {
		return &Folder{Height: 28, Width: 28, Fit: "crop", PatchesPerImage: 16, Colour: "grey", Scale: scale.Options{Kind: "range"}, OnBad: "refuse", Own: Own{TestFraction: 0.1, Holdout: holdout(0)}}
	},
}

// Options is what loading needs beside the config.
type Options struct {
	// Progress is where the progress bar of a download, or of a network that makes features, goes; nil shows none.
	Progress io.Writer
	// Network is what the network of data.features must be; nil where it may be any.
	Network *Network
}

// Holdout says which training images are used, and which are kept back.
type Holdout struct {
	// Validation is the number of training images that are held out: they choose the best epoch, and are never trained on. 0 holds out
	// none.
	Validation int `yaml:"validation" min:"0" max:"10000000"`

	// SplitSeed decides which images are held out. It is separate from the experiment's seed, so that runs with several seeds are evaluated
	// on the same images.
	SplitSeed int64 `yaml:"split_seed" min:"0"`

	// Limit is the number of remaining images to train on, for a quick look; split_seed chooses them too. 0 uses all.
	Limit int `yaml:"limit" min:"0"`

	// Normal lists the classes, or values of a table's label, that count as normal, such as [0]. Training, validation and calibration use
	// their samples alone, while the test set has all; see evaluate.anomaly. If the test set is a part of the same files, all other samples
	// go there; if it is given separately, other training samples are not used. Empty uses all samples.
	Normal []string `yaml:"normal,flow" literal:"yes" maxitems:"256"`

	// Calibration is the fraction of the training samples that is kept back to find the score from which latent score raises an alarm. With
	// 0, the validation samples serve for this too, although they also chose the epoch.
	Calibration float64 `yaml:"calibration" min:"0" below:"1"`

	// Resident is where the training samples are kept during training: device, all of them on the device; stream, in memory or in a file in
	// the user's cache folder, from which the device gets the samples of the next steps while it computes; or auto, which streams them if
	// they take more than an eighth of the machine's memory. It does not change the result. Samples streamed from a folder or a table are
	// decoded once, and may be larger than memory; see latent data cache.
	Resident string `yaml:"resident" enum:"auto,device,stream"`
}

// holdout is the default: so many samples held out.
func holdout(validation int) Holdout { return Holdout{Validation: validation, Resident: "auto"} }

// streams says whether training samples of so many bytes are streamed.
func (h Holdout) streams(bytes int64) bool {
	const part, unknown = 8, 16 << 30
	memory := host.Available()
	if memory == 0 {
		memory = unknown
	}
	return h.Resident == "stream" || h.Resident == "auto" && bytes > memory/part
}

// bytes is how much memory the values take.
func (s *Samples) bytes() int64 {
	return int64(s.Len()) * int64(s.Size()) * int64(s.Values.Type().Size())
}

// ValidationImages is the number of images held out.
func (h Holdout) ValidationImages() int { return h.Validation }

// calibrationOf is how many of n images are kept back to calibrate with.
func (h Holdout) calibrationOf(n int) int {
	return int(math.Round(h.Calibration * float64(max(n-h.Validation, 0))))
}

// trainOf is how many of n images are trained on.
func (h Holdout) trainOf(n int) int {
	n -= h.Validation + h.calibrationOf(n)
	if h.Limit > 0 {
		n = min(n, h.Limit)
	}
	return max(n, 0)
}

// check reports a holdout that leaves none of n images to train on.
func (h Holdout) check(n int, report func(key, problem string)) {
	switch {
	case h.Validation >= n:
		report("validation", fmt.Sprintf("holding out %d of %d images leaves none to train on; lower it", h.Validation, n))
	case h.calibrationOf(n) >= n-h.Validation:
		report("calibration", fmt.Sprintf("%g of %d images leaves none to train on; lower it", h.Calibration, n-h.Validation))
	}
}

// NormalClasses are those of Normal.
func (h Holdout) NormalClasses() []string { return h.Normal }

// Sorted is a source that may train on some classes alone.
type Sorted interface {
	// NormalClasses names those, or none where it trains on all. The evaluation of anomalies asks for them.
	NormalClasses() []string
}

// normals divides some places into those whose samples are of a normal class, which are all without Normal, and the others.
func (h Holdout) normals(places []int, labels []uint8, classes []string) (normal, others []int, err error) {
	if len(h.Normal) == 0 {
		return places, nil, nil
	}
	set, err := ClassSet(h.Normal, classes)
	if err != nil {
		return nil, nil, fmt.Errorf("data.normal: %w", err)
	}
	for _, i := range places {
		if set[labels[i]] {
			normal = append(normal, i)
		} else {
			others = append(others, i)
		}
	}
	return normal, others, nil
}

// checkNormal reports classes that are not among those that there are.
func (h Holdout) checkNormal(classes []string, report func(key, problem string)) {
	if _, err := ClassSet(h.Normal, classes); err != nil {
		report("normal", err.Error())
	}
}

// ClassSet marks, among classes, those with some names. Errors are of a name that no class has, and of a set that leaves none.
func ClassSet(names, classes []string) ([]bool, error) {
	if len(classes) == 0 {
		return nil, errors.New("these samples have no labels; name the column of a table in data.label, or sort a folder's files into a subfolder for each class")
	}
	set := make([]bool, len(classes))
	for _, name := range names {
		i := slices.Index(classes, name)
		if i < 0 {
			return nil, fmt.Errorf("there is no class %q; the classes are %s", name, someOf(classes))
		}
		set[i] = true
	}
	return set, nil
}

// someOf names the first of a list.
func someOf(names []string) string {
	const most = 20
	text := strings.Join(names[:min(most, len(names))], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// shuffled returns 0 … n−1 in the order that the split's seed gives them.
func (h Holdout) shuffled(n int) []int {
	return rand.New(rand.NewPCG(uint64(h.SplitSeed), 0x6c6174656e74)).Perm(n) // "latent"
}

// divideNormal divides the images that order names, of the normal classes alone: the first of them are held out, the next kept back to
// calibrate with, and those after them trained on. All parts have the images in the dataset's own order.
func (h Holdout) divideNormal(order []int, labels []uint8, classes []string) (p parts, err error) {
	if order, _, err = h.normals(order, labels, classes); err != nil {
		return p, err
	}
	h.check(len(order), func(key, problem string) { err = fmt.Errorf("data.%s: %s", key, problem) })
	if err != nil {
		return p, err
	}
	take := func(n int) []int {
		taken := slices.Sorted(slices.Values(order[:n]))
		order = order[n:]
		return taken
	}
	all := len(order)
	p.validation, p.calibration = take(h.Validation), take(h.calibrationOf(all))
	p.train = take(h.trainOf(all))
	return p, nil
}

// divide gives a split the parts of its training images but for those of the test.
func (h Holdout) divide(split *Split, images *Samples, order []int) error {
	p, err := h.divideNormal(order, images.Labels, split.Classes)
	if err != nil {
		return err
	}
	split.Train, split.Validation, split.Calibration = images.Select(p.train), images.Select(p.validation), images.Select(p.calibration)
	split.Train.Streamed = h.streams(split.Train.bytes())
	return nil
}

// Samples are pictures of one size, or vectors, and their labels.
type Samples struct {
	// Height, Width and Channels are the size of a picture; of a vector, 1, the number of features, and 1.
	Height, Width, Channels int
	// Features names those of vectors; nil of pictures.
	Features []string
	// Values are the numbers of one sample after another: of pictures [sample, height, width, channel], of vectors [sample, feature].
	Values array.Values
	// Places are, where not nil, those of the samples among Values, which then may hold more of them, and lie in a mapped file.
	Places []int32
	// Patches says that samples are parts of pictures of sizes of their own; nil where they are not. Values and Places are empty then.
	Patches *Patches
	// Augment says how training varies the samples.
	Augment Augment
	// Streamed says that training reads them a window of steps at a time, and does not put all of them on the device.
	Streamed bool
	// Scale maps values to the model's scale; the zero value is that of bytes, of which 0 is black and 255 white.
	Scale scale.Scale
	// Labels are the samples' classes, an index into Split.Classes each; nil where there are none.
	Labels []uint8
	// Target has what a model is to make of each sample, in the same order, of the same size and scale: its values may be of another type.
	// It is nil where that is the sample itself.
	Target *Samples
}

// Like returns no samples, of the kind of these, without targets.
func (s *Samples) Like() *Samples {
	return &Samples{Height: s.Height, Width: s.Width, Channels: s.Channels, Features: s.Features, Scale: s.Scale, Values: array.Make(s.Values.Type(), 0)}
}

// Vectors says that they are vectors, not pictures.
func (s *Samples) Vectors() bool { return s.Features != nil }

// Size is the number of values of a sample.
func (s *Samples) Size() int { return s.Height * s.Width * s.Channels }

// Len is the number of samples.
func (s *Samples) Len() int {
	switch {
	case s == nil || s.Size() == 0:
		return 0
	case s.Places != nil:
		return len(s.Places)
	case s.Patches != nil:
		return len(s.Patches.Sizes) * s.Patches.Each
	}
	return s.Values.Len() / s.Size()
}

// At is sample i: a part of Values, not a copy; of patches a copy.
func (s *Samples) At(i int) array.Values {
	if s.Patches != nil {
		return s.still(i)
	}
	if s.Places != nil {
		i = int(s.Places[i])
	}
	return s.Values.Slice(i*s.Size(), (i+1)*s.Size())
}

// First are the first n samples, at most: a part, not a copy.
func (s *Samples) First(n int) *Samples {
	n = min(n, s.Len())
	first := *s
	switch {
	case s.Patches != nil:
		first = *s.packed(n)
	case s.Places != nil:
		first.Places = s.Places[:n]
	default:
		first.Values = s.Values.Slice(0, n*s.Size())
	}
	if s.Labels != nil {
		first.Labels = s.Labels[:n]
	}
	if s.Target != nil {
		first.Target = s.Target.First(n)
	}
	return &first
}

// Rows are n samples from the first-th on as a tensor, and where there are no more those from the first-th on again: [n, size].
func (s *Samples) Rows(first, n int) *tensors.Tensor {
	rows := array.Make(s.Values.Type(), n*s.Size())
	for i := range n {
		rows.Copy(i*s.Size(), s.At(first+i%(s.Len()-first)))
	}
	return rows.Tensor(n, s.Size())
}

// Shown are pictures as bytes, for people; and vectors in the model's scale. Targets are left out.
func (s *Samples) Shown() *Samples {
	shown := s.Like()
	shown.Labels, shown.Scale = s.Labels, scale.Scale{}
	if s.Vectors() {
		shown.Scale = scale.None()
		shown.Values = array.Values{Float32: s.Scaled(0, s.Len())}
		return shown
	}
	if s.Values.Type() == dtypes.Uint8 && s.Scale.IsBytes() {
		packed := *s.Packed()
		packed.Target = nil
		return &packed
	}
	shown.Values = array.Make(dtypes.Uint8, s.Len()*s.Size())
	for i := range s.Len() {
		for j, sample := 0, s.At(i); j < s.Size(); j++ {
			x := s.Scale.ShownAt(j, sample.At(j))
			shown.Values.Uint8[i*s.Size()+j] = uint8(math.Floor(min(max((x+1)/2, 0), 1)*255 + 0.5))
		}
	}
	return shown
}

// Restored returns samples of the kind of these in the data's own units, of values of the model's scale, one sample after another:
// whole numbers where these are.
func (s *Samples) Restored(values []float32) *Samples {
	restored := s.Like()
	restored.Values = array.Make(s.Values.Type(), len(values))
	for i, x := range values {
		restored.Values.Set(i, s.Scale.Value(i%s.Size(), float64(x)))
	}
	return restored
}

// Dims are the sizes of a sample as an array: [features] of vectors, [height, width, channels] of pictures.
func (s *Samples) Dims() []int {
	if s.Vectors() {
		return []int{s.Width}
	}
	return []int{s.Height, s.Width, s.Channels}
}

// Scaled are the values of samples from the first-th to before the last-th in the model's scale, as [restore.Restorer.Images] wants them.
func (s *Samples) Scaled(first, last int) []float32 {
	scaled := make([]float32, 0, (last-first)*s.Size())
	for i := first; i < last; i++ {
		sample := s.At(i)
		for j := range s.Size() {
			scaled = append(scaled, float32(s.Scale.At(j, sample.At(j))))
		}
	}
	return scaled
}

// Select returns the samples at these places, in this order: copies, but where the samples lie in a mapped file.
func (s *Samples) Select(places []int) *Samples {
	selected := s.Like()
	if s.Labels != nil {
		selected.Labels = make([]uint8, len(places))
		for k, i := range places {
			selected.Labels[k] = s.Labels[i]
		}
	}
	if s.Target != nil {
		selected.Target = s.Target.Select(places)
	}
	if s.Places != nil {
		selected.Values, selected.Places = s.Values, make([]int32, len(places))
		for k, i := range places {
			selected.Places[k] = s.Places[i]
		}
		return selected
	}
	selected.Values = array.Make(s.Values.Type(), len(places)*s.Size())
	for k, i := range places {
		selected.Values.Copy(k*s.Size(), s.At(i))
	}
	return selected
}

// Packed are the samples with nothing else among Values: themselves, or copies where they have Places or are patches.
func (s *Samples) Packed() *Samples {
	if s.Places == nil && s.Patches == nil {
		return s
	}
	return s.packed(s.Len())
}

// packed are copies of the first n samples.
func (s *Samples) packed(n int) *Samples {
	packed := *s
	packed.Places, packed.Patches, packed.Values = nil, nil, array.Make(s.Values.Type(), n*s.Size())
	if s.Target != nil {
		packed.Target = s.Target.packed(n)
	}
	for i := range n {
		packed.Values.Copy(i*s.Size(), s.At(i))
	}
	return &packed
}

// Split is a dataset's three parts, and what is kept back to calibrate with, which may be none.
type Split struct {
	Train, Validation, Test *Samples
	Calibration             *Samples
	// LeftOut counts what was not read: the files of a folder that are no pictures, by their ending, and columns that are no numbers.
	// Skipped are pictures that cannot be used and were passed over, each with the cause.
	LeftOut map[string]int
	Skipped []string
	// Rounded is how many whole numbers of a table float32 cannot hold: they were rounded to the nearest.
	Rounded int
	// Classes names the labels; empty where there are none.
	Classes []string
	// Names are those of a folder's test pictures; nil of others.
	Names []string
	// Masks are those of the test pictures, nil for one without any; all nil where the config names none.
	Masks []*Mask
	// Known is the dictionary that the samples are sums of, of generated ones; nil of others.
	Known *Known
	// Factors are those of the test samples, of generated shapes; nil of others.
	Factors *Factors
	// Network is what made the samples of pictures; nil where no network did.
	Network *Network
	// Checksums holds SHA-256 sums in hexadecimal digits: of every file that was read, by its base name; of glyphs, those of
	// the pixels, by "train" (validation included) and "test"; of a folder, one over all its files, by the folder's base name; of the network
	// of data.features, that of its file.
	Checksums map[string]string
}

// rescale finds the scale that options mean, by the training samples and their targets, and gives it to all parts.
//
// missing says that some values may be NaN, for which the median of the training samples stands.
func (s *Split) rescale(options scale.Options, missing bool) error {
	train := s.Train.pictures()
	sides := []*Samples{train}
	if s.Train.Target != nil {
		sides = append(sides, s.Train.Target.pictures())
	}
	n := train.Len()
	data := scale.Data{Missing: missing, Type: s.Train.RowType(), Samples: len(sides) * n, Size: train.Size(), Channels: train.Channels,
		At: func(sample, i int) float64 { return sides[sample/n].At(sample % n).At(i) }}
	if train.Vectors() {
		data.Channels = 0
	}
	found, err := options.Find(data)
	s.SetScale(found)
	return err
}

// sum returns data's SHA-256 in hexadecimal digits.
func sum(data []byte) string {
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:])
}

// InParallel calls do for 0 … n−1 on all cores, and stops early with the context's error.
func InParallel(ctx context.Context, n int, do func(i int)) error {
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
