package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/schollz/progressbar/v3"

	"latent/pkg/array"
	"latent/pkg/cache"
	"latent/pkg/message"
	"latent/pkg/network"
	"latent/pkg/scale"
)

// Features says that samples are not pictures but the outputs of another network on them, such as a ResNet without its last layer: vectors
// of float32. onnxruntime runs the network once over all pictures, and its outputs are kept in the user's cache folder. Pictures that are
// scored later go through the same network. One factor brings all values to the model's scale, as data.scale.kind: norm does: if each
// feature were standardised, those that hardly vary would weigh as much as all others.
type Features struct {
	// Model is the network, an ONNX file whose input is float32 of shape [pictures, 1 or 3 channels, height, width], or channels last. It
	// gets pixels in [0, 1], and floats unchanged; grey pictures are repeated for three channels. Without it, samples are the pictures
	// themselves.
	Model string `yaml:"model" path:"yes"`

	// Output is the name of the network's output to use, flattened; the default is the first.
	Output string `yaml:"output"`

	// Mean is subtracted from pixels in [0, 1] before the network, one number for all channels or one for each. Most published networks use
	// ImageNet's, [0.485, 0.456, 0.406].
	Mean []float64 `yaml:"mean,flow" min:"-1e6" max:"1e6" single:"yes" maxitems:"3"`

	// Std divides the pixels after mean is subtracted, one number for all channels or one for each. ImageNet's is [0.229, 0.224, 0.225].
	Std []float64 `yaml:"std,flow" above:"0" max:"1e6" single:"yes" maxitems:"3"`

	// Size is the height and width of the pictures that the network gets. Pictures of a folder are scaled to it, instead of height and
	// width; others, such as those of 28×28, are enlarged to it. 0 leaves them as they are.
	Size int `yaml:"size" min:"0" max:"4096"`
}

// uses says that there is a network.
func (f Features) uses() bool { return f.Model != "" }

// check reports features that cannot be, beside a scale that pictures would have.
func (f Features) check(own scale.Options, report func(key, problem string)) {
	if !f.uses() {
		if f.Output != "" || len(f.Mean)+len(f.Std) > 0 || f.Size > 0 {
			report("features.model", "missing; name the network's ONNX file, or leave features out")
		}
		return
	}
	for _, numbers := range []struct {
		key    string
		values []float64
	}{{"features.mean", f.Mean}, {"features.std", f.Std}} {
		if len(numbers.values) == 2 {
			report(numbers.key, "has two numbers; write one for all channels, or three, one for each channel")
		}
	}
	if own.Low != 0 || own.High != 0 || own.Open || own.Kind == "percentile" || own.Kind == "none" {
		report("scale", "it applies to pictures, and the features of a network are scaled by one factor; leave it out")
	}
}

// Network is the file of the network whose features samples are, and what pictures it was given, before data.features.size.
type Network struct {
	Path                    string // absolute
	SHA256                  string
	Height, Width, Channels int
	Type                    dtypes.DType
}

// Networked is the part of a source that says by which network.
type Networked struct {
	// Features turns pictures into vectors: the samples are the outputs of another network, such as a ResNet without its last layer, scaled
	// by one factor. features: resnet18.onnx is short for features: {model: resnet18.onnx}.
	Features Features `yaml:"features" short:"model"`
}

// Network says which network makes features of the pictures.
func (n Networked) Network() Features { return n.Features }

// Featured is a source whose samples may be features of pictures.
type Featured interface {
	// Network says by which network; one without a model where samples are what they are.
	Network() Features
}

// Extractor makes features of pictures.
type Extractor struct {
	from Features
	file *network.File
	net  *network.Network // nil before it is needed
}

// Open reads the network's file. want is the network that it must be; nil where it may be any.
func (f Features) Open(want *Network) (*Extractor, error) {
	path := below(f.Model)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && want != nil {
		if _, err := os.Stat(want.Path); err != nil {
			return nil, fmt.Errorf("data.features: neither %s nor %s exists, and the run needs that network to make its features; put the file back (SHA-256 %s)",
				f.Model, want.Path, want.SHA256)
		}
		path = want.Path
	}
	file, err := network.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("data.features: %w; name the network's ONNX file", err)
	}
	if err != nil {
		return nil, fmt.Errorf("data.features: %w", err)
	}
	if want != nil && file.SHA256 != want.SHA256 {
		return nil, fmt.Errorf("data.features: %s is not the network that the run used: its SHA-256 is %s, the run's was %s; put that file back, or start a new run",
			path, file.SHA256, want.SHA256)
	}
	return &Extractor{from: f, file: file}, nil
}

