package report_test

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/janpfeifer/must"

	"latent/pkg/report"
	"latent/pkg/rundir"
)

// Any run's folder has a page, whatever is in it so far.
func Example() {
	dir := must.M1(os.MkdirTemp("", "runs"))
	defer os.RemoveAll(dir)
	run := must.M1(rundir.Create(dir, "denoise", time.Now()))
	defer run.Close()
	must.M(run.WriteConfig([]byte("name: denoise\n")))
	manifest := rundir.NewManifest()
	manifest.Name, manifest.State = "denoise", rundir.Done
	manifest.Result.Test = map[string]rundir.Number{"psnr": 21.2}
	must.M(run.WriteManifest(manifest))

	must.M(report.Write(run))
	page := string(must.M1(os.ReadFile(run.ReportPath())))
	fmt.Println("the figure is there:", strings.Contains(page, "PSNR") && strings.Contains(page, "21.2"))
	fmt.Println("it asks for nothing from elsewhere:", !strings.Contains(page, "http"))
	// Output:
	// the figure is there: true
	// it asks for nothing from elsewhere: true
}
