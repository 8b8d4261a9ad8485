package query_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/janpfeifer/must"

	"latent/pkg/query"
	"latent/pkg/rundir"
	"latent/pkg/runs"
)

// Runs that a condition chooses, the best first. A run without figures is not among them.
func Example() {
	var entries []runs.Entry // as runs.List returns them
	for name, psnr := range map[string]rundir.Number{"wide": 22.5, "narrow": 19, "deep": 21} {
		m := rundir.NewManifest()
		m.Name, m.State, m.Started = name, rundir.Done, time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
		m.Result.Test = map[string]rundir.Number{"psnr": psnr}
		entries = append(entries, runs.Entry{Path: "runs/" + name, State: rundir.Done, Manifest: m})
	}
	entries = append(entries, runs.Entry{Path: "runs/broken", State: runs.Damaged, Manifest: rundir.NewManifest()})

	records := query.Read(entries, false)
	fields := query.FieldsOf(records)
	condition := must.M1(query.Compile(`state == done && psnr > 20`, fields))
	chosen := must.M1(condition.Select(records))
	slices.SortFunc(chosen, query.Order("test.psnr", false))
	for _, r := range chosen {
		fmt.Println(r.Manifest.Name, r.Value("test.psnr"))
	}
	_, err := query.Compile(`test.pnsr > 20`, fields)
	fmt.Println(err)
	// Output:
	// wide 22.5
	// deep 21
	// test.pnsr is no field; did you mean test.psnr?
}
