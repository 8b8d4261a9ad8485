// Package message is what messages to people are made of.
//
//	w := message.NewWriter(os.Stderr)                                 // no text moves the cursor, or colours anything
//	fmt.Fprintf(w, "%s left\n", message.Count(n, "run"))               // 1 run, 2 runs
//	fmt.Fprintf(w, "go on with %s\n", message.Command("latent", "run", "--resume", path))
//
// Names and values come from files of others, and with a terminal's control characters in them they could hide what was printed, or
// pretend something. They are in too many messages for each to be looked at, so that the writer under all of them takes control characters
// out, and what the program itself does to a terminal has a function of its own, [Writer.Control].
//
// What is not here: what goes to which stream (pkg/command), and HTML, which html/template escapes.
package message

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Clean is a text on one line, without what would move a terminal's cursor, colour it, or turn the direction of letters.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return unicode.ReplacementChar
		}
		return shown(r)
	}, text)
}

// shown is a character as it is shown: itself, the ends of lines and tabs too, or the replacement character.
func shown(r rune) rune {
	if r == '\n' || r == '\t' || unicode.IsGraphic(r) {
		return r
	}
	return unicode.ReplacementChar
}

// Writer hands on text without control characters but for the ends of lines and tabs. It may be used by several goroutines at once; what
// one call writes stays together.
type Writer struct {
	to io.Writer

	mutex sync.Mutex
	rest  []byte // the beginning of a character whose end was not written yet
}

// NewWriter returns a writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w} }

// Write writes text in UTF-8.
func (w *Writer) Write(text []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	all := append(w.rest, text...)
	var clean []byte
	for len(all) > 0 && utf8.FullRune(all) {
		r, size := utf8.DecodeRune(all)
		clean = utf8.AppendRune(clean, shown(r))
		all = all[size:]
	}
	w.rest = append([]byte(nil), all...)
	if _, err := w.to.Write(clean); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Control writes what moves the cursor, as it is. Nothing that comes from a file may be in it.
func (w *Writer) Control(sequence string) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	_, err := io.WriteString(w.to, sequence)
	return err
}

// Unwrap returns the writer below.
func (w *Writer) Unwrap() io.Writer { return w.to }

// Control writes a sequence that moves the cursor to a writer that may be a [Writer], or one around it with a method Control.
func Control(w io.Writer, sequence string) error {
	if filter, is := w.(interface{ Control(string) error }); is {
		return filter.Control(sequence)
	}
	_, err := io.WriteString(w, sequence)
	return err
}

// Raw returns a writer by which all is written as it is, for a progress bar of others. Nothing that comes from a file may go there but what
// [Clean] returns.
func Raw(w io.Writer) io.Writer { return raw{w} }

type raw struct{ to io.Writer }

func (r raw) Write(text []byte) (int, error) { return len(text), Control(r.to, string(text)) }

// Count is a number of things: 1 run, 2 runs. The noun is one whose plural ends with an s.
func Count(n int, noun string) string { return fmt.Sprintf("%d %s", n, Choose(n, noun, noun+"s")) }

// Choose is the first word of one thing, and the second of any other number.
func Choose(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Command is a command line that a POSIX shell reads as these words.
func Command(words ...string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = Quote(word)
	}
	return strings.Join(quoted, " ")
}

// Quote is a word as a POSIX shell reads it: as it is where nothing in it means anything to a shell, else in quotes. Control characters
// are written as $'\x1b', which bash, zsh and ksh read.
func Quote(word string) string {
	switch {
	case strings.ContainsFunc(word, func(r rune) bool { return r != ' ' && !unicode.IsGraphic(r) }) || !utf8.ValidString(word):
		var text strings.Builder
		for _, b := range []byte(word) {
			switch {
			case b < ' ' || b >= 0x7f:
				fmt.Fprintf(&text, `\x%02x`, b)
			case b == '\'' || b == '\\':
				text.WriteByte('\\')
				text.WriteByte(b)
			default:
				text.WriteByte(b)
			}
		}
		return "$'" + text.String() + "'"
	case word != "" && !strings.ContainsAny(word, " \t\n'\"$&|;<>(){}[]*?!\\`#~") && !strings.ContainsFunc(word, unicode.IsSpace):
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
