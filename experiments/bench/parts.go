package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"latent/pkg/backend"
)

// part is a comparison.
type part struct {
	letters string // in the requirement; each chooses the part, as its name does
	name    string
	title   string
	run     func(*bench, context.Context) (result, error)
	least   time.Duration // it is not begun with less time left
}

// parts are all comparisons on a CPU, in the report's order.
var parts = []part{
	{letters: "a", name: "epoch", title: "One epoch", run: (*bench).epoch},
	{letters: "bc", name: "start", title: "From process start to the first epoch finished, and memory", run: (*bench).start},
	{letters: "d", name: "denoise", title: "Denoising 10,000 images", run: (*bench).denoise},
	{letters: "e", name: "runs", title: "16 runs", run: (*bench).runs},
	{letters: "f", name: "growth", title: "How time grows", run: (*bench).growth},
	{letters: "g", name: "unet", title: "A U-Net", run: (*bench).unet},
	{letters: "h", name: "sweep", title: "A sweep", run: (*bench).sweep},
}

func partNames(parts []part) string {
	var words []string
	for _, p := range parts {
		word := p.name
		if p.letters != "" {
			word += fmt.Sprintf(" (%s)", strings.Join(strings.Split(p.letters, ""), ","))
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// choose returns those of the parts that a list of names and letters means; all for "".
func choose(parts []part, list string) ([]part, error) {
	if list == "" {
		return parts, nil
	}
	wanted := map[string]bool{}
	for _, word := range strings.Split(list, ",") {
		known := false
		for _, p := range parts {
			if word == p.name || len(word) == 1 && strings.Contains(p.letters, word) {
				wanted[p.name], known = true, true
			}
		}
		if !known {
			return nil, fmt.Errorf("--only: no part %q; the parts are %s", word, partNames(parts))
		}
	}
	var chosen []part
	for _, p := range parts {
		if wanted[p.name] {
			chosen = append(chosen, p)
		}
	}
	return chosen, nil
}

// Names of contestants that bars and ratios are about.
const (
	nameLatent  = "Latent"
	nameEager   = "PyTorch eager"
	nameFused   = "PyTorch eager, fused Adam"
	nameCompile = "torch.compile"
	nameStep    = "JAX, a jitted step"
	nameScan    = "JAX lax.scan"
	nameFlags   = "JAX lax.scan, Latent's XLA flags"
)

// seed is an epoch of the seed's experiment, as a request.
func (b *bench) seed() request {
	return request{Task: "epoch", Images: b.images, Batch: 128, Width: 1, Runs: 1}
}

// fifth is an epoch of a fifth of the images: enough to compare by, and short enough that many are done in minutes.
func (b *bench) fifth() request {
	r := b.seed()
	r.Images /= 5
	return r
}

// worker is Latent, used as a library.
func (b *bench) worker() contestant {
	return contestant{name: nameLatent, command: []string{b.self, workerCommand, b.data, b.backend}, patience: b.patience}
}

// trainer is the contestant of this name; none where a peer is not to be had.
func (b *bench) trainer(name string) (c contestant, ok bool) {
	switch name {
	case nameLatent:
		return b.worker(), true
	case nameEager:
		return b.torch(name, "eager"), b.has("torch")
	case nameFused:
		return b.torch(name, "fused"), b.has("torch")
	case nameCompile:
		c = b.torch(name, "compile")
		c.env = append(c.env, "TORCHINDUCTOR_CACHE_DIR="+filepath.Join(b.temp, "inductor"))
		return c, b.has("torch")
	case nameStep:
		return b.jax(name, "step"), b.has("jax")
	case nameScan:
		return b.jax(name, "scan"), b.has("jax")
	case nameFlags:
		c = b.jax(name, "scan")
		c.env = append(c.env, "XLA_FLAGS="+backend.CPUFlags)
		return c, b.has("jax")
	}
	panic("no contestant " + name)
}

// trainers are the contestants of these names, and Latent before them; without peers, Latent alone.
func (b *bench) trainers(names ...string) []contestant {
	all := []contestant{b.worker()}
	for _, name := range names {
		c, ok := b.trainer(name)
		if ok && name == nameCompile && !compiler() {
			b.logf("SKIPPED: torch.compile, which needs a C++ compiler: install g++ or clang++, or name one in CXX")
			continue
		}
		if ok {
			all = append(all, c)
		}
	}
	return all
}

// together runs work on processes of these contestants.
func together(ctx context.Context, contestants []contestant, work func([]*process) error) error {
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	var processes []*process
	for _, c := range contestants {
		p, err := c.start(ctx)
		if err != nil {
			return err
		}
		processes = append(processes, p)
	}
	if err := work(processes); err != nil {
		return err
	}
	var failures []error
	for _, p := range processes {
		_, err := p.close()
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// asker has a contestant do a piece of work.
type asker func(request) (answer, error)

// asking is an entry in which a contestant answers r; where r trains, with other seeds in each round.
func asking(name string, ask asker, r request) entry {
	return entry{name: name, measure: func(round int) (sample, error) {
		if r.Runs > 0 {
			r.Seed = firstSeed(round, r.Runs)
		}
		a, err := ask(r)
		return sample{Seconds: a.Seconds, Loss: a.Loss}, err
	}}
}

// each is an entry with the time of one of the n pieces that its work consists of.
func each(e entry, n int) entry {
	measure := e.measure
	e.measure = func(round int) (sample, error) {
		s, err := measure(round)
		s.Seconds /= float64(n)
		return s, err
	}
	return e
}

// firstSeed is the seed of the first of a round's runs: no two runs share one.
func firstSeed(round, runs int) int64 { return int64(1 + round*runs) }

// alternate measures the entries in all rounds, tells of every sample, and compares the losses. On a CPU, another loss is an
// error; on a card it is noted beside the figure.
func (b *bench) alternate(ctx context.Context, entries []entry, tolerated tolerance) ([]series, error) {
	all, err := b.rules().alternate(ctx, entries)
	if err != nil {
		return nil, err
	}
	if astray := compareLosses(all, tolerated); astray != nil && !b.card {
		return nil, astray
	}
	return all, nil
}

func (b *bench) rules() rules { return rules{rounds: b.rounds, lenient: b.card, tell: b.tell} }

// tell tells of a sample, or of why there is none.
func (b *bench) tell(round int, name string, s sample, err error) {
	what := fmt.Sprintf("round %d/%d", round, b.rounds)
	if round == 0 {
		what = "warm-up"
	}
	if err != nil {
		b.logf("  %-10s %-45s FAILED: %v", what, name, err)
		return
	}
	b.logf("  %-10s %-45s %8.3g s  loss %.4f", what, name, s.Seconds, s.Loss)
}

// against is a bar on the ratio of a to b, where both were measured.
func against(all []series, text, a, b string, of func(series) []float64, limit float64, below bool) []bar {
	i, j := index(all, a), index(all, b)
	if i < 0 || j < 0 || !all[i].measured() || !all[j].measured() {
		return nil
	}
	return []bar{{text: text, ratios: pairs(of(all[i]), of(all[j])), limit: limit, below: below}}
}

func index(all []series, name string) int {
	for i, s := range all {
		if s.name == name {
			return i
		}
	}
	return -1
}
