// Package notebook shows runs, pictures, tables and charts in the cells of a GoNB notebook. The same code works in a plain program:
// text goes to standard output, and a picture to a file, whose path is printed.
//
//	run := must.M1(notebook.Run(ctx, e))                       // trains, with live progress and curves in the cell
//	must.M(notebook.Show(run))                                 // its figures and pictures
//	must.M(notebook.Show(split.Test.Select([]int{0, 1, 2})))   // images
//	must.M(notebook.Show(notebook.Curves("val_psnr", runs...)))
//	scores := must.M1(notebook.Score(ctx, run, "today.csv", notebook.ScoreOptions{})) // how unlike its training rows are
//	must.M(notebook.Show(scores.Table(scores.Worst(10)...)))
//
// GoNB runs each cell as a program of its own: what a later cell needs of a run it reads from its folder, by its name ([Open]).
//
// Pictures are PNG, so that a notebook that is committed with its outputs shows them wherever it is shown.
//
// What is not here: running an experiment without a notebook (pkg/experiment), a run's page (pkg/report), and the notebooks
// themselves (the folder notebooks).
package notebook

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"slices"
	"strconv"

	"latent/pkg/chart"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/message"
	"latent/pkg/report"
	"latent/pkg/rundir"
	"latent/pkg/runs"
)

// Show shows things one below the other:
//
//   - a [rundir.Run]: its figures, those of its scores of anomalies with their histogram, and the pictures of its end
//   - [dataset.Samples]: the first 100, in rows; or an [evaluate.Sheet] of some
//   - a [chart.Chart], or a list of them
//   - an [image.Image], or []byte that are a PNG file
//   - a [Table]
//   - anything else as text, as fmt.Print has it
func Show(things ...any) error { return show(here(), things...) }

// mostImages is how many are shown of a dataset, and oneRow how many of them stand in one row.
const (
	mostImages = 100
	oneRow     = 12
)

// chartScale is the size of a chart in pixels of each of its units, for screens on which one alone is coarse.
const chartScale = 1.5

func show(p page, things ...any) error {
	for _, thing := range things {
		if err := showOne(p, thing); err != nil {
			return fmt.Errorf("show %T: %w", thing, err)
		}
	}
	return nil
}

func showOne(p page, thing any) error {
	switch thing := thing.(type) {
	case *rundir.Run:
		return showRun(p, thing)
	case *dataset.Samples:
		return showImages(p, thing)
	case evaluate.Sheet:
		data, err := thing.Draw()
		if err != nil {
			return err
		}
		return p.picture("", data)
	case chart.Chart:
		return showChart(p, thing)
	case []chart.Chart:
		for _, c := range thing {
			if err := showChart(p, c); err != nil {
				return err
			}
		}
		return nil
	case image.Image:
		var data bytes.Buffer
		if err := png.Encode(&data, thing); err != nil {
			return err
		}
		return p.picture("", data.Bytes())
	case []byte:
		if _, err := png.DecodeConfig(bytes.NewReader(thing)); err != nil {
			return fmt.Errorf("the bytes are no PNG: %w", err)
		}
		return p.picture("", thing)
	case Table:
		return p.text("", thing.String(), thing.HTML())
	}
	return p.text("", fmt.Sprintln(thing), "")
}

func showChart(p page, c chart.Chart) error {
	data, err := c.PNG(chartScale)
	if err != nil {
		return err
	}
	return p.picture("", data)
}

func showImages(p page, images *dataset.Samples) error {
	caption := message.Count(images.Len(), "image")
	if images.Len() > mostImages {
		caption = fmt.Sprintf("the first %d of %d images", mostImages, images.Len())
		images = images.First(mostImages)
	}
	sheet := evaluate.Sheet{Images: images.Shown(), Caption: caption}
	if images.Len() <= oneRow {
		sheet.Columns = images.Len()
	}
	return showOne(p, sheet)
}

// showRun shows the figures of a run, and the pictures that were drawn at its end.
func showRun(p page, run *rundir.Run) error {
	manifest, err := run.Manifest()
	if err != nil {
		return err
	}
	if table := Figures(manifest.Result); len(table.Rows) > 0 {
		if err := p.text("", table.String(), table.HTML()); err != nil {
			return err
		}
	} else if err := p.text("", fmt.Sprintf("%s is %s, and has no figures\n", run.Path, manifest.State), ""); err != nil {
		return err
	}
	if err := showAnomalies(p, manifest.Result); err != nil {
		return err
	}
	samples, err := run.Samples()
	if err != nil {
		return err
	}
	pictures, err := run.Pictures()
	if err != nil {
		return err
	}
	samples = slices.DeleteFunc(samples, func(s rundir.Picture) bool { return s.Name != "final" })
	for _, picture := range append(samples, pictures...) {
		data, err := rundir.ReadFile(picture.Path, 64<<20)
		if err != nil {
			return err
		}
		if err := p.picture("", data); err != nil {
			return err
		}
	}
	return nil
}

