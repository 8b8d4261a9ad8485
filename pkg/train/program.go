package train

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/distributed"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
	"latent/pkg/scale"
	"latent/pkg/trace"
	"latent/pkg/vmap"
)

// Streams of the run's seed. Their numbers are part of what a seed means: changing one changes every result.
const (
	streamInit = iota
	streamShuffle
	streamCorrupt
	streamModel
	streamPatch
	streamAugment
)

// Program is the compiled part of training: a window of steps of one run, or of several runs of one architecture at once,
// on images that lie on the device. Whatever else two runs of one architecture differ in is an input of the program, so
// that it can run them all; see [Program.Start].
type Program struct {
	// CompileTime is how long the program took to build and compile so far.
	CompileTime time.Duration

	backend compute.Backend
	exec    *Exec
	images  []*tensors.Tensor // one for each device; none where they are streamed
	stream  *stream           // nil where the images lie on the device
	labels  []*tensors.Tensor // the same

	spec      Spec // what it was compiled for; inputs are read from the spec of each run
	optimizer optimizer
	image     model.Image
	values    dtypes.DType // of the images
	row       int          // values of an image, with those of its target
	scale     scale.Scale
	augment   dataset.Augment
	params    []model.Param
	count     int                  // training images
	start     map[string][]float32 // first values that the images decide, by parameter
	devices   int
	compiled  map[int]bool // the numbers of runs in a call that it was compiled for
	window    int          // the longest window, in steps
	loops     bool
	batched   bool // runs that share a call are computed as one, with a leading axis
	traced    func() (*trace.Trace, error)
	drawn     drawn
}

// longestWindow bounds a window's steps, and so the losses that come back at its end.
const longestWindow = 1024

// Compile builds and compiles the program for groups of this many runs of specs with the structure of this one, and puts
// the images on the device. Groups of another size compile what they need when they start.
func Compile(b *backend.Backend, spec Spec, images *dataset.Samples, runs int) (*Program, error) {
	if images.Len() == 0 {
		return nil, errors.New("train: no training images")
	}
	optimizer, ok := optimizers[spec.Optimizer]
	if !ok {
		return nil, fmt.Errorf("train.optimizer: unknown kind %q", spec.Optimizer)
	}
	image := model.Image{Height: images.Height, Width: images.Width, Channels: images.Channels}
	p := &Program{
		backend: b.Compute, spec: spec, optimizer: optimizer,
		image: image, values: images.RowType(), row: images.RowSize(), scale: images.Scale, augment: images.Augment, params: model.Params(spec.Model, image), count: images.Len(),
		devices: spec.Devices, window: 1, loops: b.Loops, compiled: map[int]bool{},
	}
	if started, ok := spec.Model.(model.Started); ok {
		p.start = started.Start(p.image, mean(images))
	}
	if p.loops {
		p.window = min(p.stepsPerEpoch(), longestWindow)
	}
	if available := p.backend.NumDevices(); p.devices > available {
		return nil, fmt.Errorf("train.devices=%d: this backend has %d; lower it", p.devices, available)
	}
	labels := make([]uint8, 1)
	if model.Conditions(spec.Model) > 0 {
		if images.Labels == nil {
			return nil, errors.New("train: the model needs labels, and the training images have none")
		}
		labels = images.Labels
	}
	if images.Streamed {
		p.stream, p.window = newStream(b.Compute, images, p.window, p.local(), p.devices)
	}
	for device := range p.devices {
		if p.stream == nil {
			all, err := onDevice(p.backend, device, images)
			if err != nil {
				return nil, fmt.Errorf("put the training images on the device: %w", err)
			}
			p.images = append(p.images, all)
		}
		p.labels = append(p.labels, tensors.FromFlatDataAndDimensions(labels, len(labels)))
	}

	if spec.Group == "batched" && p.stream != nil {
		return nil, errors.New("train.group: batched: runs with streamed images train one after another; set train.group: auto, or data.resident: device")
	}
	if spec.Group == "batched" && p.devices > 1 {
		return nil, fmt.Errorf("train.group: batched: runs on %d devices train one after another; set train.group: auto, or train.devices: 1", p.devices)
	}
	p.traced = sync.OnceValues(p.record)
	p.batched = p.stream == nil && (spec.Group == "batched" || spec.Group != "loop" && b.Batches && p.gains())
	exec, err := NewExec(p.backend, p.build)
	if err != nil {
		return nil, fmt.Errorf("build the training step: %w", err)
	}
	if p.devices > 1 {
		mesh, err := distributed.NewDeviceMesh([]int{p.devices}, []string{"batch"})
		if err != nil {
			return nil, fmt.Errorf("split batches over %d devices: %w", p.devices, err)
		}
		exec.SPMD(mesh)
	}
	p.exec = exec
	return p, p.compile(p.parts(runs))
}

