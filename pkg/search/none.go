package search

// None stops no trial.
type None struct{}

// Prune says no.
func (*None) Prune(Trial, []Trial) bool { return false }
