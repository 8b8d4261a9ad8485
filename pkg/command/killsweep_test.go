package command

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

	"latent/pkg/random"
	"latent/pkg/sweep"
)

// A sweep by three workers, of which one is killed with SIGKILL each half second or so, and every tenth time the process that started
// them, ends with the parameters, states and values of one that was left alone: each trial once. It takes a minute: set LATENT_LONG=1.
func TestKilledSweepEndsTheSame(t *testing.T) {
	if os.Getenv("LATENT_LONG") == "" {
		t.Skip("SKIPPED: takes a minute; set LATENT_LONG=1")
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skipf("SKIPPED: finds a process's children in /proc: %v", err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"base.yaml": `
data: {dataset: glyphs, train: 320, test: 32, validation: 64}
corrupt: {kind: gaussian, noise_factor: 0.3}
model: {kind: dense, encoder: [32, 8], decoder: [32]}
train: {batch_size: 32, epochs: 25}
backend: go
`,
		"s.yaml": `
base: base.yaml
objective: {metric: val_loss}
space: {train.learning_rate: {loguniform: [1e-4, 0.1]}, corrupt.noise_factor: {uniform: [0.1, 0.6]}}
strategy: {kind: tpe, startup: 3}
early_stopping: {kind: median, startup_trials: 3, warmup_steps: 10}
budget: {trials: 12}
workers: 3
deterministic: true
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	latent := func(args ...string) *exec.Cmd {
		cmd := exec.Command("latent", args...)
		cmd.Env = append(os.Environ(), "GOMLX_BACKEND=")
		cmd.Dir = dir
		return cmd
	}
	status := func(folder string) sweep.Status {
		t.Helper()
		out, err := latent("sweep", "status", folder, "--json").Output()
		if err != nil {
			t.Fatal(err)
		}
		var s sweep.Status
		if err := json.Unmarshal(out, &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if out, err := latent("sweep", "s.yaml", "--out", "whole").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := status(only(t, dir, "whole"))

	kills, before, draws := 0, int64(0), random.NewSeed(1)
	for ended := false; !ended; {
		args := []string{"sweep", "s.yaml", "--out", "killed"}
		if folders, _ := filepath.Glob(filepath.Join(dir, "killed", "s", "*")); len(folders) > 0 {
			args = []string{"sweep", "resume", folders[0]}
		}
		cmd := latent(args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		over := make(chan error, 1)
		go func() { over <- cmd.Wait() }()
		for alive := true; alive; {
			select {
			case err := <-over:
				alive, ended = false, err == nil
				continue
			case <-time.After(500 * time.Millisecond):
			}
			// Not where nothing has moved since the last: a trial that dies five times before its first epoch is given up, and on a
			// busy machine that may take longer than half a second.
			now := recorded(t, dir)
			if kills >= 40 || kills > 0 && now == before {
				continue
			}
			before = now
			kills++
			if folders, _ := filepath.Glob(filepath.Join(dir, "killed", "s", "*", "sweep.json")); kills%10 == 0 && len(folders) > 0 {
				cmd.Process.Kill()
			} else if workers := children(t, cmd.Process.Pid); len(workers) > 0 {
				worker := workers[int(draws.Block(uint32(kills), 0)[0])%len(workers)]
				if process, err := os.FindProcess(worker); err == nil {
					process.Kill()
				}
			}
		}
	}
	got := status(only(t, dir, "killed"))
	if len(got.Trials) != len(want.Trials) {
		t.Fatalf("%d trials, want %d", len(got.Trials), len(want.Trials))
	}
	attempts := 0
	for i, trial := range got.Trials {
		attempts += trial.Attempt
		if a, b := outcome(trial), outcome(want.Trials[i]); a != b {
			t.Errorf("trial %d: %s, want %s", i, a, b)
		}
	}
	if attempts <= len(got.Trials) {
		t.Errorf("%d attempts at %d trials: no kill met one that ran", attempts, len(got.Trials))
	}
}

// recorded is how much the killed sweep's runs have recorded, in bytes.
func recorded(t *testing.T, dir string) (total int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "killed", "s", "*", "trials", "*", "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			total += info.Size()
		}
	}
	return total
}

// outcome is what a trial tried and found.
func outcome(t sweep.TrialStatus) string {
	text := fmt.Sprint(t.State, " ", t.Params, " ", t.Error)
	if t.Value != nil {
		text += strconv.FormatFloat(*t.Value, 'g', -1, 64)
	}
	return text
}

func only(t *testing.T, dir, out string) string {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(dir, out, "s", "*"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("%d sweeps in %s, want one: %v", len(folders), out, err)
	}
	return folders[0]
}

// children are the processes that a process has started.
func children(t *testing.T, pid int) []int {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, entry := range entries {
		text, err := os.ReadFile(entry)
		if err != nil {
			continue // it has ended
		}
		// PID (NAME) STATE PARENT …, and the name may have spaces.
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[1] != strconv.Itoa(pid) || fields[0] == "Z" {
			continue
		}
		if child, err := strconv.Atoi(filepath.Base(filepath.Dir(entry))); err == nil {
			found = append(found, child)
		}
	}
	return found
}
