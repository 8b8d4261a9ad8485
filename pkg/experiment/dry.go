package experiment

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"latent/pkg/config"
	"latent/pkg/message"
	"latent/pkg/model"
	"latent/pkg/rundir"
)

// Plan is what a run would do.
type Plan struct {
	Backend       string       `json:"backend"`
	Image         string       `json:"image"`              // "28×28×1"
	Features      int          `json:"features,omitempty"` // of the rows of a table
	Streamed      bool         `json:"streamed,omitempty"` // the training samples do not lie on the device
	Train         int          `json:"train"`              // samples
	Validation    int          `json:"validation"`
	Test          int          `json:"test"`
	Model         rundir.Model `json:"model"`
	StepsPerEpoch int          `json:"steps_per_epoch"`
	Steps         int          `json:"steps"`
	// Runs is how many train together.
	Runs int `json:"runs"`
	// Bytes on the device: the images; for all runs the parameters with the optimizer's state; and, by an estimate, what a step of
	// those runs that are computed at once needs beside, and what a pass over held-out images does; see trace.Trace.Peak.
	ImageBytes    int64 `json:"image_bytes"`
	StateBytes    int64 `json:"state_bytes"`
	StepBytes     int64 `json:"step_bytes"`
	EvaluateBytes int64 `json:"evaluate_bytes"`
	// EvaluateImages is how many images such a pass takes at once.
	EvaluateImages int     `json:"evaluate_images"`
	Compile        float64 `json:"compile_seconds"`
	// From says what the model would begin with; nil where all is drawn.
	From *rundir.From `json:"from,omitempty"`
}

// Dry loads the data and builds and compiles everything that RunSeeds would for so many seeds, without training and without
// a folder.
func Dry(ctx context.Context, e *config.Experiment, runs int, options Options) (*Plan, error) {
	lab := NewLab(options)
	defer lab.Close()
	s := lab.session()
	for range runs {
		s.runs = append(s.runs, newRun(s, e))
	}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	if err := s.compile(ctx); err != nil {
		return nil, err
	}
	image, trainer, memory := imageOf(s.split.Train), s.runs[0].trainer, s.group.Memory()
	plan := &Plan{
		Backend: s.backend.Name, Image: image.String(), Features: len(s.split.Train.Features), Streamed: s.split.Train.Streamed,
		Train: s.split.Train.Len(), Validation: s.split.Validation.Len(), Test: s.split.Test.Len(),
		Model:         describeModel(e.Model, image),
		StepsPerEpoch: trainer.StepsPerEpoch(), Steps: trainer.Steps(), Runs: runs,
		ImageBytes: memory.Images, StateBytes: memory.State, StepBytes: memory.Step,
		Compile: s.runs[0].ledger["compile"] * float64(runs),
	}
	if begins := s.runs[0].begins; begins != nil {
		plan.From = begins.began(model.Params(e.Model, image), e.Train)
	}
	plan.EvaluateImages, plan.EvaluateBytes = s.runs[0].evaluator.Memory()
	plan.EvaluateImages = min(plan.EvaluateImages, max(plan.Validation, plan.Test))
	return plan, nil
}

// Bytes is the most that the run needs at once.
func (p *Plan) Bytes() int64 { return p.ImageBytes + p.StateBytes + max(p.StepBytes, p.EvaluateBytes) }

// String prints the plan for a person.
func (p *Plan) String() string {
	var out strings.Builder
	name, said := 20, 28 // the columns' widths
	for _, layer := range p.Model.Layers {
		name, said = max(name, utf8.RuneCountInString(layer.Name)), max(said, utf8.RuneCountInString(layer.Description))
	}
	for _, layer := range p.Model.Layers {
		fmt.Fprintf(&out, "%-*s %-*s %12s\n", name, layer.Name, said, layer.Description, thousands(layer.Parameters))
	}
	fmt.Fprintf(&out, "%-*s %-*s %12s\n\n", name, "parameters", said, "", thousands(p.Model.Parameters))
	noun, size := "images", p.Image
	if p.Features > 0 {
		noun, size = "rows", message.Count(p.Features, "feature")
	}
	fmt.Fprintf(&out, "%-9s %s: %s to train on, %s for validation, %s for the test\n",
		noun, size, thousands(p.Train), thousands(p.Validation), thousands(p.Test))
	fmt.Fprintf(&out, "steps     %s, %s an epoch%s\n", thousands(p.Steps), thousands(p.StepsPerEpoch),
		onlyIf(p.Runs > 1, fmt.Sprintf(", of %d runs together", p.Runs)))
	fmt.Fprintf(&out, "memory    about %s: %s %s%s, parameters and optimizer %s, and a step %s or %s held-out %s at once %s\n",
		megabytes(p.Bytes()), noun, megabytes(p.ImageBytes), onlyIf(p.Streamed, " at a time"), megabytes(p.StateBytes), megabytes(p.StepBytes),
		thousands(p.EvaluateImages), noun, megabytes(p.EvaluateBytes))
	fmt.Fprintf(&out, "backend   %s, compiled in %.1f s\n", p.Backend, p.Compile)
	if p.From != nil {
		tellBegin(func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }, p.From)
	}
	return out.String()
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// Pace is how long an experiment takes here.
type Pace struct {
	Compile time.Duration
	// Run is an estimate of all epochs' training and validation, after compiling, from a few seconds of them.
	Run time.Duration
}

// timed is how long Time trains.
const timed = 2 * time.Second

// Time estimates how long an experiment takes, from the speed of its first steps and of one validation.
func Time(ctx context.Context, e *config.Experiment, options Options) (Pace, error) {
	lab := NewLab(options)
	defer lab.Close()
	s := lab.session()
	s.runs = append(s.runs, newRun(s, e))
	if err := s.open(ctx); err != nil {
		return Pace{}, err
	}
	start := time.Now()
	if err := s.compile(ctx); err != nil {
		return Pace{}, err
	}
	pace := Pace{Compile: time.Since(start)}
	r := s.runs[0]
	steps, took := 0, time.Duration(0)
	for n := 1; took < timed && r.trainer.Step() < r.trainer.Steps() && ctx.Err() == nil; n *= 2 {
		start := time.Now()
		windows, err := s.group.Advance(n)
		if err != nil {
			return Pace{}, err
		}
		if n > 1 || r.trainer.Step() == r.trainer.Steps() { // the first call is slower
			steps, took = steps+len(windows[0].Losses), took+time.Since(start)
		}
	}
	if steps == 0 {
		return pace, ctx.Err()
	}
	pace.Run = took * time.Duration(r.trainer.Steps()) / time.Duration(steps)
	if s.split.Validation.Len() > 0 {
		start := time.Now()
		if _, err := r.measure(ctx, r.trainer.Weights(), s.split.Validation); err != nil {
			return Pace{}, err
		}
		pace.Run += time.Since(start) * time.Duration(e.Train.Epochs)
	}
	return pace, ctx.Err()
}
