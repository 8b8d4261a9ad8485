// Package diagnose finds what is wrong with a training that has not failed: a loss that stands, outputs that are all the same, units that
// never fire.
//
//	found := diagnose.Run(diagnose.Facts{Epochs: epochs, Result: result, Clean: clean, Made: made})
//	for _, w := range found {
//		fmt.Println(w.Kind, w.Text)
//	}
//
// Promised: each warning names cause and cure, and rests on figures that are in its text. The bounds are such that a sound run of any config of
// the repository raises none; see the tests. Facts that are left out raise no warning.
//
// What is not here: gathering the facts (pkg/experiment), and a loss that is no finite number, which ends a run (pkg/train).
package diagnose

import (
	"fmt"
	"math"
	"slices"

	"latent/pkg/rundir"
)

// The kinds of warnings.
const (
	WorseThanInput    = "worse-than-input"    // the reconstruction is further from the clean sample than the damaged one
	ConstantOutput    = "constant-output"     // all inputs give the same output
	NoBetterThanMean  = "no-better-than-mean" // the mean sample would be as good
	Standstill        = "standstill"          // the loss has not fallen for long
	Jump              = "jump"                // the loss has risen by much
	DeadUnits         = "dead-units"          // of a layer, most are 0 for every input
	SaturatedUnits    = "saturated-units"     // of a layer, most are at an end of their activation for every input
	SaturatedOutput   = "saturated-output"    // outputs at the wrong end of the scale
	PosteriorCollapse = "posterior-collapse"  // the code of a variational model tells nothing of the sample
	UnusedEntries     = "unused-entries"      // most entries of a codebook are never chosen
	Overfit           = "overfit"             // the training loss falls and the validation loss rises
	SmallValidation   = "small-validation"    // too few held-out samples to choose an epoch by
	AlwaysClipped     = "always-clipped"      // the gradient is clipped in nearly every step
	OneSampleBatch    = "one-sample-batch"    // batch norm sees a batch of one sample
	BinarisedColours  = "binarised-colours"   // a likelihood of black and white takes pictures in colour for that
)

// Facts are what is known of a run. What is not known is left at its zero value.
type Facts struct {
	// Epochs are the records of all epochs so far, and Warmup how many of the first have another loss than the later ones, such as a weight
	// that rises.
	Epochs []rundir.Epoch
	Warmup float64
	// LearningRate is that of the config.
	LearningRate float64
	// Clipped is the share of the last epoch's steps in which the gradient was clipped, and ClipNorm the norm that it was clipped to; 0
	// without.
	Clipped, ClipNorm float64
	// LastBatch is the size of an epoch's last batch, where the model has batch norm; else 0.
	LastBatch int
	// Binarised says that the likelihood makes black and white of pictures in colour.
	Binarised bool

	// ValidationLoss and ValidationInterval are the last validation loss and half its 95 % interval over Validation samples, by which the best
	// epoch is chosen.
	ValidationLoss, ValidationInterval float64
	Validation                         int

	// Result has the figures of the test samples. Strange says that there are some among them of classes that training had none of, as with
	// data.normal, which may well come out worse.
	Result  rundir.Result
	Strange bool
	// Clean are samples on the model's scale, and Made what the model makes of them, one after another, of Values values each.
	Clean, Made []float32
	Values      int
	// Bounded says that the output's activation ends where the samples do, at -1 and 1.
	Bounded bool
	// Layers are what hidden layers make of some samples.
	Layers []Layer
	// Entries is the number of entries of a codebook, and Choices how often the test samples choose one; 0 without one.
	Entries, Choices int
}

// Layer is what a layer makes of some samples.
type Layer struct {
	Name string
	// Values are [samples, places…, Units].
	Values []float32
	Units  int
	// Bounded says that the activation ends at -1 and 1, as tanh, or at 0 and 1, as sigmoid.
	Bounded bool
}

// finding is a warning about a run as a whole.
func finding(kind, format string, args ...any) []rundir.Warning {
	return []rundir.Warning{{Kind: kind, Text: fmt.Sprintf(format, args...)}}
}

