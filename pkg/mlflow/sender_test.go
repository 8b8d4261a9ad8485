package mlflow

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"latent/pkg/mlflow/mlflowtest"
	"latent/pkg/rundir"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// hands is a clock that stands still until the test lets it go on.
type hands struct {
	mu    sync.Mutex
	time  time.Time
	waits chan time.Duration // what the sender waits for
	rings chan time.Time
}

func newHands() *hands {
	return &hands{time: noon, waits: make(chan time.Duration, 10_000), rings: make(chan time.Time, 1)}
}

func (h *hands) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.time
}

func (h *hands) after(d time.Duration) <-chan time.Time {
	h.waits <- d
	return h.rings
}

func (h *hands) clock() clock { return clock{h.now, h.after} }

// pass lets the time pass that the sender waits for.
func (h *hands) pass(d time.Duration) {
	h.mu.Lock()
	h.time = h.time.Add(d)
	h.mu.Unlock()
	h.rings <- h.now()
}

func folderOf(t *testing.T) *rundir.Run {
	t.Helper()
	folder, err := rundir.Create(t.TempDir(), "demo", noon)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	m := rundir.NewManifest()
	m.Name, m.Started, m.ConfigSHA256 = "demo", noon, folder.Path // another for each
	if err := folder.WriteManifest(m); err != nil {
		t.Fatal(err)
	}
	return folder
}

func noValues() (map[string]any, error) { return nil, nil }

func follow(t *testing.T, s *Sender, uri string, folder *rundir.Run) *Following {
	t.Helper()
	f, err := s.Follow(uri, folder, noValues)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A server that is away is asked again after 1, 2, 4 … seconds and at most a minute apart, whatever the run writes meanwhile. When
// it is back, it gets everything.
func TestBackOff(t *testing.T) {
	server := mlflowtest.New(t)
	server.Break(func(*http.Request) int { return http.StatusServiceUnavailable })
	h := newHands()
	s := newSender(h.clock())
	folder := folderOf(t)
	f := follow(t, s, server.URL, folder)
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		got := <-h.waits
		if got != want*time.Second {
			t.Fatalf("waits %v before try %d, want %v", got, i+2, want*time.Second)
		}
		if i == 7 {
			server.Break(nil)
		}
		h.pass(got)
	}
	if err := folder.AppendWindow(rundir.Window{Step: 10, Loss: 1}); err != nil {
		t.Fatal(err)
	}
	f.Over()
	if unsent := s.Close(time.Minute); len(unsent) > 0 {
		t.Errorf("unsent: %v", unsent)
	}
	if runs := server.Runs(); len(runs) != 1 || len(runs[0].Metrics["train/loss"]) != 1 || runs[0].Status != "KILLED" {
		t.Errorf("%+v", runs)
	}
	if note := s.Note(); !strings.Contains(note, "does not answer as expected: 503") || s.Note() != "" {
		t.Errorf("note %q, and then another", note)
	}
}

// A run with a hundred thousand windows beside a server that takes a request and never answers: nothing is waited for, one request
// is made in all that time, and the end comes when its grace is over.
func TestHangingServer(t *testing.T) {
	server := mlflowtest.New(t)
	asked := make(chan struct{})
	server.Break(func(r *http.Request) int {
		close(asked) // a second request would panic
		<-r.Context().Done()
		return http.StatusServiceUnavailable
	})
	s := NewSender()
	folder := folderOf(t)
	f := follow(t, s, server.URL, folder)
	<-asked
	for range 100_000 {
		f.News()
	}
	f.Over()
	unsent := s.Close(time.Millisecond)
	if len(unsent) != 1 || unsent[0].Path != folder.Path || unsent[0].URI != server.URL || !errors.Is(unsent[0].Err, ErrUnreachable) {
		t.Errorf("unsent %v", unsent)
	}
}

// At the end a server that is away is asked once, not once for each run.
func TestCloseAsksOnce(t *testing.T) {
	server := mlflowtest.New(t)
	server.Break(func(*http.Request) int { return http.StatusInternalServerError })
	h := newHands()
	s := newSender(h.clock())
	for range 5 {
		follow(t, s, server.URL, folderOf(t)).Over()
	}
	<-h.waits // it has failed once; that time does not pass
	unsent := s.Close(time.Minute)
	if n := len(server.Requests()); len(unsent) != 5 || n > 2 {
		t.Errorf("%d unsent, %d requests: %v", len(unsent), n, unsent)
	}
}

// What no second try mends is told, and not tried a second time; other runs are sent.
func TestRefused(t *testing.T) {
	server := mlflowtest.New(t)
	h := newHands()
	s := newSender(h.clock())
	bad, good := folderOf(t), folderOf(t)
	if err := bad.WriteManifest(&rundir.Manifest{Version: 99}); err != nil {
		t.Fatal(err)
	}
	follow(t, s, server.URL, bad)
	follow(t, s, server.URL, good).Over()
	unsent := s.Close(time.Minute)
	if len(unsent) != 1 || unsent[0].Path != bad.Path || !strings.Contains(unsent[0].Err.Error(), "version 99") || !strings.Contains(s.Note(), bad.Path) {
		t.Errorf("unsent %v", unsent)
	}
	if runs := server.Runs(); len(runs) != 1 || runs[0].Status != "KILLED" {
		t.Errorf("%+v", runs)
	}
}

// The queue holds so many runs and no more; the others are left to a later time.
func TestQueueIsBounded(t *testing.T) {
	server := mlflowtest.New(t)
	server.Break(func(*http.Request) int { return http.StatusInternalServerError })
	h := newHands()
	s := newSender(h.clock())
	folder := folderOf(t)
	for range mostQueued + 10 {
		follow(t, s, server.URL, folder)
	}
	<-h.waits
	s.mu.Lock()
	if len(s.queue) != mostQueued {
		t.Errorf("%d runs in the queue, want %d", len(s.queue), mostQueued)
	}
	s.mu.Unlock()
	if unsent := s.Close(time.Minute); len(unsent) != mostQueued+10 {
		t.Errorf("%d unsent, want %d", len(unsent), mostQueued+10)
	}
}
