package experiment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/anomaly"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/random"
	"latent/pkg/ranking"
	"latent/pkg/rundir"
	"latent/pkg/table"
)

// bootstrapRounds is how often samples are drawn anew for the intervals of figures.
const bootstrapRounds = 1000

// anomalies says which samples are anomalies, by their labels; nil where the config names no normal class, or there are no labels.
func anomalies(e *config.Experiment, labels []uint8, classes []string) []bool {
	names, _ := e.Normal()
	if len(names) == 0 || labels == nil {
		return nil
	}
	marks := make([]bool, len(labels))
	for i, label := range labels {
		marks[i] = !slices.Contains(names, classes[label])
	}
	return marks
}

// checkAnomalies finds that anomalies cannot be measured on the test samples, before anything is trained.
func checkAnomalies(e *config.Experiment, split *dataset.Split) error {
	names, key := e.Normal()
	if len(names) == 0 {
		return nil
	}
	if _, err := dataset.ClassSet(names, split.Classes); err != nil {
		cure := ""
		if sorted, ok := e.Data.(dataset.Sorted); ok && key != "data.normal" && len(sorted.NormalClasses()) > 0 {
			cure = "; without evaluate.anomaly.normal, or with [], normal are those of data.normal"
		}
		return InputError{e.Problem(key, "%v%s", err, cure)}
	}
	marks := anomalies(e, split.Test.Labels, split.Classes)
	switch n := count(marks); {
	case n == 0:
		return InputError{e.Problem(key, "all %d test samples are normal, and figures need anomalies too; name fewer classes, or give others in data.test", len(marks))}
	case n == len(marks):
		return InputError{e.Problem(key, "none of %d test samples is normal, and figures need some; name their classes", len(marks))}
	}
	if err := checkMasks(split, marks); err != nil {
		return InputError{e.Problem("data.masks", "%v", err)}
	}
	return nil
}

func count(marks []bool) (n int) {
	for _, mark := range marks {
		if mark {
			n++
		}
	}
	return n
}

// figuresOf returns the figures of scores with their intervals, by name.
func figuresOf(ranked *ranking.Ranking, seed random.Seed) map[string]rundir.Estimate {
	estimate := func(e ranking.Estimate) rundir.Estimate {
		return rundir.Estimate{Value: rundir.Number(e.Value), Low: rundir.Number(e.Low), High: rundir.Number(e.High)}
	}
	drawn := ranked.Bootstrap(bootstrapRounds, seed)
	return map[string]rundir.Estimate{
		"auroc": estimate(ranked.AUROC()), "average_precision": estimate(drawn.AveragePrecision),
		"false_alarms_95": estimate(drawn.FalseAlarms95), "precision_at_n": estimate(drawn.PrecisionAtN),
	}
}

