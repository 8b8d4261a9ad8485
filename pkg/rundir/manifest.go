package rundir

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"latent/pkg/scale"
)

// State is where a run stands.
type State string

// The states of a run. A run that was killed stays "running"; nothing holds its lock then.
const (
	Running     State = "running"
	Done        State = "done"
	Failed      State = "failed"
	Interrupted State = "interrupted"
	Diverged    State = "diverged"
	Pruned      State = "pruned" // stopped before its end by what asked for it
)

// Manifest is manifest.json: what ran, where, and what came out.
type Manifest struct {
	Version int    `json:"version"` // of this format: 1
	Name    string `json:"name"`
	Seed    int64  `json:"seed"`
	State   State  `json:"state"`
	Error   string `json:"error,omitempty"`
	Command string `json:"command,omitempty"`
	// ConfigSHA256 is that of config.yaml when it was written.
	ConfigSHA256 string `json:"config_sha256"`
	// ConfigSections are SHA-256 sums of its sections, of what decides the training: a run goes on only with these.
	ConfigSections map[string]string `json:"config_sections,omitempty"`

	// Directories are where relative paths of the config were looked for: the working directory first, whole. Who reads config.yaml looks there too.
	Directories []string `json:"directories,omitempty"`

	// Group holds the names of the folders of the runs that train together, this one among them; empty for a run alone.
	Group []string `json:"group,omitempty"`
	// Sweep is the name of the folder of the sweep that the run is a trial of; empty of others.
	Sweep string `json:"sweep,omitempty"`

	// Trial is the folder of the trial of a sweep that the run goes on from; empty of others.
	Trial string `json:"trial,omitempty"`

	Started  time.Time   `json:"started"`
	Resumed  []time.Time `json:"resumed,omitempty"`
	Finished *time.Time  `json:"finished,omitempty"`
	// Prolonged are the times at which the run was given more epochs than it had begun with.
	Prolonged []Prolonged `json:"prolonged,omitempty"`

	Versions map[string]string `json:"versions"` // latent, go, gomlx, compute, go-xla, plugin
	Backend  Backend           `json:"backend"`
	Host     Host              `json:"host"`
	Git      Git               `json:"git"`
	Data     Data              `json:"data"`
	// Files are SHA-256 sums of the files that corruptions read, watermarks' pictures, by their paths in the config.
	Files map[string]string `json:"files,omitempty"`
	Model Model             `json:"model"`

	// Imported says where the weights of a run are from that was not trained here; nil of others.
	Imported *Imported `json:"imported,omitempty"`

	// From says which weights the run began with; nil where all were drawn.
	From *From `json:"from,omitempty"`

	Progress Progress `json:"progress"`
	// Perceptual is the checksum of the classifier that train.perceptual compares by, "" without it.
	Perceptual string `json:"perceptual_sha256,omitempty"`
	// Timings are seconds of wall time, summed over all processes that worked on the run: start, data, compile, train,
	// evaluate, write.
	Timings map[string]float64 `json:"timings"`
	Result  Result             `json:"result"`
	// Warnings are what went wrong without ending the run, in the order in which it was found.
	Warnings []Warning `json:"warnings,omitempty"`
}

// Warning is something that went wrong without ending a run, with its cure.
type Warning struct {
	// Kind is a word for programs: [Missing], [Lost], or one of pkg/diagnose.
	Kind string `json:"kind"`
	// Part is what it is about: a part of the run's end that is missing, or a layer; "" of the run as a whole.
	Part string `json:"part,omitempty"`
	// Epoch is the epoch after which it was found; 0 at the run's end.
	Epoch int    `json:"epoch,omitempty"`
	Text  string `json:"text"`
}

// Missing is the kind of warnings of what failed after training, such as a sampler: the rest is there, and latent eval makes up for it.
const Missing = "missing"

// Lost is the kind of warnings of what failed while a run trained, such as the pictures of an epoch, and is lost.
const Lost = "lost"

