package dataset

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/array"
	"latent/pkg/picture"
	"latent/pkg/scale"
)

// Pairs gives samples of data.dir or data.files targets other than the samples themselves.
type Pairs struct {
	// Target has the target of each sample: for dir, a folder with a file of the same name, of any extension, and the same size for each
	// picture; for files, a table or an array with the same rows and columns. The model gets the sample, corrupted further if corrupt says
	// so, and learns to produce the target. Two noisy pictures of the same scene make a pair too (Lehtinen et al. 2018, Noise2Noise).
	// Samples and targets share one scale, and must have the same units.
	Target []string `yaml:"target" path:"yes" single:"yes" maxitems:"1000000"`

	// TestTarget has the targets of the samples of test. It can be given without target: the test then compares with clean pictures that
	// training never sees.
	TestTarget []string `yaml:"test_target" path:"yes" single:"yes" maxitems:"1000000"`
}

// Targets says which samples have targets of their own.
func (p Pairs) Targets() (training, test bool) {
	return len(p.Target) > 0, len(p.Target)+len(p.TestTarget) > 0
}

// checkPairs finds targets that have no samples, and the reverse.
func (o Own) checkPairs(p Pairs, report func(key, problem string)) {
	switch {
	case len(p.TestTarget) > 0 && len(o.Test) == 0:
		report("test_target", "data.test is not set; set it, or leave test_target out")
	case len(p.Target) > 0 && len(o.Test) > 0 && len(p.TestTarget) == 0:
		report("test_target", "missing; data.target has only the targets of the training samples, so set those of data.test here")
	}
}

// Compared is the key of the targets that figures of the test compare with; "" where they compare with the samples themselves.
func (p Pairs) Compared() string {
	switch {
	case len(p.TestTarget) > 0:
		return "data.test_target"
	case len(p.Target) > 0:
		return "data.target"
	}
	return ""
}

// Paired is a source whose samples may have targets of their own.
type Paired interface {
	Targets() (training, test bool)
	Compared() string
}

// Clean are the targets of samples: the samples themselves where they have no others.
func (s *Samples) Clean() *Samples {
	if s.Target == nil {
		return s
	}
	return s.Target
}

// RowType is the type of the values of [Samples.Row]: that of the samples or of their targets, whichever holds both.
func (s *Samples) RowType() dtypes.DType {
	if s.Target != nil && s.Target.Values.Type() == dtypes.Float32 {
		return dtypes.Float32
	}
	return s.Values.Type()
}

// RowSize is how many values a row has.
func (s *Samples) RowSize() int {
	if s.Target == nil {
		return s.Size()
	}
	return 2 * s.Size()
}

// Row is what a program is given of sample i: its values, and those of its target behind them where it has one. Without one, it is not a
// copy.
func (s *Samples) Row(i int) array.Values {
	if s.Target == nil {
		return s.At(i)
	}
	return joined(s.RowType(), s.At(i), s.Target.At(i))
}

// PatchRow is Row of a patch at the place that two random words decide; see [Samples.Patch].
func (s *Samples) PatchRow(i int, words [2]uint32) array.Values {
	if s.Target == nil {
		return s.Patch(i, words)
	}
	return joined(s.RowType(), s.Patch(i, words), s.Target.Patch(i, words)) // of the same place, for the sizes are the same
}

// PairRows are the rows of n samples from the first-th on as a tensor, as [Samples.Rows] has them, of a type, each with its target, which
// is the sample again where it has none: [n, 2 · size].
func (s *Samples) PairRows(first, n int, dtype dtypes.DType) *tensors.Tensor {
	rows, size := array.Make(dtype, 2*n*s.Size()), s.Size()
	for i := range n {
		place := first + i%(s.Len()-first)
		rows.Copy(2*i*size, joined(dtype, s.At(place), s.Clean().At(place)))
	}
	return rows.Tensor(n, 2*size)
}

// joined are values of a type, one list behind the other.
func joined(dtype dtypes.DType, a, b array.Values) array.Values {
	both := array.Make(dtype, a.Len()+b.Len())
	both.Copy(0, a.As(dtype))
	both.Copy(a.Len(), b.As(dtype))
	return both
}

// fits is an error where samples cannot be pairs with targets of another type.
func (s *Samples) fits(target *Samples) error {
	own, other := s.Values.Type(), target.Values.Type()
	if own != other && own != dtypes.Float32 && other != dtypes.Float32 {
		return fmt.Errorf("the samples are %v and their targets %v; save both with the same dtype", own, other)
	}
	if s.Channels != target.Channels {
		return fmt.Errorf("the samples have %d channels and their targets %d; set data.colour: grey or rgb, or save both with the same channels", s.Channels, target.Channels)
	}
	return nil
}