// compile compiles the calls of these numbers of runs, where that was not done before.
func (p *Program) compile(parts []int) error {
	start := time.Now()
	for _, runs := range parts {
		if p.compiled[runs] {
			continue
		}
		if _, err := p.exec.Compile(slices.Repeat(p.inputShapes(runs), p.devices)...); err != nil {
			return fmt.Errorf("build the training step: %w", bugOrError(err))
		}
		p.compiled[runs] = true
	}
	p.CompileTime += time.Since(start)
	return nil
}

// Runs share a call as long as its arithmetic for one step stays below sharedWork, and at most mostRuns of them: a step so
// small leaves cores idle between its operations, which other runs' operations fill. A larger one fills the processor by
// itself, and gains nothing from company but a colder cache. ARCHITECTURE.md has the measurements.
const (
	sharedWork = 100e6 // floating-point operations
	mostRuns   = 8
)

// gains says whether runs gain from being computed as one on a device that leaves room for it. Those whose step has convolutions
// do not: with kernels of their own these become convolutions in groups, which NVIDIA's library computes slowly. Nor do those on
// several devices, or with operations that pkg/vmap does not know.
func (p *Program) gains() bool {
	if p.devices > 1 {
		return false
	}
	t, err := p.traced()
	return err == nil && !slices.ContainsFunc(t.Ops, func(op *trace.Op) bool { return op.Type == compute.OpTypeConvGeneral })
}

// record returns the operations of a run's step on one device: what several exchange is not recorded.
func (p *Program) record() (*trace.Trace, error) {
	one := *p
	one.devices = 1
	return trace.Record(one.inputShapes(1), func(inputs []*Node) []*Node {
		loss, state := one.step(inputs, one.split(inputs)[0], element(inputs[inputCursor], cursorFirst))
		return append([]*Node{loss}, state...)
	})
}

// mostBatched is how many runs at most are computed as one: each of their values has that many times its memory.
const mostBatched = 64

// parts divides a group into calls: the number of runs in each.
func (p *Program) parts(runs int) []int {
	work := 0.0
	for _, layer := range p.spec.Model.Layers(p.image) {
		// A multiplication and an addition, forward, and twice that backward.
		work += 6 * float64(layer.Products) * float64(p.spec.BatchSize)
	}
	width := min(max(1, int(sharedWork/work)), mostRuns)
	if p.batched {
		width = mostBatched
	}
	if p.stream != nil {
		width = 1 // each has images of its own
	}
	var parts []int
	for ; runs > 0; runs -= width {
		parts = append(parts, min(width, runs))
	}
	return parts
}

// bugOrError returns err, unless it is a Go runtime error that the graph's builder caught: an index out of range is a
// bug of ours and must not look like a mistake in a config.
func bugOrError(err error) error {
	var bug runtime.Error
	if errors.As(err, &bug) {
		panic(bug)
	}
	return err
}

