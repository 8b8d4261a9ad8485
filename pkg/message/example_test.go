package message_test

import (
	"fmt"
	"os"

	"latent/pkg/message"
)

// A run's folder whose name is hostile, in a message.
func Example() {
	w := message.NewWriter(os.Stdout)
	for _, path := range []string{"runs/mine", "my runs/\x1b[2J"} {
		fmt.Fprintf(w, "%s: %s; go on with %s\n", path, message.Count(1, "epoch"), message.Command("latent", "run", "--resume", path))
	}
	// Output:
	// runs/mine: 1 epoch; go on with latent run --resume runs/mine
	// my runs/�[2J: 1 epoch; go on with latent run --resume $'my runs/\x1b[2J'
}
