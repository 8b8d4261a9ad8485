package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"latent/pkg/evaluate"
	"latent/pkg/rundir"
)

// value is a figure of a run; NaN where it has none.
type value func(o outcome) float64

// test is a figure of the test images, corrupted the corrupted input's, known the baseline's that knows the mask.
func test(name string) value { return func(o outcome) float64 { return entry(o.result.Test, name) } }
func corrupted(name string) value {
	return func(o outcome) float64 { return entry(o.result.Corrupted, name) }
}
func known(name string) value {
	return func(o outcome) float64 { return entry(o.result.MaskKnown, name) }
}

// sampled is a figure of images that were generated with a sampler, floor that of training images.
func sampled(sampler, name string) value {
	return func(o outcome) float64 {
		if o.result.Generated == nil {
			return math.NaN()
		}
		return entry(o.result.Generated.Samplers[sampler], name)
	}
}

func floor(name string) value {
	return func(o outcome) float64 {
		if o.result.Generated == nil {
			return math.NaN()
		}
		return entry(o.result.Generated.Floor, name)
	}
}

func entry(figures map[string]rundir.Number, name string) float64 {
	if figure, found := figures[name]; found {
		return float64(figure)
	}
	return math.NaN()
}

// minutes is the wall time of a run, from its start to its end.
func minutes(o outcome) float64 {
	seconds := 0.0
	for _, part := range o.manifest.Timings {
		seconds += part
	}
	return seconds / 60
}

// updates is the number of training steps.
func updates(o outcome) float64 { return float64(o.manifest.Progress.Step) }

// of returns the values of an experiment's runs that have the figure.
func (m measured) of(name string, v value) []float64 {
	var values []float64
	for _, o := range m[name] {
		if value := v(o); !math.IsNaN(value) {
			values = append(values, value)
		}
	}
	return values
}

// combined returns a number of two figures, of the runs with equal seeds.
func (m measured) combined(a string, va value, b string, vb value, combine func(a, b float64) float64) []float64 {
	var values []float64
	for _, first := range m[a] {
		for _, second := range m[b] {
			if value := combine(va(first), vb(second)); first.manifest.Seed == second.manifest.Seed && !math.IsNaN(value) {
				values = append(values, value)
			}
		}
	}
	return values
}

func minus(a, b float64) float64 { return a - b }
func ratio(a, b float64) float64 { return a / b }

// bar is what a mean over runs should reach.
type bar struct {
	what, unit string
	values     func(m measured) []float64
	atLeast    bool // else at most
	limit      float64
}

// bars are all of them.
var bars = []bar{
	{"PSNR of a U-Net at noise 0.5", "dB", func(m measured) []float64 { return m.of(unet, test("psnr")) }, true, 24.8},
	{"PSNR of a convolutional autoencoder with a code of 64 at noise 0.5", "dB",
		func(m measured) []float64 { return m.of(conv, test("psnr")) }, true, 24.2},
	{"PSNR of a U-Net at noise 0.3", "dB", func(m measured) []float64 { return m.of(unetLess, test("psnr")) }, true, 27.8},
	{"watermarks of unseen words: PSNR above the input's", "dB", func(m measured) []float64 {
		return m.combined(watermark, test("psnr"), watermark, corrupted("psnr"), minus)
	}, true, 10},
	{"VAE: negative log-likelihood", "nats", func(m measured) []float64 { return m.of(vae, test("nll_dyn")) }, false, 88.5},
	{"IWAE with 5 samples less VAE, equally many updates: negative log-likelihood", "nats", func(m measured) []float64 {
		return m.combined(iwae, test("nll_dyn"), vaeShort, test("nll_dyn"), minus)
	}, false, 0},
	{"Fréchet distance: RAE with a mixture ÷ VAE with its prior", "", func(m measured) []float64 {
		return m.combined(rae, sampled("mixture", "frechet"), vae, sampled("prior", "frechet"), ratio)
	}, false, 0.6},
	{"Fréchet distance on the same codes: flow ÷ mixture", "", func(m measured) []float64 {
		return m.combined(flow, sampled("flow", "frechet"), flow, sampled("mixture", "frechet"), ratio)
	}, false, 1},
	{"linear probe of a code of 64", "%", func(m measured) []float64 { return m.of(masked, accuracy) }, true, 95},
}

// accuracy is the probe's, in %.
func accuracy(o outcome) float64 { return 100 * test("probe_accuracy")(o) }

