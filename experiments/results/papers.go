package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"latent/pkg/evaluate"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
)

// papersPath is where the document of published tables goes.
const papersPath = "docs/results-papers.md"

// paperTrials are the experiments that make rows of published tables again, by their part of the document. Long ones are left out unless
// they are named.
var paperTrials = []paperTrial{
	{trial: trial{"vae", "configs/papers/vae.yaml", nil}, part: "samplers"},
	{trial: trial{"wae", "configs/papers/wae.yaml", nil}, part: "samplers"},
	{trial: trial{"rae", "configs/papers/rae.yaml", nil}, part: "samplers"},
	{trial: trial{"ae", "configs/papers/ae.yaml", nil}, part: "samplers"},
	{trial: trial{"beta-vae-4", "configs/papers/beta-vae.yaml", nil}, part: "factors"},
	{trial: trial{"beta-vae-6", "configs/papers/beta-vae.yaml", []string{"model.beta=6"}}, part: "factors"},
	{trial: trial{"beta-vae-10", "configs/papers/beta-vae.yaml", []string{"model.beta=10"}}, part: "factors"},
	{trial: trial{"tc-vae-4", "configs/papers/tc-vae.yaml", nil}, part: "factors"},
	{trial: trial{"tc-vae-6", "configs/papers/tc-vae.yaml", []string{"model.penalty.weight=5"}}, part: "factors"},
	{trial: trial{"tc-vae-10", "configs/papers/tc-vae.yaml", []string{"model.penalty.weight=9"}}, part: "factors"},
	{trial: trial{"fsq", "configs/mnist/fsq.yaml", nil}, part: "entries"},
	{trial: trial{"elbo", "configs/papers/iwae.yaml", []string{"model.bound=elbo", "model.samples=1"}}, part: "bounds", long: true, twin: true},
	{trial: trial{"iwae-5", "configs/papers/iwae.yaml", nil}, part: "bounds", long: true, twin: true},
	{trial: trial{"iwae-50", "configs/papers/iwae.yaml", []string{"model.samples=50"}}, part: "bounds", long: true, twin: true},
	{trial: trial{"miwae", "configs/papers/iwae.yaml", []string{"model.bound=miwae", "model.samples=64", "model.groups=8"}}, part: "bounds", long: true},
	{trial: trial{"piwae", "configs/papers/iwae.yaml", []string{"model.bound=piwae", "model.samples=64", "model.groups=8"}}, part: "bounds", long: true},
	{trial: trial{"ciwae", "configs/papers/iwae.yaml", []string{"model.bound=ciwae", "model.samples=64"}}, part: "bounds", long: true},
}

// paperTrial is an experiment of a part of the document.
type paperTrial struct {
	trial
	part string
	long bool // hours
	twin bool // beside the same in PyTorch
}

// command says what runs it by hand, and that it takes hours.
func (t paperTrial) command() string {
	if t.long {
		return t.trial.command() + "  # hours"
	}
	return t.trial.command()
}

// printedFigures are those of the papers, by trial and then by sampler or figure: of the samplers FID, of the bounds nats.
var printedFigures = map[string]map[string]float64{
	"vae":     {"reconstruction": 18.26, "prior": 19.21, "mixture": 17.66},
	"wae":     {"reconstruction": 10.03, "prior": 20.42, "mixture": 9.39},
	"rae":     {"reconstruction": 10.53, "normal": 22.22, "mixture": 8.69},
	"ae":      {"reconstruction": 12.95, "normal": 58.73, "mixture": 10.66},
	"elbo":    {"nll": 86.76},
	"iwae-5":  {"nll": 85.54},
	"iwae-50": {"nll": 84.78},
	"miwae":   {"nll": 85.09},
	"piwae":   {"nll": 84.58},
	"ciwae":   {"nll": 84.74},
}

