package experiment

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"latent/pkg/message"
	"latent/pkg/report"
	"latent/pkg/rundir"
	"latent/pkg/train"
)

// progress tells a person how training goes: one line that is written over and over on a terminal, else a line for each
// epoch.
type progress struct {
	session  *Session
	out      io.Writer
	terminal bool
	epochs   int
	steps    int
	started  time.Time
	first    int // steps done when it started, by an earlier process
}

func (s *Session) newProgress() *progress {
	e := s.runs[0].experiment
	p := &progress{session: s, out: s.options.Log, terminal: s.options.Terminal, epochs: e.Train.Epochs,
		steps: e.Train.Steps(s.split.Train.Len()), started: time.Now()}
	if c := s.active()[0].checkpoint; c != nil {
		p.first = c.Step
	}
	return p
}

// announce tells what begins, and where its folders are.
func (s *Session) announce() {
	lead := s.active()[0]
	m, seeds := lead.manifest, ""
	for _, r := range s.runs {
		seeds += fmt.Sprintf(", %d", r.experiment.Seed)
	}
	s.progress.line("%s: %s parameters, %s training %s%s, %s %s on %s, %s %s", m.Name,
		thousands(m.Model.Parameters), thousands(m.Data.Train), m.Data.NounOf(m.Data.Train), onlyIf(m.Data.Streamed, " that are streamed"), thousands(lead.trainer.Steps()), message.Choose(lead.trainer.Steps(), "step", "steps"), s.backend.Name,
		message.Choose(len(s.runs), "seed", "seeds"), seeds[2:])
	if step := lead.trainer.Step(); step > 0 {
		s.progress.line("going on after step %s", thousands(step))
	}
	for _, r := range s.active() {
		s.progress.line("folder   %s", r.folder.Path)
	}
	if lead.begins != nil {
		tellBegin(s.progress.line, lead.manifest.From)
	}
}

// barWidth is the width of the bar in characters.
const barWidth = 24

// window tells of a window on a terminal. The loss is the mean over the runs that are not over, and the images are those of
// all of them.
func (p *progress) window(windows []train.Window) {
	if !p.terminal {
		return
	}
	w, loss, images, runs := windows[0], 0.0, 0, 0
	for i, window := range windows {
		if !p.session.runs[i].over && window.Err == nil {
			loss += window.EpochLoss
			images += window.Images
			runs++
		}
	}
	done := min(barWidth, barWidth*w.Step/p.steps)
	left := time.Duration(0)
	if ran := w.Step - p.first; ran > 0 {
		left = time.Since(p.started) * time.Duration(p.steps-w.Step) / time.Duration(ran)
	}
	bar := strings.Repeat("█", done) + strings.Repeat("░", barWidth-done)
	figures := fmt.Sprintf("loss %.4f  %s %s/s  %s left", loss/float64(max(1, runs)), thousands(int(float64(images)/w.Duration.Seconds())),
		p.session.runs[0].manifest.Data.Noun(), left.Round(time.Second))
	message.Control(p.out, startOfLine)
	fmt.Fprint(p.out, fitted(columnsOf(p.out), fmt.Sprintf("epoch %d/%d ", w.Epoch, p.epochs), bar+" ", figures))
}

// fitted joins the parts of a line so that it does not reach the last of so many columns, where a terminal would begin another: without the bar where
// that is too long, and then cut off. 0 columns are as many as it takes.
func fitted(columns int, before, bar, after string) string {
	line := before + bar + after
	if columns <= 0 || utf8.RuneCountInString(line) < columns {
		return line
	}
	runes := []rune(before + after)
	return string(runes[:min(len(runes), columns-1)])
}

// line writes a line of its own, above the bar on a terminal.
func (p *progress) line(format string, args ...any) {
	if p.terminal {
		message.Control(p.out, startOfLine)
	}
	fmt.Fprintf(p.out, format+"\n", args...)
}

// thousands writes a number with separators: 48,213.
func thousands(n int) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// epoch tells of the epoch that the runs have just finished: of one run its figures, of several the means over those that
// are not over, or came to their end with it.
func (p *progress) epoch() {
	var records []*rundir.Epoch
	isBest := false
	for _, r := range p.session.runs {
		if r.epoch != nil {
			records, isBest = append(records, r.epoch), r.isBest
			r.epoch = nil
		}
	}
	if len(records) == 0 {
		return
	}
	mean := func(of func(e *rundir.Epoch) *rundir.Number) (sum float64, found bool) {
		for _, e := range records {
			value := of(e)
			if value == nil {
				return 0, false
			}
			sum += float64(*value) / float64(len(records))
		}
		return sum, true
	}
	loss, _ := mean(func(e *rundir.Epoch) *rundir.Number { return &e.TrainLoss })
	line := fmt.Sprintf("epoch %d/%d  loss %.4f", records[0].Epoch, p.epochs, loss)
	if loss, found := mean(func(e *rundir.Epoch) *rundir.Number { return e.ValLoss }); found {
		line += fmt.Sprintf("  validation %.4f", loss)
	}
	if terms := slices.Sorted(maps.Keys(records[0].ValTerms)); len(terms) > 0 {
		for i, name := range terms {
			value, _ := mean(func(e *rundir.Epoch) *rundir.Number { term := e.ValTerms[name]; return &term })
			terms[i] = fmt.Sprintf("%s %.4f", name, value)
		}
		line += " (" + strings.Join(terms, ", ") + ")"
	}
	if psnr, found := mean(func(e *rundir.Epoch) *rundir.Number { return e.ValPSNR }); found {
		line += fmt.Sprintf("  PSNR %.2f dB", psnr)
	}
	if explained, found := mean(func(e *rundir.Epoch) *rundir.Number { return e.ValExplainedVariance }); found {
		line += fmt.Sprintf("  explained variance %.4f", explained)
	}
	line += fmt.Sprintf("  %.1f s", float64(records[0].Seconds))
	switch {
	case len(p.session.runs) > 1:
		line += fmt.Sprintf("  mean of %d", len(records))
	case isBest:
		line += "  best"
	}
	p.line("%s", line)
}

