package experiment

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"latent/pkg/model"
	"latent/pkg/rundir"
	"latent/pkg/train"
	"latent/pkg/weights"
)

// origin is weights from elsewhere: of a run, or of a file.
type origin struct {
	path    string
	tensors []weights.Tensor
	ordered bool // they lie in the order of the model's layers
	from    rundir.From
}

// maxWeights bounds a file of weights, in bytes.
const maxWeights = 4 << 30

// readOrigin reads weights from the folder of a run, or from a file of safetensors or PyTorch.
func readOrigin(path string, log io.Writer) (*origin, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read weights: %w", err)
	case info.IsDir():
		return originOfRun(path, log)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("read weights: %s is no file: %w", path, fs.ErrInvalid)
	}
	data, err := rundir.ReadFile(path, maxWeights)
	if err != nil {
		return nil, fmt.Errorf("read weights: %w", err)
	}
	s := &origin{path: path, from: rundir.From{Path: path, SHA256: sha256Of(data)}}
	if s.ordered = bytes.HasPrefix(data, []byte("PK\x03\x04")); s.ordered {
		s.tensors, err = weights.ReadTorch(bytes.NewReader(data), int64(len(data)))
	} else if s.tensors, _, err = weights.ReadSafetensors(bytes.NewReader(data), int64(len(data))); err != nil {
		err = fmt.Errorf("%w; what is read are folders of runs, safetensors files and PyTorch's: torch.save(model.state_dict(), %q)", err, strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))+".pt")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// originOfRun reads the weights that a run's figures are of, or, where it has none yet, those of its newest checkpoint.
func originOfRun(path string, log io.Writer) (*origin, error) {
	folder, err := rundir.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := folder.Manifest()
	if err != nil {
		return nil, err
	}
	checkpoint, file, err := checkpointFor(folder, m, log)
	if err != nil {
		return nil, err
	}
	state, _, err := stateOf(checkpoint)
	if err != nil {
		return nil, err
	}
	data, err := rundir.ReadFile(file, maxWeights)
	if err != nil {
		return nil, fmt.Errorf("read weights: %w", err)
	}
	s := &origin{path: path, ordered: true, from: rundir.From{Path: path, SHA256: sha256Of(data), Checkpoint: filepath.Base(file), Step: state.Step}}
	for _, t := range state.Tensors {
		if !t.OfTraining() {
			s.tensors = append(s.tensors, weights.Tensor(t))
		}
	}
	return s, nil
}

// beginning is what a model takes of an origin.
type beginning struct {
	origin *origin
	values map[string][]float32 // by parameter
	// whyNot says of each parameter that takes nothing why.
	whyNot map[string]string
	unused []string // tensors that the model has no parameter for
}

// fit finds the parameters of a model in an origin: those of its names and shapes, or, where none has a name of ours, a PyTorch state dict's.
func (s *origin) fit(params []model.Param) *beginning {
	tensors := s.tensors
	if !s.ours(params) {
		tensors = fromTorch(tensors, s.ordered, params)
	}
	byName := map[string]weights.Tensor{}
	for _, t := range tensors {
		byName[t.Name] = t
	}
	f := &beginning{origin: s, values: map[string][]float32{}, whyNot: map[string]string{}}
	for _, param := range params {
		t, found := byName[param.Name]
		delete(byName, param.Name)
		switch {
		case !found:
			f.whyNot[param.Name] = "not there"
		case !slices.Equal(t.Dims, param.Dims):
			f.whyNot[param.Name] = fmt.Sprintf("shape %v there, %v here", t.Dims, param.Dims)
		default:
			f.values[param.Name] = t.Values
		}
	}
	for _, t := range tensors {
		if _, left := byName[t.Name]; left {
			f.unused = append(f.unused, t.Name)
		}
	}
	return f
}

// ours says that tensors have names of the model's parameters.
func (s *origin) ours(params []model.Param) bool {
	return slices.ContainsFunc(s.tensors, func(t weights.Tensor) bool {
		return slices.ContainsFunc(params, func(p model.Param) bool { return p.Name == t.Name })
	})
}

