// Package configs holds the experiments of this folder, so that a program without a checkout beside it has them too.
//
//	text, err := configs.Files.ReadFile("mnist/denoise.yaml")
package configs

import "embed"

// Files are the experiments, by their paths in this folder. Sweeps are not among them: they name experiments beside them.
//
//go:embed *.yaml mnist glyphs
var Files embed.FS
