package sweep_test

import (
	"net/http"
	"strings"
	"testing"

	"latent/pkg/mlflow/mlflowtest"
	"latent/pkg/sweep"
)

// Each trial is a run there, in the experiment named as the sweep, with the sweep's folder as a tag; and what a server has not got is
// told once, at the end.
func TestMLflow(t *testing.T) {
	server := mlflowtest.New(t)
	for name, broken := range map[string]func(*http.Request) int{"there": nil, "away": func(*http.Request) int { return http.StatusBadGateway }} {
		server.Break(broken)
		s := create(t, searched, "budget.trials=3", "set.tracking.mlflow="+server.URL)
		var log strings.Builder
		if err := s.Run(t.Context(), sweep.RunOptions{Log: &log}); err != nil {
			t.Fatal(err)
		}
		told := "MLflow: " + server.URL + " has not all of 3 runs; what is missing is whole in the folders, and this sends it: test track sync " + s.Path
		if want := strings.Count(log.String(), "MLflow: "); strings.Contains(log.String(), told) != (broken != nil) || want > 1 {
			t.Errorf("%s: the log says\n%s", name, &log)
		}
		if broken != nil {
			continue
		}
		runs := server.Runs()
		if len(runs) != 3 {
			t.Fatalf("%d runs, want 3", len(runs))
		}
		seen := map[string]bool{}
		for _, run := range runs {
			seen[run.Params["train.learning_rate"]] = true
			if run.Experiment != s.Config.Name || run.Status != "FINISHED" || run.Tags["latent.sweep"] == "" || !strings.HasSuffix(s.Path, "/"+run.Tags["latent.sweep"]) || len(run.Metrics["validation/loss"]) == 0 {
				t.Errorf("%+v", run)
			}
		}
		if len(seen) != 3 {
			t.Errorf("learning rates %v, want 3 different ones", seen)
		}
	}
}
