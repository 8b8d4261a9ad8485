package experiment

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/anomaly"
	"latent/pkg/config"
	"latent/pkg/conformal"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/random"
	"latent/pkg/rundir"
	"latent/pkg/train"
)

// scoredModel is a trained model whose samples are scored.
type scoredModel struct {
	experiment *config.Experiment
	evaluator  *evaluate.Evaluator
	weights    []*tensors.Tensor
	// folder keeps what scores rest on; nil keeps nothing.
	folder *rundir.Run
	// load returns the run's samples. It is called where the folder does not keep what is needed.
	load func() (*dataset.Split, error)
	log  io.Writer
}

// Scorer scores samples, and says from which score on to raise an alarm.
type Scorer struct {
	// Kind is the kind of score.
	Kind string
	// Threshold is the score above which there is an alarm; nil where none can be had, for the reason Missing.
	Threshold *conformal.Threshold
	Missing   error
	// By is the part of the run's data that the threshold was found by, "" where there is none: calibration or validation.
	By string
	// Maps asks for heat maps of pictures.
	Maps bool

	detector    *detector
	calibration map[string][]float64 // scores by kind
	calibrated  *conformal.Calibration

	filled []int // values that were missing, by feature, of the rows that were scored last
	rows   int
}

// Scored is what is found of a sample.
type Scored struct {
	Score float64 // a float32
	// P is the part of normal samples that score as high or higher, the sample among them; NaN where nothing was held out to tell.
	P float64
	// Alarm is whether the score is above the threshold; false without one.
	Alarm bool
	// Top are the values of the sample that add most to its error, the first the most.
	Top []Contribution
	// Height and Width are the sample's size; of a vector, 1 and the number of its features.
	Height, Width int
	// Heat says where the error of a picture is; nil unless the scorer's Maps ask for it.
	Heat *Heat
}

// Heat says where the error of a picture is.
type Heat struct {
	// Map is the squared error of each pixel, its mean over channels, smoothed by evaluate.anomaly.smooth: [height, width]. It is in the
	// model's scale squared or, of scores of whitened errors, in units of what is usual.
	Map []float32
	// High is the peak of a map that one normal picture of a hundred reaches. Colours of all maps have one scale by it.
	High float64
	// Input and Output are the picture and its reconstruction, in the model's scale: [height, width, channels].
	Input, Output []float32
}

// Scorer returns a scorer by scores of a kind, "" for that of the config, and a rate of false alarms, 0 for that of the config. What it
// rests on is read from the run's folder, or found by the run's samples and kept there.
func (t *Trained) Scorer(ctx context.Context, kind string, rate float64, options Options) (*Scorer, error) {
	m, err := t.scored(ctx, options.withDefaults())
	if err != nil {
		return nil, err
	}
	return m.scorer(ctx, kind, rate)
}

// scored is the model for scoring.
func (t *Trained) scored(ctx context.Context, options Options) (*scoredModel, error) {
	if problem := evaluate.Unscored(t.Experiment.Model, t.Experiment.Data); problem != "" {
		return nil, InputError{t.Experiment.Problem("model.kind", "no scores of anomalies: %s", problem)}
	}
	e, err := t.compile()
	if err != nil {
		return nil, err
	}
	return &scoredModel{experiment: t.Experiment, evaluator: e, weights: t.Weights, folder: t.Run, log: options.Log,
		load: func() (*dataset.Split, error) {
			split, err := t.load(ctx, options)
			if err != nil {
				err = InputError{fmt.Errorf("find by the run's own samples what is usual, which %s does not keep yet: %w", t.Run.CalibrationPath(), err)}
			}
			return split, err
		}}, nil
}

