package experiment_test

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"latent/pkg/backend"
	"latent/pkg/experiment"
	"latent/pkg/mlflow"
	"latent/pkg/mlflow/mlflowtest"
	"latent/pkg/rundir"
)

// stepwise is a backend with a window for each step.
func stepwise(t *testing.T) *backend.Backend {
	t.Helper()
	b, err := backend.OpenInstalled("go", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// steps are those of a figure that a server has, and fails where one is there twice.
func steps(t *testing.T, of mlflowtest.Run, figure string) []int64 {
	t.Helper()
	var all []int64
	seen := map[int64]bool{}
	for _, point := range of.Metrics[figure] {
		if seen[point.Step] {
			t.Errorf("%s has step %d twice: %v", figure, point.Step, of.Metrics[figure])
		}
		seen[point.Step] = true
		all = append(all, point.Step)
	}
	return all
}

// A run that is interrupted in the middle of an epoch and resumed is one run there, from its first step to its report.
func TestMLflow(t *testing.T) {
	b := stepwise(t)
	server := mlflowtest.New(t)
	ctx, cancel := context.WithCancel(context.Background())
	e := load(t, b, tiny, "tracking.mlflow="+server.URL, "train.learning_rate=0.004")
	run, err := experiment.Run(ctx, e, experiment.Options{Log: &stopper{cancel: cancel, after: 15}, Terminal: true})
	if !errors.Is(err, experiment.ErrInterrupted) {
		t.Fatalf("error %v", err)
	}
	if runs := server.Runs(); len(runs) != 1 || runs[0].Status != "KILLED" || runs[0].Tags["latent.state"] != "interrupted" {
		t.Fatalf("after the interruption: %+v", runs)
	}
	if _, err := experiment.Resume(context.Background(), run.Path, experiment.Options{}); err != nil {
		t.Fatal(err)
	}
	runs := server.Runs()
	if len(runs) != 1 || runs[0].Status != "FINISHED" || runs[0].Experiment != "tiny" || runs[0].Name != filepath.Base(run.Path) {
		t.Fatalf("%+v", runs)
	}
	// 600 images in batches of 50 are 12 steps an epoch.
	if got := steps(t, runs[0], "epoch/train_loss"); len(got) != 4 || got[3] != 48 || len(steps(t, runs[0], "validation/psnr")) != 4 {
		t.Errorf("epochs end at steps %v", got)
	}
	windows, _, err := run.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	if got := steps(t, runs[0], "train/loss"); len(got) != len(windows) || len(steps(t, runs[0], "test/psnr")) != 1 {
		t.Errorf("%d windows, want %d", len(got), len(windows))
	}
	if p := runs[0].Params; p["train.learning_rate"] != "0.004" || p["corrupt.kind"] != "gaussian" || p["model.encoder"] != "[64, 32]" || p["tracking.mlflow"] != "" {
		t.Errorf("parameters %v", p)
	}
	for _, name := range []string{"config.yaml", "manifest.json", "report.html", "samples/final.png"} {
		if string(runs[0].Files[name]) != read(t, run, name) {
			t.Errorf("%s is not the run's", name)
		}
	}
}

// Beside a server that only fails, a run does what it does, asks it less often than there are windows, and says how to send it. The
// server is sent all of it later.
func TestMLflowAway(t *testing.T) {
	b := stepwise(t)
	server := mlflowtest.New(t)
	server.Break(func(*http.Request) int { return http.StatusServiceUnavailable })
	var log strings.Builder
	run, err := experiment.Run(context.Background(), load(t, b, tiny, "tracking.mlflow="+server.URL), experiment.Options{Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	if m := manifestOf(t, run); m.State != rundir.Done {
		t.Errorf("state %s", m.State)
	}
	windows, _, err := run.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	// Tries are at least a second apart, and 48 windows of this model take less than one.
	if n := len(server.Requests()); n == 0 || n > len(windows)/4 {
		t.Errorf("%d requests in %d windows", n, len(windows))
	}
	if told := "nothing is lost, send it later: latent track sync " + run.Path; strings.Count(log.String(), told) != 1 {
		t.Errorf("the log does not say once %q:\n%s", told, &log)
	}
	server.Break(nil)
	again, err := mlflow.NewServer(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	sent, err := again.Run(run, experimentValues).Send(context.Background(), false)
	if err != nil || !sent.Complete || len(server.Runs()[0].Metrics["train/loss"]) != len(windows) {
		t.Errorf("sent %+v, %v", sent, err)
	}
}

func experimentValues() (map[string]any, error) { return map[string]any{"seed": 42}, nil }
