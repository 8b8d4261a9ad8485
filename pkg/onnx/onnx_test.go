package onnx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"latent/pkg/model"
	"latent/pkg/prototest"
	"latent/pkg/random"
	"latent/pkg/trace"
)

// A file of a small model, read back: what it computes, and what it says of itself.
func TestFile(t *testing.T) {
	m := &model.Dense{Encoder: []int{3}, Activation: "relu", LatentActivation: "relu", Output: "tanh", Init: "pytorch"}
	s := modelCase{"", m, model.Image{Height: 2, Width: 2, Channels: 1}}.source()
	s.Version, s.Metadata = "v1.2.3", [][2]string{{"run", "small"}}
	exported, err := Export(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(exported.Missing) > 0 {
		t.Errorf("missing: %q", exported.Missing)
	}
	var got []string
	for _, file := range exported.Files {
		got = append(got, file.Name+": "+fmt.Sprint(file.Inputs, " → ", file.Outputs))
	}
	want := []string{
		"encoder.onnx: [image [batch, 2, 2, 1]] → [code [batch, 3]]",
		"decoder.onnx: [code [batch, 3]] → [image [batch, 2, 2, 1]]",
		"model.onnx: [image [batch, 2, 2, 1]] → [reconstruction [batch, 2, 2, 1]]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	encoder := read(t, exported.Files[0].Data)
	want = []string{
		"Reshape image constant_1 → Reshape_1",
		"MatMul Reshape_1 encoder.layer_1.weight → MatMul_2",
		"Reshape encoder.layer_1.bias constant_2 → Reshape_3",
		"Add MatMul_2 Reshape_3 → Add_4",
		"Max Add_4 constant_3 → Max_5",
		"Identity Max_5 → code",
	}
	if diff := cmp.Diff(want, encoder.nodes); diff != "" {
		t.Error(diff)
	}
	if want := (stored{1, []int{4, 3}, 48}); !cmp.Equal(encoder.initializers["encoder.layer_1.weight"].stored(), want, cmp.AllowUnexported(stored{})) {
		t.Errorf("weight: %v, want %v", encoder.initializers["encoder.layer_1.weight"].stored(), want)
	}
	// The batch keeps its size, and the others make a row.
	if sizes := encoder.initializers["constant_1"].integers(); !slices.Equal(sizes, []int{0, 4}) {
		t.Errorf("sizes of the row: %v", sizes)
	}
	if _, holds := encoder.initializers["decoder.layer_1.weight"]; holds {
		t.Error("the encoder's file holds the decoder's weights")
	}
	wantTold := []string{"ir 8", "producer latent v1.2.3", "opset 18", "pixels=byte / 127.5 - 1, in [-1, 1]", "run=small",
		"input image float [batch 2 2 1]", "output code float [batch 3]"}
	if diff := cmp.Diff(wantTold, encoder.told); diff != "" {
		t.Error(diff)
	}
}

// Every kind of model can be written: each node has inputs that came before it, no list of sizes holds the number of images that
// it was recorded with, and the same model gives the same bytes.
func TestEveryKind(t *testing.T) {
	covered := map[string]bool{"pixelflow": true} // see TestCannot
	for _, c := range cases() {
		kind, _, _ := strings.Cut(c.name, " ")
		covered[kind] = true
		s := c.source()
		first, err := Export(s)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		second, err := Export(s)
		if err != nil {
			t.Fatal(err)
		}
		for i, file := range first.Files {
			if !bytes.Equal(file.Data, second.Files[i].Data) {
				t.Errorf("%s, %s: other bytes the second time", c.name, file.Name)
			}
			f := read(t, file.Data)
			known := map[string]bool{}
			for _, input := range file.Inputs {
				known[input.Name] = true
			}
			for name, tensor := range f.initializers {
				known[name] = true
				if tensor.kind == 7 && slices.ContainsFunc(tensor.integers(), func(n int) bool { return n > 0 && ofBatch(n) }) {
					t.Errorf("%s, %s: %s is %v", c.name, file.Name, name, tensor.integers())
				}
			}
			for _, node := range f.nodes {
				from, to, _ := strings.Cut(node, " → ")
				for _, input := range strings.Fields(from)[1:] {
					if !known[input] {
						t.Errorf("%s, %s: %s: no %s before", c.name, file.Name, node, input)
					}
				}
				known[to] = true
			}
		}
	}
	for kind := range model.Kinds {
		if !covered[kind] {
			t.Errorf("no case of kind %s", kind)
		}
	}
}

// What cannot be exported is told.
func TestCannot(t *testing.T) {
	image := model.Image{Height: 28, Width: 28, Channels: 1}
	_, err := Export(modelCase{"", model.Kinds["pixelflow"](), image}.source())
	if kind := (KindError{}); !errors.As(err, &kind) {
		t.Errorf("pixelflow: %v, want a KindError", err)
	}
	for kind, want := range map[string]string{"unet": "encoder.onnx and decoder.onnx: ", "flow": "the flow that draws codes, "} {
		exported, err := Export(modelCase{"", model.Kinds[kind](), image}.source())
		if err != nil || len(exported.Missing) != 1 || !strings.HasPrefix(exported.Missing[0], want) {
			t.Errorf("%s: missing %q, %v; want %q", kind, exported.Missing, err, want)
		}
	}
}

// An operation that has no translation is named, unless nothing needs it; and so is one that looks at several images.
func TestUntranslated(t *testing.T) {
	for name, c := range map[string]struct {
		build func(x *Node) *Node
		want  string // "" is no error
	}{
		"not recorded":  {func(x *Node) *Node { return IsNaN(x) }, "the operation IsNaN is not recorded"},
		"not written":   {func(x *Node) *Node { return Log1P(x) }, "translate the operation Log1p to ONNX: ONNX has no operation for it"},
		"not needed":    {func(x *Node) *Node { Log1P(x); return Neg(x) }, ""},
		"sum of images": {func(x *Node) *Node { return ReduceSum(x, 0) }, "translate the operation ReduceSum to ONNX: it looks across the images"},
		"sum of all":    {func(x *Node) *Node { return ReduceAllSum(x) }, "it looks across the images"},
		"one image":     {func(x *Node) *Node { return Slice(x, AxisElem(0)) }, "it looks across the images"},
		"more images":   {func(x *Node) *Node { return Concatenate([]*Node{x, x}, 0) }, "it looks across the images"},
		"their number":  {func(x *Node) *Node { return Add(x, Iota(x.Graph(), x.Shape(), 0)) }, "it looks across the images"},
		"a row of all":  {func(x *Node) *Node { return Reshape(x, -1) }, "an output does not have one row for each image"},
		"all pairs":     {func(x *Node) *Node { return Einsum("ai,bi->ab", x, x) }, "it looks across the images"},
	} {
		_, err := written(func(inputs []*Node) []*Node { return []*Node{c.build(inputs[0])} })
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Sizes that grow with the number of images are computed from it, and values are repeated only where an operation needs them so.
func TestSizes(t *testing.T) {
	for name, c := range map[string]struct {
		build func(x *Node) *Node
		want  []string
	}{
		"a number beside": {func(x *Node) *Node { return Add(x, OnesLike(x)) }, []string{"Add x constant_1 → Add_1"}},
		"a number alone": {func(x *Node) *Node { return OnesLike(x) }, []string{
			"Shape x → Shape_1", "Concat Shape_1 constant_2 → Concat_2", "Expand constant_1 Concat_2 → Expand_3"}},
		"three rows each": {func(x *Node) *Node {
			rows := Reshape(BroadcastToDims(ExpandAxes(x, 1), x.Shape().Dim(0), 3, 4), -1, 4)
			return Reshape(rows, -1, 12)
		}, []string{
			"Reshape x constant_1 → Reshape_1", "Shape x → Shape_2", "Concat Shape_2 constant_2 → Concat_3",
			"Expand Reshape_1 Concat_3 → Expand_4", "Reshape Expand_4 constant_3 → Reshape_5",
			"Reshape Reshape_5 constant_4 → Reshape_6"}},
		"twice the same": {func(x *Node) *Node { return Mul(Tanh(x), Tanh(x)) }, []string{"Tanh x → Tanh_1", "Mul Tanh_1 Tanh_1 → Mul_2"}},
	} {
		w, err := written(func(inputs []*Node) []*Node { return []*Node{c.build(inputs[0])} })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, node := range w.nodes {
			got = append(got, strings.Join(append([]string{node.op}, node.inputs...), " ")+" → "+node.output)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// written writes a graph of x: [batch, 4].
func written(build func(inputs []*Node) []*Node) (*writer, error) {
	f, err := trace.Record([]shapes.Shape{shapes.Make(dtypes.Float32, batch, 4)}, build)
	if err != nil {
		return nil, err
	}
	w := &writer{known: map[string]string{}, sizeOf: "x"}
	_, err = w.write(f, []string{"x"})
	return w, err
}

// contents are what a file holds, read back.
type contents struct {
	told         []string
	nodes        []string
	initializers map[string]tensor
}

// tensor is a TensorProto.
type tensor struct {
	kind int // 1: float32; 7: int64
	dims []int
	raw  []byte
}

// stored is what a tensor is, and the number of its bytes.
type stored struct {
	kind  int
	dims  []int
	bytes int
}

func (s tensor) stored() stored { return stored{s.kind, s.dims, len(s.raw)} }

func (s tensor) integers() []int {
	var list []int
	for i := 0; i < len(s.raw); i += 8 {
		list = append(list, int(int64(binary.LittleEndian.Uint64(s.raw[i:]))))
	}
	return list
}

// read reads a ModelProto.
func read(t *testing.T, data []byte) contents {
	t.Helper()
	c := contents{initializers: map[string]tensor{}}
	var producer string
	var graph []byte
	prototest.Fields(t, data, func(field protowire.Number, data []byte, number int) {
		switch field {
		case 1:
			c.told = append(c.told, fmt.Sprint("ir ", number))
		case 2:
			producer = string(data)
		case 3:
			c.told = append(c.told, "producer "+producer+" "+string(data))
		case 7:
			graph = data
		case 8:
			prototest.Fields(t, data, func(field protowire.Number, _ []byte, number int) {
				if field == 2 {
					c.told = append(c.told, fmt.Sprint("opset ", number))
				}
			})
		case 14:
			var pair [3]string
			prototest.Fields(t, data, func(field protowire.Number, data []byte, _ int) { pair[field] = string(data) })
			c.told = append(c.told, pair[1]+"="+pair[2])
		}
	})
	prototest.Fields(t, graph, func(field protowire.Number, data []byte, _ int) {
		switch field {
		case 1:
			c.nodes = append(c.nodes, readNode(t, data))
		case 5:
			name, s := readTensor(t, data)
			c.initializers[name] = s
		case 11:
			c.told = append(c.told, "input "+readValue(t, data))
		case 12:
			c.told = append(c.told, "output "+readValue(t, data))
		}
	})
	return c
}

// readNode reads a NodeProto: "Add a b → c".
func readNode(t *testing.T, data []byte) string {
	var inputs []string
	var output, op string
	prototest.Fields(t, data, func(field protowire.Number, data []byte, _ int) {
		switch field {
		case 1:
			inputs = append(inputs, string(data))
		case 2:
			output = string(data)
		case 4:
			op = string(data)
		}
	})
	return strings.Join(append([]string{op}, inputs...), " ") + " → " + output
}

// readTensor reads a TensorProto.
func readTensor(t *testing.T, data []byte) (name string, s tensor) {
	prototest.Fields(t, data, func(field protowire.Number, data []byte, number int) {
		switch field {
		case 1:
			s.dims = append(s.dims, number)
		case 2:
			s.kind = number
		case 8:
			name = string(data)
		case 9:
			s.raw = data
		}
	})
	return name, s
}

// readValue reads a ValueInfoProto: "image float [batch 2 2 1]".
func readValue(t *testing.T, data []byte) string {
	name, kind, dims := "", 0, []string{}
	prototest.Fields(t, data, func(field protowire.Number, data []byte, _ int) {
		if field == 1 {
			name = string(data)
			return
		}
		prototest.Fields(t, data, func(_ protowire.Number, data []byte, _ int) { // TypeProto.tensor_type
			prototest.Fields(t, data, func(field protowire.Number, data []byte, number int) {
				if field == 1 {
					kind = number
					return
				}
				prototest.Fields(t, data, func(_ protowire.Number, data []byte, _ int) { // TensorShapeProto.dim
					prototest.Fields(t, data, func(field protowire.Number, data []byte, number int) {
						if field == 1 {
							dims = append(dims, fmt.Sprint(number))
						} else {
							dims = append(dims, string(data))
						}
					})
				})
			})
		})
	})
	return fmt.Sprint(name, " ", map[int]string{1: "float", 6: "int32", 7: "int64"}[kind], " ", dims)
}

// modelCase is a model in small.
type modelCase struct {
	name  string
	model model.Model
	image model.Image
}

// cases are all kinds of models that can be exported, with all that a config can ask of them.
func cases() []modelCase {
	grey := model.Image{Height: 28, Width: 28, Channels: 1}
	var list []modelCase
	dense := func(name string, change func(m *model.Dense)) {
		m := model.Kinds["dense"]().(*model.Dense)
		m.Encoder, m.Decoder = []int{48, 32, 16}, []int{32, 48}
		change(m)
		list = append(list, modelCase{name, m, grey})
	}
	dense("dense", func(m *model.Dense) {})
	for _, activation := range []string{"leaky_relu", "gelu", "silu", "elu", "tanh", "sigmoid", "linear"} {
		dense("dense "+activation, func(m *model.Dense) { m.Activation, m.LatentActivation = activation, activation })
	}
	dense("dense of one layer", func(m *model.Dense) { m.Encoder, m.Decoder, m.Output = []int{16}, nil, "sigmoid" })
	dense("dense tied", func(m *model.Dense) { m.Tied, m.Output = true, "linear" })
	dense("dense layer norm", func(m *model.Dense) { m.Norm, m.Dropout = "layer", 0.2 })
	dense("dense batch norm", func(m *model.Dense) { m.Norm, m.Tied = "batch", true })
	dense("dense sparse", func(m *model.Dense) { m.LatentActivation, m.Sparsity, m.SparsityWeight = "sigmoid", "kl", 0.1 })
	dense("dense sparse l1", func(m *model.Dense) { m.Sparsity, m.SparsityWeight = "l1", 0.1 })
	dense("dense contractive", func(m *model.Dense) { m.Activation, m.Contraction, m.ContractionWeight = "gelu", true, 0.1 })
	dense("dense of one layer contractive", func(m *model.Dense) {
		m.Encoder, m.Decoder, m.LatentActivation, m.Contraction, m.ContractionWeight = []int{16}, nil, "elu", true, 0.1
	})

	conv := func(name string, image model.Image, change func(m *model.Conv)) {
		m := model.Kinds["conv"]().(*model.Conv)
		m.Channels, m.Latent = []int{6, 8}, 16
		change(m)
		list = append(list, modelCase{name, m, image})
	}
	conv("conv", grey, func(m *model.Conv) {})
	conv("conv in colours", model.Image{Height: 28, Width: 28, Channels: 3}, func(m *model.Conv) { m.Activation = "silu" })
	conv("conv of other sizes", model.Image{Height: 13, Width: 30, Channels: 1}, func(m *model.Conv) { m.Channels, m.Stride = []int{4, 6, 8}, 3 })
	conv("conv small kernel", grey, func(m *model.Conv) { m.Kernel, m.Stride, m.Norm = 2, 3, "layer" })
	conv("conv stride 1", grey, func(m *model.Conv) { m.Kernel, m.Stride, m.Norm, m.Dropout = 3, 1, "batch", 0.1 })
	conv("conv resize", grey, func(m *model.Conv) { m.Decoder, m.Norm = "resize", "batch" })
	conv("conv resize 1×1", grey, func(m *model.Conv) { m.Decoder, m.Kernel, m.Output = "resize", 1, "sigmoid" })

	unet := func(name string, image model.Image, change func(m *model.UNet)) {
		m := model.Kinds["unet"]().(*model.UNet)
		m.Channels = []int{4, 6, 8}
		change(m)
		list = append(list, modelCase{name, m, image})
	}
	unet("unet", grey, func(m *model.UNet) {})
	unet("unet mean resize", model.Image{Height: 13, Width: 30, Channels: 3}, func(m *model.UNet) {
		// Layer norm over fewer channels divides by deviations near 0 at some places, and magnifies what rounding leaves.
		m.Channels, m.Pooling, m.Upsampling, m.Norm, m.Residual = []int{12, 16, 16}, "mean", "resize", "layer", true
	})
	unet("unet strided", grey, func(m *model.UNet) {
		m.Channels, m.Pooling, m.Norm, m.Convolutions = []int{4, 6, 8, 8}, "strided", "batch", 1
	})

	list = append(list, modelCase{"dncnn", &model.DnCNN{Depth: 4, Channels: 6, Kernel: 3, Activation: "relu", Norm: "batch", Init: "he"}, grey})

	vae := func(name string, change func(m *model.VAE)) {
		m := model.Kinds["vae"]().(*model.VAE)
		m.Encoder, m.Latent, m.Decoder = []int{48}, 8, []int{48}
		change(m)
		list = append(list, modelCase{name, m, grey})
	}
	vae("vae", func(m *model.VAE) {})
	vae("vae gaussian", func(m *model.VAE) { m.Likelihood, m.Bound, m.Samples = "gaussian", "iwae", 5 })
	vae("vae conditional", func(m *model.VAE) { m.Classes, m.BetaWarmup = 10, 2 })

	coder := func(name string, m model.Model, layers *model.Coder) {
		layers.Encoder, layers.Decoder = []int{48}, []int{48}
		list = append(list, modelCase{name, m, grey})
	}
	rae := model.Kinds["rae"]().(*model.RAE)
	coder("rae", rae, &rae.Coder)
	wae := model.Kinds["wae"]().(*model.WAE)
	coder("wae", wae, &wae.Coder)
	vqvae := model.Kinds["vqvae"]().(*model.VQVAE)
	coder("vqvae", vqvae, &vqvae.Coder)
	flow := model.Kinds["flow"]().(*model.Flow)
	flow.Hidden = []int{32}
	coder("flow", flow, &flow.Coder)
	fsq := model.Kinds["fsq"]().(*model.FSQ)
	coder("fsq", fsq, &fsq.Coder)
	aae := model.Kinds["aae"]().(*model.AAE)
	coder("aae", aae, &aae.Coder)
	ae := model.Kinds["ae"]().(*model.AE)
	ae.TopK = 5
	coder("ae sparse", ae, &ae.Coder)

	colour := model.Image{Height: 18, Width: 13, Channels: 3}
	strided := &model.ConvBackbone{Channels: []int{4, 6}, Kernel: 4, Stride: 2, Decoder: "transposed", Norm: "batch", Attention: 2}
	resNet := &model.ResNet{Channels: []int{12, 16}, Blocks: 1, Kernel: 3, Norm: "batch", Attention: 2}
	parts := func(name string, backbone model.Backbone, code string, change func(m *model.VAE)) {
		m := model.Kinds["vae"]().(*model.VAE)
		m.Backbone, m.Latent, m.Code = backbone, 4, code
		change(m)
		list = append(list, modelCase{name, m, colour})
	}
	parts("vae conv", strided, "vector", func(m *model.VAE) { m.Likelihood, m.Spread = "gaussian", "pixel" })
	parts("vae resnet map", resNet, "map", func(m *model.VAE) { m.Likelihood, m.Spread = "logistic", "shared" })
	parts("vae planar", strided, "map", func(m *model.VAE) { m.Flow, m.Prior = &model.PlanarFlow{Steps: 2}, &model.MixturePrior{Components: 3} })
	parts("vae iaf", strided, "vector", func(m *model.VAE) { m.Flow, m.Classes = &model.IAF{Steps: 2, Units: 8}, 4 })
	list = append(list, modelCase{"vqvae residual map", &model.VQVAE{Coder: model.Coder{Network: model.Network{Backbone: strided, Latent: 4,
		Activation: "relu", Init: "pytorch", Code: "map"}, Output: "tanh"}, EntrySize: 2, Entries: 7, Stages: 2}, colour})
	for _, activation := range []string{"topk", "batchtopk", "jumprelu", "relu"} {
		m := model.Kinds["sae"]().(*model.SAE)
		m.Width, m.K, m.Activation = 48, 8, activation
		list = append(list, modelCase{"sae " + activation, m, grey})
	}
	return list
}

// source has weights as they are drawn for a first step of training. Those that start alike are spread, so that a norm's scale
// and mean count.
func (c modelCase) source() Source {
	s := Source{Model: c.model, Image: c.image, Version: "test"}
	for i, param := range model.Params(s.Model, s.Image) {
		seed := random.NewSeed(7).Child(i)
		values := param.Init.Values(seed, param.Size())
		if param.Init.Limit == 0 {
			for j, spread := range seed.Uniform(len(values)) {
				if values[j] == 0 {
					values[j] = 0.2 * spread
				} else {
					values[j] *= 1 + 0.5*spread
				}
			}
		}
		s.Weights = append(s.Weights, tensors.FromFlatDataAndDimensions(values, param.Dims...))
	}
	return s
}
