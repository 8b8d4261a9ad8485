package experiment

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/ranking"
	"latent/pkg/rundir"
)

// heatColumns is how many samples of each group are on the sheet of the worst.
const heatColumns = 8

// marked measures how well heat maps find what masks mark, in the test pictures that have one and in the normal ones.
type marked struct {
	masks []*dataset.Mask // of the pictures still to come
	all   ranking.Pixels
	found rundir.Pixels
}

// add takes the heat maps of a block.
func (m *marked) add(b scoredBlock) error {
	for _, heat := range b.heats {
		mask := m.masks[0].Of(len(heat))
		m.masks = m.masks[1:]
		if slices.Contains(mask, true) {
			m.found.Masks++
		}
		if err := m.all.Add(heat, mask, b.Width); err != nil {
			return err
		}
	}
	return nil
}

// figures are those of all pictures.
func (m *marked) figures() (*rundir.Pixels, error) {
	figures, err := m.all.Figures()
	if err != nil {
		return nil, InputError{fmt.Errorf("data.masks: %w", err)}
	}
	m.found.AUROC, m.found.PRO = rundir.Number(figures.AUROC), rundir.Number(figures.PRO)
	m.found.Regions, m.found.Part = figures.Regions, rundir.Number(float64(figures.Anomalous)/float64(figures.Anomalous+figures.Normal))
	return &m.found, nil
}

// checkMasks finds anomalies that have no mask, before anything is trained.
func checkMasks(split *dataset.Split, marks []bool) error {
	if split.Masks == nil || marks == nil {
		return nil
	}
	missing, first := 0, ""
	for i, mark := range marks {
		if mark && split.Masks[i] == nil {
			if missing++; first == "" {
				first = split.Names[i]
			}
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d anomalies have no mask, such as %s; add them, or leave the pictures out", missing, count(marks), first)
	}
	return nil
}

// group is a title and the places of samples.
type group struct {
	title  string
	places []int
}

// worst groups the test samples that tell most of a scorer: those with the highest scores, the normal ones with the highest and the
// anomalies with the lowest, and those about the threshold.
func worst(scorer *Scorer, scores []float64, marks []bool) []group {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	of := func(anomalous bool) []int {
		return slices.DeleteFunc(slices.Clone(order), func(i int) bool { return marks[i] != anomalous })
	}
	some := func(places []int) []int { return places[:min(len(places), heatColumns)] }
	found := of(true)
	slices.Reverse(found)
	groups := []group{
		{"highest scores", some(order)},
		{"normal, with the highest scores", some(of(false))},
		{"anomalies with the lowest scores", some(found)},
	}
	if t := scorer.Threshold; t != nil {
		near := slices.Clone(order)
		slices.SortStableFunc(near, func(a, b int) int {
			return cmp.Compare(math.Abs(scores[a]-t.Score), math.Abs(scores[b]-t.Score))
		})
		near = some(near)
		slices.SortStableFunc(near, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
		groups = append(groups, group{fmt.Sprintf("nearest to the threshold, %.4g", t.Score), near})
	}
	return groups
}

// sheet draws the worst of the subject's pictures with their heat maps.
func (s subject) sheet(ctx context.Context, scorer *Scorer, scores []float64, marks []bool) ([]byte, error) {
	of, errors := heatOf(scorer.Kind), "squared errors"
	if of == whitenedHeat {
		errors = "squared whitened errors"
	}
	sheet := evaluate.HeatSheet{High: scorer.detector.high[of], Caption: fmt.Sprintf("%s · scores %s of test pictures, and %s smoothed by %g pixels",
		s.experiment.Name, scorer.Kind, errors, s.experiment.Evaluate.Anomaly.Smooth)}
	for _, g := range worst(scorer, scores, marks) {
		drawn := evaluate.HeatGroup{Title: g.title}
		mapped := *scorer
		mapped.Maps = true
		err := mapped.Each(ctx, s.images.PicturesAt(g.places), 0, func(some []Scored) error {
			for _, one := range some {
				place := g.places[len(drawn.Heats)]
				heat := one.Shown(s.images)
				heat.Label = [2]string{"", fmt.Sprintf("%.4g", one.Score)}
				if s.images.Labels != nil {
					heat.Label[0] = s.classes[s.images.Labels[place]] // a test has one patch of each picture
				}
				if !math.IsNaN(one.P) {
					heat.Label[1] += fmt.Sprintf("  p %.2g", one.P)
				}
				if s.split.Masks != nil {
					heat.Mask = s.split.Masks[place]
				}
				drawn.Heats = append(drawn.Heats, heat)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		sheet.Groups = append(sheet.Groups, drawn)
	}
	return sheet.Draw()
}

// Shown is a scored picture as heat sheets show it. like are samples of its kind, of any size.
func (s Scored) Shown(like *dataset.Samples) evaluate.Heat {
	one := like.Like()
	one.Height, one.Width = s.Height, s.Width
	return evaluate.Heat{Picture: one.Restored(s.Heat.Input).Shown(), Output: one.Restored(s.Heat.Output).Shown(), Map: s.Heat.Map}
}
