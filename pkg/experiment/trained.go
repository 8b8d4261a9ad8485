package experiment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/array"
	"latent/pkg/backend"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/model"
	"latent/pkg/rundir"
	"latent/pkg/scale"
	"latent/pkg/table"
	"latent/pkg/weights"
)

// Trained is the model of a run that is done or was stopped, for use.
type Trained struct {
	Run        *rundir.Run
	Experiment *config.Experiment
	Manifest   *rundir.Manifest
	Backend    *backend.Backend
	Image      model.Image
	Weights    []*tensors.Tensor // in the order of [model.Params]
	// Step is the step of training that the weights are from.
	Step int

	changed   bool         // there are overrides
	otherData bool         // an override changes data
	values    dtypes.DType // of the images that it was trained on
	scale     scale.Scale
	network   *dataset.Network // that made features of them; nil where none did

	// What was loaded, compiled or computed once already; nil before.
	split     *dataset.Split
	evaluator *evaluate.Evaluator
	testCodes *evaluate.Codes
	extractor *dataset.Extractor
}

// Open reads the run in a folder and opens its backend. The weights are those that its figures were measured with, or, where
// it has none yet, those of its newest checkpoint. overrides change values of the config; the weights stay as they are.
func Open(ctx context.Context, path string, overrides []string, options Options) (*Trained, error) {
	options = options.withDefaults()
	t, err := Read(path, overrides, options)
	if err != nil {
		return nil, err
	}
	t.Backend, err = backend.Open(ctx, t.Experiment.Backend, backend.Options{Log: options.Log, Threads: t.Experiment.Threads, TF32: t.Experiment.Train.TF32()})
	if err != nil {
		return nil, InputError{err}
	}
	return t, nil
}

// Read is [Open] without a backend, for what needs only the weights.
func Read(path string, overrides []string, options Options) (*Trained, error) {
	t, err := readTrained(path, overrides, options.withDefaults())
	if err != nil {
		return nil, InputError{err}
	}
	return t, nil
}

