package mlflow_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"latent/pkg/mlflow"
	"latent/pkg/mlflow/mlflowtest"
	"latent/pkg/rundir"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func values() (map[string]any, error) {
	return map[string]any{"train.learning_rate": 0.001, "train.epochs": 2, "model.encoder": "[128, 64]", "seed": 42}, nil
}

// begun is the folder of a run that has begun and written nothing yet.
func begun(t *testing.T) (*rundir.Run, *rundir.Manifest) {
	t.Helper()
	folder, err := rundir.Create(t.TempDir(), "demo", noon)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	m := rundir.NewManifest()
	m.Name, m.Seed, m.Started, m.ConfigSHA256 = "demo", 42, noon, "c0ffee"
	m.Versions["latent"], m.Command, m.Git.Commit = "v1.2.3", "latent run demo.yaml", "abcdef"
	check(t, folder.WriteConfig([]byte("name: demo\n")))
	check(t, folder.WriteManifest(m))
	return folder, m
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// epoch writes the records of an epoch of 100 steps in windows of some size. Losses are a function of the step, as they are where a
// run is trained again; speeds and times are not.
func epoch(t *testing.T, folder *rundir.Run, number, window int, began time.Time) {
	t.Helper()
	for step := (number-1)*100 + window; step <= number*100; step += window {
		check(t, folder.AppendWindow(rundir.Window{Step: step, Epoch: number, Loss: rundir.Number(1 / float64(step)), LearningRate: 0.001,
			ImagesPerSecond: rundir.Number(1000 + began.Second()), Time: began.Add(time.Duration(step) * time.Millisecond)}))
	}
	loss := rundir.Number(2 / float64(number*100))
	check(t, folder.AppendEpoch(rundir.Epoch{Epoch: number, Step: number * 100, TrainLoss: 0.5, ValLoss: &loss,
		ValTerms: map[string]rundir.Number{"kl (nats)": 3}, Time: began.Add(time.Second)}))
}

// end writes that the run is done.
func end(t *testing.T, folder *rundir.Run, m *rundir.Manifest) {
	t.Helper()
	finished := noon.Add(time.Minute)
	m.State, m.Finished, m.Progress.Step = rundir.Done, &finished, 200
	m.Result.Test = map[string]rundir.Number{"psnr": 21.5}
	check(t, folder.SaveSample("final", []byte("picture")))
	check(t, folder.WriteReport([]byte("<html>")))
	check(t, folder.WriteManifest(m))
}

// process is what a new process knows of a run.
func process(t *testing.T, uri string, folder *rundir.Run) *mlflow.Run {
	t.Helper()
	server, err := mlflow.NewServer(uri)
	check(t, err)
	return server.Run(folder, values)
}

func send(t *testing.T, run *mlflow.Run, live bool) mlflow.Sent {
	t.Helper()
	sent, err := run.Send(context.Background(), live)
	check(t, err)
	return sent
}

// only is the server's only run.
func only(t *testing.T, server *mlflowtest.Server) mlflowtest.Run {
	t.Helper()
	runs := server.Runs()
	if len(runs) != 1 {
		t.Fatalf("%d runs, want 1", len(runs))
	}
	return runs[0]
}

func TestSend(t *testing.T) {
	server := mlflowtest.New(t)
	folder, m := begun(t)
	run := process(t, server.URL, folder)
	send(t, run, true)
	epoch(t, folder, 1, 50, noon)
	send(t, run, true)
	if got := only(t, server); got.Status != "RUNNING" || len(got.Files) > 0 || got.Tags["latent.state"] != "running" {
		t.Errorf("while it runs: status %s, %d files, tags %v", got.Status, len(got.Files), got.Tags)
	}
	epoch(t, folder, 2, 100, noon)
	end(t, folder, m)
	sent := send(t, run, false)
	got := only(t, server)
	if !sent.Complete || sent.Note != "" || sent.RunID != got.ID || !strings.HasPrefix(sent.URL, server.URL) {
		t.Errorf("sent %+v", sent)
	}
	if got.Experiment != "demo" || got.Name != filepath.Base(folder.Path) || got.Status != "FINISHED" || got.Start != noon.UnixMilli() || got.End != noon.Add(time.Minute).UnixMilli() {
		t.Errorf("run %+v", got)
	}
	if want := map[string]string{"train.learning_rate": "0.001", "train.epochs": "2", "model.encoder": "[128, 64]", "seed": "42"}; !reflect.DeepEqual(got.Params, want) {
		t.Errorf("parameters %v, want %v", got.Params, want)
	}
	point := func(value string, after time.Duration, step int64) mlflowtest.Metric {
		return mlflowtest.Metric{Value: value, Timestamp: noon.Add(after).UnixMilli(), Step: step}
	}
	for key, want := range map[string][]mlflowtest.Metric{
		"train/loss":           {point("0.02", 50*time.Millisecond, 50), point("0.01", 100*time.Millisecond, 100), point("0.005", 200*time.Millisecond, 200)},
		"epoch/train_loss":     {point("0.5", time.Second, 100), point("0.5", time.Second, 200)},
		"validation/loss":      {point("0.02", time.Second, 100), point("0.01", time.Second, 200)},
		"validation/kl _nats_": {point("3", time.Second, 100), point("3", time.Second, 200)}, // MLflow allows no brackets
		"test/psnr":            {point("21.5", time.Minute, 200)},
	} {
		if !reflect.DeepEqual(got.Metrics[key], want) {
			t.Errorf("%s: %v, want %v", key, got.Metrics[key], want)
		}
	}
	for key, want := range map[string]string{"latent.state": "done", "latent.seed": "42", "latent.version": "v1.2.3",
		"mlflow.source.name": "latent run demo.yaml", "mlflow.source.git.commit": "abcdef"} {
		if got.Tags[key] != want {
			t.Errorf("tag %s is %q, want %q", key, got.Tags[key], want)
		}
	}
	if len(got.Files) != 4 || string(got.Files["config.yaml"]) != "name: demo\n" || string(got.Files["samples/final.png"]) != "picture" {
		t.Errorf("files %q", got.Files)
	}
	// Now nothing is left, and nobody is asked.
	before := len(server.Requests())
	if again := send(t, process(t, server.URL, folder), false); !again.Complete || again.RunID != got.ID || len(server.Requests()) != before {
		t.Errorf("again: %+v, %v", again, server.Requests()[before:])
	}
}

// Whichever request fails or has its answer lost, in whichever way the process dies of it and the run is trained again from its
// checkpoint: there is one run in the end, and one figure for each step.
func TestOnce(t *testing.T) {
	for _, status := range []int{http.StatusInternalServerError, mlflowtest.Lost} {
		for nth := 1; ; nth++ {
			server := mlflowtest.New(t)
			left := nth
			server.Break(func(*http.Request) int {
				if left--; left == 0 {
					return status
				}
				return 0
			})
			folder, m := begun(t)
			run := process(t, server.URL, folder)
			try := func(live bool) {
				if _, err := run.Send(context.Background(), live); err != nil {
					if !errors.Is(err, mlflow.ErrUnreachable) {
						t.Fatalf("request %d: %v", nth, err)
					}
					run = process(t, server.URL, folder) // it died, and another goes on
				}
			}
			try(true)
			epoch(t, folder, 1, 20, noon)
			try(true)
			epoch(t, folder, 2, 25, noon)
			try(true)
			// Killed, and again from the checkpoint of the first epoch, in other windows.
			check(t, folder.Close())
			_, err := folder.RewindMetrics(100)
			check(t, err)
			run = process(t, server.URL, folder)
			try(true)
			epoch(t, folder, 2, 50, noon.Add(17*time.Second))
			end(t, folder, m)
			try(false)
			try(false)
			if left > 0 {
				break // there are no more requests
			}
			got := only(t, server)
			for key, points := range got.Metrics {
				steps := map[int64]bool{}
				for _, point := range points {
					if steps[point.Step] {
						t.Errorf("status %d at request %d: %s has step %d twice: %v", status, nth, key, point.Step, points)
					}
					steps[point.Step] = true
				}
			}
			if n := len(got.Metrics["epoch/train_loss"]); n != 2 || len(got.Metrics["test/psnr"]) != 1 || len(got.Files) != 4 || got.Status != "FINISHED" {
				t.Errorf("status %d at request %d: %d epochs, test %v, %d files, %s", status, nth, n, got.Metrics["test/psnr"], len(got.Files), got.Status)
			}
			server.Close()
		}
	}
}

// How the folder says that a run ended, and what MLflow calls that.
func TestStatus(t *testing.T) {
	for state, want := range map[rundir.State]string{
		rundir.Done: "FINISHED", rundir.Failed: "FAILED", rundir.Diverged: "FAILED", rundir.Interrupted: "KILLED", rundir.Pruned: "KILLED",
		rundir.Running: "KILLED", // its process died
	} {
		server := mlflowtest.New(t)
		folder, m := begun(t)
		m.State = state
		check(t, folder.WriteManifest(m))
		send(t, process(t, server.URL, folder), false)
		if got := only(t, server); got.Status != want {
			t.Errorf("%s: %s, want %s", state, got.Status, want)
		}
		send(t, process(t, server.URL, folder), true) // it goes on
		if got := only(t, server); got.Status != "RUNNING" {
			t.Errorf("%s, going on: %s", state, got.Status)
		}
	}
}

// More than one batch may hold, in the file and on the wire; the fake server refuses more, as MLflow does.
func TestManyRecords(t *testing.T) {
	server := mlflowtest.New(t)
	folder, _ := begun(t)
	const windows = 3000
	for step := 1; step <= windows; step++ {
		check(t, folder.AppendWindow(rundir.Window{Step: step, Loss: 1, Time: noon}))
	}
	many := map[string]any{}
	for i := range 250 {
		many[fmt.Sprint("model.layer_", i)] = i
	}
	s, err := mlflow.NewServer(server.URL)
	check(t, err)
	send(t, s.Run(folder, func() (map[string]any, error) { return many, nil }), false)
	if got := only(t, server); len(got.Metrics["train/loss"]) != windows || len(got.Params) != 250 {
		t.Errorf("%d points and %d parameters", len(got.Metrics["train/loss"]), len(got.Params))
	}
}

// A loss that is no number is null in metrics.jsonl, and NaN there.
func TestNaN(t *testing.T) {
	server := mlflowtest.New(t)
	folder, _ := begun(t)
	check(t, os.WriteFile(filepath.Join(folder.Path, "metrics.jsonl"), []byte(`{"kind":"window","step":7,"loss":null}`+"\n"+`{"kind":"win`), 0o644))
	send(t, process(t, server.URL, folder), false)
	want := []mlflowtest.Metric{{Value: "NaN", Timestamp: noon.UnixMilli(), Step: 7}} // a record without a time has the run's start
	if got := only(t, server).Metrics["train/loss"]; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// mlflow.json only saves a question: without it, or with nonsense in it, the same run goes on.
func TestDamagedReceipt(t *testing.T) {
	for name, text := range map[string]string{"cut off": `{"uri": "ht`, "empty": "", "another server's": `{"uri": "http://elsewhere", "run_id": "17"}`} {
		server := mlflowtest.New(t)
		folder, m := begun(t)
		epoch(t, folder, 1, 50, noon)
		send(t, process(t, server.URL, folder), true)
		check(t, folder.WriteMLflow([]byte(text)))
		end(t, folder, m)
		send(t, process(t, server.URL, folder), false)
		if got := only(t, server); got.Status != "FINISHED" || len(got.Metrics["train/loss"]) != 2 {
			t.Errorf("%s: %s, %v", name, got.Status, got.Metrics["train/loss"])
		}
	}
}

func TestServerForgot(t *testing.T) {
	server := mlflowtest.New(t)
	folder, _ := begun(t)
	epoch(t, folder, 1, 50, noon)
	send(t, process(t, server.URL, folder), true)
	server.Forget()
	send(t, process(t, server.URL, folder), true)
	if got := only(t, server); len(got.Metrics["train/loss"]) != 2 {
		t.Errorf("%v", got.Metrics)
	}
}

func TestDeleted(t *testing.T) {
	server := mlflowtest.New(t)
	folder, _ := begun(t)
	sent := send(t, process(t, server.URL, folder), true)
	server.Delete(sent.RunID)
	_, err := process(t, server.URL, folder).Send(context.Background(), true)
	if err == nil || !strings.Contains(err.Error(), "mlflow runs restore --run-id "+sent.RunID) {
		t.Errorf("error %v", err)
	}
}

// MLflow refuses to change a parameter: what a run began with stays.
func TestChangedParameter(t *testing.T) {
	server := mlflowtest.New(t)
	folder, _ := begun(t)
	send(t, process(t, server.URL, folder), true)
	s, err := mlflow.NewServer(server.URL)
	check(t, err)
	send(t, s.Run(folder, func() (map[string]any, error) { return map[string]any{"seed": 42, "train.epochs": 9, "new": true}, nil }), true)
	if got := only(t, server).Params; got["train.epochs"] != "2" || got["new"] != "true" {
		t.Errorf("%v", got)
	}
}

// Where files do not go through the server, the rest does; and a server does not lead us to other addresses of it.
func TestFilesElsewhere(t *testing.T) {
	for _, root := range []string{"file:///tmp/mlruns/", "s3://bucket/", "mlflow-artifacts:/../../mlflow/runs/", "mlflow-artifacts://host/", "::", ""} {
		server := mlflowtest.New(t)
		server.ArtifactRoot = root
		folder, m := begun(t)
		end(t, folder, m)
		sent := send(t, process(t, server.URL, folder), false)
		if got := only(t, server); !strings.Contains(sent.Note, "--artifacts-destination") || !sent.Complete || len(got.Files) > 0 || got.Status != "FINISHED" {
			t.Errorf("%q: %+v, %d files", root, sent, len(got.Files))
		}
	}
}

func TestLinkIsNotSent(t *testing.T) {
	server := mlflowtest.New(t)
	folder, m := begun(t)
	end(t, folder, m)
	secret := filepath.Join(t.TempDir(), "secret")
	check(t, os.WriteFile(secret, []byte("secret"), 0o600))
	check(t, os.Remove(folder.ReportPath()))
	check(t, os.Symlink(secret, folder.ReportPath()))
	sent := send(t, process(t, server.URL, folder), false)
	if got := only(t, server); !strings.Contains(sent.Note, "report.html") || len(got.Files) != 3 {
		t.Errorf("%+v, files %q", sent, got.Files)
	}
}

// What servers say that are none, or not ours, and what a person reads of it.
func TestNonsense(t *testing.T) {
	for name, test := range map[string]struct {
		answer      http.HandlerFunc
		want        string
		unreachable bool
	}{
		"a page":      {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello") }, `"<html>hello"; is it an MLflow server?`, false},
		"another":     {func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) }, "its path complete?", false},
		"no id":       {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }, "is it an MLflow server?", false},
		"a list":      {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[1]") }, "is it an MLflow server?", false},
		"login":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "set MLFLOW_TRACKING_USERNAME", false},
		"without end": {func(w http.ResponseWriter, _ *http.Request) { endless(w) }, "more than 8388608 bytes", false},
		"busy":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, "429", true},
		"ill": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "database is locked", http.StatusServiceUnavailable)
		}, "database is locked", true},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{")
		}, "unexpected EOF", true},
		"moved": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://other.example/x")
			w.WriteHeader(307)
		}, `redirects to "https://other.example/x"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.answer)
			defer server.Close()
			folder, _ := begun(t)
			_, err := process(t, server.URL, folder).Send(context.Background(), true)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), server.URL) || errors.Is(err, mlflow.ErrUnreachable) != test.unreachable {
				t.Errorf("error %v", err)
			}
		})
	}
}

func endless(w http.ResponseWriter) {
	for block := make([]byte, 1<<20); ; {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func TestNobodyThere(t *testing.T) {
	server := mlflowtest.New(t)
	server.Close()
	folder, _ := begun(t)
	_, err := process(t, server.URL, folder).Send(context.Background(), true)
	if !errors.Is(err, mlflow.ErrUnreachable) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error %v", err)
	}
}

// Credentials are those that MLflow's own client would take, and go nowhere else.
func TestCredentials(t *testing.T) {
	for name, test := range map[string]struct{ user, password, token, want string }{
		"none":     {},
		"password": {"ann", "secret", "", "Basic YW5uOnNlY3JldA=="}, // base64 of ann:secret
		"token":    {"", "", "t0k3n", "Bearer t0k3n"},
		"both":     {"ann", "secret", "t0k3n", "Basic YW5uOnNlY3JldA=="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("MLFLOW_TRACKING_USERNAME", test.user)
			t.Setenv("MLFLOW_TRACKING_PASSWORD", test.password)
			t.Setenv("MLFLOW_TRACKING_TOKEN", test.token)
			elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("redirected to %s", r.URL) }))
			defer elsewhere.Close()
			var got string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r.Header.Get("Authorization")
				http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
			}))
			defer server.Close()
			folder, _ := begun(t)
			_, err := process(t, server.URL, folder).Send(context.Background(), true)
			if got != test.want || err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("authorization %q, want %q; error %v", got, test.want, err)
			}
		})
	}
}

func TestCheckURI(t *testing.T) {
	for uri, want := range map[string]string{
		"http://127.0.0.1:5000":          "",
		"https://host.example/mlflow/":   "",
		"http://[::1]:5000":              "",
		"file:///tmp/mlruns":             "mlflow server --backend-store-uri",
		"sqlite:///mlflow.db":            "mlflow server --backend-store-uri",
		"localhost:5000":                 "such as http://127.0.0.1:5000",
		"127.0.0.1:5000":                 "such as http://127.0.0.1:5000",
		"http://":                        "has no host",
		"http://127.0.0.1:65535":         "",
		"http://127.0.0.1:65536":         "has the port 65536; ports are 1 to 65535",
		"https://[::1]:0/mlflow":         "has the port 0;",
		"http://ann:secret@host":         "MLFLOW_TRACKING_PASSWORD",
		"http://ann@host":                "MLFLOW_TRACKING_PASSWORD",
		"http://host:5000/?a=b":          "'?'",
		"http://host:5000/#/experiments": "'#'",
		"http://ann:sec%ret@host":        "is not a URI",
		"":                               "such as http://127.0.0.1:5000",
	} {
		err := mlflow.CheckURI(uri)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", uri, err, want)
		}
		if _, err := mlflow.NewServer(uri); err != nil && strings.Contains(err.Error(), "sec") {
			t.Errorf("%q: the error has the password: %v", uri, err)
		}
	}
}
