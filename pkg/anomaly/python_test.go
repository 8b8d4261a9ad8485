package anomaly

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"gonum.org/v1/gonum/stat"

	"latent/pkg/pythontest"
	"latent/pkg/random"
	"latent/pkg/ranking"
)

// Scores are those of scikit-learn: to rounding where nothing is drawn; for isolation forests, AUROCs on tables of real anomalies
// agree over seeds.
func TestScikitLearn(t *testing.T) {
	python := pythontest.Interpreter(t, "testdata/requirements.txt")
	dir := t.TempDir()
	arguments := []string{dir}
	tables := filepath.Join(os.Getenv("LATENT_DATA_DIR"), "tabular")
	if _, err := os.Stat(tables); err == nil {
		arguments = append(arguments, tables)
	} else {
		t.Log("NOT COMPARED: isolation forests on real tables; set LATENT_DATA_DIR to a folder that has tabular/")
	}
	pythontest.Run(t, python, "testdata/expect.py", arguments...)
	text, err := os.ReadFile(filepath.Join(dir, "expect.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expect struct {
		Exact []struct {
			Name                        string
			Features, Components        int
			Shrinkage                   float64
			PCA, Mahalanobis, Kth, Mean []float64
			LOF                         []float64
		}
		Forests []struct {
			Name      string
			Features  int
			Anomalous []bool
			AUROC     []float64
		}
	}
	if err := json.Unmarshal(text, &expect); err != nil {
		t.Fatal(err)
	}
	read := func(name string, features int) Rows {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		rows := Rows{Values: make([]float32, len(raw)/4), Features: features}
		for i := range rows.Values {
			rows.Values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		return rows
	}
	score := func(detector Detector, train, test Rows, seed int64) (Scorer, []float64) {
		scorer, err := detector.Fit(context.Background(), train, random.NewSeed(seed))
		if err != nil {
			t.Fatal(err)
		}
		scores, err := scorer.Score(context.Background(), test)
		if err != nil {
			t.Fatal(err)
		}
		return scorer, scores
	}
	for _, want := range expect.Exact {
		train, test := read(want.Name+".train", want.Features), read(want.Name+".test", want.Features)
		compare := func(name string, got, want []float64) {
			t.Helper()
			for i := range want {
				if !(math.Abs(got[i]-want[i]) <= 1e-8*math.Abs(want[i])) || len(got) != len(want) {
					t.Errorf("%s: sample %d has %.12g, want %.12g", name, i, got[i], want[i])
					return
				}
			}
		}
		scorer, scores := score(PCA{Share: 0.9}, train, test, 1)
		if got := scorer.(*pca).components; got != want.Components {
			t.Errorf("%s: %d components, want %d", want.Name, got, want.Components)
		}
		compare(want.Name+" PCA", scores, want.PCA)
		scorer, scores = score(Mahalanobis{}, train, test, 1)
		compare(want.Name+" shrinkage", []float64{scorer.(*mahalanobis).shrinkage}, []float64{want.Shrinkage})
		compare(want.Name+" Mahalanobis", scores, want.Mahalanobis)
		_, scores = score(Neighbours{K: 4}, train, test, 1)
		compare(want.Name+" 4th neighbour", scores, want.Kth)
		_, scores = score(Neighbours{K: 4, Mean: true}, train, test, 1)
		compare(want.Name+" mean of neighbours", scores, want.Mean)
		_, scores = score(LocalOutlier{K: 4}, train, test, 1)
		compare(want.Name+" local outlier factor", scores, want.LOF)
	}
	var ours, theirs []float64
	for _, set := range expect.Forests {
		train, test := read(set.Name+".train", set.Features), read(set.Name+".test", set.Features)
		areas := make([]float64, len(set.AUROC))
		for seed := range areas {
			_, scores := score(Forest{}, train, test, int64(seed))
			ranked, err := ranking.New(scores, set.Anomalous)
			if err != nil {
				t.Fatal(err)
			}
			areas[seed] = ranked.AUROC().Value
		}
		// Five standard errors of the difference; where the seeds happen to agree, that of a deviation of 0.005.
		got, want := stat.Mean(areas, nil), stat.Mean(set.AUROC, nil)
		bound := 5 * math.Sqrt((max(stat.Variance(areas, nil), 25e-6)+max(stat.Variance(set.AUROC, nil), 25e-6))/float64(len(areas)))
		t.Logf("%-22s %.3f, scikit-learn %.3f, bound %.3f", set.Name, got, want, bound)
		if math.Abs(got-want) > bound {
			t.Errorf("%s: AUROCs %.3f, want %.3f", set.Name, areas, set.AUROC)
		}
		ours, theirs = append(ours, got), append(theirs, want)
	}
	if len(ours) > 0 {
		got, want := stat.Mean(ours, nil), stat.Mean(theirs, nil)
		t.Logf("mean %.4f, scikit-learn %.4f", got, want)
		if math.Abs(got-want) > 0.01 { // four standard errors of the difference
			t.Errorf("mean AUROC over sets %.4f, want %.4f", got, want)
		}
	}
}
