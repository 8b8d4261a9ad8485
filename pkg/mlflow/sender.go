package mlflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"latent/pkg/rundir"
)

// Sender sends runs in the background, one after another, while they are written. Whoever writes them never waits: a run has one
// place in the queue, whatever came to it, and what is to be sent is read from its folder when its turn comes.
type Sender struct {
	clock
	wake chan struct{} // of size 1
	done chan struct{}
	stop context.CancelFunc // ends what is being sent

	mu      sync.Mutex
	servers map[string]*line
	queue   []*Following
	closing bool
	unsent  []Unsent
	note    string
}

// clock is what a Sender knows of time, for tests.
type clock struct {
	now   func() time.Time
	after func(time.Duration) <-chan time.Time
}

// line is a server, and how it fares.
type line struct {
	server  *Server
	retry   time.Time     // not to be asked before
	backoff time.Duration // 0 where the last answer was one
	err     error         // of the last, nil where it was one
	gone    bool          // it did not answer at the end: it is not asked again
}

// Following is a run that is being sent.
type Following struct {
	sender *Sender
	line   *line
	run    *Run
	path   string
	// What follows is the sender's, under its lock.
	queued bool
	over   bool      // nobody writes it any more
	lost   bool      // it cannot be sent
	due    time.Time // not to be sent before
}

// Unsent is a run that the server does not have all of.
type Unsent struct {
	Path string
	URI  string
	Err  error
}

// The Sender's pace and patience.
const (
	pause        = 2 * time.Second // between two sendings of one run
	firstBackoff = time.Second     // after a failure, doubled with each
	mostBackoff  = time.Minute
	lateGrace    = time.Second // for a server that did not answer before, at the end
	mostQueued   = 1000        // runs; of trials beside a dead server, the others are left to a later time at once
)

// NewSender returns a sender, whose goroutine ends with Close.
func NewSender() *Sender {
	return newSender(clock{time.Now, time.After})
}

func newSender(c clock) *Sender {
	ctx, stop := context.WithCancel(context.Background())
	s := &Sender{clock: c, wake: make(chan struct{}, 1), done: make(chan struct{}), stop: stop, servers: map[string]*line{}}
	go s.work(ctx)
	return s
}

// Follow begins to send the run in a folder to the server at an address; see [Server.Run].
func (s *Sender) Follow(uri string, folder *rundir.Run, params func() (map[string]any, error)) (*Following, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := s.servers[uri]
	if to == nil {
		server, err := NewServer(uri)
		if err != nil {
			return nil, err
		}
		to = &line{server: server}
		s.servers[uri] = to
	}
	f := &Following{sender: s, line: to, run: to.server.Run(folder, params), path: folder.Path}
	s.enqueue(f)
	s.rouse()
	return f, nil
}

// News says that there is more to send. It never waits. A nil Following is told in vain.
func (f *Following) News() {
	if f == nil {
		return
	}
	f.sender.mu.Lock()
	defer f.sender.mu.Unlock()
	f.sender.enqueue(f)
	f.sender.rouse()
}

// Over says that the run's folder is written no more, and its end is to be sent.
func (f *Following) Over() {
	if f == nil {
		return
	}
	f.sender.mu.Lock()
	defer f.sender.mu.Unlock()
	f.over, f.due = true, time.Time{}
	f.sender.enqueue(f)
	f.sender.rouse()
}

// Note returns what a person should know of the sending by now, once; "" mostly.
func (s *Sender) Note() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	note := s.note
	s.note = ""
	return note
}

// Close sends what is left for as long as grace, each server that does not answer asked once more, and returns the runs that have
// something left. Nothing of them is lost: [Run.Send] sends it at any later time.
func (s *Sender) Close(grace time.Duration) []Unsent {
	s.mu.Lock()
	s.closing = true
	for _, to := range s.servers {
		if to.err != nil {
			grace = min(grace, lateGrace)
		}
	}
	s.mu.Unlock()
	s.rouse()
	timer := time.AfterFunc(grace, s.stop)
	<-s.done
	timer.Stop()
	s.stop()
	return s.unsent
}

// enqueue gives a run its place in the queue. The lock must be held.
func (s *Sender) enqueue(f *Following) {
	if f.queued || f.lost {
		return
	}
	if len(s.queue) == mostQueued {
		s.leave(f, cmp.Or(f.line.err, errTooMany))
		return
	}
	f.queued = true
	s.queue = append(s.queue, f)
}

// leave leaves a run to a later time. The lock must be held.
func (s *Sender) leave(f *Following, err error) {
	if f.lost {
		return // news came while it failed
	}
	f.lost = true
	s.unsent = append(s.unsent, Unsent{f.path, f.line.server.uri, err})
}

// rouse wakes the goroutine, or does nothing where it is about to wake.
func (s *Sender) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// work is the goroutine.
func (s *Sender) work(ctx context.Context) {
	defer close(s.done)
	for {
		select {
		case <-s.wake: // what it would tell, next sees
		default:
		}
		f, wait, over := s.next(ctx)
		switch {
		case over:
			return
		case f != nil:
			s.send(ctx, f)
		default:
			var timer <-chan time.Time
			if wait > 0 {
				timer = s.after(wait)
			}
			select {
			case <-s.wake:
			case <-timer:
			}
		}
	}
}

// next takes the next run from the queue, or says how long none is due, 0 for ever; or that all is over.
func (s *Sender) next(ctx context.Context) (f *Following, wait time.Duration, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		s.queue = slices.DeleteFunc(s.queue, func(f *Following) bool {
			hopeless := f.line.gone || ctx.Err() != nil
			if hopeless {
				s.leave(f, cmp.Or(f.line.err, errNoTime))
			}
			return hopeless
		})
	}
	now := s.now()
	for i, f := range s.queue {
		due := f.due
		if f.line.retry.After(due) {
			due = f.line.retry
		}
		if left := due.Sub(now); left > 0 && !s.closing {
			if wait == 0 || left < wait {
				wait = left
			}
			continue
		}
		s.queue = slices.Delete(s.queue, i, i+1)
		f.queued = false
		return f, 0, false
	}
	return nil, wait, s.closing
}

var (
	errNoTime  = errors.New("there was no time left to send it")
	errTooMany = errors.New("too many runs are waiting to be sent")
)

// send sends a run, and sees to it that what failed is tried again.
func (s *Sender) send(ctx context.Context, f *Following) {
	s.mu.Lock()
	live := !f.over
	s.mu.Unlock()
	sent, err := f.run.Send(ctx, live)
	s.mu.Lock()
	defer s.mu.Unlock()
	to, again := f.line, errors.Is(err, ErrUnreachable) || errors.Is(err, ErrBusy)
	switch {
	case err == nil:
		f.due = s.now().Add(pause)
		to.backoff, to.retry, to.err = 0, time.Time{}, nil
		s.note = cmp.Or(s.note, sent.Note)
	case !again:
		s.leave(f, err)
		s.note = cmp.Or(s.note, fmt.Sprintf("%s is no longer sent: %v", f.path, err))
	case s.closing:
		to.gone = to.gone || errors.Is(err, ErrUnreachable)
		s.leave(f, err)
	case errors.Is(err, ErrBusy):
		f.due = s.now().Add(pause)
		s.enqueue(f)
	default:
		if to.backoff == 0 {
			s.note = cmp.Or(s.note, fmt.Sprintf("%v; the run continues without it, and is sent when the server answers", err))
		}
		to.err, to.backoff = err, min(max(firstBackoff, 2*to.backoff), mostBackoff)
		to.retry = s.now().Add(to.backoff)
		s.enqueue(f)
	}
}
