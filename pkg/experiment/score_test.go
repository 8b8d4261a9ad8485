package experiment_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latent/pkg/backend/backendtest"
	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
)

// scored is an experiment with every figure of generated images and codes.
const scored = `
data: {dataset: glyphs, train: 700, test: 200, validation: 100}
model: {kind: wae, encoder: [64], latent: 6, decoder: [64]}
train: {batch_size: 50, epochs: 6, learning_rate: 0.003}
evaluate: {generated: 200, probe: true}
output: {grid: {rows: 2, columns: 2, every: 0}}
`

// Training images lie nearest to the test images, and those of a trained model nearer than those of one that is not. Over seeds
// there are means. A run's figures are those of latent eval, and of the run that verifies it; the classifier is trained once.
func TestScores(t *testing.T) {
	b := backendtest.XLA(t)
	ctx := context.Background()
	var log bytes.Buffer
	options := experiment.Options{Log: &log, Classifiers: t.TempDir()}
	first, err := experiment.Run(ctx, load(t, b, scored, "train.max_steps=1"), options)
	if err != nil {
		t.Fatal(err)
	}
	untrained := manifestOf(t, first).Result
	runs, err := experiment.RunSeeds(ctx, load(t, b, scored), []int64{1, 2}, options)
	if err != nil {
		t.Fatal(err)
	}
	text := log.String()
	results := []rundir.Result{manifestOf(t, runs[0]).Result, manifestOf(t, runs[1]).Result}
	trained, g := results[0], results[0].Generated
	for name, figures := range g.Samplers {
		if floor, before := g.Floor["frechet"], untrained.Generated.Samplers[name]["frechet"]; !(floor < figures["frechet"] && figures["frechet"] < before) {
			t.Errorf("%s: distance %g, want it between the floor, %g, and an untrained model's, %g", name, figures["frechet"], floor, before)
		}
	}
	if len(g.Samplers) != 3 || g.Images != 200 || g.TestImages != 200 || g.ManifoldImages != 200 || g.Floor["precision"] < 0.4 {
		t.Errorf("generated %+v", g)
	}
	if trained.Test["probe_accuracy"] < 0.1 || trained.Interval["test"]["probe_accuracy"] == 0 || trained.Probe == nil { // chance is 0.02
		t.Errorf("a probe's accuracy of %g", trained.Test["probe_accuracy"])
	}
	if got := strings.Count(text, "training a classifier"); got != 1 {
		t.Errorf("trained %d classifiers", got)
	}
	for _, want := range []string{"probe accuracy ", "200 generated ", "\nfloor  ", "\nprior  ", "\nmixture  ", " ± ", "SHA-256 " + g.FeaturesSHA256[:12]} {
		if !strings.Contains(text, want) {
			t.Errorf("the terminal lacks %q:\n%s", want, text)
		}
	}

	summary, err := experiment.Summarise(runs)
	if err != nil {
		t.Fatal(err)
	}
	want := (g.Samplers["mixture"]["frechet"] + results[1].Generated.Samplers["mixture"]["frechet"]) / 2
	if got := summary.Result.Generated.Samplers["mixture"]["frechet"]; got != want || summary.Result.Interval["generated.mixture"]["frechet"] == 0 {
		t.Errorf("over seeds the distance is %g, want %g; intervals %v", got, want, summary.Result.Interval)
	}

	model, err := experiment.Open(ctx, runs[0].Path, nil, options)
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	again, _, err := model.Evaluate(ctx, "", options)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(*again.Generated, again.Test) != fmt.Sprint(*g, trained.Test) {
		t.Errorf("latent eval finds %v and %v, the run %v and %v", *again.Generated, again.Test, *g, trained.Test)
	}
	others, _, err := model.Evaluate(ctx, pictures(t), options)
	if err != nil || others.Generated != nil || others.Probe != nil {
		t.Errorf("of other images: %+v, %v", others, err)
	}
	if found, err := experiment.Verify(ctx, runs[0].Path, 0, options); err != nil || !found[0].Test {
		t.Errorf("verified: %v, %+v", err, found)
	}
}

// pictures is a folder with twelve PNG files.
func pictures(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 12 {
		picture := image.NewGray(image.Rect(0, 0, 8, 8))
		picture.Pix[i] = 255
		var data bytes.Buffer
		if err := png.Encode(&data, picture); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.png", i)), data.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What only the images or the model show to be wrong is told with its place before anything is trained.
func TestScoresRefused(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	folder := "data: {dataset: folder, test_fraction: 0.3, validation: 1, dir: " + pictures(t) + "}\ntrain: {batch_size: 1}\n"
	for name, c := range map[string]struct{ text, want string }{
		"generated without labels": {folder + "evaluate: {generated: 10}", "e.yaml:3:12: evaluate.generated: needs images with labels"},
		"a probe without labels":   {folder + "evaluate: {probe: true}", "e.yaml:3:12: evaluate.probe: needs images with labels"},
		"a large code": {"data: {dataset: glyphs, train: 200, test: 10, validation: 20}\nmodel: {encoder: [2000]}\nevaluate: {probe: true}",
			"e.yaml:3:12: evaluate.probe: a code of 2000 values"},
	} {
		e, err := config.Parse("e.yaml", []byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		e.Output.Dir = t.TempDir()
		_, err = experiment.Run(context.Background(), e, experiment.Options{})
		var input experiment.InputError
		if !errors.As(err, &input) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an input error with %q", name, err, c.want)
		}
	}
}
