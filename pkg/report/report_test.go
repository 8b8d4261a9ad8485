package report

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"latent/pkg/chart"
	"latent/pkg/chart/charttest"
	"latent/pkg/evaluate"
	"latent/pkg/rundir"
)

// newRun returns a run's folder with a manifest, a config, and no more.
func newRun(t *testing.T, change func(m *rundir.Manifest)) *rundir.Run {
	t.Helper()
	run, err := rundir.Create(t.TempDir(), "trial", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	m := rundir.NewManifest()
	m.Name, m.State = "trial", rundir.Done
	change(m)
	if err := run.WriteManifest(m); err != nil {
		t.Fatal(err)
	}
	if err := run.WriteConfig([]byte("name: trial # <script>alert(1)</script>\n")); err != nil {
		t.Fatal(err)
	}
	return run
}

// parse renders the run and returns the page's tree.
func parse(t *testing.T, run *rundir.Run) *html.Node {
	t.Helper()
	var out bytes.Buffer
	if err := Render(&out, run); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(&out)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func number(x float64) *rundir.Number {
	n := rundir.Number(x)
	return &n
}

// The page holds the figures that the manifest and the metrics hold, beside those of the corrupted input.
func TestFigures(t *testing.T) {
	run := newRun(t, func(m *rundir.Manifest) {
		m.Result.Test = map[string]rundir.Number{"mse": 0.0361, "psnr": 20.5}
		m.Result.Corrupted = map[string]rundir.Number{"mse": 0.0483, "psnr": 19.2}
		m.Result.Interval = map[string]map[string]rundir.Number{"test": {"psnr": 0.03}, "corrupted": {"psnr": 0.01}}
		m.Timings = map[string]float64{"train": 30, "compile": 10}
	})
	for step := 10; step <= 100; step += 10 {
		if err := run.AppendWindow(rundir.Window{Step: step, Loss: rundir.Number(1 / float64(step)), LearningRate: 0.001}); err != nil {
			t.Fatal(err)
		}
	}
	for epoch := 1; epoch <= 2; epoch++ {
		err := run.AppendEpoch(rundir.Epoch{Epoch: epoch, Step: 50 * epoch, TrainLoss: 0.05, ValLoss: number(0.04),
			ValPSNR: number(20), CorruptedPSNR: number(19)})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := run.SaveSample("final", []byte("\x89PNG picture")); err != nil {
		t.Fatal(err)
	}
	root := parse(t, run)
	all := charttest.Text(root)
	for _, want := range []string{
		"MSE 0.03610 0.04830 −0.01220",
		"PSNR dB 20.500 ± 0.030 19.200 ± 0.010 +1.300",
		"train 30.0 s 75 %",
		"compile 10.0 s 25 %",
		"name: trial # <script>alert(1)</script>",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the page lacks %q:\n%s", want, all)
		}
	}
	if got := charttest.Count(root, "svg"); got != 2 {
		t.Errorf("%d charts, want the loss and the PSNR; the learning rate is constant", got)
	}
	if got := charttest.Count(root, "circle"); got != 6 {
		t.Errorf("%d points, want two epochs on three curves", got)
	}
}

// Generated images stand below the floor of training images, sampler by sampler.
func TestGenerated(t *testing.T) {
	run := newRun(t, func(m *rundir.Manifest) {
		m.Result.Test = map[string]rundir.Number{"mse": 0.0361, "probe_accuracy": 0.91, "perplexity": 97.53, "entries_used": 128}
		m.Result.Interval = map[string]map[string]rundir.Number{"test": {"probe_accuracy": 0.0054}}
		m.Result.Generated = &rundir.Generated{
			FeaturesSHA256: "73c07d", ClassifierAccuracy: 0.9898, Images: 10000, TestImages: 9000, ManifoldImages: 5000,
			Floor: map[string]rundir.Number{"frechet": 2.283, "precision": 0.8566, "recall": 0.885},
			Samplers: map[string]map[string]rundir.Number{
				"prior":   {"frechet": 384.2, "precision": 0.7822, "recall": 0.3256},
				"mixture": {"frechet": 174.2, "precision": 0.8648, "recall": 0.2368},
			},
		}
	})
	all := charttest.Text(parse(t, run))
	for _, want := range []string{
		"probe accuracy 0.9100 ± 0.0054 perplexity 97.53 entries used 128",
		"codes from Fréchet precision recall floor 2.283 0.8566 0.8850 mixture 174.2 0.8648 0.2368 prior 384.2 0.7822 0.3256",
		"10000 images of each beside 9000 test images",
		"73c07d",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the page lacks %q:\n%s", want, all)
		}
	}
}

// A run that failed at once has a page too, and figures that are not finite are dashes.
func TestPageOfNothing(t *testing.T) {
	run := newRun(t, func(m *rundir.Manifest) {
		m.State, m.Error = rundir.Diverged, "the loss became NaN in step 7"
		m.Result.Test = map[string]rundir.Number{"mse": rundir.Number(math.NaN())}
	})
	if err := run.AppendWindow(rundir.Window{Step: 7, Loss: rundir.Number(math.NaN()), LearningRate: rundir.Number(math.Inf(1))}); err != nil {
		t.Fatal(err)
	}
	root := parse(t, run)
	all := charttest.Text(root)
	for _, want := range []string{"diverged", "the loss became NaN in step 7", "MSE —", "latent run --resume " + run.Path} {
		if !strings.Contains(all, want) {
			t.Errorf("the page lacks %q:\n%s", want, all)
		}
	}
	if charttest.Count(root, "svg") > 0 {
		t.Error("drew a curve without a finite point")
	}
}

// Whatever text is in the run's files, the page runs no script but its own and asks for nothing from elsewhere.
func TestHostileText(t *testing.T) {
	const hostile = `"><script src="https://example.org/x.js"></script><img src=x onerror=alert(1)>`
	run := newRun(t, func(m *rundir.Manifest) {
		m.Name, m.Error, m.Command, m.State = hostile, hostile, hostile, hostile
		m.Data.Dataset, m.Backend.Plugin, m.Backend.Reason, m.Git.Commit = hostile, hostile, hostile, hostile
		m.Data.Checksums = map[string]string{hostile: hostile}
		m.Versions = map[string]string{hostile: hostile}
		m.Model.Layers = []rundir.Layer{{Name: hostile, Description: hostile}}
		m.Result.Weights = hostile
		m.Result.Test = map[string]rundir.Number{"mse": 1}
	})
	if err := run.WriteConfig([]byte(hostile)); err != nil {
		t.Fatal(err)
	}
	if err := run.SaveSample("final", []byte(hostile)); err != nil {
		t.Fatal(err)
	}
	for node := range parse(t, run).Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		switch node.Data {
		case "script":
			if text := node.FirstChild; text == nil || text.Data != string(chart.Script) || len(node.Attr) > 0 {
				t.Errorf("the page has a script: %v", text)
			}
		case "link", "iframe", "object", "base":
			t.Errorf("the page has a %s element", node.Data)
		}
		for _, attribute := range node.Attr {
			outside := attribute.Key == "src" || attribute.Key == "href"
			if strings.HasPrefix(attribute.Key, "on") || outside && !strings.HasPrefix(attribute.Val, "data:image/png;base64,") {
				t.Errorf("a %s element has %s=%q", node.Data, attribute.Key, attribute.Val)
			}
		}
	}
}

