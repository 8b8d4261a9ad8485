package command

import (
	"maps"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"latent/pkg/rundir"
	"latent/pkg/runs"
)

// entry is a run in a list whose folder is there.
func entry(t *testing.T, dir, id string, state rundir.State, test map[string]rundir.Number, group ...string) runs.Entry {
	t.Helper()
	run, err := rundir.CreateAt(filepath.Join(dir, id), true)
	if err != nil {
		t.Fatal(err)
	}
	run.Close()
	m := rundir.NewManifest()
	m.Name, m.State, m.Group, m.Result.Test = "name", state, group, test
	return runs.Entry{Path: run.Path, State: state, Manifest: m}
}

func TestUnneeded(t *testing.T) {
	dir := t.TempDir()
	psnr := func(x float64) map[string]rundir.Number { return map[string]rundir.Number{"psnr": rundir.Number(x)} }
	entries := []runs.Entry{
		entry(t, dir, "good", rundir.Done, psnr(21)),
		entry(t, dir, "worse", rundir.Done, psnr(19)),
		entry(t, dir, "best", rundir.Done, psnr(22)),
		entry(t, dir, "nan", rundir.Done, psnr(math.NaN())),                    // which nobody can rank
		entry(t, dir, "none", rundir.Done, nil),                                // the same
		entry(t, dir, "pruned", rundir.Pruned, psnr(1)),                        // not done
		entry(t, dir, "failed", rundir.Failed, nil),                            // came to nothing
		entry(t, dir, "diverged", rundir.Diverged, nil, "diverged", "stopped"), // needed by the next
		entry(t, dir, "stopped", rundir.Interrupted, nil, "diverged", "stopped"),
		entry(t, dir, "alone", rundir.Diverged, nil, "alone", "good"), // whose company is done
	}
	unneeded := map[string]string{}
	markFailed(unneeded, entries)
	markWorse(unneeded, entries, "psnr", 2)
	protect(unneeded, entries)
	var got []string
	for _, path := range slices.Sorted(maps.Keys(unneeded)) {
		got = append(got, filepath.Base(path))
	}
	if want := []string{"alone", "failed", "worse"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if why := unneeded[filepath.Join(dir, "worse")]; why != "psnr 19 is number 3 of name" {
		t.Errorf("the reason is %q", why)
	}
}

func TestAge(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "12h": 12 * time.Hour, "30d": 720 * time.Hour, "1.5d": 36 * time.Hour, "0d": 0,
		"d": -1, "-3d": -1, "-3h": -1, "3": -1, "1e9d": -1, "NaNd": -1, "soon": -1, // errors
	} {
		got, err := ageIn(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
}
