package main

import (
	"context"
	"errors"
	"sync"
)

// pool keeps contestants alive from part to part, so that each starts once. It is for several goroutines that ask different
// contestants.
type pool struct {
	ctx     context.Context // its end is that of the processes
	mutex   sync.Mutex
	members map[string]*member // by name
}

// member is a contestant of a pool.
type member struct {
	process  *process // nil where it died
	answered bool     // once at least
	lost     error    // why it is not started again
}

// start starts a contestant that does not run, and does not wait until it is ready.
func (p *pool) start(c contestant) *member {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	m := p.members[c.name]
	if m == nil {
		m = &member{}
		p.members[c.name] = m
	}
	if m.process == nil && m.lost == nil {
		m.process, m.lost = c.start(p.ctx)
	}
	return m
}

// ask has a contestant do a piece of work. One that dies is started again when it is asked the next time, unless it never
// answered or took too long, for then it would do so again.
func (p *pool) ask(c contestant, r request) (answer, error) {
	m := p.start(c)
	if m.lost != nil {
		return answer{}, m.lost
	}
	a, err := m.process.ask(r)
	if err != nil {
		m.process = nil
		if !m.answered || errors.Is(err, errPatience) {
			m.lost = err
		}
		return answer{}, err
	}
	m.answered = true
	return a, nil
}

// close ends all processes.
func (p *pool) close() {
	for _, m := range p.members {
		if m.process != nil {
			m.process.kill()
		}
	}
}