// Run finds what is wrong with a run that has ended.
func Run(f Facts) []rundir.Warning {
	return slices.Concat(Epoch(f), f.worseThanInput(), f.outputs(), f.standstill(), f.overfit(), f.smallValidation(), f.layers(), f.code())
}

// Epoch finds what is wrong after an epoch, from the facts of training alone.
func Epoch(f Facts) []rundir.Warning {
	return slices.Concat(f.jump(), f.clipped(), f.oneSample(), f.binarised())
}

// lowerRate is the cure of steps that are too long.
func (f Facts) lowerRate() string {
	return fmt.Sprintf("lower train.learning_rate, which is %.4g", f.LearningRate)
}

// losses are the training losses of the epochs after the warm-up.
func (f Facts) losses() (losses []float64, first int) {
	for _, e := range f.Epochs {
		if float64(e.Epoch-1) >= f.Warmup {
			losses = append(losses, float64(e.TrainLoss))
		}
	}
	return losses, len(f.Epochs) - len(losses) + 1
}

// jump finds a loss that has lost half of what it had gained, or more than it began with.
func (f Facts) jump() []rundir.Warning {
	losses, first := f.losses()
	last := len(losses) - 1
	if last < 1 {
		return nil
	}
	least := slices.Min(losses[:last])
	if gained := losses[0] - least; losses[last]-least <= 0.5*gained || losses[last]-least <= 0.2*math.Abs(least) {
		return nil
	}
	before := first + slices.Index(losses, least)
	return finding(Jump, "the training loss is %.4g, up from %.4g in epoch %d: the steps are too large; %s, or set train.clip_norm: 1",
		losses[last], least, before, f.lowerRate())
}

// clipped finds gradients that are clipped in nearly every step.
func (f Facts) clipped() []rundir.Warning {
	if f.Clipped <= 0.95 || len(f.Epochs) < 2 {
		return nil
	}
	return finding(AlwaysClipped, "the gradient was clipped in %.0f %% of the epoch's steps, so that only its direction counts; raise train.clip_norm (%.4g), or leave it out",
		100*f.Clipped, f.ClipNorm)
}

// oneSample finds a batch that batch norm can learn nothing from.
func (f Facts) oneSample() []rundir.Warning {
	if f.LastBatch != 1 {
		return nil
	}
	return finding(OneSampleBatch, "the last batch of each epoch is a single sample, and batch norm normalises it by its own mean and variance; change train.batch_size or data.limit, or set norm: layer")
}

// binarised finds pictures in colour that are made black and white.
func (f Facts) binarised() []rundir.Warning {
	if !f.Binarised {
		return nil
	}
	return finding(BinarisedColours, "likelihood bernoulli turns each channel of these colour pictures into 0 or 1, which changes them; set model.likelihood: gaussian (spread: shared) or logistic")
}

// worseThanInput finds a model that does worse than nothing.
func (f Facts) worseThanInput() []rundir.Warning {
	made, with := f.Result.Test["mse"]
	input, damaged := f.Result.Corrupted["mse"]
	if !with || !damaged || made <= input || f.Strange || f.Result.ComparedWith != "" {
		return nil
	}
	figures := fmt.Sprintf("an MSE of %.3g, against %.3g for the corrupted input", float64(made), float64(input))
	if psnr, found := f.Result.Test["psnr"]; found {
		figures = fmt.Sprintf("%.2f dB, against %.2f dB for the corrupted input", float64(psnr), float64(f.Result.Corrupted["psnr"]))
	}
	return finding(WorseThanInput, "the reconstruction is worse than doing nothing: %s; train longer (train.epochs), %s, or give the model more layers or a larger code", figures, f.lowerRate())
}

// fewest is of how many samples variances say something.
const fewest = 16

