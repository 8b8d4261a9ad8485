package command

import (
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/rogpeppe/go-internal/testscript"

	"latent/pkg/array"
	"latent/pkg/cache"
	"latent/pkg/mlflow/mlflowtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"latent": Main})
}

// The scripts in testdata/script are the command as people meet it: what they type, what they read, what is left on the
// disk. They run in pure Go, without network, home folder or cache. What needs onnxruntime runs where ONNXRUNTIME_LIB is set.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GOMLX_BACKEND", "go")
			env.Setenv(runtimeVariable, os.Getenv(runtimeVariable))
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "onnxruntime" {
				return false, fmt.Errorf("unknown condition %s", name)
			}
			return os.Getenv(runtimeVariable) != "", nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": exits, "mlflow": mlflowServer(t), "pictures": pictures, "sample": sample},
	})
}

// runtimeVariable names onnxruntime's library.
const runtimeVariable = "ONNXRUNTIME_LIB"

// exits runs a command and wants this exit status: exits 2 latent run missing.yaml.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARG …]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// pictures writes small smooth grey pictures, 00.png, 01.png …: pictures FOLDER N WIDTH HEIGHT.
func pictures(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: pictures FOLDER N WIDTH HEIGHT")
	}
	var numbers [3]int
	for i := range numbers {
		var err error
		numbers[i], err = strconv.Atoi(args[1+i])
		ts.Check(err)
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	for i := range numbers[0] {
		p := image.NewGray(image.Rect(0, 0, numbers[1], numbers[2]))
		for j := range p.Pix {
			p.Pix[j] = uint8(60 + 4*(j%p.Stride) + 3*(j/p.Stride) + 8*i)
		}
		file, err := os.Create(filepath.Join(dir, fmt.Sprintf("%02d.png", i)))
		ts.Check(err)
		ts.Check(errors.Join(png.Encode(file, p), file.Close()))
	}
}

// sample puts an entry of so many bytes into the cache of $LATENT_CACHE_DIR: sample TITLE BYTES. The variable KEY is then its key. With
// the word hold behind them it stays open until the script ends.
func sample(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: sample TITLE BYTES [hold]")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	key := cache.Key(args[0])
	w, err := cache.Cache{Dir: filepath.Join(ts.MkAbs(ts.Getenv("LATENT_CACHE_DIR")), "data")}.Create(key, dtypes.Uint8, n)
	ts.Check(err)
	defer w.Abort()
	ts.Check(w.Append(array.Make(dtypes.Uint8, n)))
	entry, err := w.Commit(args[0], nil)
	ts.Check(err)
	ts.Setenv("KEY", key)
	if len(args) > 2 {
		ts.Defer(func() { entry.Close() })
		return
	}
	ts.Check(entry.Close())
}

// mlflowServer is a command that starts a server of pkg/mlflow/mlflowtest, whose address is in $MLFLOW_URI, or ends it: mlflow start [ARTIFACTS], and
// mlflow stop. What was there before is gone.
func mlflowServer(t *testing.T) func(ts *testscript.TestScript, neg bool, args []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) == 0 {
			ts.Fatalf("usage: mlflow start [ARTIFACTS], or mlflow stop")
		}
		server := mlflowtest.New(t)
		ts.Setenv("MLFLOW_URI", server.URL)
		switch {
		case args[0] == "stop":
			server.Close()
		case len(args) > 1:
			server.ArtifactRoot = args[1]
		}
	}
}
