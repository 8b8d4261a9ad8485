package experiment

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"latent/pkg/report"
	"latent/pkg/rundir"
)

// warn enters a warning into the run's manifest and tells of it. One that is there already, of whatever epoch, is not told again.
func (r *run) warn(w rundir.Warning) {
	if slices.ContainsFunc(r.manifest.Warnings, func(before rundir.Warning) bool { return before.Kind == w.Kind && before.Part == w.Part }) {
		return
	}
	r.manifest.Warnings = append(r.manifest.Warnings, w)
	if !r.session.options.Brief {
		r.session.progress.line("WARNING: %s", w.Text)
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
	if !r.manifest.IsMissing(partTest) {
		return nil
	}
	i := slices.IndexFunc(r.manifest.Warnings, func(w rundir.Warning) bool { return w.Part == partTest })
	return fmt.Errorf("%s; the model is trained and saved: measure it with %s eval %s", r.manifest.Warnings[i].Text, rundir.Program(r.session.options.Command), r.folder.Path)
}

// makeUp writes what was measured afterwards into a run of whose end parts are missing, and draws the pictures that are. lost are the parts
// that are missing still.
func (t *Trained) makeUp(ctx context.Context, result rundir.Result, lost []rundir.Warning, options Options) error {
	if err := t.Run.Lock(); err != nil {
		return err
	}
	defer t.Run.Close()
	m, err := t.Run.Manifest()
	if err != nil || m.State != rundir.Done {
		return err
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
		return err
	}
	before := m.Result
	m.Result = result
	m.Result.BestEpoch, m.Result.BestValidationLoss, m.Result.TrainLoss = before.BestEpoch, before.BestValidationLoss, before.TrainLoss
	m.Warnings = append(slices.DeleteFunc(m.Warnings, rundir.Warning.IsMissing), lost...)
	t.Manifest = m
	return cmp.Or(t.Run.WriteManifest(m), report.Write(t.Run))
}
