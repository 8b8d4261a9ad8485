package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The report's files.
const (
	markdownFile = "report.md"
	jsonFile     = "report.json"
)

// report is what a run of the kit has found.
type report struct {
	Version  int        `json:"version"` // of this format: 1
	Backend  string     `json:"backend"`
	Minutes  float64    `json:"minutes"` // MINUTES
	Started  time.Time  `json:"started"`
	Seconds  float64    `json:"seconds"`
	Finished bool       `json:"finished"` // false while it runs, and for ever where it was killed
	Machine  machine    `json:"machine"`
	Steps    []*outcome `json:"steps"`
}

func newReport(s settings, steps []step) *report {
	r := &report{Version: 1, Backend: s.backend, Minutes: s.time.Minutes(), Started: s.started.UTC()}
	for _, step := range steps {
		r.Steps = append(r.Steps, &outcome{Name: step.name, Title: step.title, State: waiting})
	}
	return r
}

// save writes both files, each whole or not at all.
func (k *kit) save() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.report.Seconds = k.now().Sub(k.started).Seconds()
	text, err := json.MarshalIndent(k.report, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := replace(filepath.Join(k.out, jsonFile), append(text, '\n')); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := replace(filepath.Join(k.out, markdownFile), []byte(k.report.markdown())); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// replace writes a file under a temporary name and renames it.
func replace(path string, data []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// verdict is the whole run in a line.
func (r *report) verdict() string {
	count := map[state]int{}
	var bad []string
	for _, o := range r.Steps {
		count[o.State]++
		switch o.State {
		case failed, outOfTime, interrupted, notRun:
			bad = append(bad, fmt.Sprintf("%s (%s)", o.Name, o.State))
		}
	}
	of := len(r.Steps) - count[leftOut]
	text := fmt.Sprintf("%d of %d steps passed, in %.1f of %g minutes.", count[passed], of, r.Seconds/60, r.Minutes)
	if len(bad) > 0 {
		text += " Not passed: " + strings.Join(bad, ", ") + "."
	}
	if count[leftOut] > 0 {
		text += fmt.Sprintf(" %d were left out of this short run.", count[leftOut])
	}
	if !r.Finished {
		text = "**This run is not over, or was killed.** So far: " + text
	}
	return text
}

// markdown is the report for people: verdict, machine and all steps first, then what went wrong, then the details.
func (r *report) markdown() string {
	var text strings.Builder
	on := r.Backend
	if r.Machine.GPU != "" {
		on = r.Machine.GPU
	}
	fmt.Fprintf(&text, "# Latent on %s\n\n%s\n\n", on, r.verdict())
	t := table{header: []string{"step", "state", "s", "what it found"}}
	for _, o := range r.Steps {
		figure := o.Figure
		if figure == "" && len(o.Problems) > 0 {
			figure = o.Problems[0].Text
		}
		mark := o.State.loud()
		if mark != string(o.State) {
			mark = "**" + mark + "**"
		}
		t.add(o.Title, mark, fmt.Sprintf("%.1f", o.Seconds), shorten(figure))
	}
	fmt.Fprintf(&text, "%s\n%s", t, r.Machine.markdown())

	text.WriteString(r.wrong())
	for _, o := range r.Steps {
		if o.details != "" {
			fmt.Fprintf(&text, "\n## %s\n\n%s", o.Title, o.details)
		}
	}
	return text.String()
}

// wrong is the section of what went wrong; "" where all went right. What has one cause, such as that there is no device, is told
// once.
func (r *report) wrong() string {
	var text strings.Builder
	told := map[string]bool{}
	for _, o := range r.Steps {
		for i, p := range o.Problems {
			what, cause, found := strings.Cut(oneLine(p.Text), ": ")
			again := found && told[cause]
			told[cause] = true
			if again {
				cause = "as above"
			}
			if found {
				what += ": " + cause
			}
			fmt.Fprintf(&text, "- %s: %s", o.Title, what)
			if i == len(o.Problems)-1 && o.Log != "" {
				fmt.Fprintf(&text, " (log: [%s](%[1]s))", o.Log)
			}
			text.WriteString("\n")
			if p.Output != "" && !again && !strings.HasSuffix(p.Text, p.Output) {
				fmt.Fprintf(&text, "\n%s\n", indent(codeBlock(p.Output)))
			}
		}
	}
	if text.Len() == 0 {
		return ""
	}
	return "\n## What went wrong\n\n" + text.String()
}

// table is rows of cells below a header, in Markdown.
type table struct {
	header []string
	rows   [][]string
}

func (t *table) add(cells ...any) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = strings.ReplaceAll(oneLine(fmt.Sprint(cell)), "|", `\|`)
	}
	t.rows = append(t.rows, row)
}

func (t table) String() string {
	var text strings.Builder
	line := func(cells []string) { fmt.Fprintf(&text, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.header)
	line(strings.Split(strings.Repeat("---|", len(t.header)-1)+"---", "|"))
	for _, row := range t.rows {
		line(row)
	}
	return text.String()
}

// longest is how many characters the report has of a line that stands whole elsewhere.
const longest = 160

func shorten(text string) string {
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + " …"
	}
	return text
}

// oneLine is the first line of a text.
func oneLine(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return first
}

// codeBlock is a text as it stands. What a program printed may have fences itself.
func codeBlock(text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fmt.Sprintf("%s\n%s\n%s\n", fence, strings.TrimRight(text, "\n"), fence)
}

// indent puts a block under an entry of a list.
func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ") + "\n"
}
