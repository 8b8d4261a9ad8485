//go:build unix

package study

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// workerVariable has the orders of a worker process: until when it adds trials, and how many there may be, its lease, its name, and where.
const workerVariable = "LATENT_TEST_STUDY_WORK"

// Eight processes run trials, and are killed at random moments and started again; some are stopped instead for longer than
// their lease, and finish late. At the end every trial is done once, with the value of its number.
func TestKilledWorkers(t *testing.T) {
	each(t, func(t *testing.T, where string) { crowd(t, where, true) })
}

// The same without kills: no trial is given to two processes.
func TestManyProcesses(t *testing.T) {
	each(t, func(t *testing.T, where string) { crowd(t, where, false) })
}

type process struct {
	*exec.Cmd
	name    string
	out     bytes.Buffer
	stopped bool
}

func crowd(t *testing.T, where string, kill bool) {
	duration, lease := 3*time.Second, 300*time.Millisecond
	if os.Getenv("LATENT_LONG") != "" {
		duration = 2 * time.Minute
	}
	most := 1 << 30 // trials
	if !kill {
		lease, most = time.Hour, 60
	}
	s := create(t, open(t, where, Options{}), "crowd")
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("LATENT_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		if t.Failed() {
			t.Logf("the kills were those of LATENT_TEST_SEED=%d; what they met depends on the machine", seed)
		}
	}()
	draw := rand.New(rand.NewPCG(seed, 1))
	end := time.Now().Add(duration)
	started := 0
	start := func() *process {
		started++
		p := &process{Cmd: exec.Command(os.Args[0]), name: fmt.Sprint("worker-", started)}
		p.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %d %s %s", workerVariable, end.UnixMilli(), most, lease.Milliseconds(), p.name, where))
		p.Stdout, p.Stderr = &p.out, &p.out
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		return p
	}
	var ended []*process
	workers := make([]*process, 8)
	for i := range workers {
		workers[i] = start()
	}
	t.Cleanup(func() { // where the test ends early
		for _, p := range workers {
			p.Process.Kill()
			p.Wait()
		}
	})
	stops := 0
	for kill && time.Now().Before(end) {
		time.Sleep(time.Duration(draw.IntN(60)) * time.Millisecond)
		i := draw.IntN(len(workers))
		p := workers[i]
		switch {
		case p.stopped:
			p.Process.Signal(syscall.SIGCONT)
			p.stopped = false
		case draw.IntN(5) == 0:
			p.Process.Signal(syscall.SIGSTOP)
			p.stopped = true
			stops++
		default:
			p.Process.Kill()
			p.Wait()
			ended = append(ended, p)
			workers[i] = start()
		}
	}
	for _, p := range workers { // all, before the first is waited for: one that is stopped may hold the study
		p.Process.Signal(syscall.SIGCONT)
	}
	for _, p := range workers {
		if err := p.Wait(); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		ended = append(ended, p)
	}

	// What the processes said: only results that were taken, and losses.
	taken, losses := make(map[int]int), 0
	for _, p := range ended {
		for line := range strings.Lines(p.out.String()) {
			var number int
			switch _, err := fmt.Sscanf(line, "taken %d\n", &number); {
			case err == nil && strings.HasSuffix(line, "\n"):
				taken[number]++
			case strings.HasPrefix(line, "lost "):
				losses++
			case strings.HasSuffix(line, "\n"):
				t.Errorf("%s says %s", p.name, line)
			}
		}
	}
	trials, err := s.Trials(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var told []int64
	again := 0
	for number, trial := range trials {
		value := float64(number)
		if trial.State != Done || !slices.Equal(trial.Values, []float64{value}) || string(trial.Params) != fmt.Sprint(number) ||
			!slices.Equal(trial.Curve, []Report{{1, value + 1}, {2, value + 2}, {3, value + 3}}) || trial.Run != fmt.Sprint("run-", number) {
			t.Errorf("trial %d is %+v", number, *trial)
		}
		if taken[number] > 1 {
			t.Errorf("the result of trial %d was taken %d times", number, taken[number])
		}
		told = append(told, trial.Told)
		if trial.Attempt > 1 {
			again++
		}
	}
	slices.Sort(told)
	for i, place := range told {
		if place != int64(i+1) {
			t.Fatalf("result %d has place %d", i+1, place)
		}
	}
	if kill && (again == 0 || started < 12) {
		t.Errorf("of %d trials, %d had more than one attempt, with %d processes: too few for this test", len(trials), again, started)
	}
	if !kill && (again > 0 || losses > 0 || len(trials) < 8) {
		t.Errorf("of %d trials, %d had more than one attempt, and %d were lost", len(trials), again, losses)
	}
	if os.Getenv("LATENT_LONG") != "" {
		t.Logf("%d trials, %d with more than one attempt; %d processes, %d stops, %d losses", len(trials), again, started, stops, losses)
	}
}

// work is a worker process: it runs trials until it may add no more and all are over.
func work() {
	var until, lease int64
	var most int
	var worker, where string
	if _, err := fmt.Sscan(os.Getenv(workerVariable), &until, &most, &lease, &worker, &where); err != nil {
		fmt.Println("its orders:", err)
		os.Exit(1)
	}
	err := func() error {
		store, err := Open(ctx, where, Options{Lease: time.Duration(lease) * time.Millisecond})
		if err != nil {
			return err
		}
		defer store.Close()
		s, err := store.Study(ctx, "crowd")
		if err != nil {
			return err
		}
		for {
			err := workOnce(s, worker, time.UnixMilli(until), most)
			if errors.Is(err, errAllOver) {
				return nil
			}
			if _, lost := errors.AsType[*LostError](err); lost {
				fmt.Println("lost", err)
				continue
			}
			if err != nil {
				return err
			}
		}
	}()
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

var errAllOver = errors.New("all trials are over")

func workOnce(s *Study, worker string, until time.Time, most int) error {
	over := false
	claimed, err := s.Claim(ctx, worker, func(trials []*Trial) (all []Proposal, _ error) {
		if time.Now().Before(until) && len(trials) < most {
			// Stacks of one, two and three.
			for i := range 1 + len(trials)%3 {
				all = append(all, Proposal{json.RawMessage(fmt.Sprint(len(trials) + i)), 0})
			}
			return all, nil
		}
		over = !slices.ContainsFunc(trials, func(t *Trial) bool { return !t.State.over() })
		return nil, nil
	})
	if err != nil {
		return err
	}
	if over {
		return errAllOver
	}
	if len(claimed) == 0 {
		time.Sleep(20 * time.Millisecond)
	}
	for step := 1; step <= 3; step++ {
		for _, t := range claimed {
			// From where the attempt before it came to, as from a checkpoint.
			if len(t.Curve) >= step {
				continue
			}
			if err := s.Report(ctx, t.Claim(), step, float64(t.Number+step)); err != nil {
				return err
			}
		}
		time.Sleep(time.Millisecond)
	}
	for _, t := range claimed {
		if err := s.SetRun(ctx, t.Claim(), fmt.Sprint("run-", t.Number)); err != nil {
			return err
		}
	}
	for _, t := range claimed {
		if err := s.Finish(ctx, t.Claim(), Result{State: Done, Values: []float64{float64(t.Number)}}); err != nil {
			return err
		}
		fmt.Println("taken", t.Number)
	}
	return nil
}