func TestWrite(t *testing.T) {
	run := newRun(t, func(*rundir.Manifest) {})
	if err := Write(run); err != nil {
		t.Fatal(err)
	}
	if page, err := os.ReadFile(run.ReportPath()); err != nil || !bytes.HasSuffix(bytes.TrimSpace(page), []byte("</html>")) {
		t.Errorf("the page ends with %q, %v", page[max(0, len(page)-20):], err)
	}
}

// The pictures of codes are in the page, in their order and each with words; other files are not.
func TestShown(t *testing.T) {
	run := newRun(t, func(*rundir.Manifest) {})
	for _, name := range []string{"map", "samples", "holiday"} {
		if err := run.SavePicture(name, []byte("\x89PNG "+name)); err != nil {
			t.Fatal(err)
		}
	}
	root := parse(t, run)
	var found []string
	for node := range root.Descendants() {
		if node.Type == html.ElementNode && node.Data == "img" {
			for _, attribute := range node.Attr {
				if attribute.Key == "alt" {
					found = append(found, strings.Fields(attribute.Val)[0])
				}
			}
		}
	}
	if got := strings.Join(found, " "); got != "Generated Two" || charttest.Count(root, "figcaption") != 2 {
		t.Errorf("pictures %q with %d captions, want samples and map", got, charttest.Count(root, "figcaption"))
	}
	for _, name := range evaluate.Pictures {
		if captions[name].alt == "" || captions[name].text == "" {
			t.Errorf("nothing is said about %s", name)
		}
	}
}

// A bar for each finite divergence, the largest first; what is not finite has none.
func TestDivergence(t *testing.T) {
	charts := appendDivergence(nil, []rundir.Number{0.5, rundir.Number(math.NaN()), 2, 0})
	if len(charts) != 1 {
		t.Fatalf("%d charts", len(charts))
	}
	if got := strings.Count(string(charts[0].SVG), "<rect"); got != 3 {
		t.Errorf("%d bars, want 3", got)
	}
	if want := "from 2 of dimension 3 down to 0 of dimension 4"; !strings.HasSuffix(charts[0].Label, want) {
		t.Errorf("label %q, want an end %q", charts[0].Label, want)
	}
	if charts := appendDivergence(nil, nil); charts != nil {
		t.Error("a chart of nothing")
	}
	many := appendDivergence(nil, make([]rundir.Number, 1000))
	if got := strings.Count(string(many[0].SVG), "<rect"); got != mostColumns {
		t.Errorf("%d bars of 1000 dimensions, want %d", got, mostColumns)
	}
}