// measureAnomalies measures how well the model's scores, and those of the baselines, tell anomalies among the subject's samples.
func (s subject) measureAnomalies(ctx context.Context, into *rundir.Result) error {
	marks := anomalies(s.experiment, s.images.Labels, s.classes)
	if marks == nil {
		return nil
	}
	if _, err := ranking.New(make([]float64, len(marks)), marks); err != nil { // of one kind alone, which other samples may be
		fmt.Fprintf(s.log, "anomalies are not measured: %v\n", strings.TrimPrefix(err.Error(), "rank samples: "))
		return nil
	}
	options := s.experiment.Evaluate.Anomaly
	m := &scoredModel{experiment: s.experiment, evaluator: s.evaluator, weights: s.weights, folder: s.folder, log: s.log, load: s.load}
	scorer, err := m.scorer(ctx, "", 0)
	if err != nil {
		return err
	}
	pixels, maps := marked{}, noHeat
	if s.split != nil && s.split.Masks != nil {
		pixels.masks, maps = s.split.Masks, heatOf(scorer.Kind)
	}
	var scores []float64
	err = scorer.detector.each(ctx, s.images, []string{scorer.Kind}, 0, maps, func(b scoredBlock) error {
		scores = append(scores, b.scores[scorer.Kind]...)
		return pixels.add(b)
	})
	if err != nil {
		return err
	}
	ranked, err := ranking.New(scores, marks)
	if err != nil {
		return InputError{fmt.Errorf("measure anomalies: %w", err)}
	}
	names, _ := s.experiment.Normal()
	seed := random.NewSeed(s.experiment.Evaluate.Seed)
	found := &rundir.Anomaly{Score: scorer.Kind, Normal: names, NormalSamples: ranked.Normal, Anomalies: ranked.Anomalous,
		Figures: figuresOf(ranked, seed)}
	shown := math.Inf(-1) // what the histogram reaches at least
	if t := scorer.Threshold; t != nil {
		shown = t.Score
		low, high := t.Realised()
		found.Threshold = &rundir.Threshold{Score: rundir.Number(t.Score), Rate: rundir.Number(t.Rate), Low: rundir.Number(low), High: rundir.Number(high),
			Samples: t.Size, By: scorer.By}
		found.Threshold.FalseAlarms, found.Threshold.Found = above(scores, marks, t.Alarm)
	} else {
		found.Missing = scorer.Missing.Error()
	}
	found.Histogram = histogramOf(scores, marks, shown)
	if maps != noHeat {
		if found.Pixels, err = pixels.figures(); err != nil {
			return err
		}
		into.Test["pixel_auroc"], into.Test["pro"] = found.Pixels.AUROC, found.Pixels.PRO
	}
	if s.draws && !s.images.Vectors() {
		png, err := s.sheet(ctx, scorer, scores, marks)
		if err != nil {
			return err
		}
		if err := s.folder.SavePicture(rundir.AnomalySheet, png); err != nil {
			return err
		}
	}
	if m.patched() && !s.brief && len(options.Baselines) > 0 {
		fmt.Fprintln(s.log, "baselines are left out: pictures have sizes of their own (data.patch)")
	} else if !s.brief && len(options.Baselines) > 0 {
		if found.Baselines, err = s.baselines(ctx, marks, options.Baselines); err != nil {
			return err
		}
	}
	for name, figure := range found.Figures {
		into.Test[name] = figure.Value
	}
	into.Anomaly = found
	return nil
}

// above returns the parts of normal and of anomalous samples that raise an alarm.
func above(scores []float64, marks []bool, alarm func(float64) bool) (normal, anomalous rundir.Number) {
	var alarms, all [2]float64
	for i, score := range scores {
		kind := 0
		if marks[i] {
			kind = 1
		}
		all[kind]++
		if alarm(score) {
			alarms[kind]++
		}
	}
	return rundir.Number(alarms[0] / all[0]), rundir.Number(alarms[1] / all[1])
}

// scoredAtOnce is how many samples a baseline scores between two looks at the context.
const scoredAtOnce = 4096

// baselines fits detectors to training samples in the model's scale, and returns their figures on the subject's.
func (s subject) baselines(ctx context.Context, marks []bool, names []string) (map[string]map[string]rundir.Estimate, error) {
	split, err := s.load()
	if err != nil {
		return nil, err
	}
	seed := random.NewSeed(s.experiment.Evaluate.Seed)
	train := drawn(split.Train, mostReference, seed)
	reference := anomaly.Rows{Values: scaled(train), Features: train.Size()}
	figures := map[string]map[string]rundir.Estimate{}
	for _, name := range names {
		scorer, err := anomaly.Baselines()[name].Fit(ctx, reference, seed)
		if err != nil {
			return nil, fmt.Errorf("baseline %s: %w", name, err)
		}
		var scores []float64
		for first := 0; first < s.images.Len(); first += scoredAtOnce {
			last := min(first+scoredAtOnce, s.images.Len())
			some, err := scorer.Score(ctx, anomaly.Rows{Values: s.images.Scaled(first, last), Features: train.Size()})
			if err != nil {
				return nil, fmt.Errorf("baseline %s: %w", name, err)
			}
			scores = append(scores, some...)
		}
		ranked, err := ranking.New(scores, marks)
		if err != nil {
			return nil, fmt.Errorf("baseline %s: %w", name, err)
		}
		figures[name] = figuresOf(ranked, seed)
	}
	return figures, nil
}