// Close frees the network.
func (x *Extractor) Close() {
	if x.net != nil {
		x.net.Close()
		x.net = nil
	}
}

// about says what network it is, for pictures like these.
func (x *Extractor) about(like *Samples) (*Network, error) {
	path, err := filepath.Abs(x.file.Path)
	return &Network{Path: path, SHA256: x.file.SHA256, Height: like.Height, Width: like.Width, Channels: like.Channels, Type: like.Values.Type()}, err
}

// Of makes features of pictures, in their order, with their labels.
func (x *Extractor) Of(ctx context.Context, s *Samples) (*Samples, error) {
	return x.of(ctx, s, nil)
}

// of is Of with a progress bar.
func (x *Extractor) of(ctx context.Context, s *Samples, progress io.Writer) (*Samples, error) {
	made := &Samples{Height: 1, Channels: 1, Labels: s.Labels}
	err := x.each(ctx, s, progress, func(values []float32, size int) error {
		if int64(s.Len())*int64(size)*4 > maxTableBytes {
			return fmt.Errorf("%d pictures with %d features each need more than %d GiB of memory; use fewer pictures, or another output", s.Len(), size, maxTableBytes>>30)
		}
		made.Width = size
		made.Values = made.Values.Grow(dtypes.Float32, s.Len()*size-made.Values.Len()).Append(array.Values{Float32: values})
		return nil
	})
	if err != nil {
		return nil, err
	}
	made.Features = featureNames(made.Width)
	return made, nil
}

// featureNames are those of a network's outputs.
func featureNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("feature_%d", i)
	}
	return names
}

// each calls take with the features of some pictures after the others, and how many each has.
func (x *Extractor) each(ctx context.Context, s *Samples, progress io.Writer, take func(values []float32, size int) error) error {
	if s.Vectors() || s.Patches != nil {
		return errors.New("data.features: a network needs pictures of one size, and these samples are not; leave it out")
	}
	if s.Len() == 0 {
		return errors.New("data.features: no pictures")
	}
	if x.net == nil {
		net, err := x.file.Open(ctx, x.from.Output)
		if err != nil {
			return fmt.Errorf("data.features: %w", err)
		}
		x.net = net
	}
	height, width := s.Height, s.Width
	if x.from.Size > 0 {
		height, width = x.from.Size, x.from.Size
	}
	form, err := x.net.Fit(s.Channels, height, width)
	if err != nil {
		return fmt.Errorf("data.features: %w", err)
	}
	for _, numbers := range [][]float64{x.from.Mean, x.from.Std} {
		if len(numbers) > 1 && len(numbers) != form.Channels {
			return fmt.Errorf("data.features: mean and std have %d numbers, but the network's pictures have %d channel; write one number", len(numbers), form.Channels)
		}
	}
	if progress != nil {
		bar := progressbar.NewOptions64(int64(s.Len()), progressbar.OptionSetWriter(message.Raw(progress)),
			progressbar.OptionSetDescription("features by "+message.Clean(filepath.Base(x.file.Path))), progressbar.OptionShowCount(), progressbar.OptionSetWidth(24))
		defer fmt.Fprintln(progress)
		own := take
		take = func(values []float32, size int) error {
			bar.Add(len(values) / size)
			return own(values, size)
		}
	}
	return x.batches(ctx, s, form, take)
}

// batches runs the network.
func (x *Extractor) batches(ctx context.Context, s *Samples, form network.Form, take func(values []float32, size int) error) error {
	batch, has := make([]float32, form.Batch*form.Size()), 0
	for first := 0; first < s.Len(); first += form.Batch {
		n := min(form.Batch, s.Len()-first)
		err := InParallel(ctx, n, func(i int) { x.prepare(s, first+i, form, batch[i*form.Size():][:form.Size()]) })
		if err != nil {
			return err
		}
		values, size, err := x.net.Run(batch, form, n) // what lies behind the last picture does not count
		if err != nil {
			return fmt.Errorf("data.features: %w", err)
		}
		if has != 0 && size != has {
			return fmt.Errorf("data.features: %s outputs %d values for some pictures and %d for others; choose another output", filepath.Base(x.file.Path), has, size)
		}
		has = size
		for i, value := range values {
			if math.IsNaN(float64(value)) || math.IsInf(float64(value), 0) {
				return fmt.Errorf("data.features: feature_%d of picture %d is %v; check that mean, std and the channels are those that %s was trained with",
					i%size, first+i/size, value, filepath.Base(x.file.Path))
			}
		}
		if err := take(values, size); err != nil {
			return err
		}
	}
	return nil
}

