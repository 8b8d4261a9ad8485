package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runBench runs the step with a program in the benchmark's place, which is given where to write as $text and $data.
func runBench(t *testing.T, script string) (*outcome, *kit) {
	t.Helper()
	k := newTestKit(t, time.Hour)
	k.program(t, "bench", `echo "$@" > arguments
while [ $# -gt 0 ]; do
  case $1 in --out) text=$2 ;; --json) data=$2 ;; esac
  shift
done
`+script)
	o := k.open(t)
	k.do(t.Context(), step{name: "only", log: "only.log", run: (*kit).bench}, o, time.Minute)
	return o, k
}

const benchJSON = `{"parts": [
  {"name": "epoch", "bars": [{"text": "JAX ÷ Latent", "median": 1.25, "met": true}, {"text": "other", "median": 0.5, "met": false}]},
  {"name": "runs", "not_measured": "no time left"}]}`

// The benchmark's tables and bars are taken over, whatever its exit status; what it did not measure for lack of time is no fault.
func TestBenchIsTakenOver(t *testing.T) {
	write := fmt.Sprintf("echo '# Title\n\n## One epoch' > $text; echo '%s' > $data; ", benchJSON)
	o, k := runBench(t, write)
	if want := "1 of 2 parts measured, 1 of 2 bars met; JAX ÷ Latent: 1.25"; o.State != passed || o.Figure != want || o.details != "### One epoch\n" {
		t.Errorf("%s, %q, %q, %+v", o.State, o.Figure, o.details, o.Problems)
	}
	arguments, err := os.ReadFile(filepath.Join(k.root, "arguments"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--backend xla:cuda --latent " + k.root + "/latent", "--rounds 3", "--time 50s", "--peers none"} {
		if !strings.Contains(string(arguments), want) {
			t.Errorf("arguments %s, want %s", arguments, want)
		}
	}
	if o, _ := runBench(t, write+"echo 'bench: another loss' >&2; exit 1"); o.State != failed || o.Figure == "" || o.Problems[0].Text != "bench: exit status 1: bench: another loss" {
		t.Errorf("%s, %q, %+v", o.State, o.Figure, o.Problems)
	}
}

// A benchmark that measured nothing has not passed, nor has one without a report.
func TestBenchWithoutFigures(t *testing.T) {
	for script, want := range map[string]string{
		`echo > $text; echo '{"parts": [{"name": "epoch", "not_measured": "no time left"}]}' > $data`: "the benchmark measured nothing",
		`echo > $text; echo '{"parts":' > $data`:                                                      "bench.json: unexpected end of JSON input",
		"true":                                                                                        "bench.md: no such file",
		"echo 'bench: no' >&2; exit 1":                                                                "bench: exit status 1: bench: no",
	} {
		if o, _ := runBench(t, script); o.State != failed || len(o.Problems) != 1 || !strings.Contains(o.Problems[0].Text, want) {
			t.Errorf("%s: %s, %+v", script, o.State, o.Problems)
		}
	}
}
