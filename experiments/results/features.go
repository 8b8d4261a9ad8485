package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
)

const (
	featuresConfig = "configs/anomaly/features.yaml"
	// featuresDecidedBy is how many classes, the first by name, were looked at while config and score were chosen.
	featuresDecidedBy = 8
)

// featureTrials are the runs of all classes.
func featureTrials() ([]trial, error) {
	all, err := sets("features", featuresConfig)
	var trials []trial
	for _, s := range all {
		trials = append(trials, s.trial(0))
	}
	return trials, err
}

// features measures the classes of MVTec-AD as features of a network, and writes a table of them.
func (b *bench) features(ctx context.Context, out *bytes.Buffer) error {
	all, err := sets("features", featuresConfig)
	if err != nil {
		return err
	}
	found, err := b.over(ctx, all, b.measure)
	if len(found) > 0 && err == nil {
		writeFeatures(out, found, all, b.seeds)
	}
	return err
}

// writeFeatures writes the table of the classes.
func writeFeatures(out *bytes.Buffer, found []detected, all []set, seeds int) {
	fmt.Fprintf(out, `
## Features of another network

`+"`go run ./experiments/results --anomaly --only features`"+`: the classes of MVTec-AD (Bergmann et al. 2019), each as 512 features of a ResNet-18, as in
ADBench, in `+"`$LATENT_DATA_DIR/features`"+`. The protocol is that of the tables above: split 70/30, stratified, labels only for evaluation, AUROC on the
test rows, mean over %d seeds. All classes use one config, `+"`%s`"+`, with its score %s. The first %d classes by name were used
to choose config and score, the others were not.

`, seeds, featuresConfig, "`"+found[0].manifest.Result.Anomaly.Score+"`", featuresDecidedBy)
	others := besides[1:] // PyOD is not run on these
	head, rule := "| class | rows | anomalies | Latent |", "| --- | ---: | ---: | ---: |"
	for _, other := range others {
		head, rule = head+" "+other.title+" |", rule+" ---: |"
	}
	fmt.Fprintf(out, "%s\n%s\n", head, rule)
	var seen, unseen []detected
	for _, d := range found {
		a := d.manifest.Result.Anomaly
		fmt.Fprintf(out, "| %s | %d | %.1f %% | %.3f |", strings.TrimPrefix(d.set.name, "MVTec-AD_"), d.manifest.Data.Train+d.manifest.Data.Test,
			100*float64(a.Anomalies)/float64(a.Anomalies+a.NormalSamples), stat.Mean(d.aurocs[""], nil))
		for _, other := range others {
			fmt.Fprintf(out, " %.3f |", stat.Mean(d.aurocs[other.name], nil))
		}
		fmt.Fprintln(out)
		if slices.Index(all, d.set) < featuresDecidedBy {
			seen = append(seen, d)
		} else {
			unseen = append(unseen, d)
		}
	}
	writeMeans(out, seen, unseen, names()[1:])
	if len(found) < len(all) {
		fmt.Fprintf(out, "\n%d more classes were not run; means cover only those above.\n", len(all)-len(found))
	}
}
