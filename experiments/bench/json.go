package main

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// The report as JSON has every sample.
type (
	jsonReport struct {
		Title    string     `json:"title"`
		Command  string     `json:"command"`
		Machine  []string   `json:"machine"`
		Versions []string   `json:"versions"`
		Rounds   int        `json:"rounds"` // asked for; a race may have had time for fewer
		Parts    []jsonPart `json:"parts"`
	}
	jsonPart struct {
		Name        string     `json:"name"`
		Title       string     `json:"title"`
		NotMeasured string     `json:"not_measured,omitempty"` // why
		Races       []jsonRace `json:"races,omitempty"`
		Bars        []jsonBar  `json:"bars,omitempty"`
	}
	jsonRace struct {
		Name        string           `json:"name"`
		Unit        string           `json:"unit,omitempty"`         // of the report's table; seconds here are those of a step where it is ms a step, and so on
		NotMeasured string           `json:"not_measured,omitempty"` // why
		Contestants []jsonContestant `json:"contestants,omitempty"`
	}
	jsonContestant struct {
		Name        string    `json:"name"`
		Seconds     []float64 `json:"seconds"`          // round by round
		Ratios      []float64 `json:"ratios,omitempty"` // to the first contestant's
		Loss        float64   `json:"loss"`             // mean over the rounds
		Failed      string    `json:"failed,omitempty"`
		AnotherLoss string    `json:"another_loss,omitempty"`
	}
	jsonBar struct {
		Text   string    `json:"text"`
		Ratios []float64 `json:"ratios"` // round by round
		Median float64   `json:"median"`
		Limit  float64   `json:"limit"`
		AtMost bool      `json:"at_most"` // the median is to be at most the limit, not at least
		Met    bool      `json:"met"`
	}
)

// json is the report for programs.
func (r *report) json() ([]byte, error) {
	out := jsonReport{Title: r.title, Command: r.command, Machine: r.machine, Versions: r.versions, Rounds: r.rounds}
	for _, result := range r.results {
		part := jsonPart{Name: result.part.name, Title: result.part.title, NotMeasured: reason(result.missing)}
		for _, race := range result.races {
			part.Races = append(part.Races, race.json())
		}
		for _, b := range result.bars {
			part.Bars = append(part.Bars, jsonBar{b.text, b.ratios, median(b.ratios), b.limit, b.below, b.met()})
		}
		out.Parts = append(out.Parts, part)
	}
	text, err := json.MarshalIndent(out, "", "  ")
	return append(text, '\n'), err
}

func (r race) json() jsonRace {
	out := jsonRace{Name: r.name, Unit: r.figure.unit, NotMeasured: reason(r.missing)}
	for i, s := range r.series {
		c := jsonContestant{Name: s.name, Seconds: s.seconds(), Loss: mean(s.losses()), Failed: reason(s.failure), AnotherLoss: reason(s.astray)}
		if i > 0 && s.measured() && r.series[0].measured() {
			c.Ratios = pairs(c.Seconds, r.series[0].seconds())
		}
		out.Contestants = append(out.Contestants, c)
	}
	return out
}

// reason is an error in words; "" for none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// write writes the report to the files that are named, whole or not at all, so that what kills this program leaves the last.
func (r *report) write(markdown, data string) error {
	if markdown != "" {
		if err := writeFile(markdown, []byte(r.markdown())); err != nil {
			return err
		}
	}
	if data == "" {
		return nil
	}
	text, err := r.json()
	if err != nil {
		return err
	}
	return writeFile(data, text)
}

// writeFile writes a file under a temporary name and renames it.
func writeFile(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(data)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(file.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
