package ranking

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Pixels measures how well maps of scores find the anomalous pixels of pictures, all pictures together, also those without any
// anomaly. Pictures may have different sizes.
//
//	var pixels ranking.Pixels
//	for … {
//		err := pixels.Add(scores, mask, width) // a picture's
//	}
//	figures, err := pixels.Figures()
//
// It is exact, and keeps 4 bytes for each normal and 8 for each anomalous pixel; to sort them takes 4 more for each normal one.
// The zero value is ready.
type Pixels struct {
	// Most is the number of pixels that [Pixels.Add] takes. 0 is 2²⁷, for which a GB of memory is enough.
	Most int

	normal    []uint32 // orderly scores
	anomalous []uint64 // orderly score, and the number of the region in the low half
	regions   []int    // pixels of each region
}

// PixelFigures are those of [Pixels].
type PixelFigures struct {
	// AUROC is the area under the curve of recall over false alarm rate of the pixels. Large defects rule it, and the rate of
	// anomalous pixels is so low that maps which cover far more than the defect have 0.95.
	AUROC float64
	// PRO is the area under the curve of the regions' mean overlap over the false alarm rate of the pixels, from rate 0 to 0.3,
	// divided by 0.3. A region's overlap is the part of it at or above the threshold, so that small defects count as large ones
	// do. Thresholds are all different scores; between them the curve is straight, from (0, 0) on.
	//
	// Source: Bergmann, Batzner, Fauser, Sattlegger & Steger, "The MVTec anomaly detection dataset", IJCV 129, 2021, section 6.2.
	PRO float64

	Normal, Anomalous, Regions int // pixels, pixels, and connected regions ([Regions])
}

// proLimit is the false alarm rate up to which PRO is integrated.
const proLimit = 0.3

// Add takes a picture: a score for each pixel, higher being more anomalous, and which are anomalous, both row by row.
func (p *Pixels) Add(scores []float32, mask []bool, width int) error {
	if len(scores) != len(mask) || width < 1 || len(mask)%width != 0 {
		return fmt.Errorf("score pixels: %d scores and a mask of %d pixels must both be rows of %d", len(scores), len(mask), width)
	}
	most := p.Most
	if most == 0 {
		most = 1 << 27
	}
	if have := len(p.normal) + len(p.anomalous); len(scores) > most-have {
		return fmt.Errorf("score pixels: %d more after %d exceed the limit of %d; make maps and masks smaller, or raise Most", len(scores), have, most)
	}
	for i, score := range scores {
		if score-score != 0 {
			return fmt.Errorf("score pixels: the score of the pixel in row %d, column %d is %g", i/width, i%width, score)
		}
	}
	numbers, count := Regions(mask, width)
	first := len(p.regions)
	p.regions = append(p.regions, make([]int, count)...)
	for i, number := range numbers {
		key := orderly(scores[i])
		if number == 0 {
			p.normal = append(p.normal, key)
			continue
		}
		region := first + int(number) - 1
		p.regions[region]++
		p.anomalous = append(p.anomalous, uint64(key)<<32|uint64(region))
	}
	return nil
}

// orderly returns a number that is larger for a larger score, and the same for the same one.
func orderly(score float32) uint32 {
	word := math.Float32bits(score + 0) // 0 for −0
	if word>>31 == 1 {
		return ^word
	}
	return word | 1<<31
}

// Figures returns the figures of all pictures so far.
func (p *Pixels) Figures() (PixelFigures, error) {
	if len(p.normal) == 0 || len(p.anomalous) == 0 {
		return PixelFigures{}, errors.New("score pixels: figures need normal and anomalous pixels")
	}
	sortKeys(p.normal)
	slices.Sort(p.anomalous)
	f := PixelFigures{Normal: len(p.normal), Anomalous: len(p.anomalous), Regions: len(p.regions)}
	i, j := len(p.normal), len(p.anomalous) // from the highest score down
	rate, overlap, right := 0.0, 0.0, 0.0   // right: pairs of an anomalous and a normal pixel in the right order
	for i > 0 || j > 0 {
		key := uint32(0) // the next score
		if i > 0 {
			key = p.normal[i-1]
		}
		if j > 0 {
			key = max(key, uint32(p.anomalous[j-1]>>32))
		}
		above := len(p.anomalous) - j
		gain := 0.0
		for ; j > 0 && uint32(p.anomalous[j-1]>>32) == key; j-- {
			gain += 1 / float64(p.regions[uint32(p.anomalous[j-1])])
		}
		here, alarms := len(p.anomalous)-j-above, i
		for i > 0 && p.normal[i-1] == key {
			i--
		}
		alarms -= i
		right += float64(alarms) * (float64(above) + float64(here)/2)
		next, reached := overlap+gain/float64(len(p.regions)), float64(len(p.normal)-i)/float64(len(p.normal))
		if rate < proLimit && reached > rate {
			part := min(1, (proLimit-rate)/(reached-rate)) // of the straight piece of the curve
			f.PRO += part * (reached - rate) * (overlap + part*(next-overlap)/2)
		}
		rate, overlap = reached, next
	}
	f.PRO /= proLimit
	f.AUROC = right / float64(len(p.normal)) / float64(len(p.anomalous))
	return f, nil
}

// sortKeys sorts by radix, from the lowest of three digits on: four times as fast as by comparisons.
func sortKeys(keys []uint32) {
	const digit = 11
	other := make([]uint32, len(keys))
	from, to := keys, other
	for shift := 0; shift < 32; shift += digit {
		var starts [1<<digit + 1]int
		for _, key := range from {
			starts[key>>shift&(1<<digit-1)+1]++
		}
		for i := 1; i < len(starts); i++ {
			starts[i] += starts[i-1]
		}
		for _, key := range from {
			place := &starts[key>>shift&(1<<digit-1)]
			to[*place] = key
			*place++
		}
		from, to = to, from
	}
	copy(keys, from) // three digits: the last pass went into other
}
