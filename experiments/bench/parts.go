package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"latent/pkg/backend"
)

// part is a comparison.
type part struct {
	letters string // in the requirement; each chooses the part, as its name does
	name    string
	title   string
	run     func(*bench, context.Context) (result, error)
}

// parts are all comparisons, in the report's order.
var parts = []part{
	{"a", "epoch", "One epoch", (*bench).epoch},
	{"bc", "start", "From process start to the first epoch finished, and memory", (*bench).start},
	{"d", "denoise", "Denoising 10,000 images", (*bench).denoise},
	{"e", "runs", "16 runs", (*bench).runs},
	{"f", "growth", "How time grows", (*bench).growth},
	{"g", "unet", "A U-Net", (*bench).unet},
	{"h", "sweep", "A sweep", (*bench).sweep},
}

func partNames() string {
	var words []string
	for _, p := range parts {
		words = append(words, fmt.Sprintf("%s (%s)", p.name, strings.Join(strings.Split(p.letters, ""), ",")))
	}
	return strings.Join(words, ", ")
}

// choose returns the parts that a list of names and letters means; all for "".
func choose(list string) ([]part, error) {
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
			return nil, fmt.Errorf("--only: no part %q; the parts are %s", word, partNames())
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
	return contestant{name: nameLatent, command: []string{b.self, workerCommand, b.data}}
}

// trainers are the contestants of these names, and Latent before them; without peers, Latent alone.
func (b *bench) trainers(names ...string) []contestant {
	all := []contestant{b.worker()}
	for _, name := range names {
		var c contestant
		switch name {
		case nameEager:
			c = b.peer(name, "peer_torch.py", "eager")
		case nameFused:
			c = b.peer(name, "peer_torch.py", "fused")
		case nameCompile:
			c = b.peer(name, "peer_torch.py", "compile")
			c.env = []string{"TORCHINDUCTOR_CACHE_DIR=" + filepath.Join(b.temp, "inductor")}
		case nameStep:
			c = b.peer(name, "peer_jax.py", "step")
		case nameScan:
			c = b.peer(name, "peer_jax.py", "scan")
		case nameFlags:
			c = b.peer(name, "peer_jax.py", "scan")
			c.env = []string{"XLA_FLAGS=" + backend.CPUFlags}
		}
		if !b.peers {
			continue
		}
		if name == nameCompile && !compiler() {
			b.logf("SKIPPED: torch.compile, which needs a C++ compiler: install g++ or clang++, or name one in CXX")
			continue
		}
		all = append(all, c)
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

// asking is an entry in which a process answers r; where r trains, with other seeds in each round.
func asking(p *process, r request) entry {
	return entry{p.name, func(round int) (sample, error) {
		if r.Runs > 0 {
			r.Seed = firstSeed(round, r.Runs)
		}
		a, err := p.ask(r)
		return sample{Seconds: a.Seconds, Loss: a.Loss}, err
	}}
}

// firstSeed is the seed of the first of a round's runs: no two runs share one.
func firstSeed(round, runs int) int64 { return int64(1 + round*runs) }

// alternate measures the entries in all rounds, tells of every sample, and compares the losses.
func (b *bench) alternate(ctx context.Context, entries []entry, tolerance float64) ([]series, error) {
	all, err := alternate(ctx, b.rounds, entries, b.tell)
	if err != nil {
		return nil, err
	}
	return all, sameLoss(all, tolerance)
}

// tell tells of a sample.
func (b *bench) tell(round int, name string, s sample) {
	what := fmt.Sprintf("round %d/%d", round, b.rounds)
	if round == 0 {
		what = "warm-up"
	}
	b.logf("  %-10s %-36s %8.3f s  loss %.4f", what, name, s.Seconds, s.Loss)
}

// against is a bar on the ratio of a to b, where both were measured.
func against(all []series, text, a, b string, of func(series) []float64, limit float64, below bool) []bar {
	i, j := index(all, a), index(all, b)
	if i < 0 || j < 0 {
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