// IsMissing says that w is of the kind [Missing].
func (w Warning) IsMissing() bool { return w.Kind == Missing }

// IsMissing says that a part of the run's end is missing.
func (m *Manifest) IsMissing(part string) bool {
	return slices.ContainsFunc(m.Warnings, func(w Warning) bool { return w.IsMissing() && w.Part == part })
}

// Prolonged is a change of a run to more epochs.
type Prolonged struct {
	Time   time.Time `json:"time"`
	From   int       `json:"from"`   // epochs before
	Epochs int       `json:"epochs"` // since then
	// Schedule is how a learning rate that fell to the end went on: restart or extend; "" of one that does not fall.
	Schedule string `json:"schedule,omitempty"`
	// ConfigSHA256 is that of config.yaml before.
	ConfigSHA256 string `json:"config_sha256"`
}

// Imported is a file of weights.
type Imported struct {
	File   string `json:"file"` // its name
	SHA256 string `json:"sha256"`
}

// From is weights that a run began with.
type From struct {
	Path   string `json:"path"`   // of a run's folder, or of a file
	SHA256 string `json:"sha256"` // of the file: of a run, that of the checkpoint
	// Checkpoint is the file's name among those of the run, and Step the step that it is of; empty and 0 of other files.
	Checkpoint string `json:"checkpoint,omitempty"`
	Step       int    `json:"step,omitempty"`
	// Layers are those of the model.
	Layers []FromLayer `json:"layers"`
	// Unused are tensors that the model has no parameter for.
	Unused []string `json:"unused,omitempty"`
}

// FromLayer is what became of a layer's parameters.
type FromLayer struct {
	Name   string   `json:"name"`
	Taken  []string `json:"taken,omitempty"`
	Drawn  []string `json:"drawn,omitempty"` // each with the cause: "weight: shape [784 64] there, [784 128] here"
	Frozen bool     `json:"frozen,omitempty"`
	Factor float64  `json:"factor"` // of the learning rate
}

// Backend is what computed.
type Backend struct {
	Name          string `json:"name"` // "xla:cpu"
	Device        string `json:"device"`
	DeviceMemory  int64  `json:"device_memory,omitempty"` // of a GPU, in bytes
	Driver        string `json:"driver,omitempty"`        // of a GPU: "580.95.05"
	Plugin        string `json:"plugin,omitempty"`
	PluginVersion string `json:"plugin_version,omitempty"` // the wheel it came in: "jax-cuda13-pjrt 0.11.2"
	PluginSHA256  string `json:"plugin_sha256,omitempty"`
	XLAFlags      string `json:"xla_flags,omitempty"`
	Reason        string `json:"reason,omitempty"` // why auto did not choose better
}

// Host is the machine.
type Host struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	CPU   string `json:"cpu,omitempty"`
	Cores int    `json:"cores"`
}

// Git is the state of the source that the command was run in or built from.
type Git struct {
	Commit string `json:"commit,omitempty"`
	Dirty  bool   `json:"dirty"`
}

// Noun is what the samples are called: images, or rows of a table.
func (d Data) Noun() string {
	if d.Features != nil {
		return "rows"
	}
	return "images"
}

// NounOf is [Data.Noun] of n samples: image where there is one.
func (d Data) NounOf(n int) string {
	if n == 1 {
		return strings.TrimSuffix(d.Noun(), "s")
	}
	return d.Noun()
}

