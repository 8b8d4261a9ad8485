package experiment

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"latent/pkg/config"
	"latent/pkg/model"
	"latent/pkg/rundir"
	"latent/pkg/train"
	"latent/pkg/weights"
)

// imported is what the manifest calls weights that were not trained here.
const imported = "imported"

// Import makes a run of weights that were trained elsewhere: it measures and draws them as those of a run that was trained, and
// leaves a folder that everything else works on. file is a safetensors file: one that [Trained.Tensors] gave, or, for a dense
// model, a PyTorch state dict of linear layers.
func Import(ctx context.Context, e *config.Experiment, file string, options Options) (*rundir.Run, error) {
	tensors, sum, err := readWeights(file)
	if err != nil {
		return nil, InputError{err}
	}
	lab := NewLab(options)
	defer lab.Close()
	s := lab.session()
	r := newRun(s, e)
	s.runs = []*run{r}
	defer s.Close()
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	state, err := matched(tensors, model.Params(e.Model, imageOf(s.split.Train)))
	if err != nil {
		return nil, InputError{fmt.Errorf("%s: %w", file, err)}
	}
	if r.folder, err = rundir.Create(e.Output.Dir, e.Name, s.options.Now()); err != nil {
		return nil, InputError{err}
	}
	return r.folder, s.finish(r.adopt(ctx, state, rundir.Imported{File: filepath.Base(file), SHA256: sum}))
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

// readWeights reads a safetensors file, and its SHA-256.
func readWeights(path string) ([]weights.Tensor, string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", fmt.Errorf("read weights: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, "", fmt.Errorf("read weights: %s is no file: %w", path, fs.ErrInvalid)
	}
	data, err := rundir.ReadFile(path, maxWeights)
	if err != nil {
		return nil, "", fmt.Errorf("read weights: %w", err)
	}
	tensors, _, err := weights.ReadSafetensors(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w; from PyTorch: safetensors.torch.save_file(model.state_dict(), %q)", path, err, filepath.Base(path))
	}
	return tensors, sha256Of(data), nil
}

// maxWeights bounds a file of weights, in bytes.
const maxWeights = 4 << 30

// matched returns the tensors as the parameters of a model: those of its names, or a PyTorch state dict of linear layers, in
// their order, whose weights are [out, in] and are turned.
func matched(tensors []weights.Tensor, params []model.Param) ([]train.Tensor, error) {
	byName := map[string]weights.Tensor{}
	for _, t := range tensors {
		byName[t.Name] = t
	}
	if _, ours := byName[params[0].Name]; !ours {
		layers, err := linearLayers(tensors)
		if err != nil {
			return nil, err
		}
		if byName, err = named(layers, params); err != nil {
			return nil, err
		}
	}
	var state []train.Tensor
	for _, param := range params {
		t, found := byName[param.Name]
		if !found {
			return nil, fmt.Errorf("no tensor %s, which the model has", param.Name)
		}
		if !slices.Equal(t.Dims, param.Dims) {
			return nil, fmt.Errorf("%s has shape %v, the model's %v", t.Name, t.Dims, param.Dims)
		}
		state = append(state, train.Tensor{Name: param.Name, Dims: param.Dims, Values: t.Values})
		delete(byName, param.Name)
	}
	for name := range byName {
		return nil, fmt.Errorf("tensor %s, which the model has not", name)
	}
	return state, nil
}

// linear is a linear layer of a PyTorch model.
type linear struct {
	name         string // "encoder.0"
	weight, bias weights.Tensor
}

// linearLayers finds the layers of a state dict: in the order of their names, the encoder's before the decoder's.
func linearLayers(tensors []weights.Tensor) ([]linear, error) {
	byName := map[string]*linear{}
	for _, t := range tensors {
		i := strings.LastIndexByte(t.Name, '.')
		name, part := t.Name[:max(i, 0)], t.Name[i+1:]
		if byName[name] == nil {
			byName[name] = &linear{name: name}
		}
		switch {
		case part == "weight" && len(t.Dims) == 2:
			byName[name].weight = t
		case part == "bias" && len(t.Dims) == 1:
			byName[name].bias = t
		default:
			return nil, fmt.Errorf("tensor %s of shape %v is of no linear layer; those can be imported, and files that latent export wrote", t.Name, t.Dims)
		}
	}
	var layers []linear
	for _, l := range byName {
		switch {
		case l.weight.Name == "":
			return nil, fmt.Errorf("layer %s has no weight", l.name)
		case l.bias.Name == "":
			return nil, fmt.Errorf("layer %s has no bias", l.name)
		}
		layers = append(layers, *l)
	}
	slices.SortFunc(layers, func(a, b linear) int {
		return cmp.Or(cmp.Compare(half(a.name), half(b.name)), compareNatural(a.name, b.name))
	})
	return layers, nil
}

// half is where the layer of a name belongs: the encoder, then what does not say, then the decoder.
func half(name string) int {
	name = strings.ToLower(name)
	switch {
	case strings.Contains(name, "enc"):
		return 0
	case strings.Contains(name, "dec"):
		return 2
	}
	return 1
}

// compareNatural compares names by their parts between points, numbers as such: layers.2 comes before layers.10.
func compareNatural(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(a, b string) int {
		m, errA := strconv.Atoi(a)
		n, errB := strconv.Atoi(b)
		if errA == nil && errB == nil {
			return cmp.Compare(m, n)
		}
		return cmp.Compare(a, b)
	})
}

// named gives the layers' tensors the names and shapes of a dense model's parameters.
func named(layers []linear, params []model.Param) (map[string]weights.Tensor, error) {
	sizes := fmt.Sprint(layers[0].weight.Dims[1])
	for i, l := range layers {
		out, in := l.weight.Dims[0], l.weight.Dims[1]
		if i > 0 && in != layers[i-1].weight.Dims[0] {
			return nil, fmt.Errorf("%s takes %d values, and %s before it gives %d; the layers are taken in the order of their names, the encoder's first", l.name, in, layers[i-1].name, layers[i-1].weight.Dims[0])
		}
		if len(l.bias.Values) != out {
			return nil, fmt.Errorf("%s has %d values, and its weight gives %d", l.bias.Name, len(l.bias.Values), out)
		}
		sizes += fmt.Sprintf("-%d", out)
	}
	fits := len(params) == 2*len(layers)
	for i := 0; fits && i < len(layers); i++ {
		out, in := layers[i].weight.Dims[0], layers[i].weight.Dims[1]
		fits = slices.Equal(params[2*i].Dims, []int{in, out}) && slices.Equal(params[2*i+1].Dims, []int{out})
	}
	if !fits {
		return nil, fmt.Errorf("its linear layers are %s, and the model's parameters %s; write its layers into the config: model.encoder and model.decoder, with no norm and no tied weights",
			sizes, shapesOf(params))
	}
	byName := map[string]weights.Tensor{}
	for i, l := range layers {
		out, in := l.weight.Dims[0], l.weight.Dims[1]
		turned := make([]float32, len(l.weight.Values))
		for o := range out {
			for j := range in {
				turned[j*out+o] = l.weight.Values[o*in+j]
			}
		}
		byName[params[2*i].Name] = weights.Tensor{Name: l.weight.Name, Dims: []int{in, out}, Values: turned}
		byName[params[2*i+1].Name] = l.bias
	}
	return byName, nil
}

// shapesOf lists parameters with their shapes.
func shapesOf(params []model.Param) string {
	var texts []string
	for _, p := range params {
		texts = append(texts, fmt.Sprintf("%s %v", p.Name, p.Dims))
	}
	return strings.Join(texts, ", ")
}
