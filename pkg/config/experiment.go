package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/mlflow"
	"latent/pkg/model"
	"latent/pkg/train"
)

// Experiment is everything that decides a run: two runs of one experiment on one backend and machine end with the same
// bits.
//
// Every field has a default (see [Default]); a config file names what differs.
type Experiment struct {
	// Name names the folder of the runs: letters, digits, '-', '_' and '.'. Without it, it is the config file's name.
	Name string `yaml:"name" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"`

	// Seed decides the first weights, the order of the images and every draw of the corruption.
	Seed int64 `yaml:"seed" min:"0"`

	// Backend runs the compiled program: auto takes a CUDA GPU if one works, else an XLA plugin for the CPU, which it
	// installs when it is missing, else pure Go. The environment variable GOMLX_BACKEND overrides it.
	Backend string `yaml:"backend" enum:"auto,xla:cpu,xla:cuda,go"`

	// Threads is how many threads XLA computes with on a CPU; 0 is one for each core. The order of sums depends on it, and so
	// the last bits of a run: where it is set, they are the same on machines with other numbers of cores.
	Threads int `yaml:"threads" min:"0" max:"1024"`

	// Data is where the images come from.
	Data dataset.Source `yaml:"data" kind:"dataset"`

	// Corrupt damages the model's input, one kind or a list of kinds applied in order. The target stays clean. Without it
	// the model is a plain autoencoder. Strengths that allow a range, such as noise_factor: [0.1, 0.6], are drawn from it anew
	// for each image.
	Corrupt corrupt.Chain `yaml:"corrupt" kind:"kind" maxitems:"16"`

	// Model is the autoencoder.
	Model model.Model `yaml:"model" kind:"kind"`

	// Train is how the model learns.
	Train train.Options `yaml:"train"`

	// Evaluate is how the model is measured on held-out images.
	Evaluate evaluate.Options `yaml:"evaluate"`

	// Output is what the run leaves beside its figures.
	Output Output `yaml:"output"`

	// Tracking is which other tools are told of the run.
	Tracking Tracking `yaml:"tracking"`

	source source
	paths  paths
}

// Output is what a run leaves on disk.
type Output struct {
	// Dir is the folder for all runs; a run's own folder is DIR/NAME/TIME-ID.
	Dir string `yaml:"dir"`

	// Grid is the sample picture.
	Grid evaluate.Grid `yaml:"grid"`

	// Show lists pictures of the model's codes that are made at the run's end: samples, images of codes drawn at random;
	// interpolation, images between those of two test images; traversal, one value of a code changed at a time; manifold, the
	// plane of a code of two values; map, the test images' codes on a plane, by PCA and t-SNE, which takes half a minute. `latent
	// generate` makes them later.
	Show []string `yaml:"show,flow" enum:"samples,interpolation,traversal,manifold,map" maxitems:"5"`
}

// Tracking is which other tools are told of a run.
type Tracking struct {
	// TensorBoard writes event files into the run's folder, for tensorboard --logdir runs: losses, learning rate, figures of
	// validation and test, sample pictures, and the config's values for the HParams plugin. A sweep over the experiment has its
	// parameters, objectives and trials for that plugin, in its own folder.
	TensorBoard bool `yaml:"tensorboard"`

	// Histograms adds to TensorBoard's events, after each epoch, the distributions of every parameter's values, and of every
	// layer's activations for the first 100 held-out images. The program for these takes about a second to compile.
	Histograms bool `yaml:"histograms"`

	// MLflow is the URI of an MLflow server, such as http://127.0.0.1:5000, which is sent figures, values of the config and files
	// while the run goes on. One that does not answer costs nothing, and `latent track sync` sends what it missed. A user and a
	// password come from the environment variables MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; empty for none.
	MLflow string `yaml:"mlflow"`
}

// Default returns an autoencoder on MNIST with the seed's model and training, and no corruption.
func Default() *Experiment {
	return &Experiment{
		Name:     "experiment",
		Seed:     42,
		Backend:  "auto",
		Data:     dataset.Kinds["mnist"](),
		Model:    model.Kinds["dense"](),
		Train:    train.Defaults(),
		Evaluate: evaluate.Options{Seed: 1, Weights: "best", NLLSamples: 5000, NLLImages: 1000, Anomaly: evaluate.DefaultAnomaly()},
		Output:   Output{Dir: "runs", Grid: evaluate.Grid{Rows: 8, Columns: 4, Every: 1}},
	}
}

