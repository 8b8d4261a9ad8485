// Package mlflow sends runs to an MLflow tracking server, over its REST interface.
//
//	server, err := mlflow.NewServer("http://127.0.0.1:5000")
//	sent, err := server.Run(folder, experiment.Values).Send(ctx, false)
//
// or, of runs that are being written, in the background:
//
//	sender := mlflow.NewSender()
//	following, err := sender.Follow("http://127.0.0.1:5000", folder, experiment.Values)
//	following.News() // whenever something was written: it costs nothing
//	following.Over()
//	unsent := sender.Close(5 * time.Second)
//
// The run's folder is what is sent: there is no queue of figures that could be lost or grow. What the server has is asked of the
// server, once for each process, and the rest follows from metrics.jsonl and manifest.json. So whoever writes a run never waits
// for a server, and whatever dies, the next Send goes on where the last one came to.
//
// Promised: a run is there once, and a figure once for each step, however often it is sent, interrupted, or trained again from a
// checkpoint (a server that was killed in the middle of a batch may be told a figure twice, with the same value, step and time,
// which MLflow keeps once); no redirect is followed, so that credentials go where the address says; a server's answer is bounded,
// and nonsense an error.
//
// What is not here: reading from MLflow, its model registry, and artifacts that do not go through the server.
package mlflow
