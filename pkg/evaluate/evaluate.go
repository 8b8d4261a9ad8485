// Package evaluate measures a model on held-out images, and draws them.
//
//	evaluator, err := evaluate.New(backend, spec, image)
//	result, err := evaluator.Measure(ctx, trainer.Weights(), split.Test)
//	fmt.Println(result.Reconstructed["psnr"].Mean, result.Corrupted["psnr"].Mean)
//
// Promised: the corruption is drawn from the evaluation's own seed, the same for every epoch and every run, so that
// figures can be compared; every figure is a mean over images, with its interval; the corrupted input's figures stand
// beside the reconstruction's.
//
// What is not here: choosing which images are held out (pkg/dataset).
package evaluate

import (
	"context"
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/array"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
	"latent/pkg/restore"
	"latent/pkg/scale"
)

// Options is how a model is measured, the config's section `evaluate:`.
type Options struct {
	// Seed decides the corruption of the validation and test images, which is the same in every epoch and every run, so that figures can be
	// compared.
	Seed int64 `yaml:"seed" min:"0"`

	// Corrupt replaces the experiment's corrupt during evaluation, a kind or a list of kinds, so that models trained with different
	// corruption can be compared on the same one. Without it, or as an empty list, evaluation uses the corruption of training.
	Corrupt corrupt.Chain `yaml:"corrupt" kind:"kind" maxitems:"16"`

	// Weights selects the weights for the test figures, the final grid and the report: best, those with the lowest validation loss (the
	// last ones if nothing is held out for validation), or last.
	Weights string `yaml:"weights" enum:"best,last"`

	// Recover adds back to whole pictures (see data.patch) the detail that the model removed along with the noise: it estimates the noise,
	// and keeps what was removed beyond it (Wiener's filter). It is for models trained on blind spots, whose output lacks the detail that
	// only the pixel itself contains, and gains about 1 dB there. It applies to figures and to what latent denoise writes; grids show the
	// model alone.
	Recover bool `yaml:"recover"`

	// NLLSamples is the number of codes drawn for each test image to estimate the log-likelihood by importance sampling, for models that
	// have one; 0 skips the estimate.
	NLLSamples int `yaml:"nll_samples" min:"0" max:"10000000"`

	// NLLImages is the number of test images, the first ones, for which the log-likelihood is estimated; 0 skips the estimate. The time is
	// proportional to nll_samples times nll_images: each pair decodes one image.
	NLLImages int `yaml:"nll_images" min:"0" max:"10000000"`

	// Generated is the number of images that each sampler of the model draws at the end of the run to be compared with the test images: by
	// Fréchet distance, precision and recall, in the features of a small classifier of the dataset, which is trained once and kept in the
	// user's cache folder. As many training images are compared alongside, which bounds it; the dataset needs labels. 10000 is usual, and
	// takes 10 to 20 s; the classifier of MNIST takes as long again (most of an hour in pure Go). 0 skips the comparison.
	Generated int `yaml:"generated" min:"0" max:"10000000"`

	// Memory is the memory in MiB that a pass over held-out images may use for its computation, in addition to the weights; an estimate
	// from it sets the number of images in a batch. Apart from rounding it does not change figures, except the loss of models that compare
	// the images of a batch: wae, and vae with a penalty or free bits. 0 uses a thirty-second of the machine's memory, at most 512.
	Memory int `yaml:"memory" min:"0" max:"1073741824"`

	// Probe fits a linear classifier to the codes of clean training images, chooses its L2 regulariser on held-out images, and measures its
	// accuracy on the codes of test images. The dataset needs labels, and the code may have at most 1024 values. It takes about 10 s for a
	// code of 64 values, and proportionally longer for larger ones.
	Probe bool `yaml:"probe"`

	// Anomaly measures how well the model's scores detect anomalies, if labels say which test samples are normal.
	Anomaly Anomaly `yaml:"anomaly"`
}

