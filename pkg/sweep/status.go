package sweep

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"latent/pkg/config"
	"latent/pkg/rundir"
	"latent/pkg/search"
	"latent/pkg/study"
)

// Status is where a sweep stands.
type Status struct {
	Sweep      string            `json:"sweep"` // its folder
	Name       string            `json:"name"`
	Objectives []ObjectiveStatus `json:"objectives"`
	Counts     map[string]int    `json:"counts"` // of trials, by state
	Budget     int               `json:"budget"` // trials; 0 without such a limit
	// Spent is the time in seconds in which at least one trial ran; Left is an estimate for the rest of the trials, -1 where there
	// is none.
	Spent float64 `json:"spent_seconds"`
	Left  float64 `json:"left_seconds"`

	Trials []TrialStatus `json:"trials"`
	// Best is the best trial, of one objective; nil where none is done.
	Best *TrialStatus `json:"best"`
	// Front are the numbers of the trials that no other betters in all objectives, where there are several.
	Front []int `json:"front,omitempty"`
}

// ObjectiveStatus is an objective.
type ObjectiveStatus struct {
	Metric    string `json:"metric"`
	Direction string `json:"direction"` // min or max
}

// TrialStatus is a trial.
type TrialStatus struct {
	Number int    `json:"number"`
	State  string `json:"state"`
	// Params are the values of the keys that were searched, as the config has them.
	Params map[string]any `json:"params"`
	// Value is that of the first objective, Values those of all; null where there is none.
	Value   *float64   `json:"value"`
	Values  []*float64 `json:"values,omitempty"`
	Run     string     `json:"run,omitempty"` // the folder of its first run
	Attempt int        `json:"attempt"`
	Stack   int        `json:"stack"`
	Epoch   int        `json:"epoch,omitempty"` // the last that it has reported
	Error   string     `json:"error,omitempty"`
	Worker  string     `json:"worker,omitempty"`
	Seconds float64    `json:"seconds,omitempty"`
}

// Status reads where the sweep stands.
func (s *Sweep) Status(ctx context.Context) (*Status, error) {
	all, err := s.Study.Trials(ctx)
	if err != nil {
		return nil, err
	}
	trials, err := s.trials(all)
	if err != nil {
		return nil, err
	}
	status := &Status{
		Sweep: s.Path, Name: s.Config.Name, Counts: map[string]int{}, Budget: s.Config.Budget.Trials,
		Spent: Spent(all, time.Now()).Seconds(), Left: s.left(all, time.Now()), Trials: []TrialStatus{},
	}
	for _, o := range s.Config.Objective {
		direction := "min"
		if o.Maximize() {
			direction = "max"
		}
		status.Objectives = append(status.Objectives, ObjectiveStatus{o.Metric, direction})
	}
	for _, t := range trials {
		status.Counts[string(t.State)]++
		status.Trials = append(status.Trials, s.trialStatus(t))
	}
	if len(s.Config.Objective) > 1 {
		status.Front = s.front(all)
	} else if best := s.best(all); best >= 0 {
		status.Best = &status.Trials[best]
	}
	return status, nil
}

func (s *Sweep) trialStatus(t Trial) TrialStatus {
	status := TrialStatus{
		Number: t.Number, State: string(t.State), Params: s.values(t.Point), Attempt: t.Attempt, Stack: t.Stack, Error: t.Error,
	}
	if t.Run != "" {
		status.Run = filepath.Join(s.Path, filepath.FromSlash(t.Run))
	}
	if t.State == study.Running {
		status.Worker = t.Worker
	}
	for _, value := range t.Values {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			status.Values = append(status.Values, nil)
			continue
		}
		status.Values = append(status.Values, &value)
	}
	if len(status.Values) > 0 {
		status.Value = status.Values[0]
	}
	if n := len(t.Curve); n > 0 {
		status.Epoch = t.Curve[n-1].Step
	}
	status.Seconds = seconds(t.Trial)
	return status
}

// seconds is how long a trial took.
func seconds(t *study.Trial) float64 {
	var took float64
	if text, found := t.Attrs["seconds"]; found {
		if err := json.Unmarshal(text, &took); err == nil {
			return took
		}
	}
	if t.Finished.IsZero() || t.Started.IsZero() {
		return 0
	}
	return t.Finished.Sub(t.Started).Seconds()
}

// values are those of a point, by key, as the config has them.
func (s *Sweep) values(p search.Point) map[string]any {
	values := map[string]any{}
	for i, d := range s.Config.Dimensions() {
		if isAbsent(p[i]) {
			continue
		}
		values[d.Key] = d.Value(p[i])
	}
	return values
}

