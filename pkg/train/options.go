package train

import "latent/pkg/model"

// Options is how a model learns, the config's section `train:`.
type Options struct {
	// Optimizer turns gradients into updates: adam (Kingma & Ba 2015), adamw (decoupled weight decay, Loshchilov &
	// Hutter 2019), sgd (with momentum) or rmsprop (Tieleman & Hinton 2012).
	Optimizer string `yaml:"optimizer" enum:"adam,adamw,sgd,rmsprop"`

	// LearningRate is the step size; with a schedule, its highest value.
	LearningRate float64 `yaml:"learning_rate" above:"0" max:"1000"`

	// Schedule changes the learning rate over the run: constant, or cosine, which falls to zero at the last step.
	Schedule string `yaml:"schedule" enum:"constant,cosine"`

	// Restarts lists epochs after which the schedule begins again at learning_rate (warm restarts, Loshchilov & Hutter 2017); latent run
	// --resume RUN --epochs N --schedule restart adds the one that the run had ended with.
	Restarts []int `yaml:"restarts,flow" min:"1" max:"1000000" maxitems:"1000"`

	// Extended lists numbers of epochs that the run was to have before it was given more: until it had them, its schedule reached to there.
	// latent run --resume RUN --epochs N --schedule extend adds one.
	Extended []int `yaml:"extended,flow" min:"1" max:"1000000" maxitems:"1000"`

	// WarmupEpochs lets the learning rate rise linearly from zero over so many epochs; parts of an epoch count.
	WarmupEpochs float64 `yaml:"warmup_epochs" min:"0"`

	// BatchSize is the number of images in a step; an epoch's last, shorter batch counts with its true size.
	BatchSize int `yaml:"batch_size" min:"1" max:"1048576"`

	// Accumulate computes a batch in so many parts, one after another, and adds up their gradients: the activations of one part are in memory
	// at a time. It divides batch_size. Nothing else changes but the last bits, and a model that looks across a batch is not taken in parts.
	Accumulate int `yaml:"accumulate" min:"1" max:"64"`

	// CheckpointActivations computes what is inside of the model's layers once more where gradients need it, instead of keeping it from the
	// forward pass: kept are the inputs of residual and attention blocks and of pairs of other layers (Chen et al. 2016). A step needs less
	// memory and about a third more time. Nothing else changes but the last bits. In pure Go it does nothing.
	CheckpointActivations bool `yaml:"checkpoint_activations"`

	// From is what the model begins with: the folder of a run, of which it takes the weights that the run's figures are of; a safetensors file;
	// or a PyTorch file of a state dict (.pt, .pth). Of a run, and of a file that latent export wrote, parameters are taken by name and shape; of
	// others, layer by layer. What is not there, or has another shape, is drawn. The optimizer begins anew.
	From string `yaml:"from" path:"yes"`

	// Freeze lists layers that keep their first values, running means of norms included: names of layers, or their beginnings up to a dot, such
	// as encoder or encoder.layer_1. latent run --dry-run lists a model's layers.
	Freeze []string `yaml:"freeze,flow" pattern:"^[a-z][a-z0-9_]*([.][a-z0-9_]+)*$" maxitems:"1000"`

	// Rates are learning rates of their own for some layers.
	Rates []Rate `yaml:"rates" maxitems:"100"`

	// Epochs is how often every training image is seen.
	Epochs int `yaml:"epochs" min:"1" max:"1000000"`

	// MaxSteps ends training after so many steps, in the middle of an epoch if need be; 0 means no such limit.
	MaxSteps int `yaml:"max_steps" min:"0"`

	// Loss compares the reconstruction with the clean image, averaged over pixels and images: mse, mae, bce (binary
	// cross entropy in nats; needs model.output sigmoid) or huber. Models with a loss of their own, such as vae, do not use it.
	Loss string `yaml:"loss" enum:"mse,mae,bce,huber"`

	// LossOn is where it compares them: on all pixels, or on the damaged ones, those that the corruption changed, of which each
	// image's loss is the mean, and 0 where it has none. damaged needs a corruption that leaves other pixels as they are:
	// masking, erase, salt-and-pepper, watermark, or a list of them. It finds the pixels by corrupting black and white images
	// too, which costs as much again for each.
	LossOn string `yaml:"loss_on" enum:"all,damaged"`

	// HuberDelta is the error at which loss huber turns from squared to linear, on pixels in [-1, 1].
	HuberDelta float64 `yaml:"huber_delta" above:"0" max:"2"`

	// Perceptual adds to the loss how differently a classifier of the dataset's images sees a reconstruction and its target (Johnson et al.
	// 2016), times this; 0 leaves it out. The classifier is that of evaluate.generated, trained once for a dataset, which needs labels.
	Perceptual float64 `yaml:"perceptual" min:"0" max:"1000000"`

	// ClipNorm scales the gradient down to this global L2 norm where it is longer; 0 never does.
	ClipNorm float64 `yaml:"clip_norm" min:"0"`

	// Beta1 is the decay of adam's and adamw's first moment.
	Beta1 float64 `yaml:"beta1" min:"0" below:"1"`

	// Beta2 is the decay of adam's and adamw's second moment, and of rmsprop's squared gradient.
	Beta2 float64 `yaml:"beta2" min:"0" below:"1"`

	// Epsilon is added to the denominator of adam, adamw and rmsprop.
	Epsilon float64 `yaml:"epsilon" above:"0" max:"1"`

	// Momentum is sgd's: 0 is plain gradient descent.
	Momentum float64 `yaml:"momentum" min:"0" below:"1"`

	// WeightDecay is adamw's: each step shrinks the weights, not the biases, by learning_rate · weight_decay. Other
	// optimizers do not take it.
	WeightDecay float64 `yaml:"weight_decay" min:"0" max:"1000"`

	// EMA is the decay of a moving average of the parameters, which is what is measured, saved and exported in their place; 0 keeps none.
	// Training goes on with the parameters themselves, and running means of batch norm
	// and codebooks are theirs. In step t from 1 the decay is at most (1 + t) / (10 + t), so that the first steps are
	// soon forgotten.
	EMA float64 `yaml:"ema" min:"0" below:"1"`

	// Precision is what the model computes in: float32; tf32, whose products keep about three digits on NVIDIA GPUs, which are
	// faster at that, and is float32 elsewhere; or bfloat16, whose values keep as few, on GPUs and CPUs that have it. Parameters,
	// moments and losses are float32 always. With tf32 the model is measured in tf32 too, with bfloat16 in float32.
	Precision string `yaml:"precision" enum:"float32,tf32,bfloat16"`

	// Group is how runs that train together share the device: loop, one after another in one compiled step, or batched, all runs'
	// products as one, which fills a GPU. auto is the faster for the backend: batched on CUDA, loop elsewhere. A run's bits depend
	// on it where it trains with others.
	Group string `yaml:"group" enum:"auto,loop,batched"`

	// Devices is how many devices of the backend share each batch; it divides batch_size. A CPU counts as as many
	// devices as are asked for.
	Devices int `yaml:"devices" min:"1" max:"64"`

	// EarlyStopping ends the run after so many epochs without a better validation loss; 0 never does.
	EarlyStopping int `yaml:"early_stopping" min:"0"`

	// KeepCheckpoints is how many of the newest checkpoints stay on disk, beside the best. With 1 there is none to fall back to
	// where the newest is damaged. Runs that train together keep at least 2.
	KeepCheckpoints int `yaml:"keep_checkpoints" min:"1" max:"1000"`
}

