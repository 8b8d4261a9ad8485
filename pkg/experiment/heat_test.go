package experiment_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"latent/pkg/backend/backendtest"
	"latent/pkg/experiment"
	"latent/pkg/random"
	"latent/pkg/rundir"
)

// writeSurfaces writes pictures of a smooth surface with grain, and some with a bright spot of 5×5 pixels and the mask of it. Of uneven ones the
// sizes differ.
func writeSurfaces(t *testing.T, uneven bool) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, p image.Image) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if err := png.Encode(file, p); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		size := image.Rect(0, 0, 24, 24)
		if uneven {
			size.Max = size.Max.Add(image.Pt(4*(i%3), 4*(i%2)))
		}
		surface, mask := image.NewGray(size), image.NewGray(size)
		grain := random.NewSeed(int64(i)).Normal(size.Dx()*size.Dy(), 1)
		spot := image.Rect(0, 0, 5, 5).Add(image.Pt(3+i%14, 2+i%15))
		for at := range grain {
			x, y := at%size.Dx(), at/size.Dx()
			shade := 100 + 2*float32(x) + float32(i%7)*float32(y)/4 + 4*grain[at]
			if i >= 80 && image.Pt(x, y).In(spot) {
				shade += 40
				mask.SetGray(x, y, color.Gray{Y: 255})
			}
			surface.SetGray(x, y, color.Gray{Y: uint8(shade)})
		}
		kind := "good"
		if i >= 80 {
			kind = "spot"
			write(fmt.Sprintf("masks/spot/%03d_mask.png", i), mask)
		}
		write(fmt.Sprintf("pictures/%s/%03d.png", kind, i), surface)
	}
	return dir
}

// surfaceConfig is an experiment on such pictures.
func surfaceConfig(dir, data, model, score string) string {
	return fmt.Sprintf(`
data: {dataset: folder, dir: %q, masks: %q, normal: [good], test_fraction: 0.3, calibration: 0.3, %s}
model: %s
train: {batch_size: 16, epochs: 15, learning_rate: 0.005}
evaluate: {anomaly: {score: %s, smooth: 1, alarm_rate: 0.1}}
output: {grid: {rows: 2, columns: 2, every: 0}}
`, filepath.Join(dir, "pictures"), filepath.Join(dir, "masks"), data, model, score)
}

// Heat maps find the spots, of pictures of one size and of their own sizes; the run has figures of pixels and a sheet; a picture with
// another scorer has its map beside its score; and what is kept gives the same bits.
func TestHeatMaps(t *testing.T) {
	b := backendtest.XLA(t)
	ctx := context.Background()
	for name, c := range map[string]struct {
		uneven             bool
		data, model, score string
	}{
		"whitened": {false, "height: 24, width: 24", "{kind: dense, encoder: [32, 4], decoder: [32], output: linear}", "whitened-peak"},
		"plain":    {false, "height: 36, width: 36", "{kind: dense, encoder: [32, 4], decoder: [32], output: linear}", "peak"},
		"own":      {true, "patch: 16, patches_per_image: 2", "{kind: unet, channels: [4, 2], output: linear}", "peak"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeSurfaces(t, c.uneven)
			run, err := experiment.Run(ctx, load(t, b, surfaceConfig(dir, c.data, c.model, c.score)), experiment.Options{})
			if err != nil {
				t.Fatal(err)
			}
			found := manifestOf(t, run).Result.Anomaly
			if found.Anomalies != 20 || found.Pixels == nil || found.Pixels.Masks != 20 || found.Pixels.Regions != 20 {
				t.Fatalf("%+v with pixels %+v", found, found.Pixels)
			}
			if auroc := found.Pixels.AUROC; !c.uneven && auroc < 0.9 || !(found.Pixels.PRO > 0 && found.Pixels.PRO <= 1) {
				t.Errorf("AUROC of pixels %g, PRO %g", auroc, found.Pixels.PRO)
			}
			if page := read(t, run, "report.html"); !strings.Contains(page, "AUROC of pixels") || !strings.Contains(page, "nearest to the threshold") {
				t.Error("the report has no heat maps")
			}
			sheet, err := os.Open(run.PicturePath(rundir.AnomalySheet))
			if err != nil {
				t.Fatal(err)
			}
			defer sheet.Close()
			if _, err := png.Decode(sheet); err != nil {
				t.Error(err)
			}
			if !c.uneven {
				compared(t, run)
			}
			first, again := mapsOf(t, run), mapsOf(t, run)
			if len(first) != len(again) {
				t.Fatalf("%d pictures, then %d", len(first), len(again))
			}
			for i, one := range first {
				if len(one.Heat.Map) != one.Height*one.Width || !(one.Heat.High > 0) || one.Score != again[i].Score || one.Heat.Map[7] != again[i].Heat.Map[7] {
					t.Errorf("picture %d: %d×%d with %d values, high %g, scores %g and %g", i, one.Height, one.Width, len(one.Heat.Map), one.Heat.High, one.Score, again[i].Score)
				}
			}
		})
	}
}

// compared compares all scores of a run, those of whitened errors among them, whatever its own is, and wants what the folder keeps to have them
// all from then on.
func compared(t *testing.T, run *rundir.Run) {
	t.Helper()
	trained, err := experiment.Open(t.Context(), run.Path, nil, experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer trained.Close()
	whole, err := trained.HeldWhole(t.Context(), "", experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := trained.Compare(t.Context(), whole, []string{"whitened-mse"}, experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, one := range all {
		kinds = append(kinds, one.Kind)
	}
	for _, want := range []string{"whitened-mse", "whitened-peak", "peak", "ranks"} {
		if !slices.Contains(kinds, want) {
			t.Errorf("compared %q, want %s among them", kinds, want)
		}
	}
	kept, err := rundir.ReadCheckpoint(run.CalibrationPath())
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range kinds {
		if !slices.ContainsFunc(kept.Tensors, func(tensor rundir.Tensor) bool { return tensor.Name == "calibration/"+kind }) {
			t.Errorf("the folder keeps no scores %s", kind)
		}
	}
}

// mapsOf scores a run's own test pictures.
func mapsOf(t *testing.T, run *rundir.Run) (all []experiment.Scored) {
	t.Helper()
	trained, err := experiment.Open(t.Context(), run.Path, nil, experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer trained.Close()
	scorer, err := trained.Scorer(t.Context(), "", 0, experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	scorer.Maps = true
	err = trained.ScoreFile(t.Context(), scorer, "", 1, experiment.Options{}, func(int, []string) {}, func(some []experiment.Scored) error {
		all = append(all, some...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// An anomaly without a mask is found before anything is trained.
func TestMissingMask(t *testing.T) {
	b := backendtest.XLA(t)
	dir := writeSurfaces(t, false)
	if err := os.Remove(filepath.Join(dir, "masks", "spot", "090_mask.png")); err != nil {
		t.Fatal(err)
	}
	config := surfaceConfig(dir, "height: 24, width: 24", "{kind: dense, encoder: [4], decoder: []}", "peak")
	_, err := experiment.Run(t.Context(), load(t, b, config), experiment.Options{})
	if err == nil || !strings.Contains(err.Error(), "data.masks: 1 of 20 anomalies have no mask, such as spot/090.png; add them, or leave the pictures out") {
		t.Errorf("error %v", err)
	}
}
