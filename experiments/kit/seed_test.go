package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latent/pkg/rundir"
)

// writeRun writes a finished run of two epochs.
func writeRun(t *testing.T, path string, psnr float64, change func(m *rundir.Manifest, epochs []rundir.Epoch)) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	run, err := rundir.CreateAt(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	m := rundir.NewManifest()
	m.State = rundir.Done
	m.Result.Test = map[string]rundir.Number{"psnr": rundir.Number(psnr), "mse": 0.03, "ssim": 0.9}
	m.Progress.Epochs = 2
	epochs := []rundir.Epoch{{Epoch: 1, Seconds: 9, TrainLoss: 0.2, StateSHA256: "aa"}, {Epoch: 2, Seconds: 3, TrainLoss: 0.1, StateSHA256: "bb"}}
	if change != nil {
		change(m, epochs)
	}
	if err := run.WriteManifest(m); err != nil {
		t.Fatal(err)
	}
	if err := run.WriteConfig([]byte("name: seed\n")); err != nil {
		t.Fatal(err)
	}
	for _, e := range epochs {
		if err := run.AppendEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
}

// The figures are compared with those of the archive's run, whose config is trained; another device may differ as seeds do, and
// no more.
func TestSeedBesideTheCPU(t *testing.T) {
	for _, c := range []struct {
		psnr float64
		good bool
	}{{21.2, true}, {20.8, true}, {20.5, false}, {21.9, false}} {
		k := newTestKit(t, 0)
		o := k.open(t)
		writeRun(t, filepath.Join(k.root, referenceFolder), 21.2, nil)
		run := filepath.Join(k.root, "run")
		writeRun(t, run, c.psnr, nil)
		k.program(t, "latent", fmt.Sprintf("echo \"$@\" >&2\necho '{\"path\": \"%s\"}'\n", run))
		err := k.seed(t.Context(), o)
		if (err == nil) != c.good {
			t.Errorf("PSNR %g beside 21.2: error %v", c.psnr, err)
		}
		want := fmt.Sprintf("test PSNR %.2f dB, 3.000 s an epoch (CPU where it was packed: 21.20 dB, 3.000 s)", c.psnr)
		if o.Figure != want || k.seedRun != run {
			t.Errorf("figure %q, want %q; run %s", o.Figure, want, k.seedRun)
		}
		log, err := os.ReadFile(filepath.Join(k.out, "only.log"))
		if err != nil || !strings.Contains(string(log), "run reference/config.yaml backend=xla:cuda --out") {
			t.Errorf("log %q, %v", log, err)
		}
	}
}

// Without the CPU's figures the config of the seed is trained, and only the figures of this machine are told.
func TestSeedAlone(t *testing.T) {
	k := newTestKit(t, 0)
	o := k.open(t)
	run := filepath.Join(k.root, "run")
	writeRun(t, run, 1, nil)
	k.program(t, "latent", fmt.Sprintf("echo '{\"path\": \"%s\"}'\n", run))
	if err := k.seed(t.Context(), o); err != nil || o.Figure != "test PSNR 1.00 dB, 3.000 s an epoch" {
		t.Errorf("%q, %v", o.Figure, err)
	}
}

// One bit of the weights, of a figure or of the result is a difference; times and the moment of the resumption are none.
func TestCompareRuns(t *testing.T) {
	dir := t.TempDir()
	read := func(name string, change func(m *rundir.Manifest, epochs []rundir.Epoch)) *trained {
		path := filepath.Join(dir, name)
		writeRun(t, path, 21, change)
		run, err := readRun(path)
		if err != nil {
			t.Fatal(err)
		}
		return run
	}
	whole := read("whole", nil)
	for name, c := range map[string]struct {
		change func(m *rundir.Manifest, epochs []rundir.Epoch)
		want   string
	}{
		"the same": {func(_ *rundir.Manifest, epochs []rundir.Epoch) { epochs[0].Seconds = 77 }, ""},
		"weights":  {func(_ *rundir.Manifest, epochs []rundir.Epoch) { epochs[1].StateSHA256 = "bc" }, "epoch 2, checksum of the state"},
		"loss":     {func(_ *rundir.Manifest, epochs []rundir.Epoch) { epochs[0].TrainLoss = 0.20000001 }, "epoch 1, training loss"},
		"result":   {func(m *rundir.Manifest, _ []rundir.Epoch) { m.Result.Test["mse"] = 0.031 }, "result"},
	} {
		resumed := read(name, func(m *rundir.Manifest, epochs []rundir.Epoch) {
			m.Resumed = append(m.Resumed, m.Started)
			c.change(m, epochs)
		})
		differences, err := compareRuns(whole, resumed)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(differences) > 0 {
			got = differences[0].where
		}
		if got != c.want {
			t.Errorf("%s: differences %v, want %q", name, differences, c.want)
		}
	}
	if _, err := compareRuns(whole, read("not resumed", nil)); err == nil {
		t.Error("a run that was not resumed: want an error")
	}
}