// pictures are samples for a scale to be found by: themselves, or of patches one that has all pictures.
func (s *Samples) pictures() *Samples {
	if s.Patches == nil {
		return s
	}
	return &Samples{Height: 1, Width: s.Patches.Values.Len() / s.Channels, Channels: s.Channels, Values: s.Patches.Values}
}

// SetScale gives all parts a scale, and their targets.
func (s *Split) SetScale(found scale.Scale) {
	for _, part := range []*Samples{s.Train, s.Validation, s.Test, s.Calibration} {
		if part != nil {
			part.Scale, part.Clean().Scale = found, found
		}
	}
}

// Like returns no samples, of the kind of the parts, with targets where any part has them.
func (s *Split) Like() *Samples {
	like := s.Train.Like()
	for _, part := range []*Samples{s.Train, s.Validation, s.Test} {
		if part.Target != nil {
			like.Target = part.Target.Like()
		}
	}
	return like
}

// targetsOf returns the target of each file, by its name without ending.
func targetsOf(key string, patterns []string, files []file) ([]file, error) {
	found, _, err := listed(key, patterns)
	if err != nil {
		return nil, err
	}
	byStem, byBase, inputs := map[string][]file{}, map[string][]file{}, map[string]int{}
	for _, f := range found {
		byStem[stem(f.name)] = append(byStem[stem(f.name)], f)
		byBase[path.Base(stem(f.name))] = append(byBase[path.Base(stem(f.name))], f)
	}
	for _, f := range files {
		inputs[path.Base(stem(f.name))]++
	}
	var targets []file
	var missing []error
	for _, f := range files {
		own, base := byStem[stem(f.name)], path.Base(stem(f.name))
		if own == nil && inputs[base] == 1 && len(byBase[base]) == 1 { // of other folders, and the only two of that name
			own = byBase[base]
		}
		switch len(own) {
		case 1:
			targets = append(targets, own[0])
		case 0:
			missing = append(missing, fmt.Errorf("%s: there is no file %s.*", f.path, stem(f.name)))
		default:
			missing = append(missing, fmt.Errorf("%s: more than one file matches as its target: %s, %s", f.path, own[0].path, own[1].path))
		}
	}
	return targets, several(missing, len(files), fmt.Sprintf("have no target in %s %s; add or remove files", key, strings.Join(patterns, ", ")))
}

// several joins errors of some of n pictures, at most a few; nil where there are none.
func several(failures []error, n int, what string) error {
	if len(failures) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d pictures %s:\n%w", len(failures), n, what, errors.Join(failures[:min(len(failures), errorsShown)]...))
}

// checkSizes wants files and others that belong to them, such as their targets, to have pictures of the same sizes, by what they say of
// themselves. Of a file that cannot be read, reading tells.
func checkSizes(ctx context.Context, what string, files, targets []file) error {
	failures := make([]error, len(files))
	err := InParallel(ctx, len(files), func(i int) {
		own, err := sizesOf(files[i].path)
		if err != nil {
			return
		}
		other, err := sizesOf(targets[i].path)
		if err != nil {
			return
		}
		for page := range max(len(own), len(other)) {
			if page >= len(own) || page >= len(other) {
				failures[i] = fmt.Errorf("%s has %d pictures, but its %s %s has %d", files[i].path, len(own), what, targets[i].path, len(other))
				return
			}
			if a, b := own[page], other[page]; a != b {
				failures[i] = fmt.Errorf("%s is %d×%d, but its %s %s is %d×%d", files[i].path, a.Width, a.Height, what, targets[i].path, b.Width, b.Height)
				return
			}
		}
	})
	if err != nil {
		return err
	}
	var some []error
	for _, failure := range failures {
		if failure != nil {
			some = append(some, failure)
		}
	}
	return several(some, len(files), "differ in size from their "+what+"s")
}

// sizesOf are those of the pictures of a file.
func sizesOf(path string) ([]Size, error) {
	opened, err := picture.Open(path)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	sizes := make([]Size, len(opened.Frames()))
	for page := range sizes {
		if sizes[page].Height, sizes[page].Width, err = opened.Size(page); err != nil {
			return nil, err
		}
	}
	return sizes, nil
}
