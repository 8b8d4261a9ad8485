package command

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
	"latent/pkg/backend/backendtest"
	"latent/pkg/random"
	"latent/pkg/table"
)

// anonymous is the memory that a process has and no file backs, in bytes; 0 once it has ended.
func anonymous(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if text, found := strings.CutPrefix(line, "RssAnon:"); found {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// limited makes a control group whose processes have so much memory, pages of files among them, and returns the file that takes them
// in; "" where this process may make none.
func limited(t *testing.T, bytes int64) string {
	t.Helper()
	for limit, root := range map[string]string{"memory.limit_in_bytes": "/sys/fs/cgroup/memory", "memory.max": "/sys/fs/cgroup"} {
		if _, err := os.Stat(filepath.Join(root, limit)); err != nil && root != "/sys/fs/cgroup" { // the root of version 2 has no limit
			continue
		}
		dir := filepath.Join(root, fmt.Sprintf("latent-test-%d", os.Getpid()))
		if err := os.Mkdir(dir, 0o755); err != nil {
			continue
		}
		t.Cleanup(func() { os.Remove(dir) })
		file, err := os.OpenFile(filepath.Join(dir, limit), os.O_WRONLY, 0)
		if err != nil { // no group of this version
			continue
		}
		_, err = file.WriteString(strconv.FormatInt(bytes, 10))
		if err := errors.Join(err, file.Close()); err == nil {
			return filepath.Join(dir, "cgroup.procs")
		}
	}
	return ""
}

// Streamed pictures stay in a file: a run on 700 MB of them has less memory than that by far, where a resident one has more; both end
// with the same bits, and so does one that may have 512 MiB, the file's pages among them. It takes a minute: set LATENT_LONG=1.
func TestStreamedMemory(t *testing.T) {
	if os.Getenv("LATENT_LONG") == "" {
		t.Skip("SKIPPED: writes 1.4 GB and takes a minute; set LATENT_LONG=1")
	}
	xla := backendtest.XLA(t)
	dir := t.TempDir()
	const pictures, side = 57_000, 64
	w, err := table.Create(filepath.Join(dir, "pictures.npy"), nil, dtypes.Uint8, side, side, 3)
	if err != nil {
		t.Fatal(err)
	}
	some := array.Make(dtypes.Uint8, 1000*side*side*3)
	for i := range some.Uint8 {
		some.Uint8[i] = uint8(random.NewSeed(1).Block(uint32(i/512), 0)[0]) + uint8(i)
	}
	for range pictures / 1000 {
		if err := w.Append(some); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "run.yaml")
	text := `
data: {dataset: table, files: ` + filepath.Join(dir, "pictures.npy") + `, scale: {kind: range}, validation: 200, test_fraction: 0.003}
model: {kind: dense, encoder: [32], decoder: []}
train: {batch_size: 256, epochs: 1, max_steps: 120}
evaluate: {memory: 16}
output: {grid: {every: 0}}
backend: ` + xla.Name + "\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	procs := "" // of a control group
	start := func(args ...string) (*exec.Cmd, *bytes.Buffer) {
		t.Helper()
		cmd, out := exec.Command("latent", args...), &bytes.Buffer{}
		if procs != "" {
			cmd = exec.Command("sh", append([]string{"-c", `echo $$ > "$0" && exec latent "$@"`, procs}, args...)...)
		}
		cmd.Env = append(os.Environ(), "GOMLX_BACKEND=", "LATENT_CACHE_DIR="+filepath.Join(dir, "cache"))
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, out
	}
	// peak runs a command to its end, and returns the most memory that it had.
	peak := func(args ...string) int64 {
		t.Helper()
		cmd, out := start(args...)
		ended, most := make(chan error), int64(0)
		go func() { ended <- cmd.Wait() }()
		for {
			select {
			case err := <-ended:
				if err != nil {
					t.Fatalf("latent %q: %v\n%s", args, err, out)
				}
				return most
			case <-time.After(20 * time.Millisecond):
				most = max(most, anonymous(cmd.Process.Pid))
			}
		}
	}
	const all = pictures * side * side * 3
	streamed := peak("run", config, "data.resident=stream", "--out", filepath.Join(dir, "streamed"))
	resident := peak("run", config, "data.resident=device", "--out", filepath.Join(dir, "resident"))
	t.Logf("of %d MB of pictures, streamed %d MB, resident %d MB", all>>20, streamed>>20, resident>>20)
	if streamed > all/2 || resident < all {
		t.Errorf("streamed %d MB, resident %d MB, of %d MB of pictures", streamed>>20, resident>>20, all>>20)
	}

	weights := func(name string) []byte {
		return contents(t, runsIn(t, filepath.Join(dir, name))[0], "checkpoints/step-000000120.ckpt")
	}
	if !bytes.Equal(weights("streamed"), weights("resident")) {
		t.Error("streamed and resident pictures give other weights")
	}

	if procs = limited(t, 512<<20); procs == "" {
		t.Log("SKIPPED: a run under a limit of memory; no control group can be made here")
		return
	}
	peak("run", config, "data.resident=stream", "--out", filepath.Join(dir, "limited"))
	if !bytes.Equal(weights("limited"), weights("resident")) {
		t.Error("under a limit of memory, the weights are others")
	}
	// The limit holds: with resident pictures the system ends the run, or they do not fit.
	cmd, _ := start("run", config, "data.resident=device", "--out", filepath.Join(dir, "too-much"))
	if err := cmd.Wait(); err == nil {
		t.Error("1.5 GB of resident pictures were trained on in 512 MiB")
	}
}
