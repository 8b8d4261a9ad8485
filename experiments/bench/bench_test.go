package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeVariable makes the test's binary a contestant that answers what its value says.
const fakeVariable = "BENCH_TEST_CONTESTANT"

func TestMain(m *testing.M) {
	if behaviour := os.Getenv(fakeVariable); behaviour != "" {
		fake(behaviour)
		return
	}
	os.Exit(m.Run())
}

func fake(behaviour string) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			panic(err)
		}
		switch behaviour {
		case "echo":
			fmt.Printf(`{"seconds": %d, "loss": %d}`+"\n", r.Images, r.Seed)
		case "chatter":
			fmt.Println("loading …")
		case "idle":
			fmt.Println(`{"seconds": 0, "loss": 0.1}`)
		case "crash":
			fmt.Fprintln(os.Stderr, "no module named torch")
			os.Exit(3)
		case "once":
			if r.Seed > 1 {
				os.Exit(4)
			}
			fmt.Println(`{"seconds": 1, "loss": 0.1}`)
		case "hang":
			select {}
		}
	}
}

func fakeContestant(behaviour string) contestant {
	return contestant{name: "fake", command: []string{os.Args[0]}, env: []string{fakeVariable + "=" + behaviour}}
}

func startFake(t *testing.T, behaviour string) *process {
	t.Helper()
	p, err := fakeContestant(behaviour).start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestContestant(t *testing.T) {
	p := startFake(t, "echo")
	for seed := range int64(3) {
		got, err := p.ask(request{Task: "epoch", Images: 7, Seed: seed})
		if want := (answer{Seconds: 7, Loss: float64(seed)}); err != nil || got != want {
			t.Errorf("ask = %v, %v; want %v", got, err, want)
		}
	}
	peak, err := p.close()
	// A Go program needs more than a megabyte, and this one less than a gigabyte.
	if err != nil || peak < 1<<20 || peak > 1<<30 {
		t.Errorf("close = %g bytes, %v", peak, err)
	}
}

func TestContestantFails(t *testing.T) {
	for behaviour, want := range map[string][]string{
		"chatter": {"fake, epoch", `"loading …\n"`},
		"idle":    {"fake, epoch", "no time"},
		"crash":   {"fake, epoch", "exit status 3", "no module named torch"},
	} {
		t.Run(behaviour, func(t *testing.T) {
			_, err := startFake(t, behaviour).ask(request{Task: "epoch"})
			for _, word := range want {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("error %v, want one with %q", err, word)
				}
			}
		})
	}
}

func TestAlternate(t *testing.T) {
	var order []string
	entryOf := func(name string) entry {
		return entry{name: name, measure: func(round int) (sample, error) {
			order = append(order, fmt.Sprint(name, round))
			return sample{Seconds: float64(10 * round)}, nil
		}}
	}
	got, err := rules{rounds: 2, tell: silent}.alternate(t.Context(), []entry{entryOf("a"), entryOf("b"), entryOf("c")})
	if err != nil {
		t.Fatal(err)
	}
	if want := "c0 b0 a0 a1 b1 c1 c2 b2 a2"; strings.Join(order, " ") != want {
		t.Errorf("order %v, want %s", order, want)
	}
	// Round 0 warms up.
	if want := []float64{10, 20}; !slices.Equal(got[1].seconds(), want) || got[1].name != "b" {
		t.Errorf("series %v, want b with %v", got[1], want)
	}
}

func TestAlternateEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	broken := errors.New("broken")
	breaks := entry{name: "a", measure: func(int) (sample, error) { return sample{}, broken }}
	cancels := entry{name: "a", measure: func(int) (sample, error) { cancel(); return sample{}, nil }}
	rules := rules{rounds: 5, tell: silent}
	if _, err := rules.alternate(ctx, []entry{breaks}); !errors.Is(err, broken) {
		t.Errorf("error %v, want the entry's", err)
	}
	if _, err := rules.alternate(ctx, []entry{cancels}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
}

func silent(int, string, sample, error) {}

func TestMedianAndPairs(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %g, want %g", c.values, got, c.want)
		}
	}
	// The median of the ratios is not the ratio of the medians, which would be 1: a slow round slows both of a pair.
	if got, want := pairs([]float64{2, 8, 30}, []float64{1, 8, 10}), []float64{2, 1, 3}; !slices.Equal(got, want) {
		t.Errorf("pairs = %v, want %v", got, want)
	}
}

func seriesOf(name string, loss float64, seconds ...float64) series {
	s := series{name: name}
	for _, value := range seconds {
		s.samples = append(s.samples, sample{Seconds: value, Loss: loss})
	}
	return s
}

