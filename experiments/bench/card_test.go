package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"latent/pkg/backend"
)

// always is an entry that measures the same in every round.
func always(name string, seconds, loss float64) entry {
	return entry{name: name, measure: func(int) (sample, error) { return sample{Seconds: seconds, Loss: loss}, nil }}
}

// breaking is an entry that fails in this round.
func breaking(name string, in int, err error) entry {
	return entry{name: name, measure: func(round int) (sample, error) {
		if round == in {
			return sample{}, err
		}
		return sample{Seconds: 1, Loss: 0.1}, nil
	}}
}

// A contestant that fails, early or late, has no samples, and the others have all of theirs.
func TestAlternateLenient(t *testing.T) {
	broken := errors.New("broken")
	got, err := rules{rounds: 3, lenient: true, tell: silent}.alternate(t.Context(),
		[]entry{breaking("at first", 0, broken), always("sound", 2, 0.1), breaking("late", 2, broken)})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 2} {
		if got[i].measured() || !errors.Is(got[i].failure, broken) {
			t.Errorf("%s: %d samples, failure %v; want none, and the entry's", got[i].name, len(got[i].samples), got[i].failure)
		}
	}
	if want := []float64{2, 2, 2}; !slices.Equal(got[1].seconds(), want) || got[1].failure != nil {
		t.Errorf("sound: %v, %v; want %v", got[1].seconds(), got[1].failure, want)
	}
}

// What is cold does not warm up, and what warms up aside does so while the others do.
func TestWarmUp(t *testing.T) {
	waiting := make(chan bool)
	var rounds []int
	entries := []entry{
		{name: "aside", aside: true, measure: func(round int) (sample, error) {
			if round == 0 {
				waiting <- true
			}
			return sample{}, nil
		}},
		{name: "other", measure: func(round int) (sample, error) {
			if round == 0 {
				<-waiting
			}
			return sample{}, nil
		}},
		{name: "cold", cold: true, measure: func(round int) (sample, error) {
			rounds = append(rounds, round)
			return sample{}, nil
		}},
	}
	if _, err := (rules{rounds: 2, tell: silent}).alternate(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	if want := []int{1, 2}; !slices.Equal(rounds, want) {
		t.Errorf("cold was measured in rounds %v, want %v", rounds, want)
	}
}

// slow is an entry that takes this long in each round, and warms up at once.
func slow(ctx context.Context, name string, takes time.Duration) entry {
	return entry{name: name, measure: func(round int) (sample, error) {
		if round == 0 {
			return sample{}, nil
		}
		select {
		case <-time.After(takes):
			return sample{Seconds: takes.Seconds()}, nil
		case <-ctx.Done():
			return sample{}, ctx.Err() // as a process does that is killed
		}
	}}
}

// A round takes 10 s. Another is begun where 15 s are left, and one that time cuts short is not kept.
func TestAlternateInTime(t *testing.T) {
	for limit, want := range map[time.Duration]int{9 * time.Second: 0, 24 * time.Second: 1, 26 * time.Second: 2, time.Minute: 5, time.Hour: 6} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errTime)
			defer cancel()
			got, err := rules{rounds: 6, lenient: true, tell: silent}.alternate(ctx, []entry{slow(ctx, "a", 4*time.Second), slow(ctx, "b", 6*time.Second)})
			if want == 0 {
				if !errors.Is(err, errTime) {
					t.Errorf("%v: error %v, want that there was no time", limit, err)
				}
				return
			}
			if err != nil || len(got[0].samples) != want || len(got[1].samples) != want {
				t.Errorf("%v: %v, %v; want %d rounds of each", limit, got, err, want)
			}
		})
	}
}

func TestPatience(t *testing.T) {
	c := fakeContestant("hang")
	c.patience = 50 * time.Millisecond
	p, err := c.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.ask(request{Task: "epoch"}); !errors.Is(err, errPatience) || !strings.Contains(err.Error(), "fake, epoch: no answer in 50ms") {
		t.Errorf("error %v, want that there was no answer in 50ms", err)
	}
}

