//go:build unix

package mlflow_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"latent/pkg/mlflow/mlflowtest"
	"latent/pkg/pythontest"
	"latent/pkg/rundir"
)

// A real server has what the one of the other tests has, by the words of MLflow's own client: after a run that was killed, trained
// again from its checkpoint, ended, and was sent once more; and after one that diverged.
func TestReal(t *testing.T) {
	python := pythontest.Interpreter(t, "testdata/requirements.txt")
	uri := realServer(t, python)
	server := mlflowtest.New(t)
	killed, m := begun(t)
	diverged, other := begun(t)
	both := func(folder *rundir.Run, live bool) {
		t.Helper()
		for _, to := range []string{uri, server.URL} { // mlflow.json is now the one's, now the other's
			send(t, process(t, to, folder), live)
		}
	}
	both(killed, true)
	epoch(t, killed, 1, 20, noon)
	epoch(t, killed, 2, 25, noon)
	both(killed, true)
	check(t, killed.Close())
	_, err := killed.RewindMetrics(100)
	check(t, err)
	epoch(t, killed, 2, 50, noon.Add(17*time.Second))
	both(killed, true)
	end(t, killed, m)
	both(killed, false)
	both(killed, false)

	other.ConfigSHA256, other.State, other.Error = "another", rundir.Diverged, "loss is NaN"
	check(t, diverged.WriteManifest(other))
	check(t, diverged.AppendWindow(rundir.Window{Step: 1, Loss: rundir.Number(math.NaN()), LearningRate: 1e-7, Time: noon}))
	both(diverged, false)

	output, err := exec.Command(python, "testdata/read.py", uri).Output()
	check(t, err)
	var got []mlflowtest.Run
	check(t, json.Unmarshal(output, &got))
	want := server.Runs()
	for _, runs := range [][]mlflowtest.Run{got, want} {
		slices.SortFunc(runs, func(a, b mlflowtest.Run) int { return cmp.Compare(a.Status, b.Status) })
	}
	if len(got) != 2 || len(want) != 2 {
		t.Fatalf("%d runs, and %d in the fake server; want 2", len(got), len(want))
	}
	for i := range got {
		compare(t, got[i], want[i])
	}
}

// compare says where a run differs between the servers.
func compare(t *testing.T, got, want mlflowtest.Run) {
	t.Helper()
	if got.Experiment != want.Experiment || got.Name != want.Name || got.Status != want.Status || got.Start != want.Start || got.End != want.End {
		t.Errorf("run %+v\nfake %+v", got, want)
	}
	if !reflect.DeepEqual(got.Params, want.Params) || !reflect.DeepEqual(got.Tags, want.Tags) || !reflect.DeepEqual(got.Files, want.Files) {
		t.Errorf("parameters %v\nfake       %v\ntags %v\nfake %v\n%d files, fake %d", got.Params, want.Params, got.Tags, want.Tags, len(got.Files), len(want.Files))
	}
	for key := range want.Metrics {
		if a, b := numbers(t, got.Metrics[key]), numbers(t, want.Metrics[key]); a != b {
			t.Errorf("%s: %s\nfake %s", key, a, b)
		}
	}
	if len(got.Metrics) != len(want.Metrics) {
		t.Errorf("%d metrics, fake %d", len(got.Metrics), len(want.Metrics))
	}
}

// numbers are points in the order of their steps, whichever way their values are written.
func numbers(t *testing.T, points []mlflowtest.Metric) string {
	t.Helper()
	slices.SortFunc(points, func(a, b mlflowtest.Metric) int { return cmp.Compare(a.Step, b.Step) })
	text := ""
	for _, point := range points {
		value, err := strconv.ParseFloat(point.Value, 64)
		check(t, err)
		text += fmt.Sprintln(point.Step, point.Timestamp, value)
	}
	return text
}

// realServer starts MLflow's own server on a database and a folder of the test's.
func realServer(t *testing.T, python string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	listener.Close()
	dir := t.TempDir()
	command := exec.CommandContext(t.Context(), python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1",
		"--backend-store-uri", "sqlite:///"+filepath.Join(dir, "mlflow.db"), "--artifacts-destination", filepath.Join(dir, "files"))
	// Its workers end with it.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	check(t, command.Start())
	t.Cleanup(func() { command.Wait() })
	uri := "http://127.0.0.1:" + port
	for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(100 * time.Millisecond) {
		if response, err := http.Get(uri + "/health"); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return uri
			}
		}
	}
	t.Fatal("the server does not come up")
	return ""
}
