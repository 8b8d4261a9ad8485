package search

// Random draws each trial independently, each parameter uniformly over its range or its logarithms. It takes any space and any number of
// objectives, and neither results nor running trials change what it draws. Bergstra & Bengio 2012.
type Random struct{}

// New starts it; it has no error.
func (*Random) New(space Space, _ int, seed int64) (Strategy, error) {
	return &random{space: space, seed: seed}, nil
}

type random struct {
	space Space
	seed  int64
}

func (s *random) Ask(n int, _ *History) Point { return s.space.Random(generator(s.seed, n)) }