// A contestant that answered once is started again after it died. One that never did, or hung, is not.
func TestPool(t *testing.T) {
	pool := pool{ctx: t.Context(), members: map[string]*member{}}
	defer pool.close()
	ask := func(behaviour string, seed int64) error {
		c := fakeContestant(behaviour)
		c.name, c.patience = behaviour, time.Minute
		if behaviour == "hang" {
			c.patience = time.Millisecond
		}
		_, err := pool.ask(c, request{Task: "epoch", Images: 1, Seed: seed})
		return err
	}
	if err := errors.Join(ask("once", 1), ask("once", 1)); err != nil {
		t.Error(err)
	}
	if err := ask("once", 2); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("error %v, want exit status 4", err)
	}
	if err := ask("once", 1); err != nil {
		t.Errorf("asked again after it died: %v", err)
	}
	for _, behaviour := range []string{"crash", "hang"} {
		first := ask(behaviour, 1)
		if again := ask(behaviour, 1); first == nil || again != first {
			t.Errorf("%s: %v, and asked again %v; want the same error", behaviour, first, again)
		}
	}
}

// tryOut is a bench on a card whose peers are nowhere.
func tryOut() *bench {
	return &bench{setup: setup{card: true, rounds: 2, log: io.Discard}}
}

// contrived is a part with one race of these entries.
func contrived(name string, entries ...entry) part {
	return part{name: name, title: "Title of " + name, run: func(b *bench, ctx context.Context) (result, error) {
		races := b.hold(ctx, heat{"race", seconds("%.1f"), entries, fivePercent})
		return result{races: races, bars: against(races[0].series, "b ÷ a", "b", "a", series.seconds, 1, false)}, nil
	}}
}

func compareAll(t *testing.T, ctx context.Context, b *bench, parts ...part) *report {
	t.Helper()
	report := &report{title: "T", preface: "P.\n", command: "bench", machine: []string{"card: C"}, rounds: b.rounds}
	for _, p := range parts {
		result, err := b.compare(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		report.results = append(report.results, result)
	}
	return report
}

func TestCardReport(t *testing.T) {
	broken := errors.New("b: it ended: exit status 1\nTraceback\nImportError: no module")
	report := compareAll(t, t.Context(), tryOut(),
		contrived("good", always("a", 1, 0.100), always("b", 1.5, 0.101)),
		contrived("bad", always("a", 1, 0.1), breaking("b", 1, broken), always("c", 2, 0.2)))
	want := strings.Join([]string{
		"# T",
		"",
		"Made by `bench`; all values are measured by it.",
		"P.",
		"",
		"- card: C",
		"",
		"## Bars",
		"",
		"|       |  bar | measured | pair by pair |      |",
		"| ----- | ---: | -------: | -----------: | ---: |",
		"| b ÷ a |  ≥ 1 |     1.50 |    1.50 1.50 |  met |",
		"",
		"## Title of good",
		"",
		"|      | race, s |        ÷ |",
		"| ---- | ------: | -------: |",
		"| a    |     1.0 |        1 |",
		"| b    |     1.5 | **1.50** |",
		"",
		"- Losses differ from the first row's by at most 1 % (race).",
		"",
		"## Title of bad",
		"",
		"|      |            race, s |        ÷ |",
		"| ---- | -----------------: | -------: |",
		"| a    |                1.0 |        1 |",
		"| b    |                  – |          |",
		"| c    | 2.0 (another loss) | **2.00** |",
		"",
		"- race: c has the loss 0.20000, a 0.10000: 100 % apart, more than 5 %, so that they did not do the same work",
		"- Losses differ from the first row's by at most 100 % (race).",
		"- race: b: round 1: b: it ended: exit status 1: ImportError: no module",
		"",
	}, "\n")
	if diff := cmp.Diff(want, report.markdown()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if err := report.failures(); err == nil || !strings.HasPrefix(err.Error(), "bad: c has the loss") || strings.Contains(err.Error(), "ImportError") {
		t.Errorf("failures %v, want c's loss alone", err)
	}
}

// A part without a figure of its first entry, Latent's, is a failure.
func TestCardFailures(t *testing.T) {
	broken := errors.New("broken")
	report := compareAll(t, t.Context(), tryOut(), contrived("part", breaking("a", 0, broken), always("b", 1, 0.1)))
	if err := report.failures(); !errors.Is(err, broken) {
		t.Errorf("failures %v, want %v", err, broken)
	}
}

// A part is not begun with less time left than it needs, and one that is cut short is not measured; neither is a failure.
func TestCardInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errTime)
		defer cancel()
		long := contrived("long", always("a", 1, 0.1))
		long.least = 2 * time.Minute
		report := compareAll(t, ctx, tryOut(), long, contrived("short", always("a", 1, 0.1)), contrived("cut", slow(ctx, "a", time.Hour)))
		_, got, _ := strings.Cut(report.markdown(), "## Title of short")
		want := strings.Join([]string{
			"", "",
			"|      | race, s |    ÷ |",
			"| ---- | ------: | ---: |",
			"| a    |     1.0 |    1 |",
			"",
			"## Not measured",
			"",
			"- long: no time left: a part that takes 2m0s or more is not begun",
			"- cut: no time left",
			"",
		}, "\n")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("report (-want +got):\n%s", diff)
		}
		if err := report.failures(); err != nil {
			t.Error(err)
		}
	})
}

