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
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"latent/experiments/venv"
	"latent/pkg/evaluate"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
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
	{trial{"n2v", "configs/photos/n2v.yaml", nil}, "U-Net, Noise2Void", []float64{25}},
	{trial{"dncnn", "configs/photos/dncnn.yaml", nil}, "DnCNN", []float64{25}},
}

// published are figures on Set68 in dB, by strength (Zhang et al. 2017, table II).
var published = []struct {
	title string
	psnr  map[float64]float64
}{
	{"BM3D, published", map[float64]float64{15: 31.07, 25: 28.57, 50: 25.62}},
	{"DnCNN-S, published", map[float64]float64{15: 31.73, 25: 29.23, 50: 26.23}},
}

// denoised is what an experiment reached with a strength of noise.
type denoised struct {
	photo          photo
	sigma          float64
	set12, set68   rundir.Result
	steps, seconds float64 // of training
}

// peer is what another program reached.
type peer struct {
	PSNR    []float64 `json:"psnr,omitempty"` // of each picture of Set68
	Seconds float64   `json:"seconds,omitempty"`
	Version string    `json:"version"`

	Steps int     `json:"steps,omitempty"`
	Set12 float64 `json:"set12,omitempty"`
	Set68 float64 `json:"set68,omitempty"`
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

// make trains and measures the chosen experiments, and writes the document.
func (a *album) make(ctx context.Context, chosen []photo, out *bytes.Buffer) error {
	var found []denoised
	var first *outcome
	for i, p := range chosen {
		fmt.Fprintf(a.options.Log, "\n%s, %d of %d\n", p.name, i+1, len(chosen))
		o, err := obtain(ctx, p.trial, firstSeed, a.runs, a.train, a.options)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if o == nil {
			continue
		}
		first = o
		for _, sigma := range p.sigmas {
			d := denoised{photo: p, sigma: sigma, steps: updates(*o), seconds: o.manifest.Timings["train"]}
			if err := a.measure(ctx, o.path, &d); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			found = append(found, d)
		}
	}
	if first == nil {
		return fmt.Errorf("%s: none of the runs is there; leave out --found to train them", a.runs)
	}
	beside := map[float64]peer{}
	for _, d := range found {
		if _, done := beside[d.sigma]; done {
			continue
		}
		p, err := a.peer(ctx, fmt.Sprintf("bm3d-%g", d.sigma), bm3dScript, func(folder string) ([]string, error) {
			return []string{folder, fmt.Sprint(d.sigma)}, a.draw(ctx, first.path, d.sigma, folder)
		})
		if err != nil {
			return err
		}
		beside[d.sigma] = p
	}
	var twin peer
	if i := slices.IndexFunc(found, func(d denoised) bool { return d.photo.name == "sigma25" }); i >= 0 {
		seconds := strconv.FormatFloat(found[i].seconds, 'f', 0, 64)
		var err error
		twin, err = a.peer(ctx, "torch-"+seconds, twinScript, func(string) ([]string, error) {
			return []string{pictures("."), "25", seconds}, nil
		})
		if err != nil {
			return err
		}
	}
	writePhotos(out, found, beside, twin, first.manifest)
	return nil
}

// measure measures a run with a strength of noise on both sets.
func (a *album) measure(ctx context.Context, run string, d *denoised) error {
	trained, err := experiment.Open(ctx, run, []string{noiseOf(d.sigma)}, a.options)
	if err != nil {
		return err
	}
	defer trained.Close()
	if d.set12, _, err = trained.Evaluate(ctx, pictures("set12"), a.options); err != nil {
		return err
	}
	d.set68, _, err = trained.Evaluate(ctx, pictures("set68"), a.options)
	return err
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

// peer returns what a program in Python printed, which is kept beside the runs. prepare returns its arguments, and may fill the folder.
func (a *album) peer(ctx context.Context, name, script string, prepare func(folder string) ([]string, error)) (p peer, err error) {
	kept := filepath.Join(a.runs, name+".json")
	text, err := os.ReadFile(kept)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(a.options.Log, "\n%s\n", name)
		var folder string
		if folder, err = os.MkdirTemp("", "latent-results-"); err != nil {
			return p, err
		}
		defer os.RemoveAll(folder)
		if text, err = a.run(ctx, script, folder, prepare); err != nil {
			return p, fmt.Errorf("%s: %w", name, err)
		}
		err = os.WriteFile(kept, text, 0o644)
	}
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("%s: %w; remove it, to make it anew", kept, err)
	}
	return p, nil
}