// bins is how many a histogram has.
const bins = 40

// histogramOf counts normal and anomalous samples by their scores, in bins of one width from the lowest score up to where 90 % of the
// anomalies, 99.5 % of the normal ones and the score shown are below; what is above counts to the last.
func histogramOf(scores []float64, marks []bool, shown float64) *rundir.Histogram {
	var kinds [2][]float64
	for i, score := range scores {
		kind := 0
		if marks[i] {
			kind = 1
		}
		kinds[kind] = append(kinds[kind], score)
	}
	low := slices.Min(scores)
	slices.Sort(kinds[0])
	slices.Sort(kinds[1])
	high := max(shown+0.02*(shown-low), kinds[0][int(0.995*float64(len(kinds[0])-1))], kinds[1][int(0.9*float64(len(kinds[1])-1))])
	if !(high > low) {
		high = low + 1
	}
	h := &rundir.Histogram{Normal: make([]int, bins), Anomalous: make([]int, bins)}
	for i := range bins + 1 {
		h.Edges = append(h.Edges, rundir.Number(low+(high-low)*float64(i)/bins))
	}
	for kind, counts := range [][]int{h.Normal, h.Anomalous} {
		for _, score := range kinds[kind] {
			counts[int(min(bins-1, max(0, math.Floor((score-low)/(high-low)*bins))))]++
		}
	}
	return h
}

// Comparison is how well scores of one kind tell anomalies, beside those of the best kind.
type Comparison struct {
	Kind   string                     `json:"score"`
	Figure map[string]rundir.Estimate `json:"figures"`
	// Less is by how much its AUROC is below the best one's, with its interval and DeLong's p-value; nil of the best itself, and where
	// the test says nothing.
	Less *rundir.Estimate `json:"less,omitempty"`
	P    float64          `json:"p,omitempty"`
}

// Compare measures all kinds of scores of the run's model on samples with labels, the best AUROC first. nll is among them where it is
// asked for.
func (t *Trained) Compare(ctx context.Context, whole *dataset.Whole, kinds []string, options Options) ([]Comparison, error) {
	options = options.withDefaults()
	if names, _ := t.Experiment.Normal(); len(names) == 0 {
		return nil, InputError{t.Experiment.Problem("evaluate.anomaly.normal", "missing: which samples are normal must be known to compare scores; name the normal classes in the run's config")}
	}
	marks := anomalies(t.Experiment, whole.Labels, whole.Classes)
	if marks == nil {
		return nil, InputError{errors.New("compare scores: the samples have no labels")}
	}
	if names, key := t.Experiment.Normal(); count(marks) == len(marks) {
		return nil, InputError{fmt.Errorf("compare scores: no sample has a label that %s says is normal, %s; the labels are %s", key,
			strings.Join(names, ", "), strings.Join(whole.Classes, ", "))}
	}
	m, err := t.scored(ctx, options)
	if err != nil {
		return nil, err
	}
	kinds = m.kinds(append(kinds, t.Experiment.Evaluate.Anomaly.Score)...)
	scorer, err := m.scorer(ctx, kinds[0], 0, kinds...)
	if err != nil {
		return nil, err
	}
	scores, err := scorer.detector.scores(ctx, whole.Samples, kinds)
	if err != nil {
		return nil, err
	}
	ranked := map[string]*ranking.Ranking{}
	var all []Comparison
	seed := random.NewSeed(t.Experiment.Evaluate.Seed)
	for _, kind := range kinds {
		if ranked[kind], err = ranking.New(scores[kind], marks); err != nil {
			return nil, InputError{fmt.Errorf("compare scores: %w", err)}
		}
		all = append(all, Comparison{Kind: kind, Figure: figuresOf(ranked[kind], seed)})
	}
	slices.SortStableFunc(all, func(a, b Comparison) int {
		return cmp.Compare(b.Figure["auroc"].Value, a.Figure["auroc"].Value)
	})
	for i := range all[1:] {
		c, err := ranking.Compare(ranked[all[0].Kind], ranked[all[i+1].Kind])
		if err != nil {
			continue // the test says nothing
		}
		all[i+1].Less = &rundir.Estimate{Value: rundir.Number(c.Difference), Low: rundir.Number(c.Low), High: rundir.Number(c.High)}
		all[i+1].P = c.P
	}
	return all, nil
}

