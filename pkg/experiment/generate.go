package experiment

import (
	"context"
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/mixture"
	"latent/pkg/model"
	"latent/pkg/random"
	"latent/pkg/rundir"
)

// Generation is how Generate draws.
type Generation struct {
	// Images is how many are drawn.
	Images int
	// Seed decides the draws.
	Seed int64
	// Sampler is where codes come from: prior, the standard normal distribution that a vae is trained for; mixture, a Gaussian
	// mixture fitted to the codes of training images; or auto, prior where the model has one.
	Sampler string
	// Components is the mixture's number of components; Ghosh et al. 2020 use 10.
	Components int
}

// fittedCodes is how many training images a mixture is fitted to, the first of them.
const fittedCodes = 10000

// Streams of a generation's seed.
const (
	streamFit = iota
	streamDraw
)

// Generate draws images of the model that a run trained, and returns them with a picture of them, a PNG. The images of a model
// that is given labels have all of them in turn.
func Generate(ctx context.Context, path string, g Generation, options Options) (*dataset.Images, []byte, error) {
	folder, e, manifest, err := openTrained(path)
	if err != nil {
		return nil, nil, InputError{err}
	}
	decoder, ok := e.Model.(model.Decoder)
	if !ok {
		return nil, nil, InputError{e.Problem("model.kind", "this kind of model makes no images of codes alone")}
	}
	prior, hasPrior := decoder.(model.Prior)
	if g.Sampler == "prior" && !hasPrior {
		return nil, nil, InputError{e.Problem("model.kind", "this kind of model has no prior to draw codes from; use the sampler mixture")}
	}
	s := newSession(options)
	s.runs = []*run{newRun(s, e)}
	defer s.close()
	if err := s.open(ctx); err != nil {
		return nil, nil, err
	}
	if err := s.compileEvaluation(); err != nil {
		return nil, nil, err
	}
	weights, err := trainedWeights(folder, manifest, model.Params(e.Model, imageOf(s.split.Train)))
	if err != nil {
		return nil, nil, InputError{err}
	}
	caption := e.Name
	var codes evaluate.Codes
	if hasPrior && g.Sampler != "mixture" {
		caption += " · codes from the prior"
		codes = evaluate.Codes{Size: prior.PriorSize(),
			Values: random.NewSeed(g.Seed).Child(streamDraw).Normal(g.Images*prior.PriorSize(), 1)}
	} else {
		caption += fmt.Sprintf(" · codes from a mixture of %d", g.Components)
		if codes, err = s.mixtureCodes(ctx, weights, g); err != nil {
			return nil, nil, err
		}
	}
	if classes := model.Conditions(e.Model); classes > 0 {
		for i := range g.Images {
			codes.Labels = append(codes.Labels, uint8(i%classes))
		}
	}
	images, err := s.evaluator.Decode(ctx, weights, codes)
	if err != nil {
		return nil, nil, err
	}
	png, err := evaluate.DrawSheet(images, caption)
	return images, png, err
}

// mixtureCodes draws codes from a mixture that is fitted to those of training images.
func (s *session) mixtureCodes(ctx context.Context, weights []*tensors.Tensor, g Generation) (evaluate.Codes, error) {
	train := *s.split.Train
	train.Pixels = train.Pixels[:min(train.Len(), fittedCodes)*train.Size()]
	codes, err := s.evaluator.Encode(ctx, weights, &train)
	if err != nil {
		return evaluate.Codes{}, err
	}
	wide := make([]float64, len(codes.Values))
	for i, value := range codes.Values {
		wide[i] = float64(value)
	}
	seed := random.NewSeed(g.Seed)
	fitted, err := mixture.Fit(mat.NewDense(codes.Len(), codes.Size, wide), g.Components, seed.Child(streamFit))
	if err != nil {
		return evaluate.Codes{}, err
	}
	drawn, err := fitted.Draw(g.Images, seed.Child(streamDraw))
	if err != nil {
		return evaluate.Codes{}, err
	}
	codes.Values = nil
	for i := range g.Images {
		for _, value := range drawn.RawRowView(i) {
			codes.Values = append(codes.Values, float32(value))
		}
	}
	return codes, nil
}

// openTrained opens a run to use what it trained, without writing to it.
func openTrained(path string) (*rundir.Run, *config.Experiment, *rundir.Manifest, error) {
	folder, err := rundir.Open(path)
	if err != nil {
		return nil, nil, nil, err
	}
	manifest, err := folder.Manifest()
	if err != nil {
		return nil, nil, nil, err
	}
	e, err := config.Load(folder.ConfigPath())
	return folder, e, manifest, err
}

// trainedWeights returns the parameters that the run was measured with; of a run that is not done, the newest saved.
func trainedWeights(folder *rundir.Run, manifest *rundir.Manifest, params []model.Param) ([]*tensors.Tensor, error) {
	var checkpoint *rundir.Checkpoint
	var err error
	if manifest.Result.Weights == "best" && manifest.Result.Epoch == manifest.Result.BestEpoch {
		checkpoint, err = folder.BestCheckpoint()
	} else {
		checkpoint, _, err = folder.LatestCheckpoint()
	}
	if err != nil {
		return nil, err
	}
	var like []*tensors.Tensor
	for _, param := range params {
		like = append(like, tensors.FromFlatDataAndDimensions(make([]float32, param.Size()), param.Dims...))
	}
	return weightsOf(checkpoint, checkpoint.Step, like)
}