// runPapers trains the chosen experiments, or finds them, and writes the document of all that are there.
func runPapers(ctx context.Context, only, runs string, list, train bool, seeds int, options experiment.Options, out string, stdout io.Writer) error {
	chosen, err := choose(paperTrials, only)
	if err != nil {
		return err
	}
	if only == "" {
		chosen = slices.DeleteFunc(slices.Clone(chosen), func(t paperTrial) bool { return t.long && !list })
	}
	if list {
		return printTrials(stdout, chosen)
	}
	if err := os.MkdirAll(runs, 0o755); err != nil {
		return err
	}
	all, twins := measured{}, map[string]*twin{}
	for _, t := range paperTrials {
		now := train && slices.ContainsFunc(chosen, func(c paperTrial) bool { return c.name == t.name })
		for n := range seeds {
			seed := int64(firstSeed + n)
			if now {
				fmt.Fprintf(options.Log, "\n%s, seed %d\n", t.name, seed)
			}
			o, err := obtain(ctx, t.trial, seed, runs, now, options)
			if err != nil {
				return fmt.Errorf("%s, seed %d: %w", t.name, seed, err)
			}
			if o != nil {
				all[t.name] = append(all[t.name], *o)
			}
			if t.twin && n == 0 {
				if twins[t.name], err = obtainTwin(ctx, t, seed, runs, now); err != nil {
					return fmt.Errorf("%s in PyTorch: %w", t.name, err)
				}
			}
		}
	}
	if len(all) == 0 {
		return fmt.Errorf("%s: none of the runs is there; leave out --found to train them", runs)
	}
	if err := sameFeatures(all); err != nil {
		return err
	}
	if out == "" {
		out = papersPath
	}
	var text bytes.Buffer
	writePapers(&text, all, twins)
	return deliver(text.Bytes(), out, stdout, options.Log)
}

// over returns the mean of a figure over a trial's runs, with its interval; NaN where there is none.
func (m measured) over(name string, figure func(rundir.Result) rundir.Number) evaluate.Figure {
	var values []float64
	for _, o := range m[name] {
		values = append(values, float64(figure(o.result)))
	}
	if len(values) == 0 {
		return evaluate.Figure{Mean: math.NaN()}
	}
	return evaluate.OverRuns(values)
}

// frechet is the distance of images of a sampler.
func frechet(sampler string) func(rundir.Result) rundir.Number {
	return func(r rundir.Result) rundir.Number {
		if r.Generated == nil || r.Generated.Samplers[sampler] == nil {
			return rundir.Number(math.NaN())
		}
		return r.Generated.Samplers[sampler]["frechet"]
	}
}

// tested is a figure of the test images.
func tested(name string) func(rundir.Result) rundir.Number {
	return func(r rundir.Result) rundir.Number {
		if value, found := r.Test[name]; found {
			return value
		}
		return rundir.Number(math.NaN())
	}
}

// numeral writes a figure with so many decimals and its interval, "–" where there is none.
func numeral(f evaluate.Figure, decimals int) string {
	switch {
	case math.IsNaN(f.Mean):
		return "–"
	case f.Interval > 0 && !math.IsInf(f.Interval, 0):
		return fmt.Sprintf("%.*f ± %.*f", decimals, f.Mean, decimals, f.Interval)
	}
	return fmt.Sprintf("%.*f", decimals, f.Mean)
}

// minutes is how long a trial's runs took to train, on the mean.
func (m measured) minutes(name string) string {
	sum := 0.0
	for _, o := range m[name] {
		sum += o.manifest.Timings["train"] / 60
	}
	if len(m[name]) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", sum/float64(len(m[name])))
}

