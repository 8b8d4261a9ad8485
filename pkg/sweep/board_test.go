package sweep_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"testing"

	"latent/pkg/pythontest"
	"latent/pkg/search"
	"latent/pkg/study"
	"latent/pkg/sweep"
)

// TensorBoard's HParams plugin shows each trial of a sweep once, with the values of the parameters that it has and its objective,
// also where the sweep was gone on with.
func TestTensorBoard(t *testing.T) {
	python := pythontest.Interpreter(t, "../tensorboard/testdata/requirements.txt")
	s := create(t, searched, "budget.trials=4", "set.tracking.tensorboard=true")
	for _, overrides := range [][]string{nil, {"budget.trials=7"}} {
		if overrides != nil {
			s = reopen(t, s, overrides...)
		}
		if err := s.Run(t.Context(), sweep.RunOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	output, err := exec.Command(python, "testdata/hparams.py", s.Path, "7").Output()
	if err != nil {
		t.Fatal(err)
	}
	var shown struct {
		HParams, Metrics []string
		Groups           map[string]struct {
			HParams map[string]any
			Metrics map[string]float64
			Status  []string
		}
	}
	if err := json.Unmarshal(output, &shown); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if got, want := fmt.Sprint(shown.HParams, shown.Metrics), "[corrupt.noise_factor train.learning_rate train.momentum train.optimizer] [objective/val_loss]"; got != want {
		t.Errorf("parameters and metrics are %s, want %s", got, want)
	}
	all, err := s.Study.Trials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(shown.Groups) != len(all) {
		t.Errorf("%d trials are shown, want %d", len(shown.Groups), len(all))
	}
	for _, trial := range all {
		if trial.State != study.Done {
			t.Fatalf("trial %d is %s", trial.Number, trial.State)
		}
		got := shown.Groups[fmt.Sprint("trial ", trial.Number)]
		if fmt.Sprint(got.Status) != "[STATUS_SUCCESS]" || math.Abs(got.Metrics["objective/val_loss"]-trial.Values[0]) > 1e-6 {
			t.Errorf("trial %d: %v, objective %v, want %g", trial.Number, got.Status, got.Metrics, trial.Values[0])
		}
		var want map[string]float64
		if err := json.Unmarshal(trial.Params, &want); err != nil {
			t.Fatal(err)
		}
		if len(got.HParams) != len(want) {
			t.Errorf("trial %d has %v, want %v", trial.Number, got.HParams, want)
		}
		for i, parameter := range s.Config.SearchSpace() {
			value, found := want[parameter.Name]
			if !found {
				continue
			}
			if parameter.Kind == search.Choice {
				if option := s.Config.Dimensions()[i].Options[int(value)]; got.HParams[parameter.Name] != option {
					t.Errorf("trial %d: %s is %v, want %s", trial.Number, parameter.Name, got.HParams[parameter.Name], option)
				}
			} else if number, ok := got.HParams[parameter.Name].(float64); !ok || math.Abs(number/value-1) > 1e-4 {
				t.Errorf("trial %d: %s is %v, want %g", trial.Number, parameter.Name, got.HParams[parameter.Name], value)
			}
		}
	}
}