func TestWriteReport(t *testing.T) {
	dir := t.TempDir()
	text, data := filepath.Join(dir, "report.md"), filepath.Join(dir, "report.json")
	report := compareAll(t, t.Context(), tryOut(), contrived("part", always("a", 1, 0.1), always("b", 2, 0.1)))
	for range 2 { // the second in the place of the first
		if err := report.write(text, data); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(text); err != nil || string(got) != report.markdown() {
		t.Errorf("report.md is %q, %v", got, err)
	}
	var got any
	if read, err := os.ReadFile(data); err != nil || json.Unmarshal(read, &got) != nil {
		t.Fatalf("report.json is %s, %v", read, err)
	}
	type object = map[string]any
	type array = []any
	want := object{
		"title": "T", "command": "bench", "machine": array{"card: C"}, "versions": nil, "rounds": 2.0,
		"parts": array{object{
			"name": "part", "title": "Title of part",
			"races": array{object{"name": "race", "unit": "s", "contestants": array{
				object{"name": "a", "seconds": array{1.0, 1.0}, "loss": 0.1},
				object{"name": "b", "seconds": array{2.0, 2.0}, "ratios": array{2.0, 2.0}, "loss": 0.1},
			}}},
			"bars": array{object{"text": "b ÷ a", "ratios": array{2.0, 2.0}, "median": 2.0, "limit": 1.0, "at_most": false, "met": true}},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report.json (-want +got):\n%s", diff)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("%v, %v beside the report; want nothing", files, err)
	}
}

func TestWriteReportFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "report.md", "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := new(report).write(filepath.Join(dir, "report.md"), ""); err == nil {
		t.Error("a folder in the report's place: want an error")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v left; want the folder alone", files, err)
	}
}

func TestChooseOnCard(t *testing.T) {
	for list, want := range map[string]string{
		"":                "epoch runs sizes precision flags start denoise",
		"precision,epoch": "epoch precision",
	} {
		if chosen, err := choose(cardParts, list); err != nil || namesOf(chosen) != want {
			t.Errorf("choose(%q) = %s, %v; want %s", list, namesOf(chosen), err, want)
		}
	}
	if _, err := choose(cardParts, "a"); err == nil {
		t.Error("a letter of a part on a CPU: want an error")
	}
}

// A variant's flags replace Latent's, and where CUDA's files are stays.
func TestVariantInstead(t *testing.T) {
	v := backend.Variant{Flags: "--xla_gpu_autotune_level=0"}
	for inForce, want := range map[string]string{
		backend.CUDAFlags: v.Flags,
		backend.CUDAFlags + " --xla_gpu_cuda_data_dir=/cuda": v.Flags + " --xla_gpu_cuda_data_dir=/cuda",
		backend.CPUFlags: v.Flags, // Latent's own are those of the CPU there
	} {
		if got := instead(v, inForce); got != want {
			t.Errorf("instead of %q: %q, want %q", inForce, got, want)
		}
	}
}

// A piece of work costs its part of the time, and has the same loss.
func TestEach(t *testing.T) {
	got, err := each(always("a", 6, 0.1), 4).measure(1)
	if want := (sample{Seconds: 1.5, Loss: 0.1}); err != nil || got != want {
		t.Errorf("each = %v, %v; want %v", got, err, want)
	}
}