// check reports values that contradict each other, though each is allowed. keys are those that a problem rests on: the
// first is the one to blame.
func (e *Experiment) check(report func(problem string, keys ...string)) {
	if uri := e.Tracking.MLflow; uri != "" {
		if err := mlflow.CheckURI(uri); err != nil {
			report(err.Error(), "tracking.mlflow")
		}
	}
	t := e.Train
	for _, list := range []struct {
		key    string
		epochs []int
	}{{"train.restarts", t.Restarts}, {"train.extended", t.Extended}} {
		switch n := len(list.epochs); {
		case n == 0:
		case t.Schedule != "cosine":
			report("does nothing with a learning rate that is constant; leave it out, or take train.schedule: cosine", list.key, "train.schedule")
		case !slices.IsSorted(list.epochs) || len(slices.Compact(slices.Clone(list.epochs))) < n:
			report("want rising numbers of epochs", list.key)
		case list.epochs[n-1] >= t.Epochs:
			report(fmt.Sprintf("%d is not before the end, which is train.epochs: %d", list.epochs[n-1], t.Epochs), list.key, "train.epochs")
		}
	}
	if output := e.Model.OutputActivation(); t.Loss == "bce" && output != "sigmoid" {
		report(fmt.Sprintf("bce needs model.output sigmoid, which is %s; change one of them", output), "train.loss", "model.output")
	}
	if _, own := e.Model.(model.Objective); own && t.LossOn == "damaged" {
		report("this kind of model has a loss of its own; leave loss_on out, or take another, such as dense, conv or unet",
			"train.loss_on", "model.kind")
	} else if !e.Corrupt.Local() && t.LossOn == "damaged" {
		report("damaged needs a corruption that leaves other pixels as they are, such as masking or watermark; change corrupt, or leave loss_on out",
			"train.loss_on", "corrupt")
	}
	noisyAlone := e.Corrupt.TrainingOnly() && !e.pairs() // without clean pictures
	if noisyAlone && t.LossOn != "damaged" {
		report("blind-spot hides pixels for the loss to ask for; without train.loss_on: damaged, it asks for those that the model sees, noise and all; write it",
			"corrupt", "train.loss_on")
	}
	if noisyAlone && e.Data.ValidationImages() > 0 && (e.Evaluate.Weights == "best" || t.EarlyStopping > 0) {
		report("the pictures held out for validation are noisy themselves, and the least loss on them is that of a model that leaves the noise; write evaluate.weights: last, without train.early_stopping",
			"evaluate.weights", "train.early_stopping", "corrupt")
	}
	if t.LossOn == "damaged" && !e.Measured().Local() && !e.Corrupt.TrainingOnly() {
		report("train.loss_on: damaged needs a corruption here too that leaves other pixels as they are; change one of them",
			"evaluate.corrupt", "train.loss_on")
	}
	if t.WeightDecay > 0 && t.Optimizer != "adamw" {
		report(fmt.Sprintf("%s does not take it; write train.optimizer: adamw, or leave it out", t.Optimizer),
			"train.weight_decay", "train.optimizer")
	}
	if t.Momentum > 0 && t.Optimizer != "sgd" {
		report(fmt.Sprintf("%s does not take it; write train.optimizer: sgd, or leave it out", t.Optimizer),
			"train.momentum", "train.optimizer")
	}
	if t.WarmupEpochs > float64(t.Epochs) {
		report(fmt.Sprintf("%g epochs of warm-up in a run of %d; lower it", t.WarmupEpochs, t.Epochs),
			"train.warmup_epochs", "train.epochs")
	}
	if t.EarlyStopping > 0 && e.Data.ValidationImages() == 0 {
		report("needs held-out images; set data.validation above 0, or leave it out", "train.early_stopping", "data.validation")
	}
	if n := e.Evaluate.Generated; n > 0 {
		if _, ok := e.Model.(model.Decoder); !ok {
			report("this kind of model makes no images of codes alone; write 0, or choose another", "evaluate.generated", "model.kind")
		}
		if images := e.Data.TrainImages(); images > 0 && n > images {
			report(fmt.Sprintf("%d, but there are only %d training images to compare as many of; lower it", n, images),
				"evaluate.generated", "data")
		}
		if n < leastGenerated {
			report(fmt.Sprintf("%d images are too few to compare; write 0, or at least %d", n, leastGenerated), "evaluate.generated")
		}
	}
	if e.Evaluate.Probe && model.Conditions(e.Model) > 0 {
		report("the model is given the labels that a probe would read; write false, or model.classes: 0", "evaluate.probe", "model.classes")
	}
	if _, generates := e.Model.(*model.PixelFlow); generates && !e.Corrupt.Identity() {
		report("kind pixelflow restores nothing: it makes images of noise alone; leave corrupt out, or choose another kind", "corrupt", "model.kind")
	}
	if e.Evaluate.Probe && e.Data.ValidationImages() == 0 {
		report("needs held-out images; set data.validation above 0, or write false", "evaluate.probe", "data.validation")
	}
	e.checkAnomaly(report)
	for i, picture := range e.Output.Show {
		if problem := evaluate.Inapplicable(picture, e.Model); problem != "" {
			report(fmt.Sprintf("no %s: %s", picture, problem), fmt.Sprintf("output.show.%d", i), "model")
		}
	}
	if scaled, ok := e.Data.(dataset.Scaled); t.Perceptual > 0 && ok && (scaled.ScaleOptions().Open || scaled.ScaleOptions().Kind == "standardise") {
		report("compares pictures between black and white, and this scale leaves values beyond; write 0, or take another scale", "train.perceptual", "data.scale")
	} else if t.Perceptual > 0 && t.LossOn == "damaged" {
		report("compares whole pictures, and loss_on: damaged some pixels; write 0, or loss_on: all", "train.perceptual", "train.loss_on")
	}
	if e.Evaluate.Recover {
		e.checkRecovery(report)
	}
	if t.BatchSize%t.Devices != 0 {
		report(fmt.Sprintf("%d devices cannot share a batch of %d evenly; choose a divisor", t.Devices, t.BatchSize),
			"train.devices", "train.batch_size")
	} else if t.BatchSize%(t.Devices*t.Accumulate) != 0 {
		report(fmt.Sprintf("%d images, a device's part of a batch, cannot be taken in %d equal parts; choose a divisor", t.BatchSize/t.Devices, t.Accumulate),
			"train.accumulate", "train.batch_size")
	}
	for _, split := range []struct {
		key   string
		parts int
		what  string
	}{{"train.devices", t.Devices, "devices see a part of each batch"}, {"train.accumulate", t.Accumulate, "parts of a batch are computed apart"}} {
		if split.parts == 1 {
			continue
		}
		if collective, ok := e.Model.(model.Collective); ok && collective.AcrossBatch() != "" {
			key := "model." + collective.AcrossBatch()
			report(fmt.Sprintf("%d %s, and %s looks across all of it; write 1, or change it", split.parts, split.what, key), split.key, key)
		}
		if e.Corrupt.Collective() {
			report(fmt.Sprintf("%d %s, and swap takes values from all of it; write 1, or change corrupt", split.parts, split.what), split.key, "corrupt")
		}
	}
	if scaled, ok := e.Data.(dataset.Scaled); ok && scaled.ScaleOptions().Open && e.Model.OutputActivation() != "linear" {
		report(fmt.Sprintf("values beyond low and high stay what they are, and model.output: %s ends at -1 and 1; write model.output: linear, or leave open out",
			e.Model.OutputActivation()), "data.scale.open", "model.output")
	} else if featured, _ := e.Data.(dataset.Featured); featured != nil && featured.Network().Model != "" && e.Model.OutputActivation() != "linear" {
		report(fmt.Sprintf("a network's features have no ends, and model.output: %s ends at -1 and 1; write model.output: linear", e.Model.OutputActivation()),
			"data.features", "model.output")
	} else if ok && scaled.ScaleOptions().Kind == "standardise" && e.Model.OutputActivation() != "linear" {
		cure := "write model.output: linear, or data.scale.kind: range"
		_, table := e.Data.(*dataset.Table)
		if table && model.PictorialBy(e.Model) != "" {
			cure = "this kind is for arrays of pictures, which want data.scale.kind: range; for rows of features take dense, ae, vae, rae, wae, aae, vqvae, fsq or flow"
		}
		report(fmt.Sprintf("standardise has no ends, and model.output: %s ends at -1 and 1; %s", e.Model.OutputActivation(), cure),
			"data.scale.kind", "model.output")
	}
	if t.Group == "batched" && t.Devices > 1 {
		report(fmt.Sprintf("runs on %d devices take turns; write auto, or train.devices: 1", t.Devices), "train.group", "train.devices")
	}
	if images := e.Data.TrainImages(); images > 0 && t.BatchSize > images {
		report(fmt.Sprintf("a batch of %d images, but there are only %d to train on; lower it", t.BatchSize, images),
			"train.batch_size", "data")
	}
}