// outputs finds outputs that do not depend on the input, or are at the wrong end of the scale.
func (f Facts) outputs() []rundir.Warning {
	if f.Values == 0 || len(f.Clean) != len(f.Made) || len(f.Clean)/f.Values < fewest {
		return nil
	}
	clean, made, mse, wrong := variance(f.Clean, f.Values), variance(f.Made, f.Values), 0.0, 0
	for i, x := range f.Clean {
		d := float64(f.Made[i] - x)
		mse += d * d / float64(len(f.Clean))
		if math.Abs(float64(f.Made[i])) > 0.999 && math.Abs(d) > 1 {
			wrong++
		}
	}
	switch share := float64(wrong) / float64(len(f.Made)); {
	case clean == 0:
		return nil
	case f.Bounded && share > 0.1:
		return finding(SaturatedOutput, "%.0f %% of the output's values are saturated at the wrong end of the scale, where gradients vanish; %s, or use another init or output", 100*share, f.lowerRate())
	case made < 1e-3*clean:
		return finding(ConstantOutput, "all inputs give the same output: its values vary by %.2g between samples, and the samples' own by %.2g, so the code carries no information; %s, use activation leaky_relu instead of relu, or train longer",
			math.Sqrt(made), math.Sqrt(clean), f.lowerRate())
	case mse > 0.98*clean:
		return finding(NoBetterThanMean, "the reconstruction is no better than the mean of all samples (MSE %.3g, and %.3g for the mean); train longer (train.epochs), or change train.learning_rate (%.4g)",
			mse, clean, f.LearningRate)
	}
	return nil
}

// variance is the mean over values of their variance over samples.
func variance(all []float32, values int) float64 {
	n, sum := len(all)/values, 0.0
	for j := range values {
		mean := 0.0
		for i := range n {
			mean += float64(all[i*values+j]) / float64(n)
		}
		for i := range n {
			d := float64(all[i*values+j]) - mean
			sum += d * d / float64(n*values)
		}
	}
	return sum
}

// standstill finds a loss that has fallen no more over the last third of the epochs and at least five, or never.
func (f Facts) standstill() []rundir.Warning {
	losses, first := f.losses()
	n := len(losses)
	if n < 3 {
		return nil
	}
	least := slices.Min(losses)
	if gained := losses[0] - least; gained <= 1e-3*math.Abs(losses[0]) {
		return finding(Standstill, "the training loss has not fallen since epoch %d (%.4g): change train.learning_rate (%.4g), or check the data",
			first, losses[0], f.LearningRate)
	}
	alike := min(2e-3*(losses[0]-least), 5e-3*math.Abs(least)) // a loss that has fallen to a hundredth may still halve
	stands := n - 1
	for stands > 0 && losses[stands-1]-least <= alike && losses[stands-1] >= least {
		stands--
	}
	if n-stands < max(5, (n+2)/3) {
		return nil
	}
	return finding(Standstill, "the training loss has stayed at %.4g since epoch %d of %d: train fewer epochs (train.early_stopping), or try a larger model or code",
		losses[n-1], first+stands, first+n-1)
}

// overfit finds a validation loss that has risen while the training loss fell below it, or that is far above it, for two epochs.
func (f Facts) overfit() []rundir.Warning {
	n := len(f.Epochs)
	if n < 3 {
		return nil
	}
	best := -1
	for i, e := range f.Epochs {
		if e.ValLoss != nil && float64(e.Epoch-1) >= f.Warmup && (best < 0 || *e.ValLoss < *f.Epochs[best].ValLoss) {
			best = i
		}
	}
	for _, e := range f.Epochs[n-2:] {
		if best < 0 || e.ValLoss == nil || e.TrainLoss <= 0 {
			return nil
		}
		risen := *e.ValLoss > 1.3*e.TrainLoss && *e.ValLoss > 1.1**f.Epochs[best].ValLoss
		if !risen && *e.ValLoss < 3*e.TrainLoss {
			return nil
		}
	}
	last := f.Epochs[n-1]
	return finding(Overfit, "the validation loss is %.4g (%.4g in epoch %d), and the training loss %.4g: the model is overfitting; use more training samples, data.augment, model.dropout, a smaller model, or train.early_stopping",
		float64(*last.ValLoss), float64(*f.Epochs[best].ValLoss), f.Epochs[best].Epoch, float64(last.TrainLoss))
}