// Anomaly is how anomalies are scored and measured, the config's section `evaluate.anomaly:`; see docs/anomaly.md.
type Anomaly struct {
	// Normal lists the classes, or values of a table's label, whose test samples are normal; all others are anomalies. Without it, the
	// classes of data.normal count; if that is empty too, nothing is measured. It does not affect training.
	Normal []string `yaml:"normal,flow" literal:"yes" maxitems:"256"`

	// Score is the anomaly score: mse or mae, the reconstruction error; weighted-mse or weighted-mae, the same with the error of each value
	// relative to its usual size; peak, the maximum of a picture's heat map, which is the smoothed squared error; whitened-mse and
	// whitened-peak, the same for errors that are whitened by their covariance over training samples; elbo, the negative evidence bound,
	// and nll, the negative log-likelihood, for models that have one; mahalanobis, the distance of the code from those of training samples;
	// neighbours, the distance to the nearest of them; forest, how soon random splits isolate the row, or the picture's code (isolation
	// forest); or ranks, the combined ranks of the whitened error and the last three (with data.patch, of mse and peak).
	Score string `yaml:"score" enum:"mse,mae,weighted-mse,weighted-mae,peak,whitened-mse,whitened-peak,elbo,nll,mahalanobis,neighbours,forest,ranks"`

	// AlarmRate is the fraction of normal samples that may raise a false alarm: it sets the threshold, which is found on samples that the
	// model was not trained on.
	AlarmRate float64 `yaml:"alarm_rate" above:"0" below:"1"`

	// Smooth is the standard deviation, in pixels, of the Gaussian window that smooths heat maps of pictures; 0 does not smooth.
	Smooth float64 `yaml:"smooth" min:"0" max:"100"`

	// Baselines lists detectors without a deep model that are fitted to the same training samples, at most 10,000, and compared with the
	// model. They take half a minute for images of digits.
	Baselines []string `yaml:"baselines,flow" enum:"pca,mahalanobis,knn,lof,iforest" maxitems:"5"`
}

// DefaultAnomaly is the section where a config leaves it out.
func DefaultAnomaly() Anomaly {
	return Anomaly{Score: "ranks", AlarmRate: 0.01, Smooth: 2, Baselines: []string{"pca", "mahalanobis", "knn", "lof", "iforest"}}
}

// Spec is what is measured, and how.
type Spec struct {
	Model   model.Model
	Corrupt corrupt.Chain
	Loss    model.Loss
	Seed    int64
	Recover bool // see Options; the model must be able to take pictures in parts
	// Memory is how many bytes a pass over images may take for what it computes, beside the weights; 0 is [trace.DefaultMemory]. It
	// decides how many images are taken at once. Figures do not depend on it beyond rounding, but for the validation loss of
	// models that look across a batch (model.Collective).
	Memory int64
	// Images is how many images the largest set has that is measured; 0 where that is not known. A pass takes few more at once.
	Images int
}

// scalars are the number 1, and the numbers of the loss, the model and the corruptions.
func (s Spec) scalars() []float32 {
	return slices.Concat([]float32{1}, s.Loss.Strengths(), model.Numbers(s.Model), s.Corrupt.Strengths())
}

// Evaluator measures one model on images of one size.
type Evaluator struct {
	backend compute.Backend
	spec    Spec
	image   model.Image
	like    *dataset.Samples // none, of the kind that is measured
	params  []model.Param
	metrics []Metric
	terms   []string // the parts of the loss, where it has more than one
	main    *program
	code    int  // values of a code
	exact   bool // see Exact
	later   *later
}

// later are the programs that are compiled when they are first called.
type later struct {
	encoder   *program
	posterior *program // of codes with their log variances
	// reconstructor gives undamaged samples, outputs and codes.
	reconstructor *program
	watcher       watcher
	likelihood    likelihood
	sizes         map[dataset.Size]sized // for whole pictures
	restorer      *restore.Restorer      // of parts of them
}

// Structure is what an evaluator is compiled for, beside the images' size.
type Structure struct {
	Model, Corrupt, Loss, Features string
	Damaged                        bool
	Memory                         int64
	Images                         int
}

// Structure returns that of an evaluation with this spec: those with equal ones can share an evaluator.
func (s Spec) Structure() Structure {
	return Structure{Model: model.Structure(s.Model), Corrupt: s.Corrupt.Structure(), Loss: s.Loss.Kind, Features: s.Loss.Features(), Damaged: s.Loss.Damaged, Memory: s.Memory, Images: s.Images}
}

// Result is what Measure found.
type Result struct {
	Images int
	// Loss is the training loss on these images.
	Loss Figure
	// Terms are the parts of the loss without their weights, where it has more than one.
	Terms map[string]Figure
	// Reconstructed and Corrupted hold a figure for each metric by its name, and "psnr_pooled", the PSNR of the mean
	// squared error, without an interval. Corrupted is nil where nothing damages the input.
	Reconstructed, Corrupted map[string]Figure
	// Features are the figures of each feature of vectors; nil of pictures.
	Features []Feature
	// MaskKnown are the same figures of a baseline; see [Evaluator.MaskKnown]. Measure leaves it nil.
	MaskKnown map[string]Figure
	// Each holds values of the reconstructed images, one after another in the same order for every model, whose mean is a figure: of the
	// loss, as "loss", and of each metric that is defined for every image; of vectors also of "explained_variance", see [explained].
	Each map[string][]float64
}