// checkRecovery reports what evaluate.recover cannot be with.
func (e *Experiment) checkRecovery(report func(problem string, keys ...string)) {
	folder, ok := e.Data.(*dataset.Folder)
	_, local := e.Model.(model.Local)
	switch {
	case !ok || folder.Patch == 0:
		report("it is of whole pictures; set data.patch, of dataset folder, or leave it out", "evaluate.recover", "data.patch")
	case !local:
		report("this kind of model takes no picture in parts; take unet or dncnn, or leave it out", "evaluate.recover", "model.kind")
	case e.Train.Loss == "bce":
		report("the loss bce cannot be told of what was recovered; take mse, or leave it out", "evaluate.recover", "train.loss")
	case e.Measured().Collective():
		report("swap takes values from other pictures; change it, or leave it out", "evaluate.recover", "corrupt")
	}
}

// Normal are the classes whose test samples are normal, and the key that names them; none where anomalies are not measured.
func (e *Experiment) Normal() (names []string, key string) {
	if sorted, ok := e.Data.(dataset.Sorted); ok && len(e.Evaluate.Anomaly.Normal) == 0 {
		return sorted.NormalClasses(), "data.normal"
	}
	return e.Evaluate.Anomaly.Normal, "evaluate.anomaly.normal"
}

// checkAnomaly reports what cannot be scored for anomalies.
func (e *Experiment) checkAnomaly(report func(problem string, keys ...string)) {
	names, key := e.Normal()
	if len(names) == 0 {
		return
	}
	if problem := evaluate.Unscored(e.Model, e.Data); problem != "" {
		report("no scores of anomalies: "+problem+"; leave normal out", key, "model", "data")
	}
	if table, ok := e.Data.(*dataset.Table); ok && table.Label == "" {
		report("which rows are normal is told by a label; name its column in data.label", "evaluate.anomaly.normal", "data.label")
	}
	kind := e.Evaluate.Anomaly.Score
	folder, pictures := e.Data.(*dataset.Folder)
	_, rows := e.Data.(*dataset.Table)
	switch {
	case pictures && folder.Patch > 0 && !slices.Contains([]string{"mse", "mae", "peak", "ranks"}, kind):
		report("pictures of sizes of their own have the scores mse, mae, peak and ranks; take one of these, or scale the pictures by data.height and data.width",
			"evaluate.anomaly.score", "data.patch")
	case rows && (kind == "peak" || kind == "whitened-peak"):
		report("it is of pictures; take mse, or whitened-mse", "evaluate.anomaly.score", "data")
	}
	if kind == "elbo" || kind == "nll" {
		if density, ok := e.Model.(model.Density); !ok || density.Observed() == "" {
			report(fmt.Sprintf("%s is of models with a likelihood, and this has none; take another score, or model.kind vae", kind), "evaluate.anomaly.score", "model")
		}
	}
}

