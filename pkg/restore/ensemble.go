package restore

// turnsOf is how many times a picture goes through the model.
func turnsOf(o Options) int {
	if o.Ensemble {
		return 8
	}
	return 1
}

// turned restores values of a picture, [height, width, channel]: as it is, or as the mean of its eight turns.
func (r *Restorer) turned(work *work, values []float32, w, h int) ([]float32, error) {
	turns := turnsOf(work.Options)
	var sum []float32
	for turn := range turns {
		places, tw, th := placesOf(turn, w, h)
		input := values
		if turn > 0 {
			input = make([]float32, len(values))
			r.move(input, values, places, tw, th, false)
		}
		restored, err := r.fitted(work, input, tw, th)
		if err != nil {
			return nil, err
		}
		work.done++
		if turn == 0 {
			sum = restored
		} else {
			r.move(sum, restored, places, tw, th, true)
		}
	}
	if turns > 1 {
		for i := range sum {
			sum[i] /= float32(turns)
		}
	}
	return sum, nil
}

// placesOf returns where each pixel of a picture's turn comes from, and the turn's size. turn: 1 mirrors left and right, 2 top and bottom, 4
// exchanges rows and columns, which comes first.
func placesOf(turn, w, h int) (from func(x, y int) int, tw, th int) {
	tw, th = w, h
	if turn&4 != 0 {
		tw, th = h, w
	}
	return func(x, y int) int {
		if turn&1 != 0 {
			x = tw - 1 - x
		}
		if turn&2 != 0 {
			y = th - 1 - y
		}
		if turn&4 != 0 {
			x, y = y, x
		}
		return y*w + x
	}, tw, th
}

// move copies values to a turn of tw × th pixels from their places, or adds those of the turn to their places.
func (r *Restorer) move(to, values []float32, places func(x, y int) int, tw, th int, back bool) {
	channels := r.image.Channels
	for y := range th {
		for x := range tw {
			here, there := (y*tw+x)*channels, places(x, y)*channels
			for c := range channels {
				if back {
					to[there+c] += values[here+c]
				} else {
					to[here+c] = values[there+c]
				}
			}
		}
	}
}