// write writes the document of what was measured. Bars and rows of experiments that were not run are left out.
func write(out *bytes.Buffer, m measured, baselines []baseline) {
	fmt.Fprintf(out, `# Results on MNIST

Made by `+"`go run ./experiments/results`"+`; all values are measured by it. Each line is the mean over runs with
seeds from %d, with the number of runs in the last column, ± the half-width of the 95 %% interval over runs (Student's t). Metrics are computed on
the 10,000 test images with the weights of the lowest validation loss. Minutes are those of the fastest run, from start to
report; the machine had other load at the same time.

`, firstSeed)
	for _, fact := range facts(m) {
		fmt.Fprintf(out, "- %s\n", fact)
	}
	writeBars(out, m)
	for _, t := range tables {
		t.write(out, m)
	}
	writeProbe(out, m, baselines)
}

// facts are what the runs were made with, each once.
func facts(m measured) []string {
	var list []string
	add := func(format string, args ...any) {
		if fact := fmt.Sprintf(format, args...); !slices.Contains(list, fact) {
			list = append(list, fact)
		}
	}
	for _, t := range trials {
		for _, o := range m[t.name] {
			add("processor: %s, %d cores", o.manifest.Host.CPU, o.manifest.Host.Cores)
			add("backend: %s", o.manifest.Backend.Name)
			add("gomlx %s, go-xla %s, %s", o.manifest.Versions["gomlx"], o.manifest.Versions["go-xla"], o.manifest.Versions["go"])
			if g := o.result.Generated; g != nil {
				add("classifier for generated images: accuracy %.4f, SHA-256 %s", float64(g.ClassifierAccuracy), g.FeaturesSHA256)
			}
		}
	}
	return list
}

// text writes the mean of values with its interval.
func text(values []float64, unit string) string {
	mean, interval := evaluate.OverRuns(values).Text()
	if interval != "" {
		mean += " ± " + interval
	}
	return strings.TrimSpace(mean + " " + unit)
}

func writeBars(out *bytes.Buffer, m measured) {
	fmt.Fprint(out, "\n## Bars\n\n|  | bar | measured | seed by seed |  |\n| --- | ---: | ---: | ---: | ---: |\n")
	for _, b := range bars {
		values := b.values(m)
		if len(values) == 0 {
			continue
		}
		var each []string
		for _, v := range values {
			each = append(each, strings.Replace(strconv.FormatFloat(v, 'g', 4, 64), "-", "−", 1))
		}
		mean := evaluate.OverRuns(values).Mean
		sign, met := "≤", mean <= b.limit
		if b.atLeast {
			sign, met = "≥", mean >= b.limit
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s |\n", b.what, strings.TrimSpace(fmt.Sprintf("%s %g %s", sign, b.limit, b.unit)),
			text(values, b.unit), strings.Join(each, ", "), verdict(met))
	}
}

// table is a table of experiments.
type table struct {
	title, note string
	columns     []string
	rows        []row
}

// row is a line of a table, of one experiment. The last column is the time of its fastest run; none of a row of figures that
// another row's runs have beside theirs.
type row struct {
	title, trial string
	values       []value
	beside       bool
}