// Structure is what a program is compiled for, beside its images and the number of runs.
type Structure struct {
	Model, Corrupt, Loss, LossOn, Features, Optimizer, Precision, Group string
	BatchSize, Devices                                                  int
	Accumulate                                                          int
	Layers                                                              string // frozen, and with rates of their own
	ClipsNorm, Averages, CheckpointActivations                          bool
}

// Structure returns that of a run with this spec: runs with equal ones can share a program.
func (s Spec) Structure() Structure {
	return Structure{
		Model:   model.Structure(s.Model),
		Corrupt: s.Corrupt.Structure(), Loss: s.Loss, LossOn: s.LossOn, Features: s.LossFunction().Features(), Optimizer: s.Optimizer,
		Precision: s.Precision, Group: s.Group, BatchSize: s.BatchSize, Devices: s.Devices, ClipsNorm: s.ClipNorm > 0,
		Accumulate: s.Accumulate, Averages: s.EMA > 0, CheckpointActivations: s.CheckpointActivations, Layers: s.layersStructure(),
	}
}

// Start begins a group of runs, at their first step. Their specs have the structure of the program's and the same number
// of steps; seed, learning rate, schedule, noise and the optimizer's numbers may differ.
func (p *Program) Start(specs ...Spec) (*Group, error) {
	group := &Group{program: p, pace: pace{longest: p.window, calls: len(p.parts(len(specs)))}}
	for i, spec := range specs {
		if got, want := spec.Structure(), p.spec.Structure(); got != want {
			return nil, fmt.Errorf("start run %d: %+v; the program was compiled for %+v", i+1, got, want)
		}
		t := &Trainer{
			spec: spec, seed: random.NewSeed(spec.Seed), program: p,
			steps: spec.Steps(p.count), stepsPerEpoch: p.stepsPerEpoch(), orderEpoch: -1,
		}
		t.setState(p.firstState(t.seed.Child(streamInit)))
		group.Runs = append(group.Runs, t)
		if lead := group.Runs[0]; t.steps != lead.steps {
			return nil, fmt.Errorf("start run %d: it has %d steps, but the first run has %d", i+1, t.steps, lead.steps)
		}
	}
	return group, p.compile(p.parts(len(specs)))
}

// Close frees the program and the images on the device. No run of it can go on.
func (p *Program) Close() {
	p.exec.Finalize()
	if p.stream != nil {
		p.stream.close()
	}
	for _, tensor := range append(p.images, p.labels...) {
		tensor.FinalizeAll()
	}
}

func (p *Program) stepsPerEpoch() int { return p.spec.StepsPerEpoch(p.count) }

// local is the number of a batch's images on each device.
func (p *Program) local() int { return p.spec.BatchSize / p.devices }

// Inputs of the program that all runs share, and then for each run its own.
const (
	inputImages = iota // [images, values] as dataset.Samples.Row has them, resident; or those of the window's steps, in their order
	inputLabels        // [images] uint8, resident; a single 0 for a model that is given none
	inputCursor        // [4] int32, see below
	inputRuns          // the first run's inputs
)

// Elements of inputCursor: the steps of the run at which the epoch and the window begin, and the window ends; and the first
// row of each batch that is this device's.
const (
	cursorEpoch = iota
	cursorFirst
	cursorEnd
	cursorRow
	cursorCount
)

// A run's own inputs.
const (
	inputOrder   = iota // [steps of an epoch · local batch] int32, this device's part of the epoch's permutation, padded
	inputRates          // [window] float32, the learning rate of each step of the window
	inputScalars        // float32: the numbers of the optimizer, the loss, the model and the corruptions; see Spec.scalars
	inputSeed           // [2] uint32, the run's root key
	inputState          // first of the state: parameters, then the optimizer's slots of those that have gradients
)