// whole is an error where a parameter takes nothing, or a tensor is not used.
func (f *beginning) whole(params []model.Param) error {
	s := f.origin
	var problem string
	for _, p := range params {
		if why, missing := f.whyNot[p.Name]; missing {
			problem = fmt.Sprintf("%s: %s", p.Name, why)
			break
		}
	}
	if problem == "" && len(f.unused) > 0 {
		problem = fmt.Sprintf("%s, which the model has not", f.unused[0])
	}
	switch {
	case problem == "":
		return nil
	case s.ours(params):
		return fmt.Errorf("%s: %s", s.path, problem)
	}
	return fmt.Errorf("%s: %s. Its layers are %s; the model's are %s. They are taken one after another, the encoder's first: write a config with the same",
		s.path, problem, describeTorch(s.tensors, s.ordered), describeLayers(params))
}

// began is what the manifest says of it.
func (f *beginning) began(params []model.Param, options train.Options) *rundir.From {
	from := f.origin.from
	from.Unused = f.unused
	for i, p := range params {
		layer := train.LayerOf(p.Name)
		if i == 0 || from.Layers[len(from.Layers)-1].Name != layer {
			from.Layers = append(from.Layers, rundir.FromLayer{Name: layer, Frozen: options.Frozen(p.Name), Factor: options.Factor(p.Name)})
		}
		last := &from.Layers[len(from.Layers)-1]
		if why, missing := f.whyNot[p.Name]; !missing {
			last.Taken = append(last.Taken, partOf(p))
		} else {
			last.Drawn = append(last.Drawn, fmt.Sprintf("%s: %s", partOf(p), why))
		}
	}
	return &from
}

// partOf is the last part of a parameter's name.
func partOf(p model.Param) string {
	return strings.TrimPrefix(p.Name[len(train.LayerOf(p.Name)):], ".")
}

// begin reads what the runs begin with that train.from names, where they stand at their first step.
func (s *Session) begin() error {
	origins := map[string]*origin{}
	for _, r := range s.runs {
		path := r.experiment.Train.From
		if r.over || r.checkpoint != nil {
			continue
		}
		if m := r.manifest; m != nil && (path == "") != (m.From == nil) {
			return InputError{r.experiment.Problem("train.from", "it was added or removed after the run began, which would end as another; undo the change, or start a new run")}
		}
		if path == "" {
			continue
		}
		if origins[path] == nil {
			read, err := readOrigin(path, s.options.Log)
			if err != nil {
				return InputError{r.experiment.Problem("train.from", "%v", err)}
			}
			origins[path] = read
		}
		params := model.Params(r.experiment.Model, imageOf(s.split.Train))
		f := origins[path].fit(params)
		if len(f.values) == 0 {
			return InputError{r.experiment.Problem("train.from", "no layer of %s fits this model: its layers are %s; the model's are %s",
				path, describeTorch(f.origin.tensors, f.origin.ordered), describeLayers(params))}
		}
		if m := r.manifest; m != nil && m.From != nil && m.From.SHA256 != f.origin.from.SHA256 {
			return InputError{r.experiment.Problem("train.from", "the run began with weights of SHA-256 %.12s…, and %s now has %.12s…: it would end as another; start a new run",
				m.From.SHA256, path, f.origin.from.SHA256)}
		}
		r.begins = f
	}
	return nil
}

// tellBegin prints what the model began with, layer by layer.
func tellBegin(line func(format string, args ...any), from *rundir.From) {
	what := from.Path
	if from.Checkpoint != "" {
		what += ", " + from.Checkpoint
	}
	line("from     %s", what)
	width := 0
	for _, layer := range from.Layers {
		width = max(width, len(layer.Name))
	}
	for _, layer := range from.Layers {
		said := "taken"
		switch {
		case len(layer.Taken) == 0:
			said = "drawn; " + strings.Join(layer.Drawn, ", ")
		case len(layer.Drawn) > 0:
			said = "taken: " + strings.Join(layer.Taken, ", ") + "; drawn: " + strings.Join(layer.Drawn, ", ")
		}
		if layer.Frozen {
			said += "; frozen"
		} else if layer.Factor != 1 {
			said += fmt.Sprintf("; learning rate × %g", layer.Factor)
		}
		line("  %-*s  %s", width, layer.Name, said)
	}
	if n := len(from.Unused); n > 0 {
		shown := from.Unused[:min(n, 5)]
		line("  not used: %s%s", strings.Join(shown, ", "), onlyIf(n > len(shown), fmt.Sprintf(", and %d more", n-len(shown))))
	}
}