// smallValidation finds too few held-out samples to tell epochs apart.
func (f Facts) smallValidation() []rundir.Warning {
	least, most := math.Inf(1), math.Inf(-1)
	for _, e := range f.Epochs {
		if e.ValLoss != nil {
			least, most = min(least, float64(*e.ValLoss)), max(most, float64(*e.ValLoss))
		}
	}
	if f.Validation < 2 || len(f.Epochs) < 2 || f.ValidationInterval <= max(0.25*math.Abs(f.ValidationLoss), most-least) {
		return nil
	}
	return finding(SmallValidation, "the validation loss, %.4g, which chooses the best epoch, is only accurate to ±%.2g with %d held-out samples, more than epochs differ; raise data.validation, or set evaluate.weights: last",
		f.ValidationLoss, f.ValidationInterval, f.Validation)
}

const (
	// fewestUnits is of how many units a share says something.
	fewestUnits = 8
	// most is the share of a layer's units that may not be idle for the samples that were looked at. Half of the first layer of
	// configs/mnist/denoise.yaml is, 88 % of that of configs/papers/beta-vae.yaml, and both learn.
	most = 0.9
)

// layers finds units that do the same for every sample.
func (f Facts) layers() []rundir.Warning {
	var found []rundir.Warning
	for _, l := range f.Layers {
		if l.Units < fewestUnits || len(l.Values) == 0 {
			continue
		}
		dead, saturated := l.idle()
		warn := func(kind, format string, units int, cure string) {
			if share := float64(units) / float64(l.Units); share >= most {
				found = append(found, rundir.Warning{Kind: kind, Part: l.Name, Text: fmt.Sprintf(format, l.Name, 100*share, l.Units) + "; " + cure})
			}
		}
		warn(DeadUnits, "in layer %s, %.0f %% of %d units are dead: they are 0 for every sample and no longer learn", dead, f.lowerRate()+", or use activation leaky_relu or gelu")
		if l.Bounded {
			warn(SaturatedUnits, "in layer %s, %.0f %% of %d units are saturated for every sample and hardly learn", saturated, f.lowerRate()+", or use another init or norm: layer")
		}
	}
	return found
}

// idle counts the units that are 0 for every sample, and those that are beyond 0.999 of the way to an end.
func (l Layer) idle() (dead, saturated int) {
	for unit := range l.Units {
		zero, least, most := true, math.Inf(1), math.Inf(-1)
		for i := unit; i < len(l.Values); i += l.Units {
			v := float64(l.Values[i])
			zero, least, most = zero && v == 0, min(least, v), max(most, v)
		}
		if zero {
			dead++
		} else if least > 0.999 || most < -0.999 || least >= 0 && most < 0.001 {
			saturated++
		}
	}
	return dead, saturated
}

// code finds codes that tell nothing, and entries that are never chosen.
func (f Facts) code() []rundir.Warning {
	if l := f.Result.Likelihood; l != nil && len(l.Divergence) > 1 {
		sum := 0.0
		for _, value := range l.Divergence {
			sum += float64(value)
		}
		if sum < 0.1 {
			return finding(PosteriorCollapse, "the posterior has collapsed: the code of %d values carries only %.2g nats about a sample; lower model.beta, set model.beta_warmup or model.free_bits, or weaken the decoder", len(l.Divergence), sum)
		}
	}
	if used, found := f.Result.Test["entries_used"]; found && f.Entries > 0 && f.Choices >= 5*f.Entries && float64(used) < 0.2*float64(f.Entries) {
		return finding(UnusedEntries, "only %.0f of %d entries of the codebook are used; %s, or make the codebook smaller (model.entries, model.levels)", float64(used), f.Entries, f.lowerRate())
	}
	return nil
}
