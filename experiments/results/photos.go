package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"latent/pkg/config"
	"latent/pkg/evaluate"
	"latent/pkg/experiment"
)

var (
	//go:embed peers/bm3d_side.py
	bm3dScript string
	//go:embed peers/unet_torch.py
	twinScript string
	//go:embed peers/requirements.txt
	peerPackages string
)

// photosPath is where the document of photographs goes.
const photosPath = "docs/results-photos.md"

// ledgerOf is where the figures of a document are kept.
func ledgerOf(document string) string { return strings.TrimSuffix(document, ".md") + ".json" }

// photo is an experiment on photographs, and the strengths of noise that it is measured with.
type photo struct {
	trial
	network string
	sigmas  []float64
}

const photoConfig = "configs/photos/bsd.yaml"

// photos are all experiments on photographs.
var photos = []photo{
	{trial{"sigma25", photoConfig, nil}, "U-Net", []float64{25}},
	{trial{"sigma25-long", photoConfig, []string{"train.epochs=12"}}, "U-Net, 12 epochs", []float64{25}},
	{trial{"sigma15", photoConfig, []string{"corrupt.sigma=15"}}, "U-Net", []float64{15}},
	{trial{"sigma50", photoConfig, []string{"corrupt.sigma=50"}}, "U-Net", []float64{50}},
	{trial{"blind", "configs/photos/blind.yaml", nil}, "U-Net, blind from 0 to 55", []float64{15, 25, 50}},
	{trial{"n2n", "configs/photos/n2n.yaml", nil}, "U-Net, Noise2Noise", []float64{25}},
	{trial{"n2n-clean", "configs/photos/n2n.yaml", []string{"data.target=bsd/train400", "name=bsd-n2clean"}}, "the same, with clean targets", []float64{25}},
	{trial{"n2v", "configs/photos/n2v.yaml", nil}, "U-Net, Noise2Void and what it leaves recovered", []float64{25}},
	{trial{"n2v-plain", "configs/photos/n2v.yaml", []string{"evaluate.recover=false"}}, "the same, Noise2Void alone", []float64{25}},
	{trial{"dncnn", "configs/photos/dncnn.yaml", nil}, "DnCNN", []float64{25}},
}

// published are figures on Set68 in dB, by strength (Zhang et al. 2017, table II; Krull et al. 2019, table 1).
var published = []struct {
	title string
	psnr  map[float64]float64
}{
	{"BM3D, published", map[float64]float64{15: 31.07, 25: 28.57, 50: 25.62}},
	{"DnCNN-S, published", map[float64]float64{15: 31.73, 25: 29.23, 50: 26.23}},
	{"Noise2Void, published", map[float64]float64{25: 27.71}},
}

// ledger is what was measured, as it stands beside the document: rows that are not measured again stay as they are, for to measure all
// of them takes hours.
type ledger struct {
	Networks []denoised      `json:"networks"`
	Peers    map[string]peer `json:"peers"`
}

// denoised is what an experiment reached with a strength of noise.
type denoised struct {
	Name    string  `json:"name"`
	Sigma   float64 `json:"sigma"`
	Set12   psnr    `json:"set12"`
	Set68   psnr    `json:"set68"`
	Steps   float64 `json:"steps"`
	Seconds float64 `json:"seconds"` // of training
	Machine string  `json:"machine"` // what it was trained on, and by which versions
}

// psnr are PSNRs in dB over the pictures of a set, of a network's output and of its input.
type psnr struct {
	Output figure `json:"output"`
	Noisy  figure `json:"noisy"`
}

// figure is a mean, and half the width of its 95 % interval.
type figure struct {
	Mean     float64 `json:"mean"`
	Interval float64 `json:"interval"`
}

func (f figure) String() string { return fmt.Sprintf("%.2f ± %.2f", f.Mean, f.Interval) }

// peer is what another program reached.
type peer struct {
	PSNR    []float64 `json:"psnr,omitempty"` // of each picture of Set68
	Seconds float64   `json:"seconds,omitempty"`
	Version string    `json:"version"`

	Steps int     `json:"steps,omitempty"`
	Set12 float64 `json:"set12,omitempty"`
	Set68 float64 `json:"set68,omitempty"`
}

// readLedger reads what was measured before; nothing where the file is absent.
func readLedger(path string) (*ledger, error) {
	l := &ledger{Peers: map[string]peer{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, l); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it, to measure everything anew", path, err)
	}
	return l, nil
}

