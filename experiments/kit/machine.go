package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"latent/pkg/host"
)

// machine is what the figures were measured on, and with what.
type machine struct {
	GPU    string   `json:"gpu,omitempty"`    // the names of all, "" where none was found
	GPUs   []string `json:"gpus,omitempty"`   // name, memory and driver of each, as nvidia-smi says
	NoGPU  string   `json:"no_gpu,omitempty"` // why none was found
	CPU    string   `json:"cpu"`
	Cores  int      `json:"cores"`
	Memory string   `json:"memory"`
	System string   `json:"system"`
	Python string   `json:"python"` // its version and path, or why there is none
	// Packages are the versions of those of Python that matter here.
	Packages map[string]string `json:"packages,omitempty"`
	// Latent says what is in the archive: commit, Go, and the machine that packed it.
	Latent []string `json:"latent,omitempty"`
	// Environment are variables that choose what XLA and CUDA do.
	Environment []string `json:"environment,omitempty"`
}

// lookLimit is for each of the programs that are asked what is there.
const lookLimit = 20 * time.Second

// packedFile is where the archive says what it was made of.
const packedFile = "packed"

// describeMachine looks at the machine. What it cannot find out it says instead.
func (k *kit) describeMachine(ctx context.Context) machine {
	m := machine{CPU: cmp.Or(host.Processor(), "unknown"), Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH}
	if memory := host.Memory(); memory > 0 {
		m.Memory = fmt.Sprintf("%.0f GiB", float64(memory)/(1<<30))
	}
	if text, err := os.ReadFile(filepath.Join(k.root, packedFile)); err == nil {
		m.Latent = strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if slices.ContainsFunc([]string{"XLA_", "CUDA_", "NVIDIA_", "TF_XLA_", "PJRT_", "GOPJRT_", "JAX_", "LATENT_PYTHON", "LD_LIBRARY_PATH"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
			m.Environment = append(m.Environment, entry)
		}
	}
	var both sync.WaitGroup
	both.Go(func() { k.askGPU(ctx, &m) })
	both.Go(func() { k.askPython(ctx, &m) })
	both.Wait()
	return m
}

// askGPU asks NVIDIA's driver.
func (k *kit) askGPU(ctx context.Context, m *machine) {
	out, err := ask(ctx, "nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
	if err != nil {
		m.NoGPU = fmt.Sprintf("nvidia-smi: %v", err)
		return
	}
	var names []string
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimSpace(line), ", ")
		names = append(names, fields[0])
		if len(fields) == 3 {
			fields[2] = "driver " + fields[2]
		}
		m.GPUs = append(m.GPUs, strings.Join(fields, ", "))
	}
	m.GPU = strings.Join(names, ", ")
}

// lookAtPython prints the version of Python and of what is installed that matters, without importing any of it.
const lookAtPython = `
import importlib.metadata, json, platform, re, sys
found = {}
for d in importlib.metadata.distributions():
    name = (d.metadata["Name"] or "").lower().replace("_", "-")
    if re.fullmatch(r"jax|jaxlib|jax-cuda.*|torch|triton|numpy|onnxruntime.*|nvidia-(cublas|cudnn|cuda-nvcc|cuda-nvrtc|nvvm|nccl).*", name):
        found[name] = d.version
print(json.dumps({"version": platform.python_version(), "packages": found}))
`

// askPython asks the interpreter what it has.
func (k *kit) askPython(ctx context.Context, m *machine) {
	if k.python == "" {
		m.Python = "none: no python3 on the PATH; name one by PYTHON"
		return
	}
	out, err := ask(ctx, k.python, "-c", lookAtPython)
	var found struct {
		Version  string
		Packages map[string]string
	}
	if err == nil {
		err = json.Unmarshal([]byte(out), &found)
	}
	if err != nil {
		m.Python = fmt.Sprintf("%s: %v", k.python, err)
		return
	}
	m.Python, m.Packages = fmt.Sprintf("%s, %s", found.Version, k.python), found.Packages
}

// ask returns what a program prints.
func ask(ctx context.Context, name string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, arguments...)
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("no answer in %v", lookLimit)
	} else if said := oneLine(stderr.String() + "\n" + string(out)); err != nil && said != "" {
		err = fmt.Errorf("%w: %s", err, said)
	}
	return string(out), err
}

// markdown is the machine as a table.
func (m machine) markdown() string {
	t := table{header: []string{"", ""}}
	for _, gpu := range m.GPUs {
		t.add("GPU", gpu)
	}
	if m.NoGPU != "" {
		t.add("GPU", "none found: "+m.NoGPU)
	}
	t.add("CPU", fmt.Sprintf("%s, %d cores, %s, %s", m.CPU, m.Cores, m.Memory, m.System))
	t.add("Python", m.Python)
	if len(m.Packages) > 0 {
		var words []string
		for name, version := range m.Packages {
			words = append(words, name+" "+version)
		}
		slices.Sort(words)
		t.add("its packages", strings.Join(words, ", "))
	}
	for _, line := range m.Latent {
		name, value, _ := strings.Cut(line, ": ")
		t.add(name, value)
	}
	for _, entry := range m.Environment {
		t.add("environment", "`"+entry+"`")
	}
	return t.String()
}
