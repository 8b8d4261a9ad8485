package experiment

import (
	"context"
	"path/filepath"

	"latent/pkg/config"
	"latent/pkg/model"
	"latent/pkg/rundir"
	"latent/pkg/train"
)

// imported is what the manifest calls weights that were not trained here.
const imported = "imported"

// Import makes a run of weights that were trained elsewhere: it measures and draws them as those of a run that was trained, and
// leaves a folder that everything else works on. They are what train.from takes (see [train.Options]), and must be those of the whole model.
func Import(ctx context.Context, e *config.Experiment, path string, options Options) (*rundir.Run, error) {
	lab := NewLab(options)
	defer lab.Close()
	s := lab.session()
	from, err := readOrigin(path, s.options.Log)
	if err != nil {
		return nil, InputError{err}
	}
	alone := *e
	alone.Train.From = ""
	r := newRun(s, &alone)
	s.runs = []*run{r}
	defer s.Close()
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	params := model.Params(e.Model, imageOf(s.split.Train))
	f := from.fit(params)
	if err := f.whole(params); err != nil {
		return nil, InputError{err}
	}
	var state []train.Tensor
	for _, p := range params {
		state = append(state, train.Tensor{Name: p.Name, Dims: p.Dims, Values: f.values[p.Name]})
	}
	if err = r.create(); err != nil {
		return nil, s.undo(InputError{err})
	}
	err = s.finish(r.adopt(ctx, state, rundir.Imported{File: filepath.Base(path), SHA256: from.from.SHA256}))
	return r.folder, err // which an undone one has not
}

// adopt puts weights in the place of training.
func (r *run) adopt(ctx context.Context, state []train.Tensor, from rundir.Imported) error {
	s := r.session
	s.progress = s.newProgress()
	if err := r.describe(); err != nil {
		return err
	}
	r.manifest.Imported = &from
	if err := s.compile(ctx); err != nil {
		return err
	}
	if err := r.trainer.Restore(train.State{Step: r.trainer.Steps(), Tensors: state}); err != nil {
		return err
	}
	if err := r.save(train.State{Step: r.trainer.Steps(), Tensors: state}, false); err != nil {
		return err
	}
	if err := s.openJudge(ctx); err != nil {
		return s.stopped(ctx, err)
	}
	return r.conclude(ctx)
}
