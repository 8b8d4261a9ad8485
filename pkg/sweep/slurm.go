package sweep

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
	"latent/pkg/study"
)

// cluster is a sweep's workers on Slurm: the tasks of job arrays, each a worker.
type cluster struct {
	sweep *Sweep
	log   io.Writer
	dir   string // of workers' logs
	jobs  []string
	// deaths counts tasks that were submitted again without a trial having ended in between.
	deaths, told int
}

const (
	jobsFile   = "slurm.json"
	selfFile   = "latent"
	scriptFile = "worker.sh"
	// slurmPoll is how often the queue is looked at.
	slurmPoll = 2 * time.Second
)

// RunSlurm is [Sweep.Run] with workers that Slurm starts, as the config's slurm says. It follows them, and submits those again
// that end before the sweep does. When ctx ends, ask is called with a question: if it says yes, the workers are cancelled, and
// save what they run; else they go on, and the sweep is followed again by [Sweep.RunSlurm] on any machine that sees the folder.
func (s *Sweep) RunSlurm(ctx context.Context, options RunOptions, ask func(question string) bool) error {
	for _, program := range []string{"sbatch", "squeue", "scancel"} {
		if _, err := exec.LookPath(program); err != nil {
			return experiment.InputError{Err: fmt.Errorf("--launcher slurm: %w; run this on a login node of the cluster", err)}
		}
	}
	if options.Log == nil {
		options.Log = io.Discard
	}
	if s.Record.Store == studyFile {
		fmt.Fprintln(options.Log, "the trials are in a file, which serves workers on one machine only; for several, give the sweep store: postgres://USER@HOST/DATABASE")
	}
	path, err := filepath.Abs(s.Path)
	if err != nil {
		return err
	}
	c := &cluster{sweep: s, log: options.Log, dir: filepath.Join(path, workersDir)}
	if err := c.prepare(path); err != nil {
		return err
	}
	return s.follow(ctx, options, func(ctx context.Context) error { return c.work(ctx, ask) })
}

// prepare puts into the sweep's folder what the workers need: this program, and the script that starts it.
func (c *cluster) prepare(path string) error {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return err
	}
	data, err := rundir.ReadFile(filepath.Join(c.dir, jobsFile), 1<<20)
	if err == nil {
		err = json.Unmarshal(data, &c.jobs)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %s: %w", filepath.Join(c.dir, jobsFile), err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// A copy: what `go run` has built is gone when it ends, and a new version must not meet an old one's workers.
	if _, err := os.Stat(filepath.Join(c.dir, selfFile)); errors.Is(err, fs.ErrNotExist) {
		if err := copyProgram(self, filepath.Join(c.dir, selfFile)); err != nil {
			return fmt.Errorf("copy the program for the workers: %w", err)
		}
	}
	script := fmt.Sprintf("#!/bin/sh\n# Submitted by latent: a worker of the sweep.\nexec %s worker --sweep %s --name \"slurm-$SLURM_JOB_ID\"\n",
		quoted(filepath.Join(c.dir, selfFile)), quoted(path))
	return rundir.WriteFile(filepath.Join(c.dir, scriptFile), []byte(script))
}

// quoted is text as one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Rename(to+".part", to)
}

