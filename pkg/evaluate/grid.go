package evaluate

import (
	"cmp"

	"latent/pkg/dataset"
)

// Grid is a picture of held-out images: clean, corrupted and reconstructed side by side.
type Grid struct {
	// Rows is the number of rows of the picture; large images get fewer.
	Rows int `yaml:"rows" min:"1" max:"100"`

	// Columns is the number of images in each row, each as clean, corrupted and reconstructed; fewer if the row would be wider than a page
	// of the report.
	Columns int `yaml:"columns" min:"1" max:"100"`

	// Every is the number of epochs between grids; 0 draws only those before the first and after the last epoch.
	Every int `yaml:"every" min:"0"`

	// Scale is the size of an image pixel in the picture, in pixels; 0 makes images about 84 pixels wide, or less if a row would be wider
	// than a page of the report.
	Scale int `yaml:"scale" min:"0" max:"64"`
}

// Images is how many samples like these the grid shows: of large images fewer than Rows and Columns say, so that a row has the width
// of a page of the report where it can, and all of them some pages.
func (g Grid) Images(like *dataset.Samples) int {
	if like.Vectors() {
		return g.Rows * g.Columns
	}
	return min(g.Rows, max(1, mostPages*pageWidth/like.Height)) * g.columns(like)
}

// mostPages is how high a grid of large images may be, in widths of a page.
const mostPages = 2

// columns is how many images a row shows.
func (g Grid) columns(like *dataset.Samples) int {
	const parts = 3
	return min(g.Columns, max(1, pageWidth/(parts*like.Width)))
}

// Draw renders samples as a PNG: each image a group of clean, damaged (where damage names it; "" leaves it out, but of pairs) and
// reconstructed pictures, with a caption above. Vectors are charts over their features.
func (g Grid) Draw(samples Samples, caption, damage string) ([]byte, error) {
	if samples.Paired {
		damage = cmp.Or(damage, "input")
	}
	if samples.Clean.Vectors() {
		return drawProfiles(samples, caption, damage)
	}
	parts := []*dataset.Samples{samples.Clean, samples.Damaged, samples.Reconstructed}
	labels := []string{"clean", damage, "reconstructed"}
	if samples.Paired {
		labels[0] = "target"
	}
	if damage == "" {
		parts = []*dataset.Samples{samples.Clean, samples.Reconstructed}
		labels = []string{"clean", "reconstructed"}
	}
	columns := min(g.columns(samples.Clean), samples.Clean.Len())
	sheet := Sheet{
		Images:  samples.Clean.Like(),
		Columns: columns * len(parts), Caption: caption, Scale: g.Scale,
	}
	for i := range samples.Clean.Len() {
		for _, part := range parts {
			sheet.Images.Values = sheet.Images.Values.Append(part.At(i))
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
