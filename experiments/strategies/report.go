package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
)

const reportAt = "docs/strategies.md"

// cell is one strategy on one function.
type cell struct {
	ours, optunas float64 // median simple regrets
	has           bool    // whether Optuna's is known
}

// ratio is that of the regrets; where both are at the least value it is 1.
func (c cell) ratio() float64 {
	if c.ours == c.optunas {
		return 1
	}
	return c.ours / c.optunas
}

// compare runs ours, reads or makes Optuna's, and writes the report.
func compare(ctx context.Context, options options) error {
	if _, err := os.Stat(keptAt); err != nil {
		return fmt.Errorf("%w; run strategies in the repository's root", err)
	}
	peers, err := readFigures(kept)
	if options.optuna {
		peers, err = runOptuna(ctx, options.venv, options.torch)
	}
	if err != nil {
		return err
	}
	var rows []row
	for _, s := range strategies() {
		r := row{strategy: s}
		for _, f := range functions {
			if err := ctx.Err(); err != nil {
				return err
			}
			count := seeds
			if s.name == "gp" {
				count = seedsOfGP
			}
			list, err := regrets(s.method(), f, 0, count)
			if err != nil {
				return err
			}
			c := cell{ours: median(list)}
			if theirs, has := peers.Regrets[f.name][s.name]; has {
				c.optunas, c.has = median(theirs), true
			}
			fmt.Fprintf(os.Stderr, "%-16s %-15s %.4g\n", s.name, f.name, c.ours)
			r.cells = append(r.cells, c)
		}
		rows = append(rows, r)
	}
	return os.WriteFile(reportAt, []byte(document(rows, peers)), 0o644)
}

// row is one strategy on all functions.
type row struct {
	strategy
	cells []cell
}

// document is the report.
func document(rows []row, peers *figures) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Search strategies compared with Optuna

Made by `+"`go run ./experiments/strategies`"+`; all values are measured by it. Each value is the median over
%d seeds, from 0, of the simple regret: the difference between the best of %d sequential trials and the function's
minimum. Both sides use their default options, except that Optuna's univariate TPE has multivariate=False
and its multivariate TPE group=True.

For one strategy on one function, medians over 105 seeds still vary by a factor of 1.3 and more. For gp, the median is over the first %d seeds, because its trials take a thousand times as long.

- Optuna's values: %s; stored in %s
- %s/%s, %s

The bar: regret of TPE and CMA-ES at most %g times that of Optuna's same strategy.

`, seeds, trials, seedsOfGP, versionList(peers.Versions), keptAt, runtime.GOOS, runtime.GOARCH, runtime.Version(), most)
	b.WriteString("| strategy | function | Latent | Optuna | ratio | |\n| --- | --- | ---: | ---: | ---: | --- |\n")
	for _, r := range rows {
		for i, c := range r.cells {
			optunas, ratio, verdict := "not run", "", ""
			if c.has {
				optunas, ratio = fmt.Sprintf("%.4g", c.optunas), fmt.Sprintf("%.2f", c.ratio())
				if r.bar {
					verdict = "met"
					if c.ratio() > most {
						verdict = "**missed**"
					}
				}
			}
			fmt.Fprintf(&b, "| %s | %s | %.4g | %s | %s | %s |\n", r.name, functions[i].name, c.ours, optunas, ratio, verdict)
		}
	}
	b.WriteString("\n## The functions\n\nThey are implemented in Go (functions.go) and in Python (peers/optuna_side.py); a test compares their values.\n\n")
	for _, f := range functions {
		fmt.Fprintf(&b, "- **%s**: %s.\n", f.name, f.what)
	}
	return b.String()
}

func versionList(versions map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		list = append(list, name+" "+versions[name])
	}
	return strings.Join(list, ", ")
}
