package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"

	"latent/pkg/backend"
	"latent/pkg/host"
)

// describeMachine tells what the figures were measured on, a line each.
func describeMachine() []string {
	lines := []string{fmt.Sprintf("processor: %s, %d cores", cmp.Or(host.Processor(), "unknown"), runtime.NumCPU())}
	if memory := host.Memory(); memory > 0 {
		lines = append(lines, fmt.Sprintf("memory: %.0f GiB", float64(memory)/(1<<30)))
	}
	lines = append(lines, fmt.Sprintf("system: %s/%s", runtime.GOOS, runtime.GOARCH))
	var load float64
	text, _ := os.ReadFile("/proc/loadavg")
	if _, err := fmt.Sscan(string(text), &load); err == nil {
		lines = append(lines, fmt.Sprintf("load by others in the minute before: %.1f cores", load))
	}
	return lines
}

// describeCards tells of the NVIDIA cards, a line each; none where there is no driver.
func describeCards(ctx context.Context) []string {
	out, err := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader").Output()
	if err != nil {
		return nil
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if values := strings.Split(strings.TrimSpace(line), ", "); len(values) == 3 {
			lines = append(lines, fmt.Sprintf("card: %s, %s, driver %s", values[0], values[1], values[2]))
		}
	}
	return lines
}

// versions tells what is compared, a line each; a card's Latent says itself what it computes on.
func (b *bench) versions() []string {
	latent := "Latent: " + runtime.Version()
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if strings.HasPrefix(module.Path, "github.com/gomlx/") {
				latent += fmt.Sprintf(", %s %s", module.Path[len("github.com/gomlx/"):], module.Version)
			}
		}
	}
	about := "XLA with `" + backend.CPUFlags + "`"
	if b.card {
		if a, err := b.pool.ask(b.worker(), request{Task: "about"}); err == nil {
			about = a.About
		} else {
			about = "does not start: " + brief(err)
		}
	}
	lines := []string{latent + ", " + about}
	if !b.peers {
		return lines
	}
	var found, lacking []string
	for _, name := range packageNames() {
		if version := b.packages[name]; version != "" {
			found = append(found, name+" "+version)
		}
	}
	peers := [][]string{{"PyTorch", "torch"}, {"JAX", "jax"}}
	if !b.card {
		peers = append(peers, []string{"onnxruntime", "onnxruntime"}, []string{"Optuna", "optuna"})
	}
	for _, peer := range peers {
		if !b.has(peer[1]) {
			lacking = append(lacking, fmt.Sprintf("left out: %s; %s has no package %s", peer[0], b.python, peer[1]))
		}
	}
	if found != nil {
		lines = append(lines, "peers: "+strings.Join(found, ", "))
	}
	return append(lines, lacking...)
}

// cudaPackages are JAX's plugins for CUDA, of which one may be installed.
var cudaPackages = []string{"jax-cuda13-plugin", "jax-cuda13-pjrt", "jax-cuda12-plugin", "jax-cuda12-pjrt"}

// packageNames are those of what the peers are made of.
func packageNames() []string {
	var names []string
	for line := range strings.Lines(requirements) {
		if name, _, found := strings.Cut(line, "=="); found {
			names = append(names, name)
		}
	}
	return append(names, cudaPackages...)
}

// listPackages prints the versions of the installed ones of the packages that are named, as JSON.
const listPackages = `
import importlib.metadata, json, sys
versions = {}
for name in sys.argv[1:]:
    try:
        versions[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(versions))
`

// findPackages asks the peers' interpreter what it has.
func (b *bench) findPackages(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, b.python, append([]string{"-c", listPackages}, packageNames()...)...)
	said := &tail{}
	cmd.Stderr = said
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &b.packages)
	}
	if err != nil {
		return fmt.Errorf("ask %s for its packages: %w%s", b.python, err, said)
	}
	return nil
}

// has says whether the peers' interpreter has these packages.
func (b *bench) has(names ...string) bool {
	for _, name := range names {
		if b.packages[name] == "" {
			return false
		}
	}
	return true
}