// inputShapes lists the shapes of all inputs of a device, for a call of so many runs.
func (p *Program) inputShapes(runs int) []shapes.Shape {
	list := []shapes.Shape{
		inputImages: shapes.Make(p.values, p.resident(), p.row),
		inputLabels: p.labels[0].Shape(),
		inputCursor: shapes.Make(dtypes.Int32, cursorCount),
	}
	for range runs {
		list = append(list,
			shapes.Make(dtypes.Int32, p.stepsPerEpoch()*p.local()),
			shapes.Make(dtypes.Float32, p.window),
			shapes.Make(dtypes.Float32, len(p.spec.scalars())),
			shapes.Make(dtypes.Uint32, 2))
		list = append(list, p.stateShapes()...)
	}
	return list
}

// resident is how many images an input of the program has.
func (p *Program) resident() int {
	if p.stream != nil {
		return p.stream.rows
	}
	return p.count
}

// stateShapes lists the shapes of a run's state.
func (p *Program) stateShapes() []shapes.Shape {
	var list []shapes.Shape
	for _, param := range p.params {
		list = append(list, shapes.Make(dtypes.Float32, param.Dims...))
	}
	slots := p.optimizer.slots
	if p.averages() {
		slots++
	}
	for range slots {
		for _, j := range p.learned() {
			list = append(list, list[j])
		}
	}
	return list
}

// averages says that the state's parameters are moving averages, and that those which training goes on with come last.
func (p *Program) averages() bool { return p.spec.EMA > 0 }

// trained is the place in the state of the i-th learned parameter as training goes on with it, where there are averages.
func (p *Program) trained(i int) int {
	return len(p.params) + p.optimizer.slots*len(p.learned()) + i
}

// learned lists the places of the parameters that training changes by their gradients.
func (p *Program) learned() []int {
	var places []int
	for j, param := range p.params {
		if !param.Statistic && !p.spec.Frozen(param.Name) {
			places = append(places, j)
		}
	}
	return places
}

// split returns the inputs of each run.
func (p *Program) split(inputs []*Node) [][]*Node {
	return slices.Collect(slices.Chunk(inputs[inputRuns:], inputState+len(p.stateShapes())))
}

// build returns for each run the losses of the window's steps, [window], or with the gradients' norms behind them, [2, window], and the state
// after them.
//
// With loops, the steps are one loop in the graph; without, the window is a single step. Runs that are computed as one go through
// it as a single run, all of whose inputs have an axis more.
func (p *Program) build(inputs []*Node) []*Node {
	runs := len(p.split(inputs))
	if !p.batched || runs == 1 {
		return p.steps(inputs, p.step)
	}
	return p.apart(p.steps(p.together(inputs), p.batchedStep), runs)
}

// together makes one run of all: its inputs go through the runs along their first axis.
func (p *Program) together(inputs []*Node) []*Node {
	runs := p.split(inputs)
	joined := slices.Clone(inputs[:inputRuns])
	for i := range runs[0] {
		var all []*Node
		for _, run := range runs {
			all = append(all, run[i])
		}
		joined = append(joined, Stack(all, 0))
	}
	return joined
}

// apart is the inverse for outputs: those of each run, one after another.
func (p *Program) apart(outputs []*Node, runs int) []*Node {
	var list []*Node
	for k := range runs {
		for _, output := range outputs {
			list = append(list, Reshape(Slice(output, AxisElem(k)), output.Shape().Dimensions[1:]...))
		}
	}
	return list
}

// stepFunction is a step of a run, or of runs that are computed as one: what it tells of the step, [] or [2], or that of each run, and its new
// state.
type stepFunction func(shared, run []*Node, step *Node) (loss *Node, state []*Node)

// batchedStep is a step of runs that are computed as one.
func (p *Program) batchedStep(shared, runs []*Node, step *Node) (losses *Node, state []*Node) {
	inputs := []vmap.Input{{Node: step}}
	for _, node := range shared {
		inputs = append(inputs, vmap.Input{Node: node})
	}
	for _, node := range runs {
		inputs = append(inputs, vmap.Input{Node: node, Mapped: true})
	}
	outputs := vmap.Map(func(inputs []*Node) []*Node {
		loss, state := p.step(inputs[1:][:inputRuns], inputs[1+inputRuns:], inputs[0])
		return append([]*Node{loss}, state...)
	}, inputs)
	return outputs[0], outputs[1:]
}