// writePapers writes the document.
func writePapers(out *bytes.Buffer, m measured, twins map[string]*twin) {
	var any *rundir.Manifest
	for _, outcomes := range m {
		any = outcomes[0].manifest
	}
	fmt.Fprintf(out, `# Published tables, reproduced

Made by `+"`go run ./experiments/results --papers`"+`; all obtained values are measured by it, with the number of seeds in each row
(`+"`--seeds`"+`). Each table compares the obtained values with the paper's and states the protocol. Minutes are the training time of a run. Trials that take hours run only by name, for example
`+"`--papers --only iwae-5`"+`; a row without values was not trained.

- processor: %s, %d cores
- backend: %s
- gomlx %s, go-xla %s, %s

`, any.Host.CPU, any.Host.Cores, any.Backend.Name, any.Versions["gomlx"], any.Versions["go-xla"], any.Versions["go"])
	writeSamplers(out, m)
	writeFactors(out, m)
	writeEntries(out, m)
	writeBounds(out, m, twins)
}

// tableRow writes cells of a table.
func tableRow(out *bytes.Buffer, cells ...string) {
	fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
}

// barOfRatio writes a bar on a ratio of two figures.
func barOfRatio(out *bytes.Buffer, title string, above, below, bar, paper float64) {
	tableRow(out, title, numeral(evaluate.Figure{Mean: above / below}, 2), fmt.Sprintf("%.2f", paper), fmt.Sprintf("≤ %g", bar), verdict(above/below <= bar))
}

