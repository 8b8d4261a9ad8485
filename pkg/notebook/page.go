package notebook

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"
)

// page is where things are shown. What has an id takes the place of what was shown with it before.
type page interface {
	picture(id string, png []byte) error
	// text shows HTML, or the plain text where the page has none or html is "".
	text(id, plain, html string) error
}

// here is the page of this process: the cell that it runs in, or standard output.
func here() page {
	if gonbui.IsNotebook {
		return cell{}
	}
	return standard
}

var standard = &plain{out: stdout{}}

// stdout is standard output, whatever it is at the moment: tests of examples change it.
type stdout struct{}

func (stdout) Write(text []byte) (int, error) { return os.Stdout.Write(text) }

// cell is the output of a notebook's cell.
type cell struct{}

func (cell) picture(id string, png []byte) error {
	return send(id, map[protocol.MIMEType]any{protocol.MIMEImagePNG: png})
}

func (cell) text(id, plain, html string) error {
	data := map[protocol.MIMEType]any{protocol.MIMETextPlain: plain}
	if html != "" {
		data[protocol.MIMETextHTML] = html
	}
	return send(id, data)
}

// send shows data, and waits until the kernel has it: a cell's program may end right after.
func send(id string, data map[protocol.MIMEType]any) error {
	gonbui.SendData(&protocol.DisplayData{Data: data, DisplayID: id})
	gonbui.Sync()
	return gonbui.Error()
}

// plain is the output of a program outside a notebook. Pictures go to files, in a folder of the process.
type plain struct {
	out   io.Writer
	mutex sync.Mutex
	dir   string // "" before the first picture
	shown int
}

func (p *plain) picture(_ string, png []byte) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.dir == "" {
		dir, err := os.MkdirTemp("", "latent-pictures-")
		if err != nil {
			return err
		}
		p.dir = dir
	}
	p.shown++
	path := filepath.Join(p.dir, fmt.Sprintf("%02d.png", p.shown))
	if err := os.WriteFile(path, png, 0o644); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.out, "picture  %s\n", path)
	return err
}

func (p *plain) text(_, plain, _ string) error {
	_, err := io.WriteString(p.out, plain)
	return err
}