// steps returns for each run the losses of the window's steps and the state after them.
func (p *Program) steps(inputs []*Node, stepOf stepFunction) []*Node {
	first := element(inputs[inputCursor], cursorFirst)
	if !p.loops {
		var outputs []*Node
		for _, run := range p.split(inputs) {
			loss, state := stepOf(inputs[:inputRuns], run, first)
			outputs = append(append(outputs, ExpandAxes(loss, -1)), state...)
		}
		return outputs
	}

	// The loop's state: the step, the losses of each run, and all inputs; its body may not see anything else. GoMLX keeps
	// one node for each scalar constant of a graph, whichever function it was made in, so there may be no constant out here
	// that the body uses too: the losses start as the rates, vectors of the right shape at hand, and each that counts is
	// overwritten.
	start := []*Node{first}
	runs := p.split(inputs)
	for _, run := range runs {
		losses := run[inputRates]
		if p.spec.ClipNorm > 0 {
			losses = Stack([]*Node{losses, losses}, -2)
		}
		start = append(start, losses)
	}
	start = append(start, inputs...)
	parameters := func(g *Graph) (step *Node, losses, inputs []*Node) {
		nodes := make([]*Node, len(start))
		for i, node := range start {
			nodes[i] = Parameter(g, "", node.Shape())
		}
		return nodes[0], nodes[1 : 1+len(runs)], nodes[1+len(runs):]
	}
	g := first.Graph()
	more := NewClosure(g, func(g *Graph) []*Node {
		step, _, inputs := parameters(g)
		return []*Node{LessThan(step, element(inputs[inputCursor], cursorEnd))}
	})
	body := NewClosure(g, func(g *Graph) []*Node {
		step, losses, inputs := parameters(g)
		place := Sub(step, element(inputs[inputCursor], cursorFirst))
		next := []*Node{AddScalar(step, 1)}
		shared := inputs[:inputRuns]
		var after []*Node
		for k, run := range p.split(inputs) {
			loss, state := stepOf(shared, run, step)
			next = append(next, setLast(losses[k], loss, place))
			after = append(append(after, run[:inputState]...), state...)
		}
		return append(append(next, shared...), after...)
	})
	end := While(more, body, start...)
	var outputs []*Node
	for k, run := range p.split(end[1+len(runs):]) {
		outputs = append(append(outputs, end[1+k]), run[inputState:]...)
	}
	return outputs
}

// setLast puts values of one axis less at a place of x's last axis.
func setLast(x, values, place *Node) *Node {
	starts := []*Node{place}
	for range x.Rank() - 1 {
		starts = append([]*Node{ScalarZero(x.Graph(), place.DType())}, starts...)
	}
	return DynamicUpdateSlice(x, ExpandAxes(values, -1), starts)
}

