package sweep

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"latent/pkg/config"
	"latent/pkg/rundir"
)

// value is a metric of a run that is done: see [config.Objective].
func value(metric string, m *rundir.Manifest, epochs []rundir.Epoch) (float64, error) {
	if section, name, found := strings.Cut(metric, "."); found && section != "val_terms" {
		figures := map[string]rundir.Number{}
		switch section {
		case "test":
			figures = m.Result.Test
		case "generated":
			if m.Result.Generated != nil {
				for sampler, of := range m.Result.Generated.Samplers {
					for figure, value := range of {
						figures[sampler+"."+figure] = value
					}
				}
			}
		}
		if value, found := figures[name]; found {
			return float64(value), nil
		}
		return 0, missing(metric, section+".", figures)
	}
	switch metric {
	case "parameters":
		return float64(m.Model.Parameters), nil
	case "train_seconds":
		return m.Timings["train"], nil
	}
	at := slices.IndexFunc(epochs, func(e rundir.Epoch) bool { return e.Epoch == m.Result.Epoch })
	if at < 0 {
		return 0, fmt.Errorf("metrics.jsonl has no epoch %d", m.Result.Epoch)
	}
	return epochValue(metric, epochs[at])
}

// epochValue is a metric of an epoch.
func epochValue(metric string, e rundir.Epoch) (float64, error) {
	figures := map[string]*rundir.Number{"train_loss": &e.TrainLoss, "val_loss": e.ValLoss, "val_psnr": e.ValPSNR, "val_ssim": e.ValSSIM, "val_explained_variance": e.ValExplainedVariance}
	if e.ValPSNR != nil && e.CorruptedPSNR != nil {
		gain := *e.ValPSNR - *e.CorruptedPSNR
		figures["val_gain"] = &gain
	}
	for name, term := range e.ValTerms {
		figures["val_terms."+name] = &term
	}
	if value := figures[metric]; value != nil {
		return float64(*value), nil
	}
	there := map[string]rundir.Number{}
	for name, value := range figures {
		if value != nil {
			there[name] = *value
		}
	}
	return 0, missing(metric, "", there)
}

// missingError says that a run has not what is to become best: no other trial will have it.
type missingError struct{ text string }

func (e *missingError) Error() string { return e.text }

// missing says which metrics there are.
func missing(metric, prefix string, figures map[string]rundir.Number) error {
	names := slices.Sorted(maps.Keys(figures))
	if len(names) == 0 {
		return &missingError{fmt.Sprintf("objective %s: the run has no figures of that kind", metric)}
	}
	for i := range names {
		names[i] = prefix + names[i]
	}
	return &missingError{fmt.Sprintf("objective %s: the run has no such figure; it has %s", metric, strings.Join(names, ", "))}
}

// onTheWay is the metric of an epoch that stands for an objective on the way: itself, or the validation's figure of the same
// name, or else the validation loss.
func onTheWay(o config.Objective) string {
	section, name, found := strings.Cut(o.Metric, ".")
	switch {
	case !found && o.Metric != "parameters" && o.Metric != "train_seconds", section == "val_terms":
		return o.Metric
	case section == "test" && (name == "psnr" || name == "ssim" || name == "explained_variance"):
		return "val_" + name
	}
	return "val_loss"
}

// mean is that of values over seeds.
func mean(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, value := range values {
		sum += value
	}
	return sum / float64(len(values))
}