// Data are the samples.
type Data struct {
	Dataset    string       `json:"dataset"`
	Height     int          `json:"height"` // of an image, in pixels; of a vector 1
	Width      int          `json:"width"`  // the same; of a vector the number of features
	Channels   int          `json:"channels"`
	Features   []string     `json:"features,omitempty"` // the names of those of vectors; without them the samples are images
	Type       string       `json:"type,omitempty"`     // of the values; without it uint8
	Scale      *scale.Scale `json:"scale,omitempty"`    // of the values to the model's scale; without it that of bytes
	Classes    []string     `json:"classes,omitempty"`
	Streamed   bool         `json:"streamed,omitempty"` // the training samples did not lie on the device
	Train      int          `json:"train"`
	Validation int          `json:"validation"`
	Test       int          `json:"test"`
	// Calibration is how many were kept back to calibrate scores of anomalies with.
	Calibration int               `json:"calibration,omitempty"`
	LeftOut     map[string]int    `json:"left_out,omitempty"` // files of a folder that are no pictures, by ending
	Skipped     []string          `json:"skipped,omitempty"`  // pictures that cannot be used, with the cause
	Checksums   map[string]string `json:"checksums"`          // SHA-256
	// Network is what made the features of pictures; nil where no network did.
	Network *Network `json:"network,omitempty"`
}

// Network is the network of data.features, and the pictures that it was given.
type Network struct {
	File     string `json:"file"` // its whole path when the run began
	SHA256   string `json:"sha256"`
	Height   int    `json:"height"`
	Width    int    `json:"width"`
	Channels int    `json:"channels"`
	Type     string `json:"type"` // of the pixels
}

// Model is the model's size.
type Model struct {
	Parameters int     `json:"parameters"`
	Layers     []Layer `json:"layers"`
}

// Layer is one layer of the model.
type Layer struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Parameters  int    `json:"parameters"`
}

// Progress is how far the run has come.
type Progress struct {
	Step   int `json:"step"`
	Steps  int `json:"steps"`
	Epoch  int `json:"epoch"`
	Epochs int `json:"epochs"`
}

// Result is what came out. A metric that is not defined for the run is absent.
type Result struct {
	// ComparedWith says what the figures compare with, where that may be noisy itself; "" where it is clean as far as the config tells.
	ComparedWith string `json:"compared_with,omitempty"`
	// Test are the test samples' figures: mse, mae, of vectors in the model's scale and with explained_variance, of images psnr (dB), psnr_pooled (dB), ssim, loss; mse_inside and mse_outside of the
	// pixels that the corruption changes and of the others, where it leaves some as they are; of models with a likelihood also
	// nll_dyn, elbo_dyn, kl (nats) and active_units, see [Likelihood]; of those with a codebook perplexity and entries_used; of sparse dictionaries l0, dead_share and, where the features are known, mcc, f1,
	// latent_precision and latent_recall;
	// and with evaluate.probe probe_accuracy, a part of 1, see [Probe].
	Test map[string]Number `json:"test,omitempty"`
	// Corrupted are the same figures of the corrupted input, where the input is corrupted.
	Corrupted map[string]Number `json:"corrupted,omitempty"`
	// Features are the figures of each feature of vectors.
	Features []Feature `json:"features,omitempty"`
	// MaskKnown are those of a baseline that is told which pixels are damaged and fills them in smoothly, where the corruption
	// leaves other pixels as they are.
	MaskKnown map[string]Number `json:"mask_known,omitempty"`
	// Training are the same figures of as many training samples, TrainingSamples of them, which over-fitting makes better than those of the
	// test; nil where none can be compared.
	Training        map[string]Number `json:"training,omitempty"`
	TrainingSamples int               `json:"training_samples,omitempty"`
	// Interval holds half the width of the 95 % confidence interval over images for each figure of each part.
	Interval map[string]map[string]Number `json:"interval,omitempty"`
	// Likelihood says what the figures of a model with a likelihood rest on.
	Likelihood *Likelihood `json:"likelihood,omitempty"`
	// Probe says what probe_accuracy rests on.
	Probe *Probe `json:"probe,omitempty"`
	// FiringRates are, of a sparse dictionary, the part of the test samples in which each latent is not 0.
	FiringRates []Number `json:"firing_rates,omitempty"`
	// Generated are the figures of generated images, with evaluate.generated.
	Generated *Generated `json:"generated,omitempty"`
	// Anomaly is how well scores tell anomalies, where labels say which test samples are normal. The figures of the model's score are
	// among those of Test, too.
	Anomaly *Anomaly `json:"anomaly,omitempty"`
	// Weights says which weights were measured: "best" or "last", and after which epoch; or "imported".
	Weights string `json:"weights,omitempty"`
	Epoch   int    `json:"epoch,omitempty"`
	// BestEpoch and BestValidationLoss are the epoch with the lowest validation loss, where images are held out.
	BestEpoch          int    `json:"best_epoch,omitempty"`
	BestValidationLoss Number `json:"best_validation_loss,omitempty"`
	TrainLoss          Number `json:"train_loss,omitempty"`
}