// Defaults returns the seed's training: Adam, learning rate 0.001, batches of 128, 10 epochs, mean squared error.
func Defaults() Options {
	return Options{
		Optimizer: "adam", LearningRate: 0.001, Schedule: "constant",
		BatchSize: 128, Accumulate: 1, Epochs: 10,
		Loss: "mse", LossOn: "all", HuberDelta: 1,
		Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8,
		Precision: "float32", Group: "auto", Devices: 1,
		KeepCheckpoints: 2,
	}
}

// StepsPerEpoch is the number of steps that show each of n images once.
func (o Options) StepsPerEpoch(n int) int { return (n + o.BatchSize - 1) / o.BatchSize }

// Steps is the number of steps of a whole run on n images.
func (o Options) Steps(n int) int {
	steps := o.Epochs * o.StepsPerEpoch(n)
	if o.MaxSteps > 0 {
		steps = min(steps, o.MaxSteps)
	}
	return steps
}

// LossFunction is the loss that these options name.
func (o Options) LossFunction() model.Loss {
	return model.Loss{Kind: o.Loss, HuberDelta: o.HuberDelta, Damaged: o.LossOn == "damaged"}
}

// TF32 says that the backend's products may round their factors to TF32.
func (o Options) TF32() bool { return o.Precision == "tf32" }
