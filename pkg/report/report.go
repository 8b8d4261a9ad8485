// Package report renders a run as one HTML page.
//
//	err := report.Write(run) // report.html in the run's folder
//
// The page is one file: pictures, curves and styles are inside it, and it needs neither a network nor scripts: that which sorts tables by a click may be missing. It follows
// the reader's light or dark mode, and prints.
//
// What is not here: what the figures mean (pkg/evaluate) and the run's files (pkg/rundir).
package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"latent/pkg/chart"
	"latent/pkg/evaluate"
	files "latent/pkg/picture"
	"latent/pkg/rundir"
)

//go:embed report.html.tmpl
var pageText string

var page = template.Must(template.New("report").Parse(pageText))

// Write renders the run and saves the page as its report.html.
func Write(run *rundir.Run) error {
	var out bytes.Buffer
	if err := Render(&out, run); err != nil {
		return err
	}
	return run.WriteReport(out.Bytes())
}

// Render writes the page of a run. A run that failed early has a page too, with what there is.
func Render(w io.Writer, run *rundir.Run) error {
	manifest, err := run.Manifest()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	config, err := run.Config()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	windows, epochs, err := run.Metrics()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	samples, err := run.Samples()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	pictures, err := readPictures(samples)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	shown, heat, err := readShown(run)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	data := content{
		Manifest: manifest, Path: run.Path, Config: string(config),
		Figures: Figures(manifest.Result), Generated: CompareGenerated(manifest.Result), Anomalies: Anomalies(manifest.Result), Shown: shown, Heat: heat,
		Curves: Curves(windows, epochs), Times: times(manifest.Timings),
		Facts: facts(manifest), Resume: rundir.Program(manifest.Command) + " run --resume " + run.Path, Style: chart.Style, Script: chart.Script,
	}
	if likelihood := manifest.Result.Likelihood; likelihood != nil {
		data.Curves = appendDivergence(data.Curves, likelihood.Divergence)
	}
	if histogram, some := Histogram(manifest.Result); some {
		data.Curves = append(data.Curves, histogram)
	}
	data.Curves = appendRates(appendFeatures(data.Curves, manifest.Result.Features), manifest.Result.FiringRates)
	if n := len(pictures); n > 0 {
		data.Last, data.Earlier = &pictures[n-1], pictures[:n-1]
	}
	if err := page.Execute(w, data); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// content is what the page shows.
type content struct {
	Manifest     *rundir.Manifest
	Path, Config string
	Figures      []Row
	Generated    *Comparison
	Anomalies    *AnomalyTable
	Shown        []shown
	Heat         *picture
	Curves       []chart.Chart
	Style        template.CSS
	Script       template.JS
	Last         *picture
	Earlier      []picture
	Times        []timeRow
	Facts        []fact
	Resume       string
}

// CleanOnes is how figures come to compare with clean pictures, where [rundir.Result.ComparedWith] says that they may not.
const CleanOnes = "data.test with data.test_target compares with clean ones"

// CleanOnes is the same for the page.
func (content) CleanOnes() string { return CleanOnes }

// Unfinished says that the run can be gone on with.
func (c content) Unfinished() bool { return c.Manifest.State != rundir.Done }

// Peak is the value that figures of images take for white.
func (c content) Peak() string {
	s := c.Manifest.Data.Scale
	switch {
	case s == nil || s.IsBytes():
		return "255"
	case s.Open && s.Low != s.High:
		return fmt.Sprintf("%.6g (0 is %.6g)", s.High, s.Low)
	}
	return fmt.Sprintf("%.6g (0 is %.6g)", s.Value(0, 1), s.Value(0, -1))
}

// picture is a PNG file inside the page.
type picture struct {
	Name string
	Data template.URL
}

const maxPicture = 64 << 20

// readPictures reads those of some files that are not too large for the page.
func readPictures(files []rundir.Picture) ([]picture, error) {
	var pictures []picture
	for _, file := range files {
		info, err := os.Stat(file.Path)
		if err != nil {
			return nil, err
		}
		if info.Size() > maxPicture {
			continue
		}
		png, err := os.ReadFile(file.Path)
		if err != nil {
			return nil, err
		}
		name := strings.Replace(strings.Replace(file.Name, "epoch-0000", "before training", 1), "epoch-", "epoch ", 1)
		pictures = append(pictures, picture{
			Name: name,
			Data: template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(png)),
		})
	}
	return pictures, nil
}