// Anomaly is how well scores tell anomalies from normal samples.
type Anomaly struct {
	// Score is the kind of the model's score; see evaluate.Anomaly.
	Score string `json:"score"`
	// Normal names the normal classes; the next two count test samples.
	Normal        []string `json:"normal"`
	NormalSamples int      `json:"normal_samples"`
	Anomalies     int      `json:"anomalies"`
	// Figures of the model's score and of each baseline's, by the names auroc, average_precision, false_alarms_95 and precision_at_n; see
	// pkg/ranking.
	Figures   map[string]Estimate            `json:"figures"`
	Baselines map[string]map[string]Estimate `json:"baselines,omitempty"`
	// Threshold is from which score on there is an alarm; nil where none could be found, for which Missing is the reason.
	Threshold *Threshold `json:"threshold,omitempty"`
	Missing   string     `json:"no_threshold,omitempty"`
	// Histogram counts the model's scores.
	Histogram *Histogram `json:"histogram,omitempty"`
	// Pixels are figures of heat maps; nil without data.masks.
	Pixels *Pixels `json:"pixels,omitempty"`
}

// Pixels is how well heat maps find anomalous pixels in the test pictures; see pkg/ranking.
type Pixels struct {
	AUROC Number `json:"auroc"`
	PRO   Number `json:"pro"`
	// Masks is how many pictures have one, Regions how many regions those mark, and Part the part of all pixels in them.
	Masks   int    `json:"masks"`
	Regions int    `json:"regions"`
	Part    Number `json:"part"`
}

// Estimate is a figure with its 95 % interval.
type Estimate struct {
	Value Number `json:"value"`
	Low   Number `json:"low"`
	High  Number `json:"high"`
}

// Threshold is the score above which there is an alarm.
type Threshold struct {
	Score Number `json:"score"`
	// Rate is the part of normal samples that may raise one; Low and High are between which bounds that part lies in 95 % of all calibrations
	// with as many samples.
	Rate Number `json:"rate"`
	Low  Number `json:"low"`
	High Number `json:"high"`
	// Samples is how many calibrated it, and By the part of the data that they are: calibration or validation.
	Samples int    `json:"samples"`
	By      string `json:"by"`
	// FalseAlarms and Found are the parts of the normal and of the anomalous test samples above it.
	FalseAlarms Number `json:"false_alarms"`
	Found       Number `json:"found"`
}

// Histogram counts normal and anomalous samples by their scores: bin i is from Edges[i] to Edges[i+1].
type Histogram struct {
	Edges     []Number `json:"edges"`
	Normal    []int    `json:"normal"`
	Anomalous []int    `json:"anomalous"`
}

// Feature is how well a feature of the test samples is reconstructed, in the model's scale.
type Feature struct {
	Name              string `json:"name"`
	MSE               Number `json:"mse"`
	ExplainedVariance Number `json:"explained_variance"` // null of a feature that does not vary
}

// Figures are those of the test images and of generated ones by the names that tracking tools show, such as test/psnr,
// test/corrupted_psnr and generated/prior_frechet.
func (r Result) Figures() map[string]Number {
	figures := map[string]Number{}
	for name, value := range r.Test {
		figures["test/"+name] = value
	}
	for name, value := range r.Corrupted {
		figures["test/corrupted_"+name] = value
	}
	if r.Generated != nil {
		for sampler, values := range r.Generated.Samplers {
			for name, value := range values {
				figures["generated/"+sampler+"_"+name] = value
			}
		}
	}
	return figures
}

