package experiment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"latent/pkg/backend"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/feature"
	"latent/pkg/message"
	"latent/pkg/model"
	"latent/pkg/rundir"
)

// subject is a trained model to measure.
type subject struct {
	experiment *config.Experiment
	evaluator  *evaluate.Evaluator
	backend    *backend.Backend
	weights    []*tensors.Tensor
	// images are what it is measured on.
	images *dataset.Samples
	// split is the dataset that the images are the test images of; nil where they are others, which have no probe and no
	// generated images to compare with them.
	split *dataset.Split
	// judge compares images; nil without evaluate.generated.
	judge *judge
	// classes name the labels of the images.
	classes []string
	// folder keeps what scores of anomalies rest on, and load returns the run's samples, which they are found by.
	folder *rundir.Run
	load   func() (*dataset.Split, error)
	log    io.Writer
	// lessLoss says that the evaluator's loss is not all of the run's: it knows no classifier of train.perceptual.
	lessLoss bool
	// lost is told of parts that could not be measured. It returns an error where nothing more is to be measured.
	lost func(ctx context.Context, part string, err error) error
	// brief leaves out the baselines of anomalies; draws saves a picture of the worst of them in the folder.
	brief, draws bool
}

// measure enters all figures of the subject in a result, and returns those of its reconstructions, without which there is an error. Any
// other part may fail alone: lost is told.
func (s subject) measure(ctx context.Context, into *rundir.Result) (evaluate.Result, error) {
	into.ComparedWith = comparedWith(s.experiment, s.split == nil)
	result, err := s.evaluator.Measure(ctx, s.weights, s.images)
	if err != nil {
		return result, err
	}
	setFigures(into, result)
	if s.lessLoss {
		delete(into.Test, "loss")
	}
	for _, part := range []struct {
		name    string
		measure func(ctx context.Context, into *rundir.Result) error
	}{
		{"figures of a filling that knows the mask", s.maskKnown},
		{"log-likelihood", s.likelihood},
		{"figures of the codebook", s.codebook},
		{"scores of anomalies", s.measureAnomalies},
		{"figures of training samples", s.training},
		{"figures of latents", s.latents},
		{"figures of disentanglement", s.disentangled},
		{"probe", s.probe},
		{"scores of generated images", s.score},
	} {
		if err := part.measure(ctx, into); err != nil {
			if err := s.lost(ctx, part.name, err); err != nil {
				return result, err
			}
		}
	}
	return result, nil
}

// maskKnown enters the figures of a filling that knows which pixels are damaged.
func (s subject) maskKnown(ctx context.Context, into *rundir.Result) error {
	figures, err := s.evaluator.MaskKnown(ctx, s.weights, s.images)
	enterFigures(into, "mask_known", &into.MaskKnown, figures)
	return err
}

// mostTraining is of how many training samples figures are taken at most: their intervals are then narrow enough to show over-fitting, and
// the time is a fifth of that of MNIST's test.
const mostTraining = 2000

// training enters the figures of as many training samples as there are of the test. There are none where they would not be comparable: of
// patches beside whole pictures, of noisy targets beside clean ones, of normal samples beside anomalies, and of data that the run was not trained on.
func (s subject) training(ctx context.Context, into *rundir.Result) error {
	into.Training, into.TrainingSamples = nil, 0
	if s.brief || s.split == nil || s.folder == nil || s.split.Train.Patches != nil || into.Anomaly != nil {
		return nil
	}
	if source, ok := s.experiment.Data.(dataset.Paired); ok && source.Compared() == "data.test_target" {
		return nil
	}
	train := s.split.Train
	n := min(train.Len(), s.images.Len(), mostTraining)
	result, err := s.evaluator.Measure(ctx, s.weights, train.Select(places(train.Len(), n)))
	if err != nil {
		return err
	}
	figures := withLoss(result)
	if s.lessLoss {
		delete(figures, "loss")
	}
	enterFigures(into, "training", &into.Training, figures)
	into.TrainingSamples = n
	return nil
}

// likelihood enters the figures of a model with one.
func (s subject) likelihood(ctx context.Context, into *rundir.Result) error {
	options := s.experiment.Evaluate
	likelihood, err := s.evaluator.Likelihood(ctx, s.weights, s.images, options.NLLSamples, options.NLLImages)
	if likelihood == nil || err != nil {
		return err
	}
	addFigures(into, likelihood.Figures)
	into.Likelihood = &rundir.Likelihood{Observed: likelihood.Observed, Draws: likelihood.Draws, Images: likelihood.Images}
	for _, value := range likelihood.Divergence {
		into.Likelihood.Divergence = append(into.Likelihood.Divergence, rundir.Number(value))
	}
	return nil
}

// codebook enters the figures of a model with entries.
func (s subject) codebook(ctx context.Context, into *rundir.Result) error {
	figures, err := s.evaluator.Codebook(ctx, s.weights, s.images)
	addFigures(into, figures)
	return err
}