// work keeps the workers running until the sweep is over.
func (c *cluster) work(ctx context.Context, ask func(string) bool) error {
	for {
		alive, err := c.alive(ctx)
		if ctx.Err() != nil {
			return c.interrupted(ask)
		}
		if err != nil {
			return err
		}
		over, err := c.over(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if over && alive == 0 {
			return nil
		}
		if missing := c.sweep.Config.Workers - alive; missing > 0 && !over && err == nil {
			if err := c.submit(ctx, missing); err != nil && ctx.Err() == nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(slurmPoll):
		}
	}
}

// over says whether nothing is left to do, or to begin.
func (c *cluster) over(ctx context.Context) (bool, error) {
	all, err := c.sweep.Study.Trials(ctx)
	if err != nil {
		return false, err
	}
	ended := 0
	for _, t := range all {
		if isOver(t.State) {
			ended++
		}
	}
	if ended > c.told {
		c.deaths, c.told = 0, ended
	}
	left := newProposer(c.sweep, time.Now).limit(all) > len(all)
	return !left && !slices.ContainsFunc(all, func(t *study.Trial) bool { return !isOver(t.State) }), nil
}

// submit begins so many workers.
func (c *cluster) submit(ctx context.Context, count int) error {
	if len(c.jobs) > 0 {
		if c.deaths += count; c.deaths > restarts*c.sweep.Config.Workers {
			return fmt.Errorf("workers ended %d times with no trial done in between; the logs in %s say why", c.deaths-count, c.dir)
		}
	}
	args := c.arguments(count)
	output, err := run(ctx, "sbatch", args...)
	if err != nil {
		return err
	}
	job, _, _ := strings.Cut(strings.TrimSpace(output), ";") // JOB;CLUSTER
	if _, err := strconv.Atoi(job); err != nil {
		return fmt.Errorf("sbatch said %q, want the number of a job", strings.TrimSpace(output))
	}
	c.jobs = append(c.jobs, job)
	data, err := json.Marshal(c.jobs)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.log, "submitted job %s of %d workers\n", job, count)
	return rundir.WriteFile(filepath.Join(c.dir, jobsFile), data)
}

// arguments are those of sbatch.
func (c *cluster) arguments(count int) []string {
	s := c.sweep.Config.Slurm
	args := []string{
		"--parsable", "--no-requeue", "--job-name=latent-" + c.sweep.Config.Name, fmt.Sprintf("--array=0-%d", count-1),
		"--ntasks=1", "--output=" + filepath.Join(c.dir, "slurm-%A_%a.log"),
	}
	for _, option := range []struct {
		name  string
		value string
	}{{"partition", s.Partition}, {"mem", s.Memory}, {"time", s.TimeLimit}, {"gres", gpus(s)}, {"cpus-per-task", positive(s.CPUs)}} {
		if option.value != "" {
			args = append(args, "--"+option.name+"="+option.value)
		}
	}
	args = append(args, "--export="+strings.Join(append([]string{"ALL"}, s.Environment...), ","))
	return append(append(args, s.Options...), filepath.Join(c.dir, scriptFile))
}

func gpus(s config.Slurm) string {
	if s.GPUs == 0 {
		return ""
	}
	return fmt.Sprintf("gpu:%d", s.GPUs)
}

func positive(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// alive counts the workers that are waiting for a node, or run.
func (c *cluster) alive(ctx context.Context) (int, error) {
	if len(c.jobs) == 0 {
		return 0, nil
	}
	output, err := run(ctx, "squeue", "--noheader", "--array", "--format=%i", "--jobs="+strings.Join(c.jobs, ","))
	if err != nil {
		if strings.Contains(err.Error(), "Invalid job id") {
			return 0, nil // all are over, and forgotten
		}
		return 0, err
	}
	return len(strings.Fields(output)), nil
}

// interrupted asks what becomes of the workers.
func (c *cluster) interrupted(ask func(string) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	alive, err := c.alive(ctx)
	if err != nil || alive == 0 {
		return errors.Join(experiment.ErrInterrupted, err)
	}
	if !ask(fmt.Sprintf("cancel the %d workers on the cluster? They save what they run.", alive)) {
		fmt.Fprintf(c.log, "the workers go on; follow them with: latent sweep resume %s --launcher slurm; cancel them with: scancel %s\n",
			c.sweep.Path, strings.Join(c.jobs, " "))
		return experiment.ErrInterrupted
	}
	if _, err := run(ctx, "scancel", c.jobs...); err != nil {
		return errors.Join(experiment.ErrInterrupted, err)
	}
	for alive > 0 && err == nil && ctx.Err() == nil {
		time.Sleep(slurmPoll)
		alive, err = c.alive(ctx)
	}
	return errors.Join(experiment.ErrInterrupted, err)
}

// run runs a program of Slurm and returns what it prints.
func run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var output, failure bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &failure
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(failure.String()))
	}
	return output.String(), nil
}