// scorer returns a scorer by a kind and a rate, whose detector has scores of other kinds too.
func (m *scoredModel) scorer(ctx context.Context, kind string, rate float64, others ...string) (*Scorer, error) {
	section := m.experiment.Evaluate.Anomaly
	if kind == "" {
		kind = section.Score
	}
	if rate == 0 {
		rate = section.AlarmRate
	}
	if !slices.Contains(ScoreKinds, kind) {
		return nil, InputError{fmt.Errorf("no score %s: want one of %s", kind, strings.Join(ScoreKinds, ", "))}
	}
	if problem := m.unavailable(kind); problem != "" {
		return nil, InputError{fmt.Errorf("no score %s: %s; there are %s", kind, problem, strings.Join(m.kinds(scoreNLL), ", "))}
	}
	k, err := m.calibrate(ctx, append(others, kind)...)
	if err != nil {
		return nil, err
	}
	s := &Scorer{Kind: kind, By: k.By, detector: k.detector, calibration: k.calibration}
	return s, s.alarm(rate)
}

// alarm finds the threshold for a rate of false alarms.
func (s *Scorer) alarm(rate float64) (err error) {
	if !(rate > 0 && rate < 1) {
		return InputError{fmt.Errorf("a false alarm rate of %g; want a part between 0 and 1, such as 0.01", rate)}
	}
	scores := s.calibration[s.Kind]
	if len(scores) == 0 {
		s.Missing = errors.New("nothing was held out to calibrate with; set data.calibration or data.validation")
		return nil
	}
	if s.calibrated, err = conformal.New(scores); err != nil {
		return err
	}
	threshold, err := s.calibrated.Threshold(rate)
	if err != nil {
		s.Missing = errors.New(strings.TrimPrefix(err.Error(), "threshold: ")) // what is missing is said where it is shown
		return nil
	}
	s.Threshold = &threshold
	return nil
}

// At returns the scorer with alarms at another rate of false alarms.
func (s *Scorer) At(rate float64) (*Scorer, error) {
	other := &Scorer{Kind: s.Kind, By: s.By, Maps: s.Maps, detector: s.detector, calibration: s.calibration}
	return other, other.alarm(rate)
}

// Each calls do with what is found of samples, some at a time in their order, each with at most so many of the values that contribute.
func (s *Scorer) Each(ctx context.Context, samples *dataset.Samples, top int, do func([]Scored) error) error {
	maps := noHeat
	if s.Maps && !samples.Vectors() {
		maps = heatOf(s.Kind)
	}
	return s.detector.each(ctx, samples, []string{s.Kind}, top, maps, func(b scoredBlock) error {
		found := make([]Scored, b.Count)
		for i, score := range b.scores[s.Kind] {
			found[i] = Scored{Score: score, P: math.NaN(), Height: b.Height, Width: b.Width}
			if maps != noHeat {
				size := len(b.Samples) / b.Count
				found[i].Heat = &Heat{Map: b.heats[i], High: s.detector.high[maps], Input: b.Samples[i*size : (i+1)*size], Output: b.Outputs[i*size : (i+1)*size]}
			}
			if s.calibrated != nil {
				found[i].P = s.calibrated.P(score)
			}
			found[i].Alarm = s.Threshold != nil && s.Threshold.Alarm(score)
			if top > 0 {
				found[i].Top = b.top[i]
			}
		}
		return do(found)
	})
}

// scores returns the scores of all samples, by kind.
func (d *detector) scores(ctx context.Context, samples *dataset.Samples, kinds []string) (map[string][]float64, error) {
	all := map[string][]float64{}
	if len(kinds) == 0 {
		return all, nil
	}
	err := d.each(ctx, samples, kinds, 0, noHeat, func(b scoredBlock) error {
		for _, kind := range kinds {
			all[kind] = append(all[kind], b.scores[kind]...)
		}
		return nil
	})
	return all, err
}

// kept is what a run's folder keeps of scores. It is of the weights, the data and the seed that its sum is of.
type kept struct {
	Sum string `json:"sum"`
	// By is the part of the data that calibrates: calibration or validation, or "" where there is none.
	By string `json:"by"`

	detector    *detector
	calibration map[string][]float64
}