// New compiles the evaluation of a model on images of the size, type and scale of these, of which there may be none.
func New(b compute.Backend, spec Spec, like *dataset.Samples) (*Evaluator, error) {
	e := prepare(b, spec, like)
	main, err := e.compile(e.build)
	if err != nil {
		return nil, fmt.Errorf("build the evaluation: %w", err)
	}
	e.main = main
	return e, nil
}

// prepare returns an evaluator without a program.
func prepare(b compute.Backend, spec Spec, like *dataset.Samples) *Evaluator {
	image := model.Image{Height: like.Height, Width: like.Width, Channels: like.Channels}
	e := &Evaluator{backend: b, spec: spec, image: image, like: like.Like(), params: model.Params(spec.Model, image), later: &later{}}
	if like.Target != nil {
		e.like.Target = like.Target.Like()
	}
	for _, metric := range Metrics {
		if min(image.Height, image.Width) >= metric.Smallest && (metric.Vectors || !like.Vectors()) {
			e.metrics = append(e.metrics, metric)
		}
	}
	if spec.Corrupt.Local() {
		e.metrics = append(e.metrics, MaskMetrics...)
	}
	return e
}

// With returns the evaluation with another spec of the same structure: its numbers and its seed. It shares the compiled
// programs.
func (e *Evaluator) With(spec Spec) (*Evaluator, error) {
	if got, want := spec.Structure(), e.spec.Structure(); got != want {
		return nil, fmt.Errorf("evaluate %+v: compiled for %+v", got, want)
	}
	other := *e
	other.spec = spec
	return &other, nil
}

// Exact returns the evaluator with which Decode gives the values of the model's scale of pictures, too, and not bytes.
func (e *Evaluator) Exact() *Evaluator {
	other := *e
	other.exact = true
	return &other
}

// Close frees the compiled programs, also of those that share them.
func (e *Evaluator) Close() {
	for _, p := range []*program{e.main, e.later.encoder, e.later.posterior, e.later.reconstructor, e.later.watcher.program, e.later.likelihood.evidence, e.later.likelihood.weights} {
		if p != nil {
			p.exec.Finalize()
		}
	}
	e.later.closeSizes()
	if e.later.restorer != nil {
		e.later.restorer.Close()
	}
}

// Children of an evaluation's key, past those of a chain's corruptions. What is drawn for an image depends on its place among
// the images alone.
const (
	streamModel = 1<<16 + iota // the draws of a model's pass
	streamDraws                // codes for the likelihood
)

// Inputs of a program, before the parameters.
const (
	inputImages  = iota // [images, values] as dataset.Samples.Row has them
	inputLabels         // [images] uint8, all 0 where the images have none
	inputFirst          // uint32: place of the first image
	inputCount          // uint32: how many there are, the rest being padding
	inputCall           // uint32: number of the call among those with the same images
	inputScalars        // [1 + strengths] float32: the number 1, see [Evaluator.build]; the loss's; the corruptions'
	inputSeed           // [2] uint32
	inputParams
)

func (e *Evaluator) inputShapes(images int) []shapes.Shape {
	list := []shapes.Shape{
		inputImages:  shapes.Make(e.like.RowType(), images, e.like.RowSize()),
		inputLabels:  shapes.Make(dtypes.Uint8, images),
		inputFirst:   shapes.Make(dtypes.Uint32),
		inputCount:   shapes.Make(dtypes.Uint32),
		inputCall:    shapes.Make(dtypes.Uint32),
		inputScalars: shapes.Make(dtypes.Float32, len(e.spec.scalars())),
		inputSeed:    shapes.Make(dtypes.Uint32, 2),
	}
	for _, param := range e.params {
		list = append(list, shapes.Make(dtypes.Float32, param.Dims...))
	}
	return list
}

// input is what the inputs of a program say.
type input struct {
	images               *Node // [images, height, width, channels], pixels in [-1, 1]: the targets, clean
	given                *Node // the same but for pairs: what is damaged, and then given to the model
	labels               *Node // [images] uint8
	first, count, call   *Node // uint32 scalars
	root                 random.Key
	loss, model, corrupt []*Node // numbers, scalars
	weights              model.Weights
}

