package backend_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
)

func TestCheck(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		if err := backend.Check(b); err != nil {
			t.Error(err)
		}
		computed := 0
		for result := range backend.Examine(b) {
			computed++
			if result.Err != nil || result.Detail == "" || result.Time <= 0 {
				t.Errorf("%+v", result)
			}
		}
		if computed != 5 {
			t.Errorf("%d computations, want 5", computed)
		}
		if b.Loops != (b.Name != "go") {
			t.Errorf("%s: loops are %v", b.Name, b.Loops)
		}
	})
}

// The environment variable is GoMLX's own, and wins over the config.
func TestOpen(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct{ choice, variable, name, err string }{
		{choice: "go", name: "go"},
		{choice: "xla:cpu", variable: "go", name: "go"},
		{choice: "abacus", err: `backend "abacus": want auto, xla:cpu, xla:cuda, go or xla:/path/to/plugin.so`},
		{choice: "go", variable: "xla:tpu", err: `backend "xla:tpu": want`},
		{choice: "go", variable: "xla:relative.so", err: `backend "xla:relative.so": want`},
		{choice: "go", variable: "xla:/nowhere/plugin.so", err: "plugin"},
	} {
		t.Setenv(compute.ConfigEnvVar, c.variable)
		b, err := backend.Open(ctx, c.choice, backend.Options{})
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q with %q in the environment: %v, want %q", c.choice, c.variable, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q with %q in the environment: %v", c.choice, c.variable, err)
			continue
		}
		if b.Name != c.name {
			t.Errorf("%q with %q in the environment opened %s, want %s", c.choice, c.variable, b.Name, c.name)
		}
		b.Close()
	}
}

// A plugin that cannot be used is passed over by auto in one line, and an error where it was asked for by name.
func TestDamagedPlugin(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	t.Setenv("CUDA_VISIBLE_DEVICES", "-1")
	dir, err := backend.Dir()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(dir, cache) {
		t.Skipf("the cache folder is %s on this system", dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "xla_cpu_pjrt.so"), []byte("\x7fELF and no more"), 0o755); err != nil {
		t.Fatal(err)
	}

	_, err = backend.Open(context.Background(), "xla:cpu", backend.Options{})
	if err == nil || !strings.Contains(err.Error(), "xla_cpu_pjrt.so") {
		t.Errorf("opening a damaged plugin: %v", err)
	}
	var log strings.Builder
	b, err := backend.Open(context.Background(), "auto", backend.Options{Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Name != "go" || strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "pure Go") || b.Reason == "" {
		t.Errorf("auto opened %s, reason %q, and wrote %q", b.Name, b.Reason, log.String())
	}
	plugins, _ := backend.List(context.Background(), backend.CPU)
	if len(plugins) == 0 || plugins[0].Err == nil {
		t.Errorf("list has %+v, want the damaged plugin with its error", plugins)
	}
}

// The number of threads is XLA's to know by; how many it starts, Linux tells.
func TestThreads(t *testing.T) {
	count := func() int {
		names, err := filepath.Glob("/proc/self/task/*/comm")
		if err != nil || len(names) == 0 {
			t.Skip("SKIPPED: no threads to count in /proc")
		}
		n := 0
		for _, name := range names {
			if comm, err := os.ReadFile(name); err == nil && strings.Contains(string(comm), "XLAEigen") {
				n++
			}
		}
		return n
	}
	backendtest.Devices(t, 1).Close() // or there is no plugin for the CPU, as on a machine with that for CUDA alone
	before := count()
	b, err := backend.OpenInstalled("xla:cpu", backend.Options{Threads: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got := count() - before; got != 3 {
		t.Errorf("%d threads were started, want 3", got)
	}
	if value, set := os.LookupEnv("NPROC"); set {
		t.Errorf("NPROC=%s was left in the environment", value)
	}
}