// calibrate returns a detector with calibrated scores of some kinds, of the config's, and of all others that cost little: as the folder
// keeps it, or found by the run's samples. What the folder keeps of other kinds stays.
func (m *scoredModel) calibrate(ctx context.Context, kinds ...string) (*kept, error) {
	sum, err := m.sum()
	if err != nil {
		return nil, err
	}
	k, err := m.read(ctx, sum)
	if err != nil {
		fmt.Fprintf(m.log, "%v; it is made anew\n", err)
	}
	if k != nil {
		missing := slices.ContainsFunc(kinds, func(kind string) bool {
			_, found := k.calibration[kind]
			return !found && k.By != "" || isWhitened(kind) && k.detector.whitening == nil
		})
		if !missing {
			return k, nil
		}
		kinds = append(kinds, slices.Collect(maps.Keys(k.calibration))...)
	}
	kinds = m.kinds(append(kinds, m.experiment.Evaluate.Anomaly.Score)...)
	split, err := m.load()
	if err != nil {
		return nil, err
	}
	held, usual := split.Calibration, split.Validation
	k = &kept{Sum: sum, By: "calibration"}
	if held.Len() == 0 {
		held, usual, k.By = split.Validation, nil, "validation"
	}
	if k.detector, err = newDetector(ctx, m, split.Train, usual, kinds); err != nil {
		return nil, err
	}
	normal := held // pictures whose peaks are those of normal ones
	if held.Len() == 0 {
		normal, k.By = drawn(split.Train, mostReference, random.NewSeed(m.experiment.Evaluate.Seed)), ""
		kinds = slices.DeleteFunc(kinds, func(kind string) bool { return !slices.Contains(peakOf[:], kind) })
	}
	scores, err := k.detector.scores(ctx, normal, kinds)
	if err != nil {
		return nil, err
	}
	k.detector.learnPeaks(scores)
	if k.By != "" {
		k.calibration = scores
	}
	if m.folder != nil {
		if err := m.write(k); err != nil {
			fmt.Fprintf(m.log, "%v; the next command computes it again\n", err)
		}
	}
	return k, nil
}

// sum is a checksum over what decides scores: the weights, the sections of the config that decide the data and the training, and the
// evaluation's seed.
func (m *scoredModel) sum() (string, error) {
	sections, err := decided(m.experiment)
	if err != nil {
		return "", err
	}
	var weights train.State
	for _, tensor := range m.weights {
		values, err := tensors.CopyFlatData[float32](tensor)
		if err != nil {
			return "", err
		}
		weights.Tensors = append(weights.Tensors, train.Tensor{Values: values})
	}
	digest := sha256.Sum256(fmt.Appendln(nil, "scores 3", sections["data"], sections["model"], m.experiment.Evaluate.Seed, m.experiment.Evaluate.Anomaly.Smooth, weights.Checksum()))
	return hex.EncodeToString(digest[:]), nil
}

// Names of tensors in the file.
const (
	keptCodes       = "codes"
	keptSquares     = "usual/squared"
	keptAbsolute    = "usual/absolute"
	keptHigh        = "usual/peak"
	keptErrors      = "errors"
	keptValues      = "values"
	keptRanked      = "ranked/"
	keptCalibration = "calibration/"
)

// write keeps what scores rest on in the run's folder.
func (m *scoredModel) write(k *kept) error {
	about, err := json.Marshal(k)
	if err != nil {
		return err
	}
	c := rundir.Checkpoint{Meta: about}
	add := func(name string, values []float32, dims ...int) {
		c.Tensors = append(c.Tensors, rundir.Tensor{Name: name, Dims: dims, Values: values})
	}
	d := k.detector
	if d.codes.Features > 0 {
		add(keptCodes, d.codes.Values, d.codes.Len(), d.codes.Features)
	}
	if len(d.squares) > 0 {
		add(keptSquares, narrow(d.squares), len(d.squares))
		add(keptAbsolute, narrow(d.absolut), len(d.absolut))
	}
	add(keptHigh, narrow(d.high[:]), len(d.high))
	if d.residuals.Features > 0 {
		add(keptErrors, d.residuals.Values, d.residuals.Len(), d.residuals.Features)
	}
	if d.values.Features > 0 {
		add(keptValues, d.values.Values, d.values.Len(), d.values.Features)
	}
	for prefix, scores := range map[string]map[string][]float64{keptRanked: d.ranked, keptCalibration: k.calibration} {
		for _, kind := range ScoreKinds {
			if values, found := scores[kind]; found {
				add(prefix+kind, narrow(values), len(values))
			}
		}
	}
	return rundir.WriteCheckpoint(m.folder.CalibrationPath(), c)
}