// result prints the test figures of a run beside the corrupted input's.
func (p *progress) result(r *run) {
	m := r.manifest.Result
	p.line("")
	if m.Test != nil {
		p.figures(m, "test "+r.manifest.Data.Noun())
		p.line("")
	}
	if from := r.manifest.Imported; from != nil {
		p.line("weights  imported from %s", from.File)
	} else {
		p.line("weights  %s, of epoch %d", m.Weights, m.Epoch)
	}
	made := func(part, label, path string) {
		if !r.manifest.IsMissing(part) {
			p.line("%-8s %s", label, path)
		}
	}
	made(pictureOf("final"), "picture", filepath.Join(r.folder.Path, "samples", "final.png"))
	for _, name := range shown(r.experiment) {
		made(pictureOf(name), "picture", r.folder.PicturePath(name))
	}
	made(partReport, "report", r.folder.ReportPath())
	if slices.ContainsFunc(r.manifest.Warnings, rundir.Warning.IsMissing) {
		p.line("parts are missing, see the warnings above; to make up for them: %s eval %s", rundir.Program(r.session.options.Command), message.Quote(r.folder.Path))
	}
}

// figures prints the table of a result.
func (p *progress) figures(r rundir.Result, title string) {
	p.line("%-14s %13s%-10s%s%16s%s", title, "reconstructed", "", onlyIf(r.Training != nil, fmt.Sprintf("%12s", "training")),
		onlyIf(r.Corrupted != nil, "corrupted input"), onlyIf(r.MaskKnown != nil, "  mask known"))
	for _, row := range report.Figures(r) {
		interval := ""
		if row.Interval != "" {
			interval = "± " + row.Interval
		}
		line := fmt.Sprintf("%-14s %13s %-9s", row.Name, row.Value, interval)
		if r.Training != nil {
			line += fmt.Sprintf("%12s", row.Training)
		}
		if row.Corrupted != "" {
			line += fmt.Sprintf("%16s", row.Corrupted)
		}
		if row.MaskKnown != "" {
			line += fmt.Sprintf("%12s", row.MaskKnown)
		}
		p.line("%s %s", line, row.Unit)
	}
	if r.ComparedWith != "" {
		p.line("compared with %s; %s", r.ComparedWith, report.CleanOnes)
	}
	if table := report.CompareGenerated(r); table != nil {
		p.generated(r.Generated, table)
	}
	if table := report.Anomalies(r); table != nil {
		p.anomalies(r.Anomaly, table)
	}
}

// table prints rows below an empty line, the columns' names as the first: names are first wide, and the other cells width.
func (p *progress) table(first, width int, rows [][]string) {
	p.line("")
	for _, row := range rows {
		line := fmt.Sprintf("%-*s", first, row[0])
		for _, cell := range row[1:] {
			line += fmt.Sprintf(" %-*s", width, cell)
		}
		p.line("%s", strings.TrimRight(line, " "))
	}
}

// anomalies prints the table of anomalies.
func (p *progress) anomalies(a *rundir.Anomaly, table *report.AnomalyTable) {
	rows := [][]string{append([]string{thousands(a.Anomalies) + " anomalies"}, table.Columns...)}
	for _, r := range table.Rows {
		row := []string{r.Name}
		for i, value := range r.Values {
			row = append(row, value+" ("+r.Intervals[i]+")")
		}
		rows = append(rows, row)
	}
	p.table(20, 27, rows)
	p.line("%s", table.Threshold)
	if table.Pixels != "" {
		p.line("%s", table.Pixels)
	}
}

// leastAccuracy is that of a classifier whose features say something: digits are told apart at 0.99.
const leastAccuracy = 0.7

// generated prints the table of generated images.
func (p *progress) generated(g *rundir.Generated, table *report.Comparison) {
	rows := [][]string{append([]string{thousands(g.Images) + " generated"}, table.Columns...)}
	for _, r := range table.Rows {
		row := []string{r.Name}
		for i, value := range r.Values {
			if r.Intervals[i] != "" {
				value += " ± " + r.Intervals[i]
			}
			row = append(row, value)
		}
		rows = append(rows, row)
	}
	p.table(17, 20, rows)
	if g.ClassifierAccuracy < leastAccuracy {
		p.line("WARNING: the classifier below knows too little of these images for its features to say much; give it more training images")
	}
	p.line("floor: as many training images. Features of a classifier with accuracy %.4f, SHA-256 %.12s…", float64(g.ClassifierAccuracy), g.FeaturesSHA256)
}

func onlyIf(condition bool, text string) string {
	if condition {
		return text
	}
	return ""
}
