// Package experiment runs one experiment from its config to its report.
//
//	e, err := config.Load("configs/quickstart.yaml", "train.epochs=3")
//	run, err := experiment.Run(ctx, e, experiment.Options{Log: os.Stderr})
//	manifest, err := run.Manifest()
//	fmt.Println(manifest.Result.Test["psnr"])
//
// The data's way is [Session.Epochs]: windows from the compiled program, their records, and at the end of each epoch the
// validation, the checkpoint and the picture.
//
// Promised: a run killed at any moment and resumed ends with the weights and the figures of a run left alone; nothing is
// written outside the run's folder.
//
// What is not here: parsing the config (pkg/config), the files' formats (pkg/rundir), and exit statuses (pkg/command).
package experiment
