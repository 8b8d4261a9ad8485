package experiment_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latent/pkg/config"
	"latent/pkg/experiment"
)

// No config that comes with Latent raises an alarm. Each is trained to its end, which takes hours for all of them; -run TestQuiet/mnist/denoise takes
// some. Those whose data are not beside LATENT_DATA_DIR are skipped.
func TestQuiet(t *testing.T) {
	if os.Getenv("LATENT_LONG") != "all" {
		t.Skip("SKIPPED: trains every config, which takes hours; set LATENT_LONG=all")
	}
	root, err := filepath.Abs("../../configs")
	if err != nil {
		t.Fatal(err)
	}
	if data := os.Getenv("LATENT_DATA_DIR"); data != "" {
		t.Chdir(filepath.Dir(data))
	}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" || strings.Contains(path, "sweeps") {
			return err
		}
		name, _ := filepath.Rel(root, strings.TrimSuffix(path, ".yaml"))
		t.Run(name, func(t *testing.T) {
			e, err := config.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			e.Output.Dir = t.TempDir()
			// What is measured and drawn beside decides no alarm.
			e.Output.Show, e.Output.Grid.Every = nil, 0
			e.Evaluate.NLLSamples, e.Evaluate.Generated, e.Evaluate.Probe, e.Evaluate.Anomaly.Normal = 0, 0, false, nil
			run, err := experiment.Run(t.Context(), e, experiment.Options{})
			if run == nil {
				t.Skipf("SKIPPED: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, warning := range manifestOf(t, run).Warnings {
				t.Errorf("%s (epoch %d, %s): %s", warning.Kind, warning.Epoch, warning.Part, warning.Text)
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