// read returns what the folder keeps; nil where it keeps nothing of these weights.
func (m *scoredModel) read(ctx context.Context, sum string) (*kept, error) {
	if m.folder == nil {
		return nil, nil
	}
	c, err := rundir.ReadCheckpoint(m.folder.CalibrationPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	k := &kept{}
	if err := json.Unmarshal(c.Meta, k); err != nil {
		return nil, fmt.Errorf("%s: %w", m.folder.CalibrationPath(), err)
	}
	if k.Sum != sum {
		return nil, nil // of other weights
	}
	d := &detector{model: m, ranked: map[string][]float64{}}
	k.detector, k.calibration = d, map[string][]float64{}
	for _, tensor := range c.Tensors {
		switch {
		case tensor.Name == keptCodes && len(tensor.Dims) == 2:
			d.codes = anomaly.Rows{Values: tensor.Values, Features: tensor.Dims[1]}
		case tensor.Name == keptSquares:
			d.squares = widen(tensor.Values)
		case tensor.Name == keptAbsolute:
			d.absolut = widen(tensor.Values)
		case tensor.Name == keptHigh && len(tensor.Values) == len(d.high):
			copy(d.high[:], widen(tensor.Values))
		case tensor.Name == keptValues && len(tensor.Dims) == 2:
			d.values = anomaly.Rows{Values: tensor.Values, Features: tensor.Dims[1]}
		case tensor.Name == keptErrors && len(tensor.Dims) == 2:
			d.residuals = anomaly.Rows{Values: tensor.Values, Features: tensor.Dims[1]}
		case strings.HasPrefix(tensor.Name, keptRanked):
			d.ranked[strings.TrimPrefix(tensor.Name, keptRanked)] = widen(tensor.Values)
		case strings.HasPrefix(tensor.Name, keptCalibration):
			k.calibration[strings.TrimPrefix(tensor.Name, keptCalibration)] = widen(tensor.Values)
		}
	}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", m.folder.CalibrationPath(), err)
	}
	if err := cmp.Or(d.fit(ctx), d.fitWhitening(ctx)); err != nil {
		return nil, err
	}
	return k, d.combine()
}

// check says whether what was read is of the model's sizes.
func (d *detector) check() error {
	m := d.model
	size := m.evaluator.Image().Size()
	if m.patched() {
		size = 0
	}
	if len(d.squares) != size || len(d.absolut) != size {
		return fmt.Errorf("usual errors of %d and %d values, and samples have %d", len(d.squares), len(d.absolut), size)
	}
	if d.residuals.Features != 0 && d.residuals.Features != size {
		return fmt.Errorf("errors of %d values, and samples have %d", d.residuals.Features, size)
	}
	if m.forestOfValues() && d.values.Features != size {
		return fmt.Errorf("rows of %d values, and samples have %d", d.values.Features, size)
	}
	if d.residuals.Features == 0 && slices.Contains(m.kinds(), scoreWhitenedMSE) {
		return errors.New("no errors of training samples to whiten by")
	}
	if m.unavailable(scoreMahalanobis) == "" && d.codes.Features != m.evaluator.CodeSize() {
		return fmt.Errorf("codes of %d values, and the model's have %d", d.codes.Features, m.evaluator.CodeSize())
	}
	for _, kind := range m.combined() {
		if len(d.ranked[kind]) == 0 {
			return fmt.Errorf("no scores %s to rank among", kind)
		}
	}
	if slices.ContainsFunc(slices.Concat(d.squares, d.absolut), func(e float64) bool { return !(e > 0) }) {
		return errors.New("a usual error that is not above 0")
	}
	return nil
}

func narrow(values []float64) []float32 {
	narrow := make([]float32, len(values))
	for i, value := range values {
		narrow[i] = float32(value)
	}
	return narrow
}

func widen(values []float32) []float64 {
	wide := make([]float64, len(values))
	for i, value := range values {
		wide[i] = float64(value)
	}
	return wide
}
