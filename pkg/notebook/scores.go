package notebook

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"latent/pkg/conformal"
	"latent/pkg/dataset"
	"latent/pkg/experiment"
	"latent/pkg/report"
	"latent/pkg/rundir"
)

// ScoreOptions are how samples are scored. The zero value is what latent score does without flags.
type ScoreOptions struct {
	// Kind is the kind of score, one of [experiment.ScoreKinds]; "" is that of the run's config.
	Kind string
	// AlarmRate is the part of normal samples that may raise an alarm; 0 is that of the run's config.
	AlarmRate float64
	// Top is how many of the values that add most to a sample's error are named; 0 is 3, and below 0 none are.
	Top int
}

// namedValues is [ScoreOptions.Top] where it is 0.
const namedValues = 3

// Scores are samples with what a run's model finds of each. What a threshold promises, and on what condition, is in docs/anomaly.md.
type Scores struct {
	// Whole are the samples, with names, labels and classes where they have some.
	*dataset.Whole
	// Found is what was found of each sample, in their order.
	Found []experiment.Scored

	scorer *experiment.Scorer
	name   func(value, width int) string
}

// Score scores the samples of a table, an array or a folder of pictures, or for "" those of the run's test, as latent score does: a higher
// score is more anomalous. All of them are held in memory; for more rows than that there is latent score.
func Score(ctx context.Context, run *rundir.Run, path string, o ScoreOptions) (*Scores, error) {
	options := experiment.Options{Log: os.Stderr}
	trained, err := experiment.Open(ctx, run.Path, nil, options)
	if err != nil {
		return nil, err
	}
	defer trained.Close()
	s := &Scores{name: trained.ValueName}
	if s.scorer, err = trained.Scorer(ctx, o.Kind, o.AlarmRate, options); err != nil {
		return nil, err
	}
	if s.Whole, err = trained.HeldWhole(ctx, path, options); err != nil {
		return nil, err
	}
	err = s.scorer.Each(ctx, s.Samples, min(cmp.Or(o.Top, namedValues), s.Size()), func(some []experiment.Scored) error {
		s.Found = append(s.Found, some...)
		return nil
	})
	return s, err
}

// Kind is the kind of score.
func (s *Scores) Kind() string { return s.scorer.Kind }

// Threshold is the score above which there is an alarm. An error says why there is none.
func (s *Scores) Threshold() (conformal.Threshold, error) {
	if s.scorer.Threshold == nil {
		return conformal.Threshold{}, s.scorer.Missing
	}
	return *s.scorer.Threshold, nil
}

// At returns the same scores with the alarms of another rate of false alarms.
func (s *Scores) At(rate float64) (*Scores, error) {
	scorer, err := s.scorer.At(rate)
	if err != nil {
		return nil, err
	}
	other := &Scores{Whole: s.Whole, Found: slices.Clone(s.Found), scorer: scorer, name: s.name}
	for i := range other.Found {
		other.Found[i].Alarm = scorer.Threshold != nil && scorer.Threshold.Alarm(other.Found[i].Score)
	}
	return other, nil
}

// Class is the class of sample i; "" where it has none.
func (s *Scores) Class(i int) string {
	if s.Labels == nil {
		return ""
	}
	return s.Classes[s.Labels[i]]
}

// Worst returns the places of the n samples that score highest, the highest first; all where there are fewer. Those of one score keep
// their order.
func (s *Scores) Worst(n int) []int {
	places := make([]int, len(s.Found))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(a, b int) int { return cmp.Compare(s.Found[b].Score, s.Found[a].Score) })
	return places[:min(max(n, 0), len(places))]
}

// Table is a table of the samples at places, in their order: each with its name or place, its class where it has one, its score, its
// p-value where something was held out to tell, whether it raises an alarm, and the values that add most to its error, with their
// parts of it.
func (s *Scores) Table(places ...int) Table {
	t := Table{Head: []string{"sample", "score " + s.Kind(), "p", "alarm", "adds most to its error"}}
	if s.Labels != nil {
		t.Head = slices.Insert(t.Head, 1, "class")
	}
	for _, i := range places {
		t.Rows = append(t.Rows, s.row(i))
	}
	return t
}

func (s *Scores) row(i int) []string {
	row := []string{strconv.Itoa(i)}
	if s.Names != nil {
		row[0] = s.Names[i]
	}
	if s.Labels != nil {
		row = append(row, s.Class(i))
	}
	found := s.Found[i]
	p, alarm := "—", ""
	if found.P == found.P {
		p = strconv.FormatFloat(found.P, 'g', 3, 64)
	}
	if found.Alarm {
		alarm = "yes"
	}
	var top []string
	for _, c := range found.Top {
		top = append(top, fmt.Sprintf("%s %.0f %%", s.name(c.Value, found.Width), 100*c.Share))
	}
	return append(row, strconv.FormatFloat(found.Score, 'g', 4, 64), p, alarm, strings.Join(top, ", "))
}

// Anomalies is the table of how well a result's scores tell anomalies, with 95 % intervals, beside the baselines'; without rows where
// nothing was measured.
func Anomalies(r rundir.Result) Table {
	table := report.Anomalies(r)
	if table == nil {
		return Table{}
	}
	t := Table{Head: append([]string{fmt.Sprintf("%d anomalies among %d", r.Anomaly.Anomalies, r.Anomaly.Anomalies+r.Anomaly.NormalSamples)}, table.Columns...)}
	for _, row := range table.Rows {
		cells := []string{row.Name}
		for i, value := range row.Values {
			cells = append(cells, fmt.Sprintf("%s (%s)", value, row.Intervals[i]))
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// showAnomalies shows how well a result's scores tell anomalies, where it was measured.
func showAnomalies(p page, r rundir.Result) error {
	table := report.Anomalies(r)
	if table == nil {
		return nil
	}
	if err := show(p, Anomalies(r), table.Threshold); err != nil {
		return err
	}
	if histogram, some := report.Histogram(r); some {
		return showChart(p, histogram)
	}
	return nil
}