// step is one step of a run's training, number step of the run (from 0): it returns the batch's loss, with the gradient's norm behind it
// where that is clipped ([] or [2]), and the new state.
//
// On several devices, each computes its rows of the batch; the sums over the batch are then the sums over the devices.
func (p *Program) step(shared, run []*Node, step *Node) (loss *Node, state []*Node) {
	g := step.Graph()
	rate := Reshape(Gather(run[inputRates], Reshape(Sub(step, element(shared[inputCursor], cursorFirst)), 1)))
	numbers := p.spec.numbers(elements(run[inputScalars]))
	count := ConvertDType(AddScalar(step, 1), dtypes.Float32)

	var gradients []*Node
	var updated func(name string) *Node
	for part := range max(1, p.spec.Accumulate) {
		partLoss, partGradients, pass := p.part(shared, run, step, numbers, part, gradients)
		if part == 0 {
			loss, gradients, updated = partLoss, partGradients, pass.Updated
			continue
		}
		loss = Add(loss, partLoss)
		for i := range gradients {
			gradients[i] = Add(gradients[i], partGradients[i])
		}
	}
	if p.devices > 1 {
		sums := g.Distributed().AllReduce(append(gradients, loss), compute.ReduceOpSum)
		gradients, loss = sums[:len(gradients)], sums[len(gradients)]
	}
	if p.spec.ClipNorm > 0 {
		var norm *Node
		gradients, norm = clip(gradients, numbers.hyper.clipNorm)
		loss = Stack([]*Node{loss, norm}, 0)
	}
	state = p.update(numbers.hyper, run[inputState:], gradients, after(gradients, rate), count)
	for j, param := range p.params {
		if next := updated(param.Name); next != nil && !p.spec.Frozen(param.Name) {
			state[j] = next
		}
	}
	return loss, state
}

// part is a step's loss on a part of the batch, as much of the batch's as comes of it, and its gradients. before are those of the parts
// before, which are computed first.
func (p *Program) part(shared, run []*Node, step *Node, numbers numbers, part int, before []*Node) (loss *Node, gradients []*Node, pass *model.Pass) {
	g := step.Graph()
	rows := p.local() / max(1, p.spec.Accumulate)
	stepInEpoch := Sub(step, element(shared[inputCursor], cursorEpoch))
	stepInWindow := Sub(step, element(shared[inputCursor], cursorFirst))
	firstRow := element(shared[inputCursor], cursorRow)
	if part > 0 {
		firstRow = AddScalar(firstRow, part*rows)
	}
	key := func(stream int) random.Key {
		at := random.KeyFromNode(run[inputSeed]).Child(stream).At(ConvertDType(step, dtypes.Uint32))
		return at.From(ConvertDType(firstRow, dtypes.Uint32))
	}
	values := p.trainedOf(run[inputState:])

	// The batch: its places in this device's order, the images there, and 1 for each that is an image, 0 for padding.
	row := Iota(g, shapes.Make(dtypes.Int32, rows), 0) // [rows]
	inBatch := row
	if part > 0 {
		// The places wait for the gradients before, so that the parts are not in memory at once.
		inBatch = Add(row, ConvertDType(after(before, ScalarZero(g, dtypes.Float32)), dtypes.Int32))
		inBatch = AddScalar(inBatch, part*rows)
	}
	index := Gather(run[inputOrder], ExpandAxes(Add(MulScalar(stepInEpoch, p.local()), inBatch), -1)) // [rows]
	place := index
	if p.stream != nil {
		place = Add(MulScalar(stepInWindow, p.local()), inBatch)
	}
	samples := Gather(shared[inputImages], ExpandAxes(place, -1))                               // [rows, values]
	left := Sub(Scalar(g, dtypes.Int32, p.count), MulScalar(stepInEpoch, p.spec.BatchSize))     // images of the epoch
	counts := ConvertDType(LessThan(Add(firstRow, row), left), dtypes.Float32)                  // [rows]
	whole := ConvertDType(Min(left, Scalar(g, dtypes.Int32, p.spec.BatchSize)), dtypes.Float32) // images of the batch

	input, x := p.pair(samples, key(streamAugment))                          // [rows, height, width, channels]; the same where there are no targets
	damaged := p.corrupt().Apply(input, numbers.corrupt, key(streamCorrupt)) // the same
	var mask *Node                                                           // [rows, height, width, 1], where the loss needs it
	if p.spec.LossFunction().Damaged {
		mask = p.corrupt().Mask(input, numbers.corrupt, key(streamCorrupt))
	}
	pass = &model.Pass{
		Weights: p.weights(values), Numbers: numbers.model, Precision: p.precision(), Training: true, Checkpoint: p.checkpoints(),
		Frozen: p.spec.Frozen, Key: key(streamModel), Places: ConvertDType(index, dtypes.Uint32), Counts: counts,
		Epoch: DivScalar(ConvertDType(step, dtypes.Float32), p.stepsPerEpoch()),
	}
	if model.Conditions(p.spec.Model) > 0 {
		pass.Labels = Gather(shared[inputLabels], ExpandAxes(index, -1))
	}
	_, terms := model.Learn(p.spec.Model, pass, p.spec.LossFunction(), numbers.loss, x, damaged, mask)
	loss = Div(ReduceAllSum(Mul(model.Sum(terms), counts)), whole)
	var learned []*Node
	for _, j := range p.learned() {
		learned = append(learned, values[j])
	}
	return loss, Gradient(loss, learned...), pass
}