// disentangled enters how well the code tells the dataset's factors apart, where it knows them.
func (s subject) disentangled(ctx context.Context, into *rundir.Result) error {
	if _, coded := s.experiment.Model.(model.Coded); !coded || s.split == nil || s.split.Factors == nil || s.evaluator.CodeSize() > mostProbed {
		return nil
	}
	figures, err := s.evaluator.Disentangled(ctx, s.weights, s.images, s.split.Factors)
	addFigures(into, figures)
	return err
}

// probe enters what a linear classifier reads from the codes.
func (s subject) probe(ctx context.Context, into *rundir.Result) error {
	if s.split == nil || !s.experiment.Evaluate.Probe {
		return nil
	}
	found, err := s.evaluator.Probe(ctx, s.weights, s.split)
	if err != nil {
		return err
	}
	addFigures(into, map[string]evaluate.Figure{"probe_accuracy": found.Accuracy})
	into.Probe = &rundir.Probe{Strength: rundir.Number(found.Strength), ValidationAccuracy: rundir.Number(found.ValidationAccuracy)}
	return nil
}

// comparedWith says what figures compare with, where that may be noisy itself: the targets that training has too, or the pictures of a run
// that learns from noisy ones alone. "" where it is clean as far as the config tells. others says that the samples are not the run's own,
// which have no targets.
func comparedWith(e *config.Experiment, others bool) string {
	targets := ""
	if source, ok := e.Data.(dataset.Paired); ok {
		targets = source.Compared()
	}
	damaged := targets != "" || e.Corrupt.TrainingOnly() // what the model is given was damaged before, and not by the run
	switch {
	case !others && targets == "data.target":
		return "the targets of data.target, which may be noisy"
	case (others || targets == "") && damaged && len(e.Evaluate.Corrupt) == 0:
		return "the samples as they are, which may be noisy"
	}
	return ""
}

// latents enters the figures of a sparse dictionary.
func (s subject) latents(ctx context.Context, into *rundir.Result) error {
	var known *dataset.Known
	if s.split != nil {
		known = s.split.Known
	}
	found, err := s.evaluator.Latents(ctx, s.weights, s.images, known)
	if err != nil || found == nil {
		return err
	}
	addFigures(into, found.Figures)
	for _, rate := range found.Rates {
		into.FiringRates = append(into.FiringRates, rundir.Number(rate))
	}
	return nil
}

// addFigures enters more figures of the test images.
func addFigures(r *rundir.Result, figures map[string]evaluate.Figure) {
	for name, figure := range figures {
		r.Test[name] = rundir.Number(figure.Mean)
		if figure.Interval > 0 {
			r.Interval["test"][name] = rundir.Number(figure.Interval)
		}
	}
}

// scoreComponents is the number of components of the mixture that scored images are drawn from: that of Ghosh et al. 2020.
const scoreComponents = 10

// score compares the reconstructions of the test images, and images drawn from each sampler that the model has, with the test images. A
// sampler may fail alone.
func (s subject) score(ctx context.Context, into *rundir.Result) error {
	if s.judge == nil {
		return nil
	}
	decoder := s.experiment.Model.(model.Decoder) // the config's check sees to it
	from := source{decoder, s.evaluator, s.weights, s.backend, func() (*dataset.Samples, error) { return s.split.Train, nil }}
	generated := s.judge.Generated
	generated.Floor, generated.Samplers = maps.Clone(generated.Floor), map[string]map[string]rundir.Number{}
	into.Generated = &generated
	enter := func(name string, images *dataset.Samples, err error, take func(points *mat.Dense, n int) *mat.Dense) error {
		if err == nil {
			var figures map[string]rundir.Number
			if figures, err = s.judge.compare(ctx, images, take); err == nil {
				generated.Samplers[name] = figures
				return nil
			}
		}
		return s.lost(ctx, "generated images of "+name, err)
	}
	if _, coded := decoder.(model.Coded); coded {
		images, err := s.reconstructed(ctx)
		if err := enter(rundir.Reconstruction, images, err, spread); err != nil {
			return err
		}
	}
	for _, sampler := range samplers {
		if !sampler.of(decoder) {
			continue
		}
		images, err := from.generate(ctx, sampler, Generation{
			Images: generated.Images, Seed: s.experiment.Evaluate.Seed, Components: scoreComponents},
			labelsOf(decoder, -1, generated.Images))
		if unfit := (InputError{}); errors.As(err, &unfit) { // such as a code that is too large
			fmt.Fprintf(s.log, "images of the sampler %s are left out: %v\n", sampler.name, err)
			continue
		}
		if err := enter(sampler.name, images, err, first); err != nil {
			return err
		}
	}
	return nil
}

// reconstructed are the images that the decoder makes of the codes of undamaged images.
func (s subject) reconstructed(ctx context.Context) (*dataset.Samples, error) {
	codes, err := s.evaluator.Encode(ctx, s.weights, s.images)
	if err != nil {
		return nil, err
	}
	if model.Conditions(s.experiment.Model) > 0 {
		codes.Labels = s.images.Labels
	}
	return s.evaluator.Decode(ctx, s.weights, codes)
}

// judge compares images with the test images of a dataset.
type judge struct {
	// Generated is the result but for the samplers.
	rundir.Generated

	classifier *feature.Classifier
	test       feature.Gaussian
	points     *mat.Dense // features of some test images, for precision and recall
	manifold   *feature.Manifold
}

