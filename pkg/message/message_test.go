package message

import (
	"os/exec"
	"strings"
	"testing"
)

// What a terminal would act on does not reach it.
func TestClean(t *testing.T) {
	if got, want := Clean("a\x1b[31m\r\nb\tü→\u202e\u009b\xff"), "a�[31m��b�ü→���"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The same of what is written in any parts; ends of lines and tabs stay.
func TestWriter(t *testing.T) {
	const text, want = "a\x1b[31m\r\nb\tü→\u202e\xffc\u009b", "a�[31m�\nb\tü→��c�"
	for size := 1; size <= len(text); size++ {
		var to strings.Builder
		w := NewWriter(&to)
		for at := 0; at < len(text); at += size {
			part := text[at:min(at+size, len(text))]
			if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if to.String() != want {
			t.Errorf("in parts of %d: %q, want %q", size, to.String(), want)
		}
	}
	var to strings.Builder
	if err := Control(NewWriter(&to), "\x1b[K"); err != nil || to.String() != "\x1b[K" {
		t.Errorf("%q, %v", to.String(), err)
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 rows", 1: "1 row", 2: "2 rows"} {
		if got := Count(n, "row"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A shell reads the words that were quoted.
func TestCommand(t *testing.T) {
	words := []string{"plain/path-1.2", "", "two words", "it's", `"$HOME"`, "`id`", "$(id)", "a\\b", "*?[x]!", "#x", "~", "ü", "a;b&c|d", "no\u00a0break", "tab\there", "line\nend", "\x1b[31m'\\", "\xff"}
	line := Command(words...)
	if !strings.HasPrefix(line, "plain/path-1.2 '' 'two words' ") {
		t.Errorf("more is quoted than needs to be: %s", line)
	}
	if strings.ContainsAny(line, "\x1b\n\t") {
		t.Errorf("control characters are left in %q", line)
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	out, err := exec.Command(bash, "-c", `printf '%s\0' `+line).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(out), strings.Join(words, "\x00")+"\x00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
