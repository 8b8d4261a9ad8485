package train

import "time"

// windowTime is how long a window should take: short enough for live progress and a quick end on Ctrl-C, long enough
// that calls and records cost nothing beside it.
const windowTime = 300 * time.Millisecond

// callTime is how long each call of a group should take at least, where its runs take turns: a call costs 1 to 2 ms beside its
// steps, and finds a cache full of another run's weights.
const callTime = 60 * time.Millisecond

// pace chooses the length of windows by the time that the last one took.
type pace struct {
	longest int
	calls   int           // in a window
	perStep time.Duration // of the last window; 0 before the first
}

// steps is the length of the next window.
func (p *pace) steps() int {
	if p.perStep <= 0 {
		return min(8, p.longest)
	}
	return min(max(1, int(max(windowTime, time.Duration(p.calls)*callTime)/p.perStep)), p.longest)
}

func (p *pace) took(steps int, d time.Duration) { p.perStep = max(1, d/time.Duration(steps)) }
