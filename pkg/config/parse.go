package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxBytes bounds a config file; those that people write have a few kilobytes.
const maxBytes = 1 << 20

// parseYAML reads the only document of a file; nil where there is nothing in it. Its problems have no key.
func parseYAML(file string, data []byte) (*yaml.Node, Problems) {
	problem := func(line, column int, format string, args ...any) Problems {
		return Problems{{File: file, Line: line, Column: column, Message: fmt.Sprintf(format, args...)}}
	}
	if len(data) > maxBytes {
		return nil, problem(0, 0, "more than %d bytes, the most that is read; is this a config?", maxBytes)
	}
	if offset, message := unreadable(data); message != "" {
		line := 1 + bytes.Count(data[:offset], []byte("\n"))
		column := 1 + utf8.RuneCount(data[bytes.LastIndexByte(data[:offset], '\n')+1:offset])
		return nil, problem(line, column, "%s", message)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) || err == nil && document.Content[0].ShortTag() == "!!null" {
		return nil, nil
	}
	if err == nil {
		if err = decoder.Decode(&second); err == nil {
			return nil, problem(second.Content[0].Line, second.Content[0].Column, "a second document begins; write one file for each")
		}
	}
	if !errors.Is(err, io.EOF) {
		line, message := syntaxError(data, err)
		return nil, problem(line, 1, "%s", message)
	}
	root, err := new(expander).expand(document.Content[0])
	if wrong := (*expandError)(nil); errors.As(err, &wrong) {
		return nil, problem(wrong.node.Line, wrong.node.Column, "%s", wrong.problem)
	}
	return root, nil
}

// unreadable finds the first byte that YAML in UTF-8 cannot have.
func unreadable(data []byte) (offset int, message string) {
	for offset < len(data) {
		r, size := utf8.DecodeRune(data[offset:])
		switch {
		case r == utf8.RuneError && size == 1:
			return offset, "not UTF-8; save the file in that encoding"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r >= 0x7f && r < 0xa0 && r != 0x85, r == 0xfffe, r == 0xffff:
			return offset, fmt.Sprintf("control character %U; remove it", r)
		}
		offset += size
	}
	return 0, ""
}

var (
	yamlError     = regexp.MustCompile(`^(?s)yaml: (?:line (\d+): )?(.*)$`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// plainWords says what the commonest messages of package yaml mean.
var plainWords = map[string]string{
	"did not find expected key":                      "the keys of a mapping do not line up",
	"did not find expected '-' indicator":            "the elements of a list do not line up",
	"did not find expected ',' or ']'":               "a list has no closing ], or two elements no comma",
	"did not find expected ',' or '}'":               "a mapping has no closing }, or two keys no comma",
	"did not find expected node content":             "a value or a closing bracket is missing",
	"mapping values are not allowed in this context": "a key where none can be; indent it like its neighbours, and quote text with a colon",
	"could not find expected ':'":                    "a line that is neither a key with a colon nor part of a value",
	"found unexpected end of stream":                 "a quote that is not closed",
}

// syntaxError returns the line of package yaml's message, and what it means.
func syntaxError(data []byte, err error) (line int, message string) {
	match := yamlError.FindStringSubmatch(err.Error())
	if match == nil {
		return 1, "not YAML: " + err.Error()
	}
	message = match[2]
	if anchor := unknownAnchor.FindStringSubmatch(message); anchor != nil {
		before, _, _ := bytes.Cut(data, []byte("*"+anchor[1]))
		return 1 + bytes.Count(before, []byte("\n")), "aliases such as *" + printable(anchor[1]) + " are not read; write the value out"
	}
	line = 1
	if match[1] != "" {
		line, _ = strconv.Atoi(match[1])
		// Its parser, unlike its scanner, counts lines from 0.
		if strings.HasPrefix(message, "did not find expected ") {
			line++
		}
	}
	if strings.HasPrefix(strings.TrimLeft(lineOf(data, line), " "), "\t") {
		return line, "not YAML: a tab; indent with spaces"
	}
	if plain, ok := plainWords[message]; ok {
		message = plain
	}
	return line, "not YAML: " + message
}

// lineOf returns a line by its number, from 1; "" where there is none.
func lineOf(data []byte, number int) string {
	for line := range strings.Lines(string(data)) {
		if number--; number == 0 {
			return line
		}
	}
	return ""
}