// pairs says that the training samples have targets of their own.
func (e *Experiment) pairs() bool {
	source, ok := e.Data.(dataset.Paired)
	if !ok {
		return false
	}
	training, _ := source.Targets()
	return training
}

// Measured is the corruption that the model is measured with: evaluate.corrupt, or without it that of training, as held-out images
// get it.
func (e *Experiment) Measured() corrupt.Chain {
	if len(e.Evaluate.Corrupt) > 0 {
		return e.Evaluate.Corrupt.HeldOut()
	}
	return e.Corrupt.HeldOut()
}

// Files are the SHA-256 sums of the files that the corruptions read, by their paths in the config.
func (e *Experiment) Files() (map[string]string, error) {
	sums, err := slices.Concat(e.Corrupt, e.Evaluate.Corrupt).Checksums()
	for path, sum := range sums {
		if written, found := e.paths.found[path]; found {
			delete(sums, path)
			sums[written] = sum
		}
	}
	return sums, err
}

// leastGenerated is the least number of generated images that say anything: a mixture of ten components is fitted to as many
// codes at least.
const leastGenerated = 10

// Problem returns [Problems] with one problem of a key, for what shows only when the data is there. It names the file,
// line and column of the key, or of the nearest key around it, or the override that set it.
func (e *Experiment) Problem(key, format string, args ...any) error {
	return Problems{e.source.nearest(key).problem(key, fmt.Sprintf(format, args...))}
}

// source is where an experiment was read.
type source struct {
	file   string
	places map[string]place // by dotted key
}

// nearest returns the place of the key, or else of the nearest key around it that is written.
func (s source) nearest(key string) place {
	for {
		if at, ok := s.places[key]; ok {
			return at
		}
		dot := strings.LastIndexByte(key, '.')
		if dot < 0 {
			return place{file: s.file}
		}
		key = key[:dot]
	}
}

// DatasetName is the name of the dataset's kind.
func (e *Experiment) DatasetName() string {
	name, _ := kindsOf(reflect.TypeFor[dataset.Source]()).kindOf(e.Data)
	return name
}
