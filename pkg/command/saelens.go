package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	"latent/pkg/experiment"
	"latent/pkg/model"
	"latent/pkg/scale"
	"latent/pkg/weights"
)

// exportSAELens writes a sparse dictionary as a folder that sae_lens.SAE.load_from_disk reads, of SAELens 6. It takes vectors in the
// data's own units: the scale of the run's data is a part of the weights.
func exportSAELens(t *experiment.Trained) (exported, error) {
	sae, ok := t.Experiment.Model.(*model.SAE)
	if !ok {
		return exported{}, experiment.InputError{Err: fmt.Errorf("--format=sae-lens: is of sparse dictionaries, and this model is of another kind; write onnx or safetensors")}
	}
	own, err := t.Tensors()
	if err != nil {
		return exported{}, err
	}
	config := saeConfig{DIn: t.Image.Size(), DSAE: sae.Width, DType: "float32", Device: "cpu", Centred: true, Normalise: "none", Reshape: "none",
		Metadata: map[string]string{"sae_lens_version": saeLensVersion}}
	described, err := metadata(t)
	if err != nil {
		return exported{}, err
	}
	for _, pair := range described {
		config.Metadata["latent_"+pair[0]] = pair[1]
	}
	tensors := saeTensors(sae, own, t.Like().Scale)
	switch sae.Activation {
	case "topk":
		config.Architecture, config.K = "topk", &sae.K
	case "relu":
		config.Architecture = "standard"
	default: // batchtopk has one threshold after training
		config.Architecture = "jumprelu"
	}
	var data bytes.Buffer
	if err := weights.WriteSafetensors(&data, tensors, nil); err != nil {
		return exported{}, err
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return exported{}, err
	}
	return exported{files: []exportedFile{
		{name: "cfg.json", data: append(text, '\n'), about: fmt.Sprintf("%s, %d → %d", config.Architecture, config.DIn, config.DSAE)},
		{name: "sae_weights.safetensors", data: data.Bytes(), about: fmt.Sprintf("%d tensors", len(tensors))},
	}}, nil
}

// saeLensVersion is that of SAELens whose format the files have. Without one, it takes them for its format before 6.
const saeLensVersion = "6.54.0"

// saeConfig is cfg.json of SAELens.
type saeConfig struct {
	Architecture string            `json:"architecture"`
	K            *int              `json:"k,omitempty"`
	DIn          int               `json:"d_in"`
	DSAE         int               `json:"d_sae"`
	DType        string            `json:"dtype"`
	Device       string            `json:"device"`
	Centred      bool              `json:"apply_b_dec_to_input"`
	Normalise    string            `json:"normalize_activations"`
	Reshape      string            `json:"reshape_activations"`
	Metadata     map[string]string `json:"metadata"`
}

// saeTensors are the weights with SAELens's names, on vectors in the data's units: with v = g x + o of each value,
//
//	(x − b) W = (v − (o + g b)) (W / g),   v̂ = f (D g) + (o + g b)
func saeTensors(sae *model.SAE, own []weights.Tensor, s scale.Scale) []weights.Tensor {
	by := map[string]weights.Tensor{}
	for _, tensor := range own {
		by[tensor.Name] = tensor
	}
	encoder, bias, rows, centre := by["encoder.weight"], by["encoder.bias"], by["decoder.weight"], by["decoder.bias"]
	in, width := encoder.Dims[0], encoder.Dims[1]
	wEnc, wDec, bDec := make([]float32, in*width), make([]float32, in*width), make([]float32, in)
	lengths := make([]float64, width)
	for i := range lengths {
		for _, x := range rows.Values[i*in:][:in] {
			lengths[i] += float64(x) * float64(x)
		}
		lengths[i] = math.Sqrt(lengths[i])
	}
	for j := range in {
		o := s.Value(j, 0)
		g := s.Value(j, 1) - o
		bDec[j] = float32(o + g*float64(centre.Values[j]))
		for i := range width {
			wEnc[j*width+i] = float32(float64(encoder.Values[j*width+i]) / g)
			wDec[i*in+j] = float32(float64(rows.Values[i*in+j]) / lengths[i] * g)
		}
	}
	tensors := []weights.Tensor{
		{Name: "W_enc", Dims: []int{in, width}, Values: wEnc}, {Name: "b_enc", Dims: []int{width}, Values: bias.Values},
		{Name: "W_dec", Dims: []int{width, in}, Values: wDec}, {Name: "b_dec", Dims: []int{in}, Values: bDec},
	}
	if thresholds := sae.Thresholds(by["encoder.threshold"].Values, by["latents.least"].Values, by["latents.least_count"].Values); thresholds != nil {
		tensors = append(tensors, weights.Tensor{Name: "threshold", Dims: []int{width}, Values: thresholds})
	}
	return tensors
}