// shown is a picture of the model's codes.
type shown struct {
	picture
	// Text says how to read it, and Alt what is on it, for those who do not see it.
	Text, Alt string
}

// Drawn says that it is drawn points on paper, and no images, whose brightness tells something: a dark page may have dark paper.
func (s shown) Drawn() bool { return s.Name == "map" }

// captions say of each picture of codes what is on it, and how to read it.
var captions = map[string]struct{ alt, text string }{
	"samples": {"Generated images in rows",
		"Samples: images of codes that were drawn at random."},
	"interpolation": {"Two rows of images that change from one test image to another",
		"Interpolation: images of codes between those of two test images, on the straight line and on the arc between them. Normal codes of many dimensions lie near a sphere, and the middle of a straight line does not."},
	"traversal": {"Rows of images of one code, in each row with another of its values changed",
		"Traversal: one value of the code changed in each row. A dimension that the model does not use changes nothing."},
	"manifold": {"A grid of images that change smoothly in both directions",
		"Manifold: images of the whole plane of codes."},
	"map": {"Two scatter plots of codes, coloured by class: by principal components, and by t-SNE",
		"Map: the codes of test images on a plane. Principal components keep distances as well as two directions can; t-SNE keeps neighbours, and no more."},
}

// readShown reads the pictures of the model's codes, in the order of evaluate.Pictures, and the sheet of heat maps, nil where there is none.
func readShown(run *rundir.Run) (all []shown, heat *picture, err error) {
	files, err := run.Pictures()
	if err != nil {
		return nil, nil, err
	}
	pictures, err := readPictures(files)
	if err != nil {
		return nil, nil, err
	}
	if i := slices.IndexFunc(pictures, func(p picture) bool { return p.Name == rundir.AnomalySheet }); i >= 0 {
		heat = &pictures[i]
	}
	for _, name := range evaluate.Pictures {
		if i := slices.IndexFunc(pictures, func(p picture) bool { return p.Name == name }); i >= 0 {
			all = append(all, shown{pictures[i], captions[name].text, captions[name].alt})
		}
	}
	return all, heat, nil
}

// Row is a metric of the test images, and of the corrupted input beside them, as text.
type Row struct {
	Name, Unit      string
	Value, Interval string
	// Corrupted is "" where the input is not corrupted, and so are the next two.
	Corrupted, CorruptedInterval string
	Difference                   string
	// Training is that of training samples, "" where there are none.
	Training, TrainingInterval string
	// MaskKnown is the baseline's that knows which pixels are damaged, "" where there is none.
	MaskKnown, MaskKnownInterval string
	// Better says that the reconstruction is better than the input.
	Better bool
}

// Figures returns the rows of a result's table, in the order of the lists in pkg/evaluate. A metric that is not defined for the
// run has none.
func Figures(r rundir.Result) []Row {
	var rows []Row
	for _, metric := range slices.Concat(evaluate.Metrics, evaluate.VectorMetrics, evaluate.MaskMetrics, evaluate.LikelihoodMetrics, evaluate.CodeMetrics, overRuns(r)) {
		value, found := r.Test[metric.Name]
		if !found {
			continue
		}
		test := evaluate.Figure{Mean: float64(value), Interval: float64(r.Interval["test"][metric.Name])}
		row := Row{Name: metric.Label(), Unit: metric.Unit}
		row.Value, row.Interval = test.Text()
		if value, found := r.Corrupted[metric.Name]; found {
			corrupted := evaluate.Figure{Mean: float64(value), Interval: float64(r.Interval["corrupted"][metric.Name])}
			row.Corrupted, row.CorruptedInterval = corrupted.Text()
			difference := evaluate.Figure{Mean: test.Mean - corrupted.Mean, Interval: max(test.Interval, corrupted.Interval)}
			row.Difference, _ = difference.Text()
			if difference.Mean > 0 {
				row.Difference = "+" + row.Difference
			}
			row.Better = difference.Mean > 0 == metric.Higher
		}
		if value, found := r.Training[metric.Name]; found {
			training := evaluate.Figure{Mean: float64(value), Interval: float64(r.Interval["training"][metric.Name])}
			row.Training, row.TrainingInterval = training.Text()
		}
		if value, found := r.MaskKnown[metric.Name]; found {
			known := evaluate.Figure{Mean: float64(value), Interval: float64(r.Interval["mask_known"][metric.Name])}
			row.MaskKnown, row.MaskKnownInterval = known.Text()
		}
		rows = append(rows, row)
	}
	return rows
}

