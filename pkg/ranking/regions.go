package ranking

// Regions numbers the connected regions of a mask, [height, width] row by row, from 1 on in the order of their first pixels; 0 is
// where the mask is false. Pixels that touch at a side or at a corner are connected, as in the evaluation code of MVTec AD.
func Regions(mask []bool, width int) (numbers []int32, count int) {
	numbers = make([]int32, len(mask))
	var open []int // pixels of the region whose neighbours are not looked at yet
	for start, set := range mask {
		if !set || numbers[start] != 0 {
			continue
		}
		count++
		numbers[start] = int32(count)
		open = append(open, start)
		for len(open) > 0 {
			pixel := open[len(open)-1]
			open = open[:len(open)-1]
			row, column := pixel/width, pixel%width
			for y := max(0, row-1); y <= min(row+1, len(mask)/width-1); y++ {
				for x := max(0, column-1); x <= min(column+1, width-1); x++ {
					if near := y*width + x; mask[near] && numbers[near] == 0 {
						numbers[near] = int32(count)
						open = append(open, near)
					}
				}
			}
		}
	}
	return numbers, count
}
