package dataset

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Own says how the user's own samples are split.
type Own struct {
	// Test has separate samples for the test, given like the others. Without it, test_fraction of the samples become the test set.
	Test []string `yaml:"test" path:"yes" single:"yes" maxitems:"10000"`

	// TestFraction is the fraction of the samples that become the test set if test is not given. A file's name, or a row's position,
	// decides where a sample goes, so that adding one moves no other. For the rows of a table with labels, it is that fraction of each
	// class, and a new row moves at most one other row of its class.
	TestFraction float64 `yaml:"test_fraction" above:"0" below:"1"`

	Holdout `yaml:",inline"`
}

// parts are the places of samples, in order.
type parts struct{ train, validation, calibration, test []int }

// classed are the classes of samples that are to be divided; the zero value is that of samples without.
type classed struct {
	labels  []uint8
	classes []string
	// stratified says that the test gets its part of each class.
	stratified bool
}

// divide divides n samples, of which the last tests were given for the test; 0 of them where a part of all is to become it. name tells
// them apart.
//
// A number that a sample's name and SplitSeed decide ranks the samples: the first TestFraction of the numbers' range become the test,
// the next Validation are held out, and the next Limit are trained on. So a new sample moves none between test and training, and at
// most one between the other parts. A stratified test has the lowest numbers of each class instead, TestFraction of them to the
// nearest whole number. A test that is a part of all has every sample that Normal leaves out of training.
func (o Own) divide(n, tests int, name func(i int) string, of classed) (p parts, err error) {
	ranks, order := make([]float64, n-tests), make([]int, n-tests)
	for i := range order {
		ranks[i], order[i] = o.rank(name(i)), i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(ranks[a], ranks[b]) })
	var test []int
	switch {
	case tests > 0:
		for i := range tests {
			test = append(test, n-tests+i)
		}
	case of.stratified:
		test, order = o.stratify(order, of.labels)
	default:
		first, _ := slices.BinarySearchFunc(order, o.TestFraction, func(i int, fraction float64) int { return cmp.Compare(ranks[i], fraction) })
		test, order = order[:first], order[first:]
	}
	if len(test) == 0 || len(order) == 0 {
		return p, fmt.Errorf("%d samples leave %d for training and %d for the test, and both need at least one; add samples, set data.test, or change data.test_fraction",
			n, len(order), len(test))
	}
	if tests == 0 {
		var others []int
		if order, others, err = o.normals(order, of.labels, of.classes); err != nil {
			return p, err
		}
		test = slices.Concat(test, others)
	}
	p, err = o.divideNormal(order, of.labels, of.classes)
	p.test = slices.Sorted(slices.Values(test))
	return p, err
}

// stratify takes the first TestFraction of each class from samples in an order, for the test.
func (o Own) stratify(order []int, labels []uint8) (test, rest []int) {
	var left [mostClasses]int
	for _, i := range order {
		left[labels[i]]++
	}
	for class, n := range left {
		left[class] = int(math.Round(o.TestFraction * float64(n)))
	}
	for _, i := range order {
		if left[labels[i]] > 0 {
			left[labels[i]]--
			test = append(test, i)
		} else {
			rest = append(rest, i)
		}
	}
	return test, rest
}

// rank is a number in [0, 1) that a sample's name and the split's seed decide.
func (o Own) rank(name string) float64 {
	digest := sha256.Sum256(fmt.Appendf(nil, "%d %s", o.SplitSeed, name))
	return float64(binary.BigEndian.Uint64(digest[:])>>11) / (1 << 53)
}

// of returns the three parts of all samples.
func (p parts) of(all *Samples) *Split {
	return &Split{Train: all.Select(p.train), Validation: all.Select(p.validation), Calibration: all.Select(p.calibration), Test: all.Select(p.test)}
}

// mostClasses is how many classes a label can number.
const mostClasses = math.MaxUint8 + 1

// Labels are the classes of samples, numbered as they come. The zero value is of none.
type Labels struct {
	names   []string
	indices []uint8
	known   map[string]uint8
}

// Add adds those of more samples. It is an error where there are more classes than a label can number.
func (l *Labels) Add(more ...string) error {
	if l.known == nil {
		l.known = map[string]uint8{}
	}
	for _, label := range more {
		index, found := l.known[label]
		if !found {
			if len(l.names) == mostClasses {
				return fmt.Errorf("more than %d different labels", mostClasses)
			}
			index = uint8(len(l.names))
			l.known[label], l.names = index, append(l.names, label)
		}
		l.indices = append(l.indices, index)
	}
	return nil
}

// Sorted returns the classes in order, by number where all are whole numbers, and the class of each sample.
func (l *Labels) Sorted() (classes []string, indices []uint8) {
	numbers := !slices.ContainsFunc(l.names, func(name string) bool {
		_, err := strconv.Atoi(name)
		return err != nil
	})
	classes = slices.SortedFunc(slices.Values(l.names), func(a, b string) int {
		if numbers {
			x, _ := strconv.Atoi(a)
			y, _ := strconv.Atoi(b)
			return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b))
		}
		return cmp.Compare(a, b)
	})
	places := make([]uint8, len(classes))
	for i, class := range classes {
		places[l.known[class]] = uint8(i)
	}
	indices = make([]uint8, len(l.indices))
	for i, index := range l.indices {
		indices[i] = places[index]
	}
	return classes, indices
}
