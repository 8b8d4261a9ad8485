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

	// Restarts lists the epochs after which the schedule starts again at learning_rate (warm restarts, Loshchilov & Hutter 2017). latent
	// run --resume RUN --epochs N --schedule restart adds the epoch at which the run had ended.
	Restarts []int `yaml:"restarts,flow" min:"1" max:"1000000" maxitems:"1000"`

	// Extended lists the earlier values of epochs of a run that was extended: up to each of them, the learning rate follows the schedule of
	// a run of that length. latent run --resume RUN --epochs N --schedule extend adds one.
	Extended []int `yaml:"extended,flow" min:"1" max:"1000000" maxitems:"1000"`

	// WarmupEpochs is the number of epochs over which the learning rate rises linearly from zero; it may be fractional.
	WarmupEpochs float64 `yaml:"warmup_epochs" min:"0"`

	// BatchSize is the number of images in a step. The last batch of an epoch may be smaller; its loss is averaged over the images it has.
	BatchSize int `yaml:"batch_size" min:"1" max:"1048576"`

	// Accumulate splits each batch into this many parts, computes them one after another, and adds up their gradients, so that only the
	// activations of one part are in memory at a time. It must divide batch_size. Apart from rounding it does not change the result. Models
	// that look across a batch cannot be split.
	Accumulate int `yaml:"accumulate" min:"1" max:"64"`

	// CheckpointActivations saves memory by recomputing activations when gradients need them, instead of keeping them from the forward pass
	// (Chen et al. 2016). Only the inputs of residual and attention blocks, and of pairs of other layers, are kept. A step needs less
	// memory and takes about a third longer. Apart from rounding it does not change the result. The pure Go backend ignores it.
	CheckpointActivations bool `yaml:"checkpoint_activations"`

	// From initialises the model with trained weights: from the folder of a run, whose evaluated weights are taken; a safetensors file; or
	// a PyTorch file of a state dict (.pt, .pth). Parameters of a run, or of a file that latent export wrote, are matched by name and
	// shape; those of other files layer by layer. Parameters without a match are initialised at random. The optimizer starts from scratch.
	From string `yaml:"from" path:"yes"`

	// Freeze lists layers that keep their initial values, running means of norms included. An entry is the name of a layer, or a prefix of
	// names up to a dot, such as encoder or encoder.layer_1. latent run --dry-run lists a model's layers.
	Freeze []string `yaml:"freeze,flow" pattern:"^[a-z][a-z0-9_]*([.][a-z0-9_]+)*$" maxitems:"1000"`

	// Rates set a different learning rate for some layers.
	Rates []Rate `yaml:"rates" maxitems:"100"`

	// Epochs is the number of passes over the training set.
	Epochs int `yaml:"epochs" min:"1" max:"1000000"`

	// MaxSteps is the number of steps after which training ends, even in the middle of an epoch; 0 sets no limit.
	MaxSteps int `yaml:"max_steps" min:"0"`

	// Loss compares the reconstruction with the clean image, averaged over pixels and images: mse, mae, bce (binary cross entropy in nats;
	// needs model.output sigmoid) or huber. Models with a loss of their own, such as vae, ignore it.
	Loss string `yaml:"loss" enum:"mse,mae,bce,huber"`

	// LossOn selects the pixels that the loss compares: all, or damaged, those that the corruption changed. With damaged, an image's loss
	// is the mean over its damaged pixels, and 0 if it has none. It needs a corruption that leaves other pixels unchanged: masking, erase,
	// salt-and-pepper, watermark, or a list of them. It finds the pixels by corrupting a black and a white image too, each of which costs
	// as much again.
	LossOn string `yaml:"loss_on" enum:"all,damaged"`

	// HuberDelta is the error at which loss huber turns from squared to linear, on pixels in [-1, 1].
	HuberDelta float64 `yaml:"huber_delta" above:"0" max:"2"`

	// Perceptual is the weight of a perceptual loss that is added to the loss: the distance between a reconstruction and its target in the
	// features of a classifier of the dataset (Johnson et al. 2016); 0 adds none. The classifier is that of evaluate.generated. It is
	// trained once for a dataset, which needs labels.
	Perceptual float64 `yaml:"perceptual" min:"0" max:"1000000"`

	// ClipNorm is the largest global L2 norm of the gradient: a longer gradient is scaled down to it; 0 never clips.
	ClipNorm float64 `yaml:"clip_norm" min:"0"`

	// Beta1 is the decay of the first moment of adam and adamw.
	Beta1 float64 `yaml:"beta1" min:"0" below:"1"`

	// Beta2 is the decay of the second moment of adam and adamw, and of the squared gradient of rmsprop.
	Beta2 float64 `yaml:"beta2" min:"0" below:"1"`

	// Epsilon is added to the denominator of adam, adamw and rmsprop.
	Epsilon float64 `yaml:"epsilon" above:"0" max:"1"`

	// Momentum is the momentum of sgd; 0 is plain gradient descent.
	Momentum float64 `yaml:"momentum" min:"0" below:"1"`

	// WeightDecay is the weight decay of adamw: each step shrinks the weights, not the biases, by learning_rate · weight_decay. Other
	// optimizers do not support it.
	WeightDecay float64 `yaml:"weight_decay" min:"0" max:"1000"`

	// EMA is the decay of a moving average of the parameters, which is evaluated, saved and exported in their place; 0 keeps none. Training
	// continues with the parameters themselves. Running means of batch norm and codebooks are not averaged again. In step t, counted from
	// 1, the decay is at most (1 + t) / (10 + t), so that the first steps are soon forgotten.
	EMA float64 `yaml:"ema" min:"0" below:"1"`

	// Precision is the number format of the model's computation: float32; tf32, which keeps about three digits in products, is faster on
	// NVIDIA GPUs, and is float32 elsewhere; or bfloat16, which keeps about three digits in all values, on GPUs and CPUs that support it.
	// Parameters, moments and losses are always float32. A model trained with tf32 is evaluated in tf32, one trained with bfloat16 in
	// float32.
	Precision string `yaml:"precision" enum:"float32,tf32,bfloat16"`

	// Group says how runs that train together share the device: loop computes them one after another in one compiled step; batched computes
	// the products of all runs as one, which fills a GPU; auto takes the faster one for the backend, batched on CUDA and loop elsewhere.
	// The choice changes the last bits of runs that train together.
	Group string `yaml:"group" enum:"auto,loop,batched"`

	// Devices is the number of the backend's devices that share each batch; it must divide batch_size. A CPU counts as any number of
	// devices.
	Devices int `yaml:"devices" min:"1" max:"64"`

	// EarlyStopping is the number of epochs without a better validation loss after which the run ends; 0 never stops early.
	EarlyStopping int `yaml:"early_stopping" min:"0"`

	// KeepCheckpoints is the number of recent checkpoints kept on disk, in addition to the best one. With 1 there is no older one to fall
	// back to if the newest is damaged. Runs that train together keep at least 2.
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