func (l *ledger) write(path string) error {
	text, err := json.MarshalIndent(l, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// enter enters a row, in the place of that of the same experiment and strength.
func (l *ledger) enter(row denoised) {
	same := func(d denoised) bool { return d.Name == row.Name && d.Sigma == row.Sigma }
	if i := slices.IndexFunc(l.Networks, same); i >= 0 {
		l.Networks[i] = row
	} else {
		l.Networks = append(l.Networks, row)
	}
}

// of returns an experiment's row, nil where it was not measured.
func (l *ledger) of(name string, sigma float64) *denoised {
	i := slices.IndexFunc(l.Networks, func(d denoised) bool { return d.Name == name && d.Sigma == sigma })
	if i < 0 {
		return nil
	}
	return &l.Networks[i]
}

// album makes the document of photographs.
type album struct {
	runs    string
	train   bool
	options experiment.Options
}

// noiseOf is the override by which a run is measured with noise of a strength, in the protocol of the literature.
func noiseOf(sigma float64) string {
	return fmt.Sprintf("evaluate.corrupt={kind: gaussian, sigma: %g, clip: false}", sigma)
}

// pictures is the folder of pictures of a name.
func pictures(name string) string { return filepath.Join(os.Getenv("LATENT_DATA_DIR"), "bsd", name) }

// make trains and measures the chosen experiments and what stands beside them, and enters them.
func (a *album) make(ctx context.Context, chosen []photo, l *ledger) error {
	for i, p := range chosen {
		fmt.Fprintf(a.options.Log, "\n%s, %d of %d\n", p.name, i+1, len(chosen))
		o, err := obtain(ctx, p.trial, firstSeed, a.runs, a.train, a.options)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if o == nil {
			continue
		}
		for _, sigma := range p.sigmas {
			row, err := a.measure(ctx, p, o, sigma)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			l.enter(row)
			if err := a.compare(ctx, o, row, l); err != nil {
				return err
			}
		}
	}
	if len(l.Networks) == 0 {
		return fmt.Errorf("%s: none of the runs is there; leave out --found to train them", a.runs)
	}
	return nil
}

// compare enters what other programs make of the same: BM3D of the same draws, and for the first experiment PyTorch in the same time.
func (a *album) compare(ctx context.Context, o *outcome, row denoised, l *ledger) error {
	err := a.peer(ctx, l, bm3dOf(row.Sigma), bm3dScript, func(folder string) ([]string, error) {
		return []string{folder, fmt.Sprint(row.Sigma)}, a.draw(ctx, o.path, row.Sigma, folder)
	})
	if err != nil || row.Name != photos[0].name {
		return err
	}
	seconds := strconv.FormatFloat(row.Seconds, 'f', 0, 64)
	return a.peer(ctx, l, twinOf(row), twinScript, func(string) ([]string, error) {
		return []string{pictures("."), "25", seconds}, nil
	})
}

// bm3dOf and twinOf are the names of the peers of a strength and of a row.
func bm3dOf(sigma float64) string { return fmt.Sprintf("bm3d-%g", sigma) }
func twinOf(row denoised) string  { return fmt.Sprintf("torch-%.0f", row.Seconds) }

// measure measures a run with a strength of noise on both sets.
func (a *album) measure(ctx context.Context, p photo, o *outcome, sigma float64) (denoised, error) {
	m := o.manifest
	row := denoised{Name: p.name, Sigma: sigma, Steps: updates(*o), Seconds: m.Timings["train"]}
	row.Machine = fmt.Sprintf("%s, %d cores, %s, gomlx %s, go-xla %s, %s", m.Host.CPU, m.Host.Cores, m.Backend.Name, m.Versions["gomlx"],
		m.Versions["go-xla"], m.Versions["go"])
	e, err := config.Load(p.config, p.overrides...)
	if err != nil {
		return row, err
	}
	overrides, err := evaluation(e) // which may be another than that of the run, for it trains the same
	if err != nil {
		return row, err
	}
	trained, err := experiment.Open(ctx, o.path, append(overrides, noiseOf(sigma)), a.options)
	if err != nil {
		return row, err
	}
	defer trained.Close()
	for name, set := range map[string]*psnr{"set12": &row.Set12, "set68": &row.Set68} {
		result, _, err := trained.Evaluate(ctx, pictures(name), a.options)
		if err != nil {
			return row, err
		}
		set.Output = figure{float64(result.Test["psnr"]), float64(result.Interval["test"]["psnr"])}
		set.Noisy = figure{float64(result.Corrupted["psnr"]), float64(result.Interval["corrupted"]["psnr"])}
	}
	return row, nil
}

// draw writes the pictures of Set68 as a run is given them in measure, into a folder.
func (a *album) draw(ctx context.Context, run string, sigma float64, folder string) error {
	trained, err := experiment.Open(ctx, run, []string{noiseOf(sigma)}, a.options)
	if err != nil {
		return err
	}
	defer trained.Close()
	return trained.WriteDamaged(ctx, pictures("set68"), folder, a.options)
}

// peer enters what a program in Python prints, where it is not yet known. prepare returns its arguments, and may fill the folder.
func (a *album) peer(ctx context.Context, l *ledger, name, script string, prepare func(folder string) ([]string, error)) error {
	if _, known := l.Peers[name]; known {
		return nil
	}
	fmt.Fprintf(a.options.Log, "\n%s\n", name)
	folder, err := os.MkdirTemp("", "latent-results-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	arguments, err := prepare(folder)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	text, err := askPython(ctx, "photos", peerPackages, script, arguments...)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var p peer
	if err := json.Unmarshal(text, &p); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	l.Peers[name] = p
	return nil
}

// writePhotos writes the document.
func writePhotos(out *bytes.Buffer, l *ledger) {
	fmt.Fprintf(out, `# Results on photographs

Made by `+"`go run ./experiments/results --photos`"+` from the Berkeley pictures of the denoising literature in `+"`$LATENT_DATA_DIR/bsd`"+`,
and for Noise2Noise and Noise2Void from the noisy copies made by the commands at the top of their configs. The command measures all values except published ones,
stores them in `+"`%s`"+`, and updates the rows selected by `+"`--only`"+`.

Noise has standard deviation σ on the scale of 0 to 255 and is not clipped; the output is clipped. PSNR in dB is the mean over pictures ± the half-width of its 95 %% interval. Models are trained on train400 with seed %d
and use the weights of the lowest validation loss, for Noise2Void the last weights. BM3D (package bm3d) is given σ and the same noisy pictures as Latent's models.
Minutes are training time, on two cores with other load.

`, ledgerOf(photosPath), firstSeed)
	machines := map[string]bool{}
	sigmas := map[float64]bool{}
	for _, d := range l.Networks {
		machines[d.Machine], sigmas[d.Sigma] = true, true
	}
	for _, machine := range slices.Sorted(maps.Keys(machines)) {
		fmt.Fprintf(out, "- %s\n", machine)
	}
	for _, sigma := range slices.Sorted(maps.Keys(sigmas)) {
		writeStrength(out, l, sigma)
	}
	fmt.Fprint(out, "\nPublished values are from Zhang et al. (2017), \"Beyond a Gaussian denoiser\", table II; ")
	fmt.Fprint(out, "Noise2Void's are from Krull et al. (2019), who compute each picture's PSNR over its own range.\n")
}

// writeStrength writes the table of a strength of noise.
func writeStrength(out *bytes.Buffer, l *ledger, sigma float64) {
	fmt.Fprintf(out, "\n## σ = %g\n\n|  | Set12 | Set68 | Set68, less BM3D | steps | minutes |\n| --- | ---: | ---: | ---: | ---: | ---: |\n", sigma)
	bm3d := l.Peers[bm3dOf(sigma)]
	reference := evaluate.OverRuns(bm3d.PSNR)
	noisy := false
	for _, p := range photos {
		d := l.of(p.name, sigma)
		if d == nil {
			continue
		}
		if !noisy {
			noisy = true
			fmt.Fprintf(out, "| noisy, clipped | %s | %s | | | |\n", d.Set12.Noisy, d.Set68.Noisy)
			fmt.Fprintf(out, "| BM3D (bm3d %s) | | %s | | | %.1f to restore |\n", bm3d.Version, figure{reference.Mean, reference.Interval}, bm3d.Seconds/60)
		}
		fmt.Fprintf(out, "| %s (`%s`) | %s | %s | %s | %.0f | %.1f |\n", p.network, p.command(), d.Set12.Output, d.Set68.Output,
			signed(d.Set68.Output.Mean-reference.Mean), d.Steps, d.Seconds/60)
	}
	if first := l.of(photos[0].name, sigma); first != nil {
		twin := l.Peers[twinOf(*first)]
		fmt.Fprintf(out, "| the first line's U-Net in PyTorch %s, trained for as long | %.2f | %.2f | | %d | |\n", twin.Version, twin.Set12, twin.Set68, twin.Steps)
	}
	for _, p := range published {
		if psnr, there := p.psnr[sigma]; there {
			fmt.Fprintf(out, "| %s | | %.2f | | | |\n", p.title, psnr)
		}
	}
}

// signed writes a difference with its sign.
func signed(difference float64) string {
	return strings.Replace(fmt.Sprintf("%+.2f", difference), "-", "−", 1)
}