// left estimates the time for the rest of the trials, in seconds: -1 where nothing is known.
func (s *Sweep) left(all []*study.Trial, now time.Time) float64 {
	over := 0
	for _, t := range all {
		if isOver(t.State) {
			over++
		}
	}
	spent := Spent(all, now)
	left := math.Inf(1)
	if n := s.Config.Budget.Trials; n > 0 && over > 0 {
		left = spent.Seconds() / float64(over) * float64(n-over)
	}
	if allowed := s.Config.Budget.Duration(); allowed > 0 {
		left = math.Min(left, (allowed - spent).Seconds())
	}
	if math.IsInf(left, 1) {
		return -1
	}
	return math.Max(0, left)
}

// best is the number of the best trial of the first objective; -1 where none is done.
func (s *Sweep) best(all []*study.Trial) int {
	best, least := -1, math.Inf(1)
	for _, t := range all {
		if t.State != study.Done || len(t.Values) == 0 {
			continue
		}
		if value := s.lessIsBetter(0, t.Values[0]); value < least {
			best, least = t.Number, value
		}
	}
	return best
}

// front lists the trials that no other betters in all objectives.
func (s *Sweep) front(all []*study.Trial) []int {
	outcomes := map[int][]float64{}
	for _, t := range all {
		if o := s.outcome(t); o.State == search.Done && len(o.Values) == len(s.Config.Objective) {
			outcomes[t.Number] = o.Values
		}
	}
	var front []int
	for number, values := range outcomes {
		dominated := false
		for _, other := range outcomes {
			dominated = dominated || dominates(other, values)
		}
		if !dominated {
			front = append(front, number)
		}
	}
	slices.Sort(front)
	return front
}

// dominates says whether a is nowhere worse than b, and somewhere better.
func dominates(a, b []float64) bool {
	better := false
	for i := range a {
		if a[i] > b[i] {
			return false
		}
		better = better || a[i] < b[i]
	}
	return better
}

// WriteBest writes [Sweep.Best] into the sweep's folder. It returns the path; "" where no trial is done.
func (s *Sweep) WriteBest(ctx context.Context, number int) (string, error) {
	text, err := s.Best(ctx, number)
	if err != nil || text == nil {
		return "", err
	}
	return s.BestPath(), rundir.WriteFile(s.BestPath(), text)
}

// BestPath is the file of the best trial's experiment.
func (s *Sweep) BestPath() string { return filepath.Join(s.Path, bestFile) }

// Best returns the best trial, or one of several objectives by its number (-1 for the best), as an experiment that runs, in YAML; nil
// where no trial is done.
func (s *Sweep) Best(ctx context.Context, number int) ([]byte, error) {
	status, err := s.Status(ctx)
	if err != nil {
		return nil, err
	}
	if number < 0 {
		switch {
		case status.Best != nil:
			number = status.Best.Number
		case len(status.Front) > 0:
			number = status.Front[0]
		default:
			return nil, nil
		}
	}
	e, err := s.Experiment(ctx, number)
	if err != nil {
		return nil, err
	}
	text, err := e.YAML()
	if err != nil {
		return nil, err
	}
	all, err := s.Study.Trials(ctx)
	if err != nil {
		return nil, err
	}
	point, err := s.decodePoint(all[number].Params)
	if err != nil {
		return nil, err
	}
	t := status.Trials[number]
	var head strings.Builder
	fmt.Fprintf(&head, "# Trial %d of the sweep %s, %s", number, s.Record.Study, t.State)
	for i, value := range t.Values {
		if value != nil {
			fmt.Fprintf(&head, ", %s %.6g", s.Config.Objective[i].Metric, *value)
		}
	}
	if s.Config.Seeds > 1 {
		fmt.Fprintf(&head, " (mean of %d seeds)", s.Config.Seeds)
	}
	head.WriteString(".\n")
	if len(status.Front) > 1 && slices.Contains(status.Front, number) {
		fmt.Fprintf(&head, "# It is one of %d that no other betters in all objectives: %s.\n", len(status.Front), strings.Trim(fmt.Sprint(status.Front), "[]"))
	}
	head.WriteString("#\n")
	for _, text := range s.Config.Overrides(point) {
		fmt.Fprintf(&head, "#   %s\n", text)
	}
	head.WriteString("\n")
	return append([]byte(head.String()), text...), nil
}

// Experiment returns a trial's experiment, with its first seed.
func (s *Sweep) Experiment(ctx context.Context, number int) (*config.Experiment, error) {
	all, err := s.Study.Trials(ctx)
	if err != nil {
		return nil, err
	}
	if number < 0 || number >= len(all) {
		return nil, fmt.Errorf("trial %d: there are %d, from 0 on", number, len(all))
	}
	p, err := s.decodePoint(all[number].Params)
	if err != nil {
		return nil, err
	}
	return s.Config.Experiment(p, 0)
}