// Two runs in each of four rounds are eight losses, whose mean has a standard error of 3 %/√8; that of the difference of two
// such means is √2 as large, 1.5 %.
func TestAcrossSeeds(t *testing.T) {
	if got, want := acrossSeeds(2)(4), 0.05+2*0.015; math.Abs(got-want) > 1e-12 {
		t.Errorf("acrossSeeds(2)(4) = %g, want %g", got, want)
	}
}

func fivePercent(int) float64 { return 0.05 }

func TestCompareLosses(t *testing.T) {
	latent := seriesOf(nameLatent, 0.100, 1)
	for _, c := range []struct {
		other series
		same  bool
	}{
		{seriesOf("peer", 0.104, 1), true},
		{seriesOf("peer", 0.096, 1), true},
		{seriesOf("peer", 0.106, 1), false},
		{seriesOf("peer", 0.094, 1), false},
		{seriesOf("peer", 0, 1), false},
		{seriesOf("peer", math.NaN(), 1), false},
		{seriesOf(nameLimit, 0, 1), true}, // it trains nothing
	} {
		if err := compareLosses([]series{latent, c.other}, fivePercent); (err == nil) != c.same {
			t.Errorf("loss %g beside 0.100: error %v", c.other.samples[0].Loss, err)
		}
	}
}

// TestEpochFLOP compares with 6 operations for each weight and image, less the 2 of the first layer's weights that no
// gradient of the input needs: 6·483,328 − 2·200,704 for each of 60,000 images.
func TestEpochFLOP(t *testing.T) {
	got := epochFLOP(request{Images: 60000, Width: 1})
	if want := 60000.0 * (6*483328 - 2*200704); got != want {
		t.Errorf("epochFLOP = %g, want %g", got, want)
	}
}

func TestChoose(t *testing.T) {
	for list, want := range map[string]string{
		"":              "epoch start denoise runs growth unet sweep",
		"a":             "epoch",
		"c,b":           "start",
		"growth,e":      "runs growth",
		"denoise,epoch": "epoch denoise",
	} {
		chosen, err := choose(parts, list)
		if got := namesOf(chosen); err != nil || got != want {
			t.Errorf("choose(%q) = %s, %v; want %s", list, got, err, want)
		}
	}
	for _, list := range []string{"z", "a,", "epochs", "ab"} {
		if _, err := choose(parts, list); err == nil {
			t.Errorf("choose(%q): want an error", list)
		}
	}
}

func namesOf(parts []part) string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return strings.Join(names, " ")
}

func TestCommand(t *testing.T) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.Int("rounds", 5, "")
	flags.String("venv", "", "")
	flags.String("only", "", "")
	flags.Bool("card", false, "")
	if err := flags.Parse([]string{"--card", "--rounds", "7", "--venv", "/somewhere/here"}); err != nil {
		t.Fatal(err)
	}
	if got, want := command(flags), "go run ./experiments/bench --card --rounds 7"; got != want {
		t.Errorf("command = %q, want %q", got, want)
	}
}

func TestReport(t *testing.T) {
	all := []series{seriesOf(nameLatent, 0.1, 1, 2), seriesOf(nameScan, 0.1, 1.5, 2)}
	report := report{
		machine: []string{"processor: P, 2 cores"}, versions: []string{"Latent: V"}, command: "go run ./experiments/bench", rounds: 2,
		results: []result{{
			part:   part{title: "One epoch"},
			notes:  []string{"A note."},
			tables: []table{compare(all, seconds("%.1f")).withLosses(all)},
			bars: slices.Concat(
				against(all, "faster", nameScan, nameLatent, series.seconds, 1.25, false),
				against(all, "slower", nameScan, nameLatent, series.seconds, 1.2, true),
				against(all, "not measured", nameFused, nameLatent, series.seconds, 1, true)),
		}},
	}
	want := strings.Join([]string{
		"- processor: P, 2 cores",
		"- Latent: V",
		"",
		"## Bars",
		"",
		"|        |    bar | measured | pair by pair |            |",
		"| ------ | -----: | -------: | -----------: | ---------: |",
		"| faster | ≥ 1.25 |     1.25 |    1.50 1.00 |        met |",
		"| slower |  ≤ 1.2 |     1.25 |    1.50 1.00 | **MISSED** |",
		"",
		"## One epoch",
		"",
		"A note.",
		"",
		"|              | s, median | lowest | ÷ Latent | pair by pair | loss, mean |",
		"| ------------ | --------: | -----: | -------: | -----------: | ---------: |",
		"| Latent       |       1.5 |    1.0 |        1 |              |     0.1000 |",
		"| JAX lax.scan |       1.8 |    1.5 | **1.25** |    1.50 1.00 |     0.1000 |",
		"",
	}, "\n")
	_, got, _ := strings.Cut(report.markdown(), "\n\n- ")
	if diff := cmp.Diff(want, "- "+got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}
