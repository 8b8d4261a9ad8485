package optuna

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"latent/pkg/pythontest"
)

// What Optuna itself reads is what was written, and its plots, importances and dashboard work on it.
func TestOptunaReads(t *testing.T) {
	optuna := python(t)
	path := filepath.Join(t.TempDir(), "journal")
	study, trials := sampleStudy(), sampleTrials()
	if err := Export(t.Context(), path, study, trials); err != nil {
		t.Fatal(err)
	}
	optuna.ask(t, "compare", path, expected(t, study, trials, 0))

	// The same, told live.
	live := filepath.Join(t.TempDir(), "journal")
	j := open(t, live, study)
	for _, trial := range trials {
		for steps := range len(trial.Curve) + 4 {
			if err := j.Append(t.Context(), onTheWay(trial, steps)); err != nil {
				t.Fatal(err)
			}
		}
	}
	optuna.ask(t, "compare", live, expected(t, study, trials, 0))

	// Several objectives, some of them the more the better; and a trial that ran again.
	two := sampleStudy()
	two.Name, two.Maximize, two.Metrics, two.Attrs = "β", []bool{false, true}, nil, nil
	var pairs []Trial
	for i := range 12 {
		trial := trials[0]
		trial.Number, trial.Values, trial.Curve = i, []float64{float64(i % 5), float64(i * i % 7)}, nil
		trial.Params = map[string]float64{"corrupt.noise_factor": float64(i) / 12, "seed": float64(i%7 - 3), "model.encoder": float64(i % 3)}
		pairs = append(pairs, trial)
	}
	again := pairs[5]
	again.Started, again.Finished = after(10), after(11)
	tell(t, live, two, pairs...)
	tell(t, live, two, again)
	optuna.ask(t, "compare", live, expected(t, two, append(pairs, again), 0))
	optuna.ask(t, "compare", live, expected(t, study, trials, 0))
}

// Optuna and its dashboard write while a sweep does.
func TestOptunaWrites(t *testing.T) {
	optuna := python(t)
	path := filepath.Join(t.TempDir(), "journal")
	optuna.ask(t, "write", path)
	study, trials := sampleStudy(), sampleTrials()
	study.Metrics = nil
	j := open(t, path, study)
	const count, notes = 150, 60
	done := make(chan error, 2)
	for _, command := range [][]string{{"note", path, fmt.Sprint(notes)}, {"follow", path, fmt.Sprint(count + 2)}} {
		go func() {
			done <- optuna.run(command...)
		}()
	}
	var want []Trial
	for i := range count {
		trial := trials[0]
		trial.Number = i
		want = append(want, trial)
		for steps := range len(trial.Curve) + 4 {
			if err := j.Append(t.Context(), onTheWay(trial, steps)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond) // so that Optuna has its turn
		}
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	optuna.ask(t, "write", path)
	tell(t, path, study, want...)
	study.Attrs["seen"], study.Attrs["note"] = map[string]any{"by": "a person"}, notes-1
	optuna.ask(t, "compare", path, expected(t, study, want, 2))
}

// A line that was cut off is read over by Optuna; one that is added behind it would be the journal's end.
func TestOptunaReadsOver(t *testing.T) {
	optuna := python(t)
	path := filepath.Join(t.TempDir(), "journal")
	study, trials := sampleStudy(), sampleTrials()
	tell(t, path, study, trials[:3]...)
	want := expected(t, study, trials[:3], 0)
	add(t, path, `{"op_code":4,"worker_id":"`)
	optuna.ask(t, "compare", path, want)
	tell(t, path, study)
	optuna.ask(t, "write", path)
	study.Attrs["seen"] = map[string]any{"by": "a person"}
	optuna.ask(t, "compare", path, expected(t, study, trials[:3], 0))
}

// optunaItself runs testdata/journal.py.
type optunaItself struct{ python string }

// run asks it for something. Times are read in India, whose clocks are half an hour off those of others.
func (o optunaItself) run(arguments ...string) error {
	command := exec.Command(o.python, append([]string{"testdata/journal.py"}, arguments...)...)
	command.Env = append(os.Environ(), "TZ=Asia/Kolkata")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(arguments, " "), err, output)
	}
	return nil
}

