package config

import (
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
)

// Experiment is everything that decides a run: two runs of one experiment on one backend and machine end with the
// same bits.
//
// Every field has a default (see [Default]); a config file names what differs.
type Experiment struct {
	// Name names the folder of the runs: letters, digits, '-', '_' and '.'.
	Name string `yaml:"name" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"`

	// Seed decides the first weights, the order of the images and every draw of the corruption.
	Seed int64 `yaml:"seed" min:"0"`

	// Backend runs the compiled program: auto takes a CUDA GPU if one works, else an XLA plugin for the CPU (installed
	// when missing), else pure Go. The environment variable GOMLX_BACKEND overrides it.
	Backend string `yaml:"backend" enum:"auto,xla:cpu,xla:cuda,go"`

	// Data is where the images come from.
	Data dataset.Source `yaml:"data" kind:"dataset"`

	// Corrupt damages the model's input, one kind or a list of kinds applied in order. The target stays clean. Without
	// it the model is a plain autoencoder.
	Corrupt corrupt.Chain `yaml:"corrupt" kind:"kind"`

	// Model is the autoencoder.
	Model model.Model `yaml:"model" kind:"kind"`

	// Train is how the model learns.
	Train Train `yaml:"train"`

	// Evaluate is how the model is measured on held-out images.
	Evaluate Evaluate `yaml:"evaluate"`

	// Output is what the run leaves beside its figures.
	Output Output `yaml:"output"`
}

// Train is the training loop's part of an experiment.
type Train struct {
	// Optimizer turns gradients into updates: adam (Kingma & Ba 2015), adamw (decoupled weight decay, Loshchilov &
	// Hutter 2019), sgd (with momentum) or rmsprop.
	Optimizer string `yaml:"optimizer" enum:"adam,adamw,sgd,rmsprop"`

	// LearningRate is the step size; with a schedule, its highest value.
	LearningRate float64 `yaml:"learning_rate" above:"0" max:"1000"`

	// Schedule changes the learning rate over the run: constant, or cosine, which falls to zero at the last step.
	Schedule string `yaml:"schedule" enum:"constant,cosine"`

	// WarmupEpochs lets the learning rate rise linearly from zero over so many epochs; parts of an epoch count.
	WarmupEpochs float64 `yaml:"warmup_epochs" min:"0"`

	// BatchSize is the number of images in a step; an epoch's last, shorter batch counts with its true size.
	BatchSize int `yaml:"batch_size" min:"1" max:"1048576"`

	// Epochs is how often every training image is seen.
	Epochs int `yaml:"epochs" min:"1" max:"1000000"`

	// MaxSteps ends training after so many steps, in the middle of an epoch if need be; 0 means no such limit.
	MaxSteps int `yaml:"max_steps" min:"0"`

	// Loss compares the reconstruction with the clean image, averaged over pixels and images: mse, mae, bce (binary
	// cross entropy in nats; needs model.output sigmoid) or huber.
	Loss string `yaml:"loss" enum:"mse,mae,bce,huber"`

	// HuberDelta is the error at which loss huber turns from squared to linear, on pixels in [-1, 1].
	HuberDelta float64 `yaml:"huber_delta" above:"0" max:"2"`

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

	// EarlyStopping ends the run after so many epochs without a better validation loss; 0 never does.
	EarlyStopping int `yaml:"early_stopping" min:"0"`

	// KeepCheckpoints is how many of the newest checkpoints stay on disk, beside the best.
	KeepCheckpoints int `yaml:"keep_checkpoints" min:"1" max:"1000"`
}

// Evaluate is how a model is measured.
type Evaluate struct {
	// Seed decides the corruption of the validation and test images, the same for every epoch and for every run, so
	// that figures can be compared.
	Seed int64 `yaml:"seed" min:"0"`

	// Weights are those that the test figures, the final grid and the report use: best (by validation loss; last where
	// nothing is held out) or last.
	Weights string `yaml:"weights" enum:"best,last"`
}

// Output is what a run leaves on disk.
type Output struct {
	// Dir is the folder for all runs; a run's own folder is DIR/NAME/TIME-ID.
	Dir string `yaml:"dir"`

	// Grid is the sample picture.
	Grid Grid `yaml:"grid"`
}

// Grid is a picture of held-out images: clean, corrupted and reconstructed side by side.
type Grid struct {
	// Rows is the number of rows of the picture.
	Rows int `yaml:"rows" min:"1" max:"100"`

	// Columns is how many images each row shows, each as clean, corrupted, reconstructed.
	Columns int `yaml:"columns" min:"1" max:"100"`

	// Every draws a grid after every so many epochs; 0 draws only those before the first and after the last epoch.
	Every int `yaml:"every" min:"0"`

	// Scale is the size of one image pixel on the picture, in pixels; 0 chooses one that makes images about 84 pixels
	// wide.
	Scale int `yaml:"scale" min:"0" max:"64"`
}

// Default returns the seed's experiment, a denoising autoencoder on MNIST.
func Default() *Experiment {
	return &Experiment{
		Name:    "experiment",
		Seed:    42,
		Backend: "auto",
		Data:    dataset.Kinds["mnist"](),
		Model:   model.Kinds["dense"](),
		Train: Train{
			Optimizer: "adam", LearningRate: 0.001, Schedule: "constant",
			BatchSize: 128, Epochs: 10,
			Loss: "mse", HuberDelta: 1,
			Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8,
			KeepCheckpoints: 2,
		},
		Evaluate: Evaluate{Seed: 1, Weights: "best"},
		Output:   Output{Dir: "runs", Grid: Grid{Rows: 8, Columns: 4, Every: 1}},
	}
}
