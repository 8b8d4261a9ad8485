package evaluate

import "latent/pkg/dataset"

// Grid is a picture of held-out images: clean, corrupted and reconstructed side by side.
type Grid struct {
	// Rows is the number of rows of the picture.
	Rows int `yaml:"rows" min:"1" max:"100"`

	// Columns is how many images each row shows, each as clean, corrupted, reconstructed.
	Columns int `yaml:"columns" min:"1" max:"100"`

	// Every draws a grid after every so many epochs; 0 draws only those before the first and after the last epoch.
	Every int `yaml:"every" min:"0"`

	// Scale is the size of one image pixel on the picture, in pixels; 0 chooses one that makes images about 84 pixels
	// wide, or less where a row would be wider than a page of the report.
	Scale int `yaml:"scale" min:"0" max:"64"`
}

// Images is how many images the grid shows.
func (g Grid) Images() int { return g.Rows * g.Columns }

// Draw renders samples as a PNG: each image a group of clean, damaged (where damage names it; "" leaves it out) and
// reconstructed pictures, with a caption above.
func (g Grid) Draw(samples Samples, caption, damage string) ([]byte, error) {
	parts := []*dataset.Images{samples.Clean, samples.Damaged, samples.Reconstructed}
	labels := []string{"clean", damage, "reconstructed"}
	if damage == "" {
		parts = []*dataset.Images{samples.Clean, samples.Reconstructed}
		labels = []string{"clean", "reconstructed"}
	}
	columns := min(g.Columns, samples.Clean.Len())
	sheet := Sheet{
		Images:  &dataset.Images{Height: samples.Clean.Height, Width: samples.Clean.Width, Channels: samples.Clean.Channels},
		Columns: columns * len(parts), Caption: caption, Scale: g.Scale,
	}
	for i := range samples.Clean.Len() {
		for _, part := range parts {
			sheet.Images.Pixels = append(sheet.Images.Pixels, part.At(i)...)
		}
	}
	for column := range columns {
		sheet.Top = append(sheet.Top, labels...)
		if column > 0 {
			sheet.Breaks = append(sheet.Breaks, column*len(parts))
		}
	}
	return sheet.Draw()
}