// timeRow is a part of the run's time.
type timeRow struct {
	Name    string
	Seconds string
	Percent float64
}

// parts are the ledger's entries in the order of a run.
var parts = []string{"start", "data", "compile", "train", "evaluate", "write"}

func times(timings map[string]float64) []timeRow {
	total := 0.0
	for _, seconds := range timings {
		total += seconds
	}
	var rows []timeRow
	for _, name := range parts {
		if seconds := timings[name]; seconds > 0 {
			rows = append(rows, timeRow{name, fmt.Sprintf("%.1f s", seconds), 100 * seconds / total})
		}
	}
	return rows
}

// fact is a line about where and with what the run was made.
type fact struct{ Name, Value string }

func facts(m *rundir.Manifest) []fact {
	var list []fact
	add := func(name, format string, args ...any) {
		list = append(list, fact{name, fmt.Sprintf(format, args...)})
	}
	add("started", "%s", m.Started.Format(time.RFC1123))
	for _, resumed := range m.Resumed {
		add("resumed", "%s", resumed.Format(time.RFC1123))
	}
	if m.Finished != nil {
		add("finished", "%s", m.Finished.Format(time.RFC1123))
	}
	add("seed", "%d", m.Seed)
	add("data", "%s: %d %s to train on, %d for validation, %d for the test", m.Data.Dataset, m.Data.Train, m.Data.NounOf(m.Data.Train), m.Data.Validation, m.Data.Test)
	if n := m.Data.Calibration; n > 0 {
		add("calibration", "%d %s kept back", n, m.Data.NounOf(n))
	}
	if n := len(m.Data.Features); n > 0 {
		add("features", "%d: %s", n, chart.Shorten(strings.Join(m.Data.Features, ", "), 400))
	}
	if m.Data.Scale != nil {
		add("scale", "%s: %s", m.Data.Type, m.Data.Scale)
	}
	if others := files.Others(m.Data.LeftOut, ""); others != "" {
		add("left out", "%s", others)
	}
	for _, skipped := range m.Data.Skipped {
		add("skipped", "%s", skipped)
	}
	add("parameters", "%d", m.Model.Parameters)
	add("backend", "%s, %s", m.Backend.Name, m.Backend.Device)
	if m.Backend.Reason != "" {
		add("why not faster", "%s", m.Backend.Reason)
	}
	if m.Backend.DeviceMemory > 0 {
		add("GPU", "%.1f GiB, driver %s", float64(m.Backend.DeviceMemory)/(1<<30), m.Backend.Driver)
	}
	if m.Backend.Plugin != "" {
		add("plugin", "%s", strings.TrimSpace(m.Backend.Plugin+" "+m.Backend.PluginVersion))
		add("plugin SHA-256", "%s", m.Backend.PluginSHA256)
		add("XLA_FLAGS", "%s", m.Backend.XLAFlags)
	}
	add("machine", "%s/%s, %s, %d cores", m.Host.OS, m.Host.Arch, m.Host.CPU, m.Host.Cores)
	var versions []string
	for _, name := range slices.Sorted(maps.Keys(m.Versions)) {
		versions = append(versions, name+" "+m.Versions[name])
	}
	add("versions", "%s", strings.Join(versions, ", "))
	if m.Git.Commit != "" {
		state := ""
		if m.Git.Dirty {
			state = ", with changes that are not committed"
		}
		add("source", "%s%s", m.Git.Commit, state)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Data.Checksums)) {
		add("SHA-256 of "+name, "%s", m.Data.Checksums[name])
	}
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		add("SHA-256 of "+name, "%s", m.Files[name])
	}
	return list
}