// manifoldImages is at most how many images of each set there are for precision and recall, whose time grows with its square.
const manifoldImages = 5000

// newJudge returns a judge of sets of n images, with as many training images compared as the floor.
func newJudge(ctx context.Context, b *backend.Backend, split *dataset.Split, n int, options Options) (*judge, error) {
	classifier, err := feature.Open(ctx, b, split, feature.Options{Dir: options.Classifiers, Log: options.Log})
	if err != nil {
		return nil, err
	}
	test, err := classifier.Describe(ctx, split.Test)
	if err != nil {
		return nil, err
	}
	j := &judge{classifier: classifier, test: feature.Fit(test.Features), Generated: rundir.Generated{
		FeaturesSHA256:     classifier.SHA256,
		ClassifierAccuracy: rundir.Number(test.Accuracy(split.Test.Labels)),
		Images:             n, TestImages: split.Test.Len(), ManifoldImages: min(n, split.Test.Len(), manifoldImages),
	}}
	j.points = spread(test.Features, j.ManifoldImages)
	if j.manifold, err = feature.NewManifold(ctx, j.points); err != nil {
		return nil, err
	}
	j.Floor, err = j.compare(ctx, split.Train.Select(places(split.Train.Len(), n)), spread)
	return j, err
}

// places returns n of the numbers below all, evenly spaced: the images of a dataset may be in an order. MNIST's first 5,000 test
// images are easier than the others.
func places(all, n int) []int {
	chosen := make([]int, n)
	for i := range chosen {
		chosen[i] = i * all / n
	}
	return chosen
}

// spread returns n of the points, evenly spaced.
func spread(points *mat.Dense, n int) *mat.Dense {
	all, dimensions := points.Dims()
	chosen := mat.NewDense(n, dimensions, nil)
	for i, place := range places(all, n) {
		chosen.SetRow(i, points.RawRowView(place))
	}
	return chosen
}

// first returns the first n of the points. Of generated images, whose labels come in turn, evenly spaced ones could be of some
// classes alone.
func first(points *mat.Dense, n int) *mat.Dense {
	_, dimensions := points.Dims()
	return points.Slice(0, n, 0, dimensions).(*mat.Dense)
}

// compare returns the figures of images beside the test images. take chooses n of the images for precision and recall.
func (j *judge) compare(ctx context.Context, images *dataset.Samples, take func(points *mat.Dense, n int) *mat.Dense) (map[string]rundir.Number, error) {
	described, err := j.classifier.Describe(ctx, images)
	if err != nil {
		return nil, err
	}
	distance, err := feature.Frechet(j.test, feature.Fit(described.Features))
	if err != nil {
		return nil, err
	}
	points := take(described.Features, j.ManifoldImages)
	precision, err := j.manifold.Contains(ctx, points)
	if err != nil {
		return nil, err
	}
	manifold, err := feature.NewManifold(ctx, points)
	if err != nil {
		return nil, err
	}
	recall, err := manifold.Contains(ctx, j.points)
	return map[string]rundir.Number{
		"frechet": rundir.Number(distance), "precision": rundir.Number(precision), "recall": rundir.Number(recall),
	}, err
}

// leastTest is the least number of test images to compare generated ones with.
const leastTest = 10

// checkScores finds values of the section evaluate that do not fit the images.
func checkScores(e *config.Experiment, split *dataset.Split) error {
	labels := split.Train.Labels != nil && len(split.Classes) > 1
	switch generated := e.Evaluate.Generated; {
	case generated > 0 && !labels:
		return InputError{e.Problem("evaluate.generated", "needs images with labels, for a classifier of them; write 0, or sort the folder's files into a subfolder for each class")}
	case generated > split.Train.Len():
		return InputError{e.Problem("evaluate.generated", "%d, but there are only %d training images to compare as many of; lower it", generated, split.Train.Len())}
	case generated > 0 && split.Test.Len() < leastTest:
		return InputError{e.Problem("evaluate.generated", "needs at least %d test images, and there are %d; write 0", leastTest, split.Test.Len())}
	case e.Evaluate.Probe && !labels:
		return InputError{e.Problem("evaluate.probe", "needs images with labels; write false, or sort the folder's files into a subfolder for each class")}
	case e.Evaluate.Probe && split.Validation.Len() == 0:
		return InputError{e.Problem("evaluate.probe", "needs held-out images; set data.validation above 0, or write false")}
	}
	return checkAnomalies(e, split)
}

// mostProbed is the largest code that a probe is fitted to: its 60,000 codes take half a gigabyte then.
const mostProbed = 1024

// checkProbe finds codes that are too large to probe.
func checkProbe(e *config.Experiment, evaluator *evaluate.Evaluator) error {
	if size := evaluator.CodeSize(); e.Evaluate.Probe && size > mostProbed {
		return InputError{e.Problem("evaluate.probe", "a code of %s, and at most %d are probed; write false, or make it smaller", message.Count(size, "value"), mostProbed)}
	}
	return nil
}