func (e *Evaluator) read(inputs []*Node) input {
	scalars := make([]*Node, len(e.spec.scalars()))
	for i := range scalars {
		scalars[i] = Reshape(Slice(inputs[inputScalars], AxisElem(i)))
	}
	take := func(n int) []*Node {
		taken := scalars[:n]
		scalars = scalars[n:]
		return taken
	}
	one := take(1)[0]
	given, target := model.Pair(inputs[inputImages], e.image, e.like.Scale)
	in := input{
		images: target, given: given, labels: inputs[inputLabels], first: inputs[inputFirst], count: inputs[inputCount], call: inputs[inputCall],
		root: random.KeyFromNode(inputs[inputSeed]),
		loss: take(len(e.spec.Loss.Strengths())), model: take(len(model.Numbers(e.spec.Model))), corrupt: scalars,
		weights: model.Weights{},
	}
	// XLA's plugin for the CPU packs a matrix that is an input of the program once for each address, and does not see that
	// training has changed it in place since: the figures would be those of older weights. A product with a number that only
	// the host knows to be 1 is no input.
	for i, param := range e.params {
		in.weights[param.Name] = Mul(inputs[inputParams+i], one)
	}
	return in
}

// blank are no samples, as [dataset.Samples.Shown] returns them, to be appended to.
func (e *Evaluator) blank() *dataset.Samples {
	blank := *e.like.Shown()
	if e.exact && !e.like.Vectors() {
		blank.Scale, blank.Values = scale.None(), array.Make(dtypes.Float32, 0)
	}
	return &blank
}

// pass returns a pass that draws from a stream, for each image by its place.
func (in input) pass(stream int) *model.Pass {
	row := Iota(in.first.Graph(), shapes.Make(dtypes.Uint32, in.images.Shape().Dim(0)), 0)
	return &model.Pass{
		Weights: in.weights, Numbers: in.model, Key: in.root.Child(stream).From(in.first),
		Places: Add(in.first, row), Labels: in.labels, Counts: ConvertDType(LessThan(row, in.count), dtypes.Float32),
	}
}

// Outputs of the program.
const (
	outputFigures       = iota // float32: see [Evaluator.figuresOf]
	outputDamaged              // [images, values]: pictures uint8, vectors float32 in the model's scale; see [dataset.Samples.Shown]
	outputReconstructed        // the same
)

// build makes the program of Measure.
func (e *Evaluator) build(inputs []*Node) []*Node {
	in := e.read(inputs)
	damaged, mask := e.damage(in)
	out, terms := model.Learn(e.spec.Model, in.pass(streamModel), e.spec.Loss, in.loss, in.images, damaged, mask)
	e.code = out.Latent.Shape().Size() / in.images.Shape().Dim(0)
	return []*Node{
		outputFigures:       e.figuresOf(in.images, damaged, mask, out, terms),
		outputDamaged:       e.shown(damaged),
		outputReconstructed: e.shown(out.Image),
	}
}

// figuresOf are the figures of images: [1 + 2·metrics + terms + 1, images]. They are, for each image, the loss; each metric, of the
// reconstruction and of the damaged input; the terms of the loss, where it has several; and the part of the image that the corruption
// changes, where it is local.
func (e *Evaluator) figuresOf(x, damaged, mask *Node, out model.Output, terms []model.Term) *Node {
	n := x.Shape().Dim(0)
	figures := []*Node{ExpandAxes(model.Sum(terms), 0)}
	// Each metric is built, and compiled, once for both.
	twice, both := e.seen(Concatenate([]*Node{x, x}, 0)), e.seen(Concatenate([]*Node{out.Image, damaged}, 0))
	for _, metric := range e.metrics {
		if metric.Part != nil {
			figures = append(figures, Reshape(metric.Part(twice, both, Concatenate([]*Node{mask, mask}, 0)), 2, n))
			continue
		}
		figures = append(figures, Reshape(metric.PerImage(twice, both), 2, n))
	}
	e.terms = nil
	if len(terms) > 1 {
		for _, term := range terms {
			e.terms = append(e.terms, term.Name)
			figures = append(figures, ExpandAxes(term.Value, 0))
		}
	}
	if mask != nil {
		figures = append(figures, ExpandAxes(ReduceMean(mask, 1, 2, 3), 0))
	}
	return Concatenate(figures, 0)
}

