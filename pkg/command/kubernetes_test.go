package command

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gopkg.in/yaml.v3"
)

const workersManifest = "../../docs/kubernetes/sweep-workers.yaml"

// What the manifest calls is a command of ours.
func TestManifestCommand(t *testing.T) {
	text, err := os.ReadFile(workersManifest)
	if err != nil {
		t.Fatal(err)
	}
	var job struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct{ Args []string }
				}
			}
		}
	}
	if err := yaml.Unmarshal(text, &job); err != nil {
		t.Fatal(err)
	}
	containers := job.Spec.Template.Spec.Containers
	if len(containers) != 1 {
		t.Fatalf("%d containers, want 1", len(containers))
	}
	cmd, flags, err := newRoot(&console{}).Find(containers[0].Args)
	if err != nil || cmd.Name() != "worker" {
		t.Fatalf("args %q call %q, want worker: %v", containers[0].Args, cmd.Name(), err)
	}
	if err := cmd.ParseFlags(flags); err != nil {
		t.Error(err)
	}
}

// The manifest is valid by Kubernetes' own schema, with no field that it does not know; one with a misspelt field is not.
func TestManifestSchema(t *testing.T) {
	if os.Getenv("LATENT_LONG") == "" {
		t.Skip("SKIPPED: installs kubernetes-validate, 23 MB from PyPI; set LATENT_LONG=1")
	}
	dir := t.TempDir()
	for _, args := range [][]string{
		{"python3", "-m", "venv", dir},
		{filepath.Join(dir, "bin", "pip"), "install", "--quiet", "kubernetes-validate==1.37.0"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: kubernetes-validate cannot be installed: %q: %v\n%s", args, err, out)
		}
	}
	validate := func(path string) ([]byte, error) {
		return exec.Command(filepath.Join(dir, "bin", "kubernetes-validate"), "--strict", path).CombinedOutput()
	}
	if out, err := validate(workersManifest); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(workersManifest)
	if err != nil {
		t.Fatal(err)
	}
	misspelt := filepath.Join(dir, "misspelt.yaml")
	if err := os.WriteFile(misspelt, bytes.Replace(text, []byte("secretKeyRef"), []byte("secretRef"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := validate(misspelt); err == nil {
		t.Errorf("a misspelt field is valid: %s", out)
	}
}