// Likelihood is what nll_dyn, elbo_dyn and the like of a result rest on.
type Likelihood struct {
	// Observed says what the likelihood is of: dyn, static or grey (see model.Density); "" where the loss is none.
	Observed string `json:"observed"`
	// Draws and Images are the codes drawn for each image, and the number of test images, of the log-likelihood.
	Draws  int `json:"draws"`
	Images int `json:"images"`
	// Divergence is that of each dimension of the code from the prior, in nats, the mean over all test images.
	Divergence []Number `json:"kl_per_dimension"`
}

// Probe is the linear classifier of codes that was chosen.
type Probe struct {
	// Strength is that of its L2 regulariser, see pkg/probe.
	Strength Number `json:"strength"`
	// ValidationAccuracy is the part of the held-out images that it tells right.
	ValidationAccuracy Number `json:"validation_accuracy"`
}

// Generated compares generated images with the test images, in features of a classifier. The figures of each set are frechet,
// the squared Fréchet distance; and precision and recall, parts of 1 (see pkg/feature).
type Generated struct {
	// FeaturesSHA256 is the checksum of the classifier's weights: figures are comparable where it is the same.
	FeaturesSHA256 string `json:"features_sha256"`
	// ClassifierAccuracy is the part of the test images that the classifier tells right.
	ClassifierAccuracy Number `json:"classifier_accuracy"`
	// Images is how many were drawn from each sampler, and how many training images make the floor; TestImages how many they
	// were compared with; ManifoldImages how many of each set there were for precision and recall.
	Images         int `json:"images"`
	TestImages     int `json:"test_images"`
	ManifoldImages int `json:"manifold_images"`
	// Floor are the figures of training images: what generated ones can hope for.
	Floor map[string]Number `json:"floor"`
	// Samplers are the figures of the images of each sampler, and of the reconstructions of the test images as [Reconstruction].
	Samplers map[string]map[string]Number `json:"samplers"`
}

// Reconstruction is the name of the test images' reconstructions among the sets of images that are compared with them.
const Reconstruction = "reconstruction"

// Number is a float64 that JSON writes as null where it is not finite.
type Number float64

// MarshalJSON writes a number, or null.
func (n Number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads a number; null is NaN.
func (n *Number) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(data, (*float64)(n))
}

// WriteManifest writes manifest.json.
func (r *Run) WriteManifest(m *Manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return r.write(manifestFile, append(data, '\n'))
}

// ManifestPath is the path of manifest.json.
func (r *Run) ManifestPath() string { return filepath.Join(r.Path, manifestFile) }

// manifestVersion is the version of the format that this package writes, and the only one it reads.
const manifestVersion = 1

// NewManifest returns a manifest of the current version.
func NewManifest() *Manifest {
	return &Manifest{Version: manifestVersion, State: Running, Timings: map[string]float64{}, Versions: map[string]string{}}
}

// Program is the name of the program in a command line, for the advice to go on with: latent, or one with kinds of its own that
// latent does not know. Without a command line, or where it begins with anything but a plain name, it is latent.
func Program(command string) string {
	if name, _, _ := strings.Cut(command, " "); plainName.MatchString(name) {
		return name
	}
	return "latent"
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Manifest reads manifest.json.
func (r *Run) Manifest() (*Manifest, error) {
	data, err := readBounded(r.ManifestPath(), 16<<20)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m := NewManifest()
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("read manifest: %s is damaged: %s; restore it from a copy, or train again from %s", r.ManifestPath(), inJSON(data, err), r.ConfigPath())
	}
	if m.Version != manifestVersion {
		return nil, fmt.Errorf("read manifest: %s has version %d, but this program reads version %d", r.ManifestPath(), m.Version, manifestVersion)
	}
	return m, nil
}