// seen maps pictures from the model's scale to that of figures, in which -1 is black and 1 white; vectors stay as they are.
func (e *Evaluator) seen(x *Node) *Node {
	if e.like.Vectors() {
		return x
	}
	return Reshape(e.like.Scale.Shown(Reshape(x, x.Shape().Dim(0), -1)), x.Shape().Dimensions...)
}

// shown maps samples of the model's scale to what [dataset.Samples.Shown] would return: [batch, height, width, channels] → [batch,
// values].
func (e *Evaluator) shown(x *Node) *Node {
	if e.like.Vectors() || e.exact {
		return Reshape(x, x.Shape().Dim(0), -1)
	}
	return bytes(e.seen(x))
}

// damage returns the damaged images, and the mask of what was changed: [images, height, width, 1]; nil where the corruption is
// not local.
func (e *Evaluator) damage(in input) (damaged, mask *Node) {
	key, chain := drawsOf(in.root, in.first), e.spec.Corrupt.In(e.like.Scale)
	damaged = chain.Apply(in.given, in.corrupt, key)
	if chain.Local() {
		mask = chain.Mask(in.given, in.corrupt, key)
	}
	return damaged, mask
}

// valuesOf returns the values of an output of [Evaluator.shown].
func valuesOf(output *tensors.Tensor) (v array.Values, err error) {
	if output.DType() == dtypes.Float32 {
		v.Float32, err = tensors.CopyFlatData[float32](output)
	} else {
		v.Uint8, err = tensors.CopyFlatData[uint8](output)
	}
	return v, err
}

// bytes maps pixels in [-1, 1] to bytes: [batch, height, width, channels] → [batch, pixels].
func bytes(x *Node) *Node {
	rounded := Floor(AddScalar(MulScalar(unit(x), 255), 0.5))
	return Reshape(ConvertDType(rounded, dtypes.Uint8), x.Shape().Dim(0), -1)
}

// call runs a program on the images from the first-th on, as many as it takes, or fewer.
func (e *Evaluator) call(p *program, weights []*tensors.Tensor, images *dataset.Samples, first, number int) ([]*tensors.Tensor, error) {
	count := p.images
	labels := make([]uint8, count)
	if images.Labels != nil {
		copy(labels, images.Labels[first:])
	}
	rows := images.Rows
	if e.like.Target != nil {
		rows = func(first, n int) *tensors.Tensor { return images.PairRows(first, n, e.like.RowType()) }
	}
	args := []any{
		inputImages:  rows(first, count),
		inputLabels:  tensors.FromFlatDataAndDimensions(labels, count),
		inputFirst:   uint32(first),
		inputCount:   uint32(min(count, images.Len()-first)),
		inputCall:    uint32(number),
		inputScalars: e.spec.scalars(),
		inputSeed:    seedOf(e.spec.Seed),
	}
	for _, weight := range weights {
		args = append(args, weight)
	}
	outputs, err := p.exec.Call(args...)
	if err != nil {
		return nil, fmt.Errorf("evaluate images from %d on: %w", first, err)
	}
	return outputs, nil
}

// Measure returns the figures over all images. weights are in the order of [model.Params].
func (e *Evaluator) Measure(ctx context.Context, weights []*tensors.Tensor, images *dataset.Samples) (Result, error) {
	n := images.Len()
	if n == 0 {
		return Result{}, fmt.Errorf("evaluate: no images")
	}
	var variance *variance
	if e.like.Vectors() {
		variance = newVariance(images.Clean())
	}
	rows, err := e.measureAll(ctx, weights, images, variance)
	if err != nil {
		return Result{}, err
	}
	changed := rows[len(rows)-1]
	result := Result{Images: n, Loss: figure(rows[0]), Reconstructed: e.figures(every(2, rows[1:]), changed), Each: map[string][]float64{"loss": rows[0]}}
	for i, metric := range e.metrics {
		if metric.Part == nil {
			result.Each[metric.Name] = rows[1+2*i]
		}
	}
	if !e.spec.Corrupt.Identity() || images.Target != nil {
		result.Corrupted = e.figures(every(2, rows[2:]), changed)
	}
	if variance != nil {
		variance.enter(&result)
	}
	for i, name := range e.terms {
		if result.Terms == nil {
			result.Terms = map[string]Figure{}
		}
		result.Terms[name] = figure(rows[1+2*len(e.metrics)+i])
	}
	return result, nil
}