// HeldWhole is [Trained.Held] with the names of pictures, and labels where there are any.
func (t *Trained) HeldWhole(ctx context.Context, path string, options Options) (*dataset.Whole, error) {
	if path != "" {
		whole, err := t.Whole(ctx, path)
		if err != nil {
			return nil, InputError{err}
		}
		return whole, nil
	}
	split, err := t.load(ctx, options.withDefaults())
	if err != nil {
		return nil, InputError{err}
	}
	return &dataset.Whole{Samples: split.Test, Classes: split.Classes, Names: split.Names}, nil
}

// ScoreFile calls do with what is found of the samples of a file or folder, some at a time in their order. total is told what
// [Trained.EachHeld] tells it.
func (t *Trained) ScoreFile(ctx context.Context, s *Scorer, path string, top int, options Options, total func(n int, names []string), do func([]Scored) error) error {
	s.filled, s.rows = nil, 0
	_, err := t.EachHeld(ctx, path, options, total, func(some *dataset.Samples) error {
		s.count(some)
		return s.Each(ctx, some, top, do)
	})
	return err
}

// count counts the values that are missing, for which medians stand.
func (s *Scorer) count(some *dataset.Samples) {
	s.rows += some.Len()
	if some.Scale.Missing == nil {
		return
	}
	if s.filled == nil {
		s.filled = make([]int, some.Size())
	}
	for i := range some.Len() {
		for j, value := range some.At(i).As(dtypes.Float32).Float32 {
			if value != value {
				s.filled[j]++
			}
		}
	}
}

// Filled returns of which part of the rows that were scored last each feature was missing, and stands for its median; nil where nothing
// may be missing.
func (s *Scorer) Filled() []float64 {
	if s.filled == nil {
		return nil
	}
	parts := make([]float64, len(s.filled))
	for j, n := range s.filled {
		parts[j] = float64(n) / float64(max(1, s.rows))
	}
	return parts
}

// Marked are the labels of samples, and the classes that they number; nil where there are none.
type Marked struct {
	Labels  []uint8
	Classes []string
}

// EachHeld calls do with the samples of a file or folder, or for "" with those of the run's test, in their order: rows of a table some at a
// time, so that there may be any number, and others all together. total is told how many there are, or -1 where only reading tells, and
// the names of pictures, before the first.
func (t *Trained) EachHeld(ctx context.Context, path string, options Options, total func(n int, names []string), do func(*dataset.Samples) error) (Marked, error) {
	if path != "" && table.Is(path) {
		total(-1, nil)
		source := t.rows()
		source.Label = t.labelIn(path)
		var own error // of do, not of the file
		labels, classes, err := source.EachLike(ctx, []string{path}, t.given(), func(some *dataset.Samples) error {
			made, err := t.features(ctx, some)
			if err != nil {
				return err
			}
			own = do(made)
			return own
		})
		if err != nil && own == nil {
			err = InputError{err}
		}
		return Marked{labels, classes}, err
	}
	whole, err := t.HeldWhole(ctx, path, options)
	if err != nil {
		return Marked{}, err
	}
	total(whole.Pictures(), whole.Names)
	return Marked{whole.Labels, whole.Classes}, do(whole.Samples)
}

// ValueName is what a value of a sample of a width is called: a feature's name, or a pixel's row and column, and its channel where there
// are several.
func (t *Trained) ValueName(value, width int) string {
	if features := t.Manifest.Data.Features; features != nil {
		return features[value]
	}
	pixel := value / t.Image.Channels
	name := fmt.Sprintf("row %d column %d", pixel/width, pixel%width)
	if t.Image.Channels > 1 {
		name += fmt.Sprintf(" channel %d", value%t.Image.Channels)
	}
	return name
}