func (o optunaItself) ask(t *testing.T, arguments ...string) {
	t.Helper()
	if err := o.run(arguments...); err != nil {
		t.Fatal(err)
	}
}

// python returns Optuna in the versions of testdata/requirements.txt.
func python(t *testing.T) optunaItself {
	t.Helper()
	return optunaItself{pythontest.Interpreter(t, "testdata/requirements.txt")}
}

// expected writes down what Optuna is to read, in its own words, and returns the file. first is Optuna's number of the first trial.
func expected(t *testing.T, study Study, trials []Trial, first int) string {
	t.Helper()
	object := func(pairs ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
		}
		return m
	}
	directions, space, all := []string{}, []any{}, []any{}
	for _, maximize := range study.Maximize {
		directions = append(directions, map[bool]string{false: "MINIMIZE", true: "MAXIMIZE"}[maximize])
	}
	kinds := map[Kind]string{Float: "float", Int: "int", Categorical: "categorical"}
	for _, p := range study.Space {
		space = append(space, object("name", p.Name, "kind", kinds[p.Kind], "low", p.Low, "high", p.High, "log", p.Log, "step", p.Step,
			"options", p.Options))
	}
	for i, trial := range trials {
		params, curve := map[string]any{}, map[string]any{}
		for _, p := range study.Space {
			value, has := trial.Params[p.Name]
			switch {
			case !has:
			case p.Kind == Categorical:
				params[p.Name] = p.Options[int(value)]
			case p.Kind == Int:
				params[p.Name] = int(value)
			default:
				params[p.Name] = pythonFloat(value)
			}
		}
		for _, report := range trial.Curve {
			curve[fmt.Sprint(report.Step)] = pythonFloat(report.Value)
		}
		attrs := map[string]any{}
		for name, value := range trial.Attrs {
			if number, is := value.(float64); is {
				value = pythonFloat(number)
			}
			attrs[name] = value
		}
		state, values, began, ended := "", any(nil), "", ""
		switch trial.State {
		case Waiting:
			state = "WAITING"
		case Running:
			state, began = "RUNNING", iso(trial.Started)
		case Done, Pruned, Failed:
			state = map[State]string{Done: "COMPLETE", Pruned: "PRUNED", Failed: "FAIL"}[trial.State]
			began, ended = iso(trial.Started), iso(trial.Finished)
		}
		// The exceptions of the sample, by what Trial says of them.
		switch {
		case trial.State == Done && trial.Values[0] != trial.Values[0]:
			state, began = "FAIL", ended
		case trial.State == Done:
			var list []any
			for _, value := range trial.Values {
				list = append(list, pythonFloat(value))
			}
			values = list
		case trial.State == Pruned && trial.Number == 4:
			values = []any{pythonFloat(3)}
		}
		all = append(all, object("number", trial.Number, "optuna", first+i, "state", state, "params", params, "values", values,
			"curve", curve, "attrs", attrs, "started", began, "finished", ended))
	}
	var metrics any
	if study.Metrics != nil {
		metrics = study.Metrics
	}
	attrs := study.Attrs
	if attrs == nil {
		attrs = map[string]any{}
	}
	text, err := json.Marshal(object("name", study.Name, "directions", directions, "metrics", metrics, "attrs", attrs, "space", space,
		"trials", all))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "expected.json")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// pythonFloat is a number as a text that journal.py makes a float of: JSON has no NaN, and no 1.0 beside 1.
func pythonFloat(v float64) map[string]string {
	return map[string]string{"float": strconv.FormatFloat(v, 'g', -1, 64)}
}

func iso(t time.Time) string { return t.Truncate(time.Microsecond).Format(time.RFC3339Nano) }
