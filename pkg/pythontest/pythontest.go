// Package pythontest gives tests a Python with the packages that what Latent writes is made for.
package pythontest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gofrs/flock"
)

// Interpreter returns a Python with the packages of a requirements file, in a virtual environment in the user's cache that the
// first test makes, while others wait. It skips the test where LATENT_LONG is not set, for that takes a minute, and where there is no Python.
func Interpreter(t *testing.T, requirements string) string {
	t.Helper()
	if os.Getenv("LATENT_LONG") == "" {
		t.Skip("SKIPPED: asks Python, and installs packages from PyPI once; set LATENT_LONG=1")
	}
	system, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("SKIPPED: there is no python3")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(requirements)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(list)
	venv := filepath.Join(cache, "latent", "test-venv-"+hex.EncodeToString(hash[:4]))
	interpreter, ready := filepath.Join(venv, "bin", "python"), filepath.Join(venv, "ready")
	lock := flock.New(venv + ".lock") // go test runs the tests of several packages at once
	if err := os.MkdirAll(filepath.Dir(venv), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	if _, err := os.Stat(ready); err == nil {
		return interpreter
	}
	for _, command := range []*exec.Cmd{
		exec.Command(system, "-m", "venv", "--clear", venv),
		exec.Command(interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", requirements),
	} {
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, output)
		}
	}
	if err := os.WriteFile(ready, list, 0o644); err != nil {
		t.Fatal(err)
	}
	return interpreter
}

// Run runs a script to its end.
func Run(t *testing.T, interpreter, script string, arguments ...string) {
	t.Helper()
	if output, err := exec.Command(interpreter, append([]string{script}, arguments...)...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", script, arguments, err, output)
	}
}

// Expect runs a script that writes JSON to the file that its argument names, and reads that into a variable.
func Expect(t *testing.T, interpreter, script string, into any) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "expect.json")
	Run(t, interpreter, script, path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", script, err)
	}
}