// tables are all but those of the bars and the probe.
var tables = []table{
	{
		title:   "Denoising",
		note:    "Gaussian noise on pixels in [-1, 1], clipped. PSNR in dB and SSIM are means over images.",
		columns: []string{"noisy input, dB", "PSNR, dB", "SSIM"},
		rows: []row{
			{"dense, code of 64, noise 0.5 (configs/mnist/denoise.yaml)", dense, []value{corrupted("psnr"), test("psnr"), test("ssim")}, false},
			{"convolutional, code of 64, noise 0.5", conv, []value{corrupted("psnr"), test("psnr"), test("ssim")}, false},
			{"U-Net, noise 0.5", unet, []value{corrupted("psnr"), test("psnr"), test("ssim")}, false},
			{"U-Net, noise 0.3", unetLess, []value{corrupted("psnr"), test("psnr"), test("ssim")}, false},
		},
	},
	{
		title: "Watermarks",
		note: "Words that were not in the training set, at any position, angle, size, opacity and brightness. Inside are the pixels " +
			"that the watermark changes. The baseline that knows the mask keeps the pixels outside and interpolates those inside " +
			"smoothly. It ignores what is visible through the watermark, so it is worse than doing nothing if the watermark is " +
			"faint.",
		columns: []string{"PSNR, dB", "SSIM", "MSE inside", "MSE outside"},
		rows: []row{
			{"U-Net", watermark, []value{test("psnr"), test("ssim"), test("mse_inside"), test("mse_outside")}, false},
			{"doing nothing", watermark, []value{corrupted("psnr"), corrupted("ssim"), corrupted("mse_inside"), corrupted("mse_outside")}, true},
			{"mask known", watermark, []value{known("psnr"), known("ssim"), known("mse_inside"), known("mse_outside")}, true},
		},
	},
	{
		title:   "Masked patches",
		note:    "Three quarters of the 4×4 patches are masked. Inside are the masked pixels.",
		columns: []string{"PSNR, dB", "MSE inside"},
		rows: []row{
			{"convolutional, code of 64", masked, []value{test("psnr"), test("mse_inside")}, false},
			{"filled in smoothly", masked, []value{known("psnr"), known("mse_inside")}, true},
		},
	},
	{
		title: "Likelihood",
		note: "In nats, on black-and-white digits, drawn once with the grey value as probability. The negative log-likelihood uses " +
			"5,000 importance samples for each of the first 1,000 test images; the other metrics use all test images.",
		columns: []string{"NLL", "evidence bound", "KL", "active units", "updates"},
		rows: []row{
			{"VAE, 100 epochs", vae, []value{test("nll_dyn"), test("elbo_dyn"), test("kl"), test("active_units"), updates}, false},
			{"VAE, 50 epochs", vaeShort, []value{test("nll_dyn"), test("elbo_dyn"), test("kl"), test("active_units"), updates}, false},
			{"IWAE, 5 samples, 50 epochs", iwae, []value{test("nll_dyn"), test("elbo_dyn"), test("kl"), test("active_units"), updates}, false},
		},
	},
	{
		title: "Generated images",
		note: "10,000 images compared with the test images by the features of a small classifier of the same digits: Fréchet " +
			"distance (lower is better), precision and recall (5,000 of each, three nearest neighbours). The distances are not " +
			"comparable with those of other classifiers. The floor is computed from 10,000 training images.",
		columns: []string{"Fréchet distance", "precision", "recall"},
		rows: []row{
			{"VAE, its prior", vae, []value{sampled("prior", "frechet"), sampled("prior", "precision"), sampled("prior", "recall")}, false},
			{"VAE, mixture", vae, []value{sampled("mixture", "frechet"), sampled("mixture", "precision"), sampled("mixture", "recall")}, true},
			{"RAE, mixture", rae, []value{sampled("mixture", "frechet"), sampled("mixture", "precision"), sampled("mixture", "recall")}, false},
			{"RAE with a flow, mixture", flow, []value{sampled("mixture", "frechet"), sampled("mixture", "precision"), sampled("mixture", "recall")}, false},
			{"RAE with a flow, flow", flow, []value{sampled("flow", "frechet"), sampled("flow", "precision"), sampled("flow", "recall")}, true},
			{"training images", vae, []value{floor("frechet"), floor("precision"), floor("recall")}, true},
		},
	},
}

// complete says that a run has all figures that the tables show of its experiment.
func complete(name string, o outcome) bool {
	if g := o.result.Generated; g != nil && g.Samplers[rundir.Reconstruction] == nil {
		return false // measured before these were
	}
	for _, t := range tables {
		for _, r := range t.rows {
			missing := func(v value) bool { return math.IsNaN(v(o)) }
			if r.trial == name && slices.ContainsFunc(r.values, missing) {
				return false
			}
		}
	}
	return true
}

// write writes the rows of experiments that were run; nothing where there are none.
func (t table) write(out *bytes.Buffer, m measured) {
	var lines []string
	for _, r := range t.rows {
		if len(m[r.trial]) == 0 {
			continue
		}
		line := "| " + r.title
		for _, v := range r.values {
			line += " | " + text(m.of(r.trial, v), "")
		}
		fastest := ""
		if !r.beside {
			fastest = fmt.Sprintf("%.1f", slices.Min(m.of(r.trial, minutes)))
		}
		lines = append(lines, fmt.Sprintf("%s | %s | %d |", line, fastest, len(m[r.trial])))
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(out, "\n## %s\n\n%s\n\n|  | %s | minutes | runs |\n| ---%s |\n%s\n", t.title, t.note, strings.Join(t.columns, " | "),
		strings.Repeat(" | ---:", len(t.columns)+2), strings.Join(lines, "\n"))
}

// writeProbe writes the probe's figures beside its baselines.
func writeProbe(out *bytes.Buffer, m measured, baselines []baseline) {
	if len(m[masked]) == 0 {
		return
	}
	fmt.Fprint(out, "\n## Linear probe\n\nTest accuracy in % of a logistic regression on the standardised code. Its regularisation is chosen on validation "+
		"images. The autoencoders were trained without labels.\n\n|  | % |\n| --- | ---: |\n")
	fmt.Fprintf(out, "| convolutional masked autoencoder, code of 64 | %s |\n", text(m.of(masked, accuracy), ""))
	if len(m[conv]) > 0 {
		fmt.Fprintf(out, "| convolutional denoiser, code of 64 | %s |\n", text(m.of(conv, accuracy), ""))
	}
	for _, b := range baselines {
		fmt.Fprintf(out, "| %s | %s |\n", b.title, text([]float64{100 * b.accuracy}, ""))
	}
}
