package command

import (
	"fmt"
	"strings"
)

// safely is a script of cobra's for a shell, changed so that what stands on the command line is never evaluated: cobra's hands the words
// to eval, and Tab behind $(command), or behind a file of that name, would run the command. The words are taken out of their quotes by the
// shell instead, without expanding anything. A script in which the lines to change are not found is an error: it is of another cobra.
//
// PowerShell's is left: its words come from a parser, and there is none to test with.
func safely(shell, name, script string) (string, error) {
	for _, change := range unevaluated[shell] {
		if strings.Count(script, change.from) != 1 {
			return "", fmt.Errorf("the script for %s is not as expected: it has not one %q", shell, change.from)
		}
		script = strings.Replace(script, change.from, strings.ReplaceAll(change.to, "PROGRAM", name), 1)
	}
	return script, nil
}

// unevaluated are the changes to the scripts, by shell.
var unevaluated = map[string][]struct{ from, to string }{
	"bash": {{
		from: `    # Use eval to handle any environment variables and such
    out=$(eval "${requestComp}" 2>/dev/null)
`,
		to: `    # The words as the program would get them, with nothing expanded: see __PROGRAM_unquote
    local word program plain=()
    for word in "${args[@]}"; do
        __PROGRAM_unquote "${word}"
        plain+=("${REPLY}")
    done
    program=${words[0]/#\~\//${HOME}/}
    type -P -- "${program}" >/dev/null || program=PROGRAM # an alias
    out=$("${program}" __complete "${plain[@]}" 2>/dev/null)
`,
	}},
	"zsh": {{
		from: `    # Use eval to handle any environment variables and such
    out=$(eval ${requestComp} 2>/dev/null)
`,
		to: `    # The words as the program would get them, with nothing expanded
    local -a parts
    parts=("${(@Q)${(z)requestComp}}")
    parts[1]=${parts[1]/#\~\//${HOME}/}
    whence -p -- "${parts[1]}" >/dev/null || parts[1]=PROGRAM # an alias
    out=$("${parts[@]}" 2>/dev/null)
`,
	}, {
		from: `        flagPrefix="-P ${BASH_REMATCH}"
`,
		to: `        flagPrefix="-P ${(q)BASH_REMATCH}" # it is evaluated
`,
	}},
	"fish": {{
		from: `    set -l results (eval $requestComp 2> /dev/null)
`,
		to: `    set -l program (string replace -r '^~/' "$HOME/" -- $args[1])
    command -q -- $program; or set program PROGRAM # an alias
    set -l word (commandline -ct)
    set -l results (command $program __complete $args[2..-1] "$word" 2> /dev/null)
`,
	}},
}

// bashUnquote is a function for bash that takes the quotes and backslashes of a word away, as bash does, and expands nothing.
const bashUnquote = `
__%[1]s_unquote()
{
    local text=$1 quote= c
    REPLY=
    while [[ -n $text ]]; do
        c=${text:0:1}
        text=${text:1}
        if [[ $c == "$quote" ]]; then
            quote=
        elif [[ -z $quote && ( $c == "'" || $c == '"' ) ]]; then
            quote=$c
        elif [[ $c == "\\" && $quote != "'" && -n $text ]]; then
            c=${text:0:1}
            text=${text:1}
            if [[ $quote == '"' && $c != [\"\\\$\` + "`" + `] ]]; then
                REPLY+="\\"
            fi
            REPLY+=$c
        else
            REPLY+=$c
        fi
    done
}
`
