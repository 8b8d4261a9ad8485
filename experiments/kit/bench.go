package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// benchRounds are the rounds on a card.
const benchRounds = 3

// Parts of the benchmark: those of a short run, and that of a trial without a card.
const (
	shortParts = "epoch,runs"
	trialParts = "epoch"
)

// trialBench is what a trial spends on it at most.
const trialBench = 2 * time.Minute

// benchClosing is how long before its limit the benchmark is told to come to its end.
const benchClosing = 10 * time.Second

// bench runs experiments/bench, which compares Latent with JAX and PyTorch, and takes its report over.
func (k *kit) bench(ctx context.Context, o *outcome) error {
	deadline, _ := ctx.Deadline()
	limit := max(time.Until(deadline)-benchClosing, time.Until(deadline)/2)
	if k.trial() {
		limit = min(limit, trialBench)
	}
	text, data := filepath.Join(k.temp, "bench.md"), filepath.Join(k.temp, "bench.json")
	arguments := []string{
		filepath.Join(k.root, "bench"), "--backend", k.backend, "--latent", filepath.Join(k.root, "latent"),
		"--data", filepath.Join(k.root, "data", "mnist"), "--time", limit.Round(time.Second).String(), "--out", text, "--json", data,
	}
	if k.trial() {
		arguments = append(arguments, "--card", "--rounds", "1", "--images", "6000", "--only", trialParts)
	} else {
		arguments = append(arguments, "--rounds", fmt.Sprint(benchRounds))
	}
	if k.short() {
		arguments = append(arguments, "--only", shortParts)
	}
	if k.python != "" {
		arguments = append(arguments, "--python", k.python)
	} else {
		arguments = append(arguments, "--peers", "none")
	}
	ended := make(chan struct{})
	var following sync.WaitGroup
	following.Go(func() {
		for {
			select {
			case <-ended:
				return
			case <-time.After(benchLook):
				k.takeBench(o, text, data) // it may be half-written; the last one counts
			}
		}
	})
	_, err := k.execute(ctx, child{label: "bench", command: arguments})
	close(ended)
	following.Wait()
	taken := k.takeBench(o, text, data)
	if err != nil && errors.Is(taken, fs.ErrNotExist) {
		return err // it says why there is no report
	}
	return errors.Join(err, taken)
}

// benchLook is how often the benchmark's report is taken over while it grows.
const benchLook = 2 * time.Second

// benchReport is what the kit reads of the benchmark's JSON.
type benchReport struct {
	Parts []struct {
		Name        string `json:"name"`
		NotMeasured string `json:"not_measured"` // why; "" where it was
		Bars        []struct {
			Text   string  `json:"text"`
			Median float64 `json:"median"`
			Met    bool    `json:"met"`
		} `json:"bars"`
	} `json:"parts"`
}

// takeBench takes what the benchmark has written into the report, be it the whole or not.
func (k *kit) takeBench(o *outcome, textPath, dataPath string) error {
	text, err := os.ReadFile(textPath)
	if err != nil {
		return fmt.Errorf("the benchmark's report: %w", err)
	}
	data, err := os.ReadFile(dataPath)
	if err != nil {
		return fmt.Errorf("the benchmark's report: %w", err)
	}
	var found benchReport
	if err := json.Unmarshal(data, &found); err != nil {
		return fmt.Errorf("the benchmark's report: %s: %w", filepath.Base(dataPath), err)
	}
	figure, measured := found.figure()
	k.change(func() {
		o.Data = json.RawMessage(data)
		o.details = demote(string(text))
		o.Figure = figure
	})
	if measured == 0 {
		return errors.New("the benchmark measured nothing")
	}
	return nil
}

// figure is how many parts were measured, how many bars were met, and the first of them, which is the most important.
func (r benchReport) figure() (text string, measured int) {
	bars, met, first := 0, 0, ""
	for _, part := range r.Parts {
		if part.NotMeasured == "" {
			measured++
		}
		for _, b := range part.Bars {
			if bars++; b.Met {
				met++
			}
			if first == "" {
				first = fmt.Sprintf("; %s: %.2f", b.Text, b.Median)
			}
		}
	}
	text = fmt.Sprintf("%d of %d parts measured", measured, len(r.Parts))
	if bars > 0 {
		text += fmt.Sprintf(", %d of %d bars met%s", met, bars, first)
	}
	return text, measured
}

// demote makes a document of its own a section of another: its title goes, and its headings lie a level deeper.
func demote(document string) string {
	var text strings.Builder
	code := false
	for line := range strings.Lines(document) {
		if strings.HasPrefix(line, "```") {
			code = !code
		}
		switch {
		case !code && strings.HasPrefix(line, "# "):
			continue
		case !code && strings.HasPrefix(line, "#"):
			line = "#" + line
		}
		text.WriteString(line)
	}
	return strings.TrimLeft(text.String(), "\n")
}