// measureAll returns the figures of each image: those of build, one row after another. Of patches, they are those of the whole pictures,
// at their own sizes.
func (e *Evaluator) measureAll(ctx context.Context, weights []*tensors.Tensor, images *dataset.Samples, variance *variance) ([][]float64, error) {
	if images.Patches == nil {
		return e.measureSome(ctx, weights, images, variance)
	}
	var all [][]float64
	for _, whole := range images.Whole() {
		rows, err := e.measureWhole(ctx, weights, whole)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = make([][]float64, len(rows))
		}
		for i, row := range rows {
			all[i] = append(all[i], row...)
		}
	}
	return all, nil
}

// measureSome is measureAll of images of the evaluator's size.
func (e *Evaluator) measureSome(ctx context.Context, weights []*tensors.Tensor, images *dataset.Samples, variance *variance) ([][]float64, error) {
	n := images.Len()
	rows := e.noRows()
	for first := 0; first < n; first += e.main.images {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		outputs, err := e.call(e.main, weights, images, first, 0)
		if err != nil {
			return nil, err
		}
		count := min(e.main.images, n-first)
		if err := rows.add(outputs[outputFigures], count); err != nil {
			return nil, err
		}
		if variance != nil {
			if err := variance.add(first, count, outputs); err != nil {
				return nil, err
			}
		}
	}
	return rows, nil
}

// rows are the figures of [Evaluator.figuresOf], each for one image after another.
type rows [][]float64

// noRows are those of no images.
func (e *Evaluator) noRows() rows {
	none := make(rows, 1+2*len(e.metrics)+len(e.terms))
	if e.spec.Corrupt.Local() {
		none = append(none, nil)
	}
	return none
}

// add appends the figures of the first count images of a call.
func (r rows) add(figures *tensors.Tensor, count int) error {
	values, err := tensors.CopyFlatData[float32](figures)
	if err != nil {
		return err
	}
	images := len(values) / len(r)
	for i := range r {
		for _, value := range values[i*images:][:count] {
			r[i] = append(r[i], float64(value))
		}
	}
	return nil
}

// every returns the rows of places 0, n, 2n, …
func every(n int, rows [][]float64) [][]float64 {
	var chosen [][]float64
	for i := 0; i < len(rows); i += n {
		chosen = append(chosen, rows[i])
	}
	return chosen
}

// figures summarises the rows, the metrics' in their order. changed is the part of each image that is damaged, for the metrics of
// parts.
func (e *Evaluator) figures(rows [][]float64, changed []float64) map[string]Figure {
	figures := map[string]Figure{}
	for i, metric := range e.metrics {
		values := rows[i]
		switch {
		case metric.Name == "psnr":
			figures["psnr_pooled"] = Figure{Mean: pooledPSNR(values)}
		case metric.Name == "mse_inside":
			values = where(values, changed, func(part float64) bool { return part > 0 })
		case metric.Name == "mse_outside":
			values = where(values, changed, func(part float64) bool { return part < 1 })
		}
		if len(values) > 0 {
			figures[metric.Name] = figure(values)
		}
	}
	return figures
}

// where returns the values of the images whose part is as asked.
func where(values, parts []float64, asked func(part float64) bool) []float64 {
	var chosen []float64
	for i, value := range values {
		if asked(parts[i]) {
			chosen = append(chosen, value)
		}
	}
	return chosen
}

// Samples are images as the model meets and makes them, as bytes, for a picture.
type Samples struct {
	Clean, Damaged, Reconstructed *dataset.Samples
	// Paired says that the clean ones are targets of their own, and the damaged ones what the dataset has.
	Paired bool
}

// Sample returns the first n images, at most as many as there are, with the damage that Measure gives them.
func (e *Evaluator) Sample(weights []*tensors.Tensor, images *dataset.Samples, n int) (Samples, error) {
	n = min(n, images.Len())
	size := e.image.Size()
	samples := Samples{Clean: images.Clean().First(n).Shown(), Damaged: e.blank(), Reconstructed: e.blank(), Paired: images.Target != nil}
	batch := e.main.images
	for first := 0; first < n; first += batch {
		outputs, err := e.call(e.main, weights, images, first, 0)
		if err != nil {
			return Samples{}, err
		}
		for i, images := range []*dataset.Samples{outputDamaged: samples.Damaged, outputReconstructed: samples.Reconstructed} {
			if images == nil {
				continue
			}
			values, err := valuesOf(outputs[i])
			if err != nil {
				return Samples{}, err
			}
			images.Values = images.Values.Append(values.Slice(0, min(batch, n-first)*size))
		}
	}
	return samples, nil
}

func seedOf(seed int64) []uint32 {
	root := random.NewSeed(seed)
	return root[:]
}