// Figures is the table of a result: the test images' figures, with 95 % intervals, beside those of the corrupted input.
func Figures(r rundir.Result) Table {
	t := Table{Head: []string{"test images", "reconstructed"}}
	rows := report.Figures(r)
	corrupted := slices.ContainsFunc(rows, func(row report.Row) bool { return row.Corrupted != "" })
	if corrupted {
		t.Head = append(t.Head, "corrupted input")
	}
	for _, row := range rows {
		name, value := row.Name, row.Value
		if row.Unit != "" {
			name += ", " + row.Unit
		}
		if row.Interval != "" {
			value += " ± " + row.Interval
		}
		cells := []string{name, value}
		if corrupted {
			cells = append(cells, row.Corrupted)
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// Runs is a table of runs, such as [runs.List] returns. What a run does not have is —.
func Runs(entries ...runs.Entry) Table {
	t := Table{Head: []string{"run", "name", "state", "seed", "input", "PSNR, dB", "SSIM", "parameters"}}
	for _, e := range entries {
		figure := func(name string, digits int) string {
			if value, found := e.Figure(name); found {
				return strconv.FormatFloat(value, 'f', digits, 64)
			}
			return "—"
		}
		t.Rows = append(t.Rows, []string{e.ID(), e.Manifest.Name, string(e.State), fmt.Sprint(e.Manifest.Seed), input(e),
			figure("psnr", 2), figure("ssim", 3), fmt.Sprint(e.Manifest.Model.Parameters)})
	}
	return t
}

// input says what the input of a run's model is.
func input(e runs.Entry) string {
	run, err := e.Open()
	if err != nil {
		return "—"
	}
	text, err := run.Config()
	if err != nil {
		return "—"
	}
	read, err := config.Parse(run.ConfigPath(), text)
	switch {
	case err != nil:
		return "—"
	case read.Measured().Identity():
		return "clean"
	}
	return read.Measured().Caption()
}

// Open returns the newest run of a name in the folder runs, where the notebook's runs go; or any run by what [runs.Find] knows it by.
func Open(name string) (*rundir.Run, error) {
	entry, err := runs.Find("runs", name)
	if err != nil {
		return nil, err
	}
	return entry.Open()
}

// Curves draws a figure of the epochs of several runs: val_loss, val_psnr, val_ssim or train_loss.
func Curves(figure string, runs ...*rundir.Run) (chart.Chart, error) {
	of, found := map[string]func(e rundir.Epoch) *rundir.Number{
		"val_loss": func(e rundir.Epoch) *rundir.Number { return e.ValLoss }, "val_psnr": func(e rundir.Epoch) *rundir.Number { return e.ValPSNR },
		"val_explained_variance": func(e rundir.Epoch) *rundir.Number { return e.ValExplainedVariance },
		"val_ssim":               func(e rundir.Epoch) *rundir.Number { return e.ValSSIM }, "train_loss": func(e rundir.Epoch) *rundir.Number { return &e.TrainLoss },
	}[figure]
	if !found {
		return chart.Chart{}, fmt.Errorf("curves of %q: want val_loss, val_psnr, val_ssim or train_loss", figure)
	}
	var all []chart.Series
	for i, run := range runs {
		manifest, err := run.Manifest()
		if err != nil {
			return chart.Chart{}, err
		}
		_, epochs, err := run.Metrics()
		if err != nil {
			return chart.Chart{}, err
		}
		series := chart.Series{Class: colour(i, len(runs)), Name: fmt.Sprintf("%s, seed %d", manifest.Name, manifest.Seed), Dotted: true}
		for _, e := range epochs {
			if value := of(e); value != nil {
				series.Add(float64(e.Epoch), float64(*value))
			}
		}
		all = append(all, series)
	}
	drawn, some := chart.Lines(figure, "epoch", figure != "val_psnr" && figure != "val_ssim", all...)
	if !some {
		return chart.Chart{}, fmt.Errorf("curves of %s: no run has recorded any", figure)
	}
	return drawn, nil
}

// colour is the class of the i-th of n curves: two of their own, or else shades.
func colour(i, n int) string {
	if n <= 2 {
		return []string{"a", "b"}[i]
	}
	return chart.Shade(float64(i) / float64(n))
}