// trainedOf are the parameters of a state that training goes on with.
func (p *Program) trainedOf(state []*Node) []*Node {
	values := slices.Clone(state[:len(p.params)])
	if p.averages() {
		for i, j := range p.learned() {
			values[j] = state[p.trained(i)]
		}
	}
	return values
}

// corrupt is the damage, on the images' scale.
func (p *Program) corrupt() corrupt.Chain { return p.spec.Corrupt.In(p.scale) }

// checkpoints says whether activations are computed again; pure Go cannot.
func (p *Program) checkpoints() bool {
	return p.spec.CheckpointActivations && p.backend.Capabilities().Operations[compute.OpTypeSchedulingBarrier]
}

// precision is what the model computes in.
func (p *Program) precision() dtypes.DType {
	if p.spec.Precision == "bfloat16" {
		return dtypes.BFloat16
	}
	return dtypes.Float32
}

// weights names the parameters.
func (p *Program) weights(values []*Node) model.Weights {
	weights := model.Weights{}
	for j, param := range p.params {
		weights[param.Name] = values[j]
	}
	return weights
}

// after returns the learning rate, which is not negative, as a value that depends on all gradients.
//
// Updates happen in place, and a weight is read once more after its gradient is there: for the gradients of the layers before.
// Where nothing says that this comes first, XLA copies each weight in each step, to be safe; `copy` of the weights' shapes in
// the loop's body of a dump (XLA_FLAGS=--xla_dump_to=DIR --xla_dump_hlo_as_text) shows it.
func after(gradients []*Node, rate *Node) *Node {
	sum := ScalarZero(rate.Graph(), rate.DType())
	for _, gradient := range gradients {
		sum = Add(sum, Reshape(Slice(Reshape(gradient, -1), AxisElem(0))))
	}
	return Max(rate, Neg(Abs(sum)))
}

// update returns the state after the optimizer's step number count (from 1). Statistics stay as they are.
func (p *Program) update(h hyper, state, gradients []*Node, rate, count *Node) []*Node {
	learned := p.learned()
	next, values := slices.Clone(state), p.trainedOf(state)
	for i, j := range learned {
		slots := make([]*Node, p.optimizer.slots)
		for k := range slots {
			slots[k] = state[len(p.params)+k*len(learned)+i]
		}
		var value *Node
		value, slots = p.optimizer.update(h, p.params[j], values[j], gradients[i], slots, p.rateFor(h, p.params[j].Name, rate), count)
		if p.averages() {
			next[j], next[p.trained(i)] = movingAverage(h, state[j], value, count), value
		} else {
			next[j] = value
		}
		for k := range slots {
			next[len(p.params)+k*len(learned)+i] = slots[k]
		}
	}
	return next
}

// element returns vector[i] as a scalar.
func element(vector *Node, i int) *Node { return Reshape(Slice(vector, AxisElem(i))) }

// elements returns the values of a vector as scalars.
func elements(vector *Node) []*Node {
	scalars := make([]*Node, vector.Shape().Dim(0))
	for i := range scalars {
		scalars[i] = element(vector, i)
	}
	return scalars
}