func readTrained(path string, overrides []string, options Options) (*Trained, error) {
	folder, err := rundir.Open(path)
	if err != nil {
		return nil, err
	}
	t := &Trained{Run: folder, changed: len(overrides) > 0}
	t.otherData = slices.ContainsFunc(overrides, func(override string) bool {
		return strings.HasPrefix(override, "data.") || strings.HasPrefix(override, "data=")
	})
	if t.Manifest, err = folder.Manifest(); err != nil {
		return nil, err
	}
	if err := warnChanged(folder, t.Manifest, options); err != nil {
		return nil, err
	}
	if t.Experiment, err = config.Load(folder.ConfigPath(), overrides...); err != nil {
		return nil, err
	}
	d := t.Manifest.Data
	if d.Scale != nil {
		t.scale = *d.Scale
	}
	if t.values, err = typeOf(d.Type); err != nil {
		return nil, fmt.Errorf("%s: %w", folder.ManifestPath(), err)
	}
	if n := d.Network; n != nil {
		t.network = &dataset.Network{Path: n.File, SHA256: n.SHA256, Height: n.Height, Width: n.Width, Channels: n.Channels}
		if t.network.Type, err = typeOf(n.Type); err != nil {
			return nil, fmt.Errorf("%s: %w", folder.ManifestPath(), err)
		}
	}
	t.Image = model.Image{Height: d.Height, Width: d.Width, Channels: d.Channels}
	if t.Image.Size() <= 0 {
		return nil, fmt.Errorf("%s: images of %v; the manifest was changed", folder.ManifestPath(), t.Image)
	}
	if t.Manifest.Result.Weights == "best" && t.Experiment.Evaluate.Weights == "last" {
		t.Manifest.Result.Weights, t.Manifest.Result.Epoch = "last", t.Manifest.Progress.Epoch
	}
	checkpoint, _, err := checkpointFor(folder, t.Manifest, options.Log)
	if err != nil {
		return nil, err
	}
	t.Step = checkpoint.Step
	t.Weights, err = weightsOf(checkpoint, model.Params(t.Experiment.Model, t.Image))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// checkpointFor reads the checkpoint with the weights that a run's figures are of, or, where it has none yet, its newest, and returns its file.
func checkpointFor(folder *rundir.Run, m *rundir.Manifest, log io.Writer) (*rundir.Checkpoint, string, error) {
	if m.Result.Weights == "best" {
		checkpoint, err := folder.BestCheckpoint()
		return checkpoint, folder.BestCheckpointPath(), err
	}
	checkpoint, warnings, err := folder.LatestCheckpoint()
	for _, warning := range warnings {
		fmt.Fprintln(log, warning)
	}
	if err != nil {
		return nil, "", err
	}
	return checkpoint, folder.CheckpointPath(checkpoint.Step), nil
}

// Evaluate measures the model on held-out samples: the run's own for the test, or those of [Trained.Samples] of a path, where that is
// not "". On those, there is no probe, and no generated images are compared with them. Where parts of the run's own end are missing, and
// nothing of its config was changed, the figures become those of the run. With the figures comes an error where parts are missing still.
func (t *Trained) Evaluate(ctx context.Context, path string, options Options) (rundir.Result, int, error) {
	options = options.withDefaults()
	s, err := t.subject(ctx, path, options)
	if err != nil {
		return rundir.Result{}, 0, err
	}
	makesUp := path == "" && !t.changed && t.Manifest.State == rundir.Done && slices.ContainsFunc(t.Manifest.Warnings, rundir.Warning.IsMissing)
	s.draws = makesUp
	var lost []rundir.Warning
	s.lost = func(ctx context.Context, part string, err error) error {
		if ctx.Err() != nil {
			return err
		}
		lost = append(lost, missingPart(part, err))
		return nil
	}
	options.busy("measuring")
	result := rundir.Result{Weights: t.Manifest.Result.Weights, Epoch: t.Manifest.Result.Epoch}
	if _, err := s.measure(ctx, &result); err != nil {
		return rundir.Result{}, 0, err
	}
	p := &progress{out: options.Log}
	p.figures(result, fmt.Sprintf("%s %s", thousands(s.images.Len()), t.Manifest.Data.NounOf(s.images.Len())))
	if makesUp {
		if lost, err = t.makeUp(ctx, result, lost, options); err != nil {
			return result, s.images.Len(), fmt.Errorf("write the figures into the run: %w", err)
		}
		p.line("what was missing is in the run now, and in its report: %s", t.Run.ReportPath())
	}
	for _, w := range lost {
		p.line("WARNING: %s", w.Text)
	}
	if len(lost) > 0 {
		return result, s.images.Len(), fmt.Errorf("%d %s missing still", len(lost), onlyIf(len(lost) == 1, "part is")+onlyIf(len(lost) != 1, "parts are"))
	}
	return result, s.images.Len(), nil
}

// WriteDamaged writes each held-out sample as Evaluate gives it to the model, and the clean one, into a folder: 00001-damaged.npy and
// 00001-clean.npy, float32 in the data's units; see [evaluate.Evaluator.Damaged]. path is that of Evaluate.
func (t *Trained) WriteDamaged(ctx context.Context, path, folder string, options Options) error {
	s, err := t.subject(ctx, path, options.withDefaults())
	if err != nil {
		return err
	}
	n := 0
	return s.evaluator.Damaged(ctx, s.images, func(clean, damaged *dataset.Samples) error {
		n++
		write := func(name string, s *dataset.Samples) error {
			return table.Write(filepath.Join(folder, fmt.Sprintf("%05d-%s.npy", n, name)), nil, s.Values, s.Dims()...)
		}
		return errors.Join(write("damaged", damaged), write("clean", clean))
	})
}

// subject is the model with the samples of a path, or the run's own.
func (t *Trained) subject(ctx context.Context, path string, options Options) (subject, error) {
	s := subject{experiment: t.Experiment, lessLoss: t.Experiment.Train.Perceptual > 0, backend: t.Backend, weights: t.Weights, folder: t.Run, log: options.Log,
		load: func() (*dataset.Split, error) { return t.load(ctx, options) }}
	if t.otherData {
		s.folder = nil // what it keeps is of the run's own
	}
	var err error
	if s.evaluator, err = t.compile(); err != nil {
		return s, err
	}
	if path != "" {
		if model.Conditions(t.Experiment.Model) > 0 {
			return s, InputError{fmt.Errorf("measure %s: this model is given the label of each sample, and those of other files may number other classes; leave --data out", path)}
		}
		whole, err := t.measured(ctx, path, options)
		if err != nil {
			return s, err
		}
		s.images, s.classes = whole.Samples, whole.Classes
		return s, nil
	}
	if s.split, err = t.load(ctx, options); err != nil {
		return s, InputError{err}
	}
	s.images, s.classes = s.split.Test, s.split.Classes
	if t.otherData {
		fmt.Fprintln(options.Log, "data is another than the run's: samples that it trained on may be among those of the test")
	}
	if err := cmp.Or(checkScores(t.Experiment, s.split), checkProbe(t.Experiment, s.evaluator)); err != nil {
		return s, err
	}
	if n := t.Experiment.Evaluate.Generated; n > 0 {
		s.judge, err = newJudge(ctx, t.Backend, s.split, n, options)
	}
	return s, err
}

// mostNative is how many pixels pictures have together that are measured at their own sizes: they are all held in memory.
const mostNative = 1 << 28

// measured reads samples to measure. Pictures of other sizes than the model was trained on keep them where it takes any; where it does not, the
// log is told from which sizes they are scaled.
func (t *Trained) measured(ctx context.Context, path string, options Options) (*dataset.Whole, error) {
	folder := t.folder(path)
	if table.Is(path) || t.given().Vectors() || t.network != nil || folder.Patch > 0 {
		return t.HeldWhole(ctx, path, options)
	}
	sizes, err := folder.PictureSizes(ctx)
	if err != nil {
		return nil, InputError{err}
	}
	own := dataset.Size{Height: t.Image.Height, Width: t.Image.Width}
	if sizes.Pixels == 0 || sizes.Smallest == own && sizes.Largest == own {
		return t.HeldWhole(ctx, path, options)
	}
	if model.AnySize(t.Experiment.Model, t.Image) && !codedOf(t.Experiment.Model) && sizes.Pixels <= mostNative {
		fmt.Fprintf(options.Log, "pictures are measured at their own sizes, %v: the model takes any\n", sizes)
		folder.Patch = sizes.Side
	} else {
		fmt.Fprintf(options.Log, "pictures %v were scaled to %d×%d, and the figures are of these\n", sizes, own.Height, own.Width)
	}
	whole, err := t.read(ctx, folder)
	if err != nil {
		return nil, InputError{err}
	}
	return whole, nil
}

// Samples reads samples of the kind that the model was trained on: all rows of a file of a table or an array, which has the model's
// features in whatever order and may have other columns; or all pictures of a folder, scaled to the model's size. Of a run with a network
// that makes features (data.features), these are made of the pictures of a folder or an array.
func (t *Trained) Samples(ctx context.Context, path string) (*dataset.Samples, error) {
	whole, err := t.whole(ctx, path, "")
	if err != nil {
		return nil, err
	}
	whole.Labels = nil // their classes may be numbered otherwise than the run's
	return whole.Samples, nil
}

// Whole is [Trained.Samples] with the names of pictures, and labels where there are any: a folder's, or in the column of data.label.
func (t *Trained) Whole(ctx context.Context, path string) (*dataset.Whole, error) {
	return t.whole(ctx, path, t.labelIn(path))
}

// whole reads samples with the labels of a column of rows; "" for none.
func (t *Trained) whole(ctx context.Context, path, label string) (*dataset.Whole, error) {
	var whole *dataset.Whole
	var err error
	switch {
	case table.Is(path):
		source := t.rows()
		source.Label = label
		whole, err = source.Like(ctx, []string{path}, t.given())
	case t.given().Vectors():
		return nil, fmt.Errorf("%s: the run was trained on rows of a table; give a file whose name ends in %s", path, strings.Join(table.Formats(), ", "))
	default:
		whole, err = t.pictures(ctx, path)
	}
	if err != nil {
		return nil, err
	}
	whole.Samples, err = t.features(ctx, whole.Samples)
	return whole, err
}

// given are no samples, of the kind that files have: where a network makes features, the pictures that it is given.
func (t *Trained) given() *dataset.Samples {
	n := t.network
	if n == nil {
		return t.Like()
	}
	return &dataset.Samples{Height: n.Height, Width: n.Width, Channels: n.Channels, Values: array.Make(n.Type, 0)}
}

// features are what the run's network makes of pictures; the samples themselves where there is none.
func (t *Trained) features(ctx context.Context, given *dataset.Samples) (*dataset.Samples, error) {
	if t.network == nil {
		return given, nil
	}
	if t.extractor == nil {
		source, _ := t.Experiment.Data.(dataset.Featured)
		if source == nil || source.Network().Model == "" {
			return nil, fmt.Errorf("%s: data.features was changed, and the run's samples were made by %s; undo the change", t.Run.ConfigPath(), t.network.Path)
		}
		var err error
		if t.extractor, err = source.Network().Open(t.network); err != nil {
			return nil, err
		}
	}
	made, err := t.extractor.Of(ctx, given)
	if err != nil {
		return nil, err
	}
	if made.Size() != t.Image.Size() {
		return nil, fmt.Errorf("%s gives %d values for a picture, and the model was trained on %d; undo changes of data.features", t.network.Path, made.Size(), t.Image.Size())
	}
	made.Scale = t.scale
	return made, nil
}

// labelIn is the column of the run's labels where a file has it, "" elsewhere.
func (t *Trained) labelIn(path string) string {
	own, ok := t.Experiment.Data.(*dataset.Table)
	if !ok || !table.Is(path) || !own.HasLabel(path) {
		return ""
	}
	return own.Label
}

// rows is how the rows of a file are read, without labels.
func (t *Trained) rows() *dataset.Table {
	source := &dataset.Table{}
	if own, ok := t.Experiment.Data.(*dataset.Table); ok {
		source.Array, source.Header = own.Array, own.Header
	}
	if t.scale.Missing != nil { // the medians of the training rows stand for what is missing
		source.Missing = "median"
	}
	return source
}

// pictures are those of a folder, brought to the size as the run's own were, or whole where it was trained on patches.
func (t *Trained) pictures(ctx context.Context, dir string) (*dataset.Whole, error) {
	return t.read(ctx, t.folder(dir))
}

// folder is how the pictures of a folder are read.
func (t *Trained) folder(dir string) *dataset.Folder {
	like := t.given()
	folder := &dataset.Folder{Dir: []string{dir}, Height: like.Height, Width: like.Width, Colour: "grey"}
	if own, ok := t.Experiment.Data.(*dataset.Folder); ok {
		folder.Fit, folder.Patch = own.Fit, own.Patch
	}
	switch like.Channels {
	case 1:
	case 3:
		folder.Colour = "rgb"
	default:
		folder.Colour = "all"
	}
	return folder
}

// read reads pictures, in the type and the scale of the run's.
func (t *Trained) read(ctx context.Context, folder *dataset.Folder) (*dataset.Whole, error) {
	like := t.given()
	all, err := folder.All(ctx)
	if err != nil {
		return nil, err
	}
	if all.Scale = like.Scale; all.Patches != nil {
		all.Patches.Values = all.Patches.Values.As(like.Values.Type())
	}
	all.Values = all.Values.As(like.Values.Type())
	return all, nil
}

// Like are no images, of the kind that the model was trained on.
func (t *Trained) Like() *dataset.Samples {
	return &dataset.Samples{Height: t.Image.Height, Width: t.Image.Width, Channels: t.Image.Channels, Features: t.Manifest.Data.Features,
		Values: array.Make(t.values, 0), Scale: t.scale}
}

// likePairs are no images, of the kind of the run's test: with targets where that has them.
func (t *Trained) likePairs() *dataset.Samples {
	like := t.Like()
	if pairs, ok := t.Experiment.Data.(dataset.Paired); ok {
		if _, test := pairs.Targets(); test {
			like.Target = t.Like()
			like.Target.Values = array.Make(dtypes.Float32, 0) // which holds whatever type they have
		}
	}
	return like
}

// typeOf is the type of values that a manifest names.
func typeOf(name string) (dtypes.DType, error) {
	for _, dtype := range []dtypes.DType{dtypes.Uint8, dtypes.Uint16, dtypes.Float32} {
		if name == strings.ToLower(dtype.String()) || name == "" {
			return dtype, nil
		}
	}
	return dtypes.InvalidDType, fmt.Errorf("data.type: %q, want uint8, uint16 or float32", name)
}

// compile returns the evaluation of the model.
func (t *Trained) compile() (*evaluate.Evaluator, error) {
	if t.evaluator == nil {
		evaluator, err := evaluate.New(t.Backend.Compute, evaluationOf(t.Experiment, max(t.Manifest.Data.Validation, t.Manifest.Data.Test)), t.likePairs())
		if err != nil {
			return nil, err
		}
		t.evaluator = evaluator
	}
	return t.evaluator, nil
}

// load loads the images that the run was trained on.
func (t *Trained) load(ctx context.Context, options Options) (*dataset.Split, error) {
	if t.split != nil {
		return t.split, nil
	}
	var bar io.Writer
	if options.Terminal {
		bar = options.Log
	}
	want := t.network
	if t.otherData {
		want = nil
	}
	split, err := t.Experiment.Data.Load(ctx, dataset.Options{Progress: bar, Network: want})
	if err != nil {
		return nil, fmt.Errorf("%w%s", err, t.Experiment.Lookups())
	}
	if got := imageOf(split.Test); got != t.Image {
		return nil, fmt.Errorf("the images are %v, the model's %v", got, t.Image)
	}
	split.SetScale(t.scale) // whatever an override says: the model knows this one
	if !maps.Equal(split.Checksums, t.Manifest.Data.Checksums) {
		fmt.Fprintf(options.Log, "%s: the images are others than those that the run was trained on\n", t.Run.ConfigPath())
	}
	if classes := model.Conditions(t.Experiment.Model); classes > 0 && len(split.Classes) > 0 && len(split.Classes) != classes {
		return nil, t.Experiment.Problem("data", "the images have %d classes, and model.classes is %d", len(split.Classes), classes)
	}
	t.split = split
	return split, nil
}

// Tensors are the weights by their names, as files of weights have them.
func (t *Trained) Tensors() ([]weights.Tensor, error) {
	var all []weights.Tensor
	for i, param := range model.Params(t.Experiment.Model, t.Image) {
		values, err := tensors.CopyFlatData[float32](t.Weights[i])
		if err != nil {
			return nil, err
		}
		all = append(all, weights.Tensor{Name: param.Name, Dims: param.Dims, Values: values})
	}
	return all, nil
}

// Close releases the backend, and the network that makes features.
func (t *Trained) Close() {
	t.Backend.Close()
	if t.extractor != nil {
		t.extractor.Close()
	}
}