func writeSamplers(out *bytes.Buffer, m measured) {
	fmt.Fprint(out, `## Samplers of autoencoders (Ghosh et al. 2020, table 1)

MNIST, a convolutional code of 16, 10,000 generated images compared with the 10,000 test images. The paper reports Inception FID of larger
networks. Latent reports Fréchet distances of features of its own digit classifier, which have a different scale, so only the order and the ratios
are comparable. `+"`normal`"+` is one normal distribution fitted to the codes, `+"`mixture`"+` is ten.

`)
	tableRow(out, "model", "seeds", "minutes", "reconstruction", "paper", "prior or normal", "paper", "mixture", "paper", "PSNR of reconstructions, dB")
	tableRow(out, "---", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:")
	first := func(name string) string {
		if name == "vae" || name == "wae" {
			return "prior"
		}
		return "normal"
	}
	of := func(name, sampler string) float64 { return m.over(name, frechet(sampler)).Mean }
	for _, name := range []string{"vae", "wae", "rae", "ae"} {
		tableRow(out, name, fmt.Sprint(len(m[name])), m.minutes(name),
			numeral(m.over(name, frechet(rundir.Reconstruction)), 2), fmt.Sprint(printedFigures[name][rundir.Reconstruction]),
			first(name)+" "+numeral(m.over(name, frechet(first(name))), 2), fmt.Sprint(printedFigures[name][first(name)]),
			numeral(m.over(name, frechet("mixture")), 2), fmt.Sprint(printedFigures[name]["mixture"]), numeral(m.over(name, tested("psnr")), 2))
	}
	fmt.Fprint(out, "\n")
	tableRow(out, "ratio", "obtained", "paper", "bar", "")
	tableRow(out, "---", "---:", "---:", "---:", "---")
	barOfRatio(out, "RAE with a mixture ÷ VAE with its prior", of("rae", "mixture"), of("vae", "prior"), 0.6, 8.69/19.21)
	barOfRatio(out, "AE with a mixture ÷ AE with a normal", of("ae", "mixture"), of("ae", "normal"), 0.4, 10.66/58.73)
	fmt.Fprint(out, "\n")
}

func writeFactors(out *bytes.Buffer, m measured) {
	fmt.Fprint(out, `## Disentanglement (Chen et al. 2018)

Shapes with known factors (`+"`data.dataset: shapes`"+`: shape, size, rotation and position), dense layers, a code of 8. The β-VAE weights the whole KL divergence by
β, the β-TCVAE only the total correlation. The paper has no values for these shapes; on dSprites it reports a larger MIG for the β-TCVAE.

`)
	tableRow(out, "model", "β", "seeds", "minutes", "MIG", "FactorVAE score", "disentanglement (DCI)", "KL, nats", "PSNR, dB")
	tableRow(out, "---", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:")
	means := map[string]float64{}
	for _, kind := range []string{"beta-vae", "tc-vae"} {
		for _, beta := range []string{"4", "6", "10"} {
			name := kind + "-" + beta
			cells := []string{kind, beta, fmt.Sprint(len(m[name])), m.minutes(name)}
			for _, figure := range []string{"mig", "factor_vae", "dci_disentanglement"} {
				cells = append(cells, numeral(m.over(name, tested(figure)), 3))
			}
			tableRow(out, append(cells, numeral(m.over(name, tested("kl")), 2), numeral(m.over(name, tested("psnr")), 2))...)
			means[kind] += m.over(name, tested("mig")).Mean / 3
		}
	}
	fmt.Fprintf(out, "\nMean MIG over the three β: β-TCVAE %.3f, β-VAE %.3f; the first above the second: %s.\n\n", means["tc-vae"], means["beta-vae"],
		verdict(means["tc-vae"] > means["beta-vae"]))
}

// entriesOfFSQ is how many entries the levels of configs/mnist/fsq.yaml have.
const entriesOfFSQ = 8 * 6 * 5

func writeEntries(out *bytes.Buffer, m measured) {
	fmt.Fprint(out, "## Finite scalar quantisation (Mentzer et al. 2024)\n\nMNIST, 16 entries of 240 for each digit, on the test images.\n\n")
	tableRow(out, "model", "seeds", "minutes", "entries used", "part of all", "bar", "", "perplexity", "PSNR, dB")
	tableRow(out, "---", "---:", "---:", "---:", "---:", "---:", "---", "---:", "---:")
	used := m.over("fsq", tested("entries_used"))
	part := used.Mean / entriesOfFSQ
	tableRow(out, "fsq", fmt.Sprint(len(m["fsq"])), m.minutes("fsq"), numeral(used, 1), fmt.Sprintf("%.1f %%", 100*part), "≥ 99 %", verdict(part >= 0.99),
		numeral(m.over("fsq", tested("perplexity")), 1), numeral(m.over("fsq", tested("psnr")), 2))
	fmt.Fprint(out, "\n")
}

func writeBounds(out *bytes.Buffer, m measured, twins map[string]*twin) {
	fmt.Fprint(out, `## Bounds (Burda et al. 2016, table 1; Rainforth et al. 2018, as in pythae)

MNIST, black-and-white images drawn anew for each batch, one stochastic layer of 50. −log p(x) in nats, with 5,000 importance samples for each of the
first 1,000 test images. The papers train for 3,280 epochs, these runs for 328. The PyTorch column is the same model with the same images,
optimizer, schedule and processor. Minutes depend on what else the machine does; docs/benchmark.md compares speed.

`)
	tableRow(out, "bound", "seeds", "minutes", "−log p(x)", "PyTorch", "minutes", "paper, ten times the epochs", "reached")
	tableRow(out, "---", "---:", "---:", "---:", "---:", "---:", "---:", "---")
	for _, t := range paperTrials {
		if t.part != "bounds" {
			continue
		}
		nll := m.over(t.name, tested("nll_dyn"))
		reached := "not trained"
		if !math.IsNaN(nll.Mean) {
			reached = "no"
			if nll.Mean <= printedFigures[t.name]["nll"] {
				reached = "yes"
			}
		}
		theirs, minutes := "–", "–"
		if twin := twins[t.name]; twin != nil {
			theirs, minutes = fmt.Sprintf("%.2f", twin.NLL), fmt.Sprintf("%.1f", twin.Seconds/60)
		}
		tableRow(out, t.name, fmt.Sprint(len(m[t.name])), m.minutes(t.name), numeral(nll, 2), theirs, minutes, fmt.Sprint(printedFigures[t.name]["nll"]), reached)
	}
}