// prepare puts a picture into the form that the network wants.
func (x *Extractor) prepare(s *Samples, i int, form network.Form, into []float32) {
	white := float32(1)
	switch s.Values.Type() {
	case dtypes.Uint8:
		white = 255
	case dtypes.Uint16:
		white = 65535
	}
	values := s.At(i).As(dtypes.Float32).Float32
	if form.Height != s.Height || form.Width != s.Width {
		values = Resample(values, s.Height, s.Width, s.Channels, form.Height, form.Width)
	}
	pixels := form.Height * form.Width
	for p := range pixels {
		for c := range form.Channels {
			value := values[p*s.Channels+c%s.Channels] / white
			if len(x.from.Mean) > 0 {
				value -= float32(x.from.Mean[c%len(x.from.Mean)])
			}
			if len(x.from.Std) > 0 {
				value /= float32(x.from.Std[c%len(x.from.Std)])
			}
			at := c*pixels + p
			if form.Last {
				at = p*form.Channels + c
			}
			into[at] = value
		}
	}
}

// featuresVersion is that of the code that decides features: an entry of the cache by another is not used.
const featuresVersion = 1

// cached is Of by way of the cache. title says whose pictures they are.
func (x *Extractor) cached(ctx context.Context, s *Samples, title string, progress io.Writer) (*Samples, error) {
	c, err := cache.Default()
	if err != nil {
		return x.of(ctx, s, progress) // there is no cache
	}
	key := cache.Key("features", featuresVersion, x.file.SHA256, x.from.Output, x.from.Mean, x.from.Std, x.from.Size, fingerprint(s))
	place := slot{cache: c, key: key, now: func() (string, error) { return key, nil }}
	made, err := place.stored(&struct{}{})
	if made == nil && err == nil {
		made, err = x.fill(ctx, place, s, title, progress)
	}
	if err != nil {
		return nil, err
	}
	made.Labels = s.Labels
	return made, nil
}

// fill makes an entry of the cache.
func (x *Extractor) fill(ctx context.Context, place slot, s *Samples, title string, progress io.Writer) (*Samples, error) {
	w, err := place.cache.Create(place.key, dtypes.Float32, -1)
	if err != nil {
		return nil, fmt.Errorf("data.features: %w", err)
	}
	defer w.Abort()
	like := &Samples{Height: 1, Channels: 1}
	err = x.each(ctx, s, progress, func(values []float32, size int) error {
		like.Width = size
		return w.Append(array.Values{Float32: values})
	})
	if err != nil {
		return nil, err
	}
	like.Features = featureNames(like.Width)
	return place.commit(w, title, fmt.Sprintf("%s by %s, %d vectors of %d features", title, filepath.Base(x.file.Path), s.Len(), like.Width), like, &struct{}{})
}

// fingerprint is a SHA-256 of pictures.
func fingerprint(s *Samples) string {
	digest := sha256.New()
	fmt.Fprintln(digest, s.kind(), s.Values.Type())
	for i := range s.Len() {
		digest.Write(s.At(i).Bytes())
	}
	return hex.EncodeToString(digest.Sum(nil))
}

// apply puts features in the place of all pictures of a dataset, where there is a network, and says which.
func (f Features) apply(ctx context.Context, options Options, title string, checksums map[string]string, all ...**Samples) (*Network, error) {
	if !f.uses() {
		return nil, nil
	}
	x, err := f.Open(options.Network)
	if err != nil {
		return nil, err
	}
	defer x.Close()
	about, err := x.about(*all[0])
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if *s, err = x.cached(ctx, *s, title, options.Progress); err != nil {
			return nil, err
		}
	}
	name := filepath.Base(f.Model)
	if _, taken := checksums[name]; taken {
		name = strings.Join([]string{"features", name}, " ")
	}
	checksums[name] = x.file.SHA256
	return about, nil
}

// scale is how samples are scaled: features by one factor, and others as their source says.
func (f Features) scale(own scale.Options) scale.Options {
	if f.uses() {
		return scale.Options{Kind: "norm"}
	}
	return own
}

// rescale scales the features of a source whose pictures are bytes.
func (f Features) rescale(s *Split) error {
	if !f.uses() {
		return nil
	}
	return s.rescale(f.scale(scale.Options{}), false)
}