func (a *album) run(ctx context.Context, script, folder string, prepare func(folder string) ([]string, error)) ([]byte, error) {
	python, err := venv.Environment{Name: "photos", Requirements: peerPackages, Log: os.Stderr}.Make(ctx)
	if err != nil {
		return nil, err
	}
	arguments, err := prepare(folder)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, python, append([]string{"-"}, arguments...)...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(script), os.Stderr
	return cmd.Output()
}

// writePhotos writes the document.
func writePhotos(out *bytes.Buffer, found []denoised, beside map[float64]peer, twin peer, m *rundir.Manifest) {
	fmt.Fprintf(out, `# Results on photographs

Made by `+"`go run ./experiments/results --photos`"+` with the Berkeley pictures of the denoising literature in
`+"`$LATENT_DATA_DIR/bsd`"+`, and for Noise2Noise and Noise2Void the noisy ones that the heads of their configs make; every measured figure here is of that command. Noise of σ on the scale of 0 to 255, not clipped; the output
is clipped; PSNR of each picture in dB, its mean over pictures, ± half the mean's 95 %% interval. Trained on train400 with seed %d, weights
of the lowest validation loss. BM3D (package bm3d) is told σ, and had the same draws of noise as Latent's models. Minutes are those of
training, on two cores that did other work at the same time.

`, firstSeed)
	fmt.Fprintf(out, "- processor: %s, %d cores\n- backend: %s\n- gomlx %s, go-xla %s, %s\n", m.Host.CPU, m.Host.Cores, m.Backend.Name,
		m.Versions["gomlx"], m.Versions["go-xla"], m.Versions["go"])
	for _, sigma := range slices.Sorted(maps.Keys(beside)) {
		fmt.Fprintf(out, "\n## σ = %g\n\n|  | Set12 | Set68 | Set68, less BM3D | steps | minutes |\n| --- | ---: | ---: | ---: | ---: | ---: |\n", sigma)
		noisy := false
		for _, d := range found {
			if d.sigma != sigma {
				continue
			}
			if !noisy {
				noisy = true
				fmt.Fprintf(out, "| noisy, clipped | %s | %s | | | |\n", psnrOf(d.set12, "corrupted"), psnrOf(d.set68, "corrupted"))
				bm3d := evaluate.OverRuns(beside[sigma].PSNR)
				fmt.Fprintf(out, "| BM3D (bm3d %s) | | %.2f ± %.2f | | | %.1f to restore |\n", beside[sigma].Version, bm3d.Mean, bm3d.Interval, beside[sigma].Seconds/60)
			}
			fmt.Fprintf(out, "| %s (`%s`) | %s | %s | %s | %.0f | %.1f |\n", d.photo.network, d.photo.command(), psnrOf(d.set12, "test"),
				psnrOf(d.set68, "test"), signed(float64(d.set68.Test["psnr"])-evaluate.OverRuns(beside[sigma].PSNR).Mean), d.steps, d.seconds/60)
		}
		if sigma == 25 && twin.Steps > 0 {
			fmt.Fprintf(out, "| the first line's U-Net in PyTorch %s, trained for as long | %.2f | %.2f | | %d | |\n", twin.Version, twin.Set12, twin.Set68, twin.Steps)
		}
		for _, p := range published {
			fmt.Fprintf(out, "| %s | | %.2f | | | |\n", p.title, p.psnr[sigma])
		}
	}
	fmt.Fprint(out, "\nPublished figures are those of Zhang et al. (2017), \"Beyond a Gaussian denoiser\", table II.\n")
}

// psnrOf writes the PSNR of a part, test or corrupted, with its interval.
func psnrOf(r rundir.Result, part string) string {
	figures := map[string]map[string]rundir.Number{"test": r.Test, "corrupted": r.Corrupted}
	return fmt.Sprintf("%.2f ± %.2f", float64(figures[part]["psnr"]), float64(r.Interval[part]["psnr"]))
}

// signed writes a difference with its sign.
func signed(difference float64) string {
	return strings.Replace(fmt.Sprintf("%+.2f", difference), "-", "−", 1)
}
