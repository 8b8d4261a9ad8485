package config

import (
	"reflect"
	"slices"
	"strings"
)

// unknown reports a key that a mapping cannot have, and says where it belongs: in another kind, elsewhere in the file,
// or one letter away.
func (d *decoder) unknown(parent, name string, at place, fields []field, chosen *choice) {
	key := join(parent, printable(name))
	allowed := names(fields)
	if chosen != nil {
		if kinds := chosen.table.kindsWith(name); len(kinds) > 0 {
			message := "not a key of " + chosen.key + " " + chosen.kind + ", but of " + strings.Join(kinds, ", ")
			if chosen.place.isOverride() && !at.isOverride() {
				message += "; to replace the section, write the override as " + parent + "={" + chosen.key + ": " + chosen.kind + "}"
			}
			d.report(key, at, "%s", message)
			return
		}
		allowed = append([]string{chosen.key}, allowed...)
	}
	paths := pathsOf(d.root)
	elsewhere := func(name string) []string {
		var found []string
		for _, path := range paths {
			if path == name || strings.HasSuffix(path, "."+name) {
				found = append(found, path)
			}
		}
		// A key of evaluate.corrupt is one of corrupt first.
		return slices.DeleteFunc(found, func(path string) bool {
			return slices.ContainsFunc(found, func(other string) bool { return strings.HasSuffix(path, "."+other) })
		})
	}
	right := elsewhere(name)
	if len(right) == 0 {
		right = d.aliases[strings.ToLower(name)]
	}
	if len(right) > 0 {
		d.distrust(right...)
		d.report(key, at, "unknown key; write it as %s", strings.Join(right, " or "))
		return
	}
	list := "allowed here: " + strings.Join(allowed, ", ")
	if near := closest(name, allowed); near != "" {
		d.distrust(join(parent, near))
		d.report(key, at, "unknown key; did you mean %s? %s", near, list)
		return
	}
	if near := closest(name, lastNames(paths)); near != "" {
		d.distrust(elsewhere(near)...)
		d.report(key, at, "unknown key; did you mean %s? %s", strings.Join(elsewhere(near), " or "), list)
		return
	}
	d.report(key, at, "unknown key; %s", list)
}

// distrust marks keys that were probably meant, so that rules do not judge their defaults.
func (d *decoder) distrust(keys ...string) {
	for _, key := range keys {
		d.unsound[key] = true
	}
}

// kindsWith lists the kinds that have a key.
func (t kindTable) kindsWith(name string) []string {
	var kinds []string
	for _, kind := range t.names() {
		if slices.Contains(names(t.fields(kind)), name) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// pathsOf lists every dotted key that a struct can have, those of all kinds included, each once.
func pathsOf(t reflect.Type) []string {
	var paths []string
	add := func(path string) {
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	for _, f := range fieldsOf(t) {
		add(f.name)
		var inner []string
		switch table := kindsOf(f.elementType()); {
		case f.typ.Kind() == reflect.Struct:
			inner = pathsOf(f.typ)
		case table != nil:
			inner = append(inner, f.kindKey)
			for _, kind := range table.names() {
				inner = append(inner, pathsOf(reflect.TypeOf(table[kind]()).Elem())...)
			}
		}
		for _, path := range inner {
			add(f.name + "." + path)
		}
	}
	return paths
}

// elementType is the type of a list's elements, or else of the field.
func (f field) elementType() reflect.Type {
	if f.typ.Kind() == reflect.Slice {
		return f.typ.Elem()
	}
	return f.typ
}

func lastNames(paths []string) []string {
	last := make([]string, len(paths))
	for i, path := range paths {
		last[i] = path[strings.LastIndexByte(path, '.')+1:]
	}
	return last
}

// closest returns the candidate that a slip of the fingers would turn into name, or "": at most one edit in three
// letters, whatever the case.
func closest(name string, candidates []string) string {
	best, least := "", max(1, len(name)/3)+1
	for _, candidate := range candidates {
		if gap := len(name) - len(candidate); max(gap, -gap) >= least {
			continue
		}
		if edits := editDistance(strings.ToLower(name), strings.ToLower(candidate)); edits < least {
			best, least = candidate, edits
		}
	}
	return best
}

// editDistance counts the insertions, deletions, substitutions and swaps of neighbours that turn a into b.
//
// Source: the restricted Damerau-Levenshtein distance ("optimal string alignment").
func editDistance(a, b string) int {
	s, t := []rune(a), []rune(b)
	rows := make([][]int, len(s)+1)
	for i := range rows {
		rows[i] = make([]int, len(t)+1)
		rows[i][0] = i
	}
	for j := range t {
		rows[0][j+1] = j + 1
	}
	for i := 1; i <= len(s); i++ {
		for j := 1; j <= len(t); j++ {
			substitution := 1
			if s[i-1] == t[j-1] {
				substitution = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+substitution)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(s)][len(t)]
}
