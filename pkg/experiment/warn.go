package experiment

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"latent/pkg/message"
	"latent/pkg/report"
	"latent/pkg/rundir"
)

// warn enters a warning into the run's manifest and tells of it. One that is there already, of whatever epoch, is not told again.
func (r *run) warn(w rundir.Warning) {
	if slices.ContainsFunc(r.manifest.Warnings, func(before rundir.Warning) bool { return before.Kind == w.Kind && before.Part == w.Part }) {
		return
	}
	r.manifest.Warnings = append(r.manifest.Warnings, w)
	switch s := r.session; {
	case s.options.Brief:
	case s.progress == nil: // it was done before
		fmt.Fprintf(s.options.Log, "WARNING: %s\n", w.Text)
	case len(s.runs) > 1:
		s.progress.line("WARNING: seed %d: %s", r.experiment.Seed, w.Text)
	default:
		s.progress.line("WARNING: %s", w.Text)
	}
}

// lose notes that a part of what follows training is missing, so that the rest can go on. It returns the error of a context that ended, which
// is no part's fault.
func (r *run) lose(ctx context.Context, part string, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	r.warn(missingPart(part, err))
	return nil
}

// loseMeanwhile is [run.lose] of what belongs to training, for which nothing makes up afterwards. Of a trial it is an error: its sweep looks at
// these figures.
func (r *run) loseMeanwhile(ctx context.Context, part string, err error) error {
	if err == nil || ctx.Err() != nil || r.session.options.Brief {
		return err
	}
	epoch := max(1, (r.trainer.Step()+r.trainer.StepsPerEpoch()-1)/r.trainer.StepsPerEpoch())
	r.warn(rundir.Warning{Kind: rundir.Lost, Part: part, Epoch: epoch, Text: fmt.Sprintf("%s missing: %v", part, err)})
	return nil
}

// missingPart is the warning that a part of a run's end is missing.
func missingPart(part string, err error) rundir.Warning {
	return rundir.Warning{Kind: rundir.Missing, Part: part, Text: fmt.Sprintf("%s missing: %v", part, err)}
}

// partTest is the part of a run's end without which it has failed, though its model is there.
const partTest = "test figures"

// partReport is the page.
const partReport = "report"

// pictureOf is the part that a picture is.
func pictureOf(name string) string { return "picture " + name }

// untested is the error of a run whose test figures are missing; nil of others.
func (r *run) untested() error {
	i := slices.IndexFunc(r.manifest.Warnings, func(w rundir.Warning) bool { return w.IsMissing() && w.Part == partTest })
	if i < 0 {
		return nil
	}
	return fmt.Errorf("%s; the model is trained and saved: measure it with %s eval %s", r.manifest.Warnings[i].Text, rundir.Program(r.session.options.Command), message.Quote(r.folder.Path))
}

// makeUp writes what was measured afterwards into a run of whose end parts are missing, and draws the pictures that are. lost are the parts
// that are missing still; it returns them with those that are found to be. What the run has already stays as it is.
func (t *Trained) makeUp(ctx context.Context, result rundir.Result, lost []rundir.Warning, options Options) ([]rundir.Warning, error) {
	if err := t.Run.Lock(); err != nil {
		return lost, err
	}
	defer t.Run.Close()
	m, err := t.Run.Manifest()
	if err != nil {
		return lost, err
	}
	draw := func(name string, draw func() error) error {
		if !m.IsMissing(pictureOf(name)) {
			return nil
		}
		err := draw()
		if err != nil && ctx.Err() == nil {
			lost, err = append(lost, missingPart(pictureOf(name), err)), nil
		}
		return err
	}
	err = draw("final", func() error {
		png, err := drawGrid(t.evaluator, t.Experiment, t.Weights, t.split.Test, captionOf(result, t.split.Test.Vectors()))
		if err != nil {
			return err
		}
		return t.Run.SaveSample("final", png)
	})
	for _, name := range shown(t.Experiment) {
		err = cmp.Or(err, draw(name, func() error { return t.save(ctx, name, options) }))
	}
	if err != nil {
		return lost, err
	}
	addMissing(&m.Result, result)
	m.Warnings = append(slices.DeleteFunc(m.Warnings, rundir.Warning.IsMissing), lost...)
	t.Manifest = m
	return lost, cmp.Or(t.Run.WriteManifest(m), report.Write(t.Run))
}

// addMissing gives a result the figures of another that it has not.
func addMissing(into *rundir.Result, from rundir.Result) {
	if into.Interval == nil {
		into.Interval = map[string]map[string]rundir.Number{}
	}
	add := func(part string, to *map[string]rundir.Number, figures map[string]rundir.Number) {
		for name, value := range figures {
			if _, there := (*to)[name]; there {
				continue
			}
			if *to == nil {
				*to = map[string]rundir.Number{}
			}
			(*to)[name] = value
			if interval, found := from.Interval[part][name]; found {
				if into.Interval[part] == nil {
					into.Interval[part] = map[string]rundir.Number{}
				}
				into.Interval[part][name] = interval
			}
		}
	}
	add("test", &into.Test, from.Test)
	add("corrupted", &into.Corrupted, from.Corrupted)
	add("training", &into.Training, from.Training)
	add("mask_known", &into.MaskKnown, from.MaskKnown)
	into.TrainingSamples = cmp.Or(into.TrainingSamples, from.TrainingSamples)
	into.ComparedWith = cmp.Or(into.ComparedWith, from.ComparedWith)
	into.Likelihood, into.Probe, into.Anomaly = cmp.Or(into.Likelihood, from.Likelihood), cmp.Or(into.Probe, from.Probe), cmp.Or(into.Anomaly, from.Anomaly)
	if len(into.Features) == 0 {
		into.Features = from.Features
	}
	if len(into.FiringRates) == 0 {
		into.FiringRates = from.FiringRates
	}
	switch {
	case into.Generated == nil:
		into.Generated = from.Generated
	case from.Generated != nil && from.Generated.FeaturesSHA256 == into.Generated.FeaturesSHA256:
		for name, figures := range from.Generated.Samplers {
			if into.Generated.Samplers[name] == nil {
				into.Generated.Samplers[name] = figures
			}
		}
	}
}
