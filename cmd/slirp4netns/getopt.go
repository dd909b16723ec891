package main

import (
	"fmt"
	"strings"
)

// normaliser rewrites a command line into one spelling, after the rules of
// GNU getopt_long(3): options and operands in any order, bundled letters
// (-c6r3), arguments attached or apart, unique abbreviations, "--".
//
// go-flags knows none of the abbreviations, takes neither "-c6r3" nor
// "-r -1", and complains in words of its own, so it only gets to see the
// outcome.
type normaliser struct {
	program string   // argv[0], which begins each complaint
	args    []string // what is still to be read

	options  []string // each "--long" or "--long=argument"
	operands []string
}

// normalise reads args, which begin after argv[0]. With posix an operand ends
// the options, as getopt_long does where POSIXLY_CORRECT is set.
//
// A complaint does not undo what was read before it: the options up to there
// are returned with it, since the C program acts on each as it meets it.
func normalise(program string, args []string, posix bool) (options, operands []string, err error) {
	n := &normaliser{program: program, args: args}
	for err == nil && len(n.args) > 0 {
		arg := n.next()
		switch {
		case arg == "--":
			n.operands = append(n.operands, n.args...)
			n.args = nil
		case strings.HasPrefix(arg, "--"):
			err = n.long(arg)
		case len(arg) > 1 && arg[0] == '-':
			err = n.letters(arg[1:])
		default:
			n.operands = append(n.operands, arg)
			if posix {
				n.operands = append(n.operands, n.args...)
				n.args = nil
			}
		}
	}
	return n.options, n.operands, err
}

// next takes one argument off the rest. There must be one.
func (n *normaliser) next() string {
	arg := n.args[0]
	n.args = n.args[1:]
	return arg
}

// long reads "--name" or "--name=value".
func (n *normaliser) long(arg string) error {
	name, value, attached := strings.Cut(arg[len("--"):], "=")
	o, possibilities := longOption(name)
	switch {
	case len(possibilities) > 0:
		var list strings.Builder
		for _, p := range possibilities {
			fmt.Fprintf(&list, " '--%s'", p.long)
		}
		return n.complain("option '%s' is ambiguous; possibilities:%s", arg, list.String())
	case o == nil:
		return n.complain("unrecognized option '%s'", arg)
	case attached && !o.argument:
		return n.complain("option '--%s' doesn't allow an argument", o.long)
	case attached || !o.argument:
		n.add(o, value)
	case len(n.args) == 0:
		return n.complain("option '--%s' requires an argument", o.long)
	default:
		n.add(o, n.next())
	}
	return nil
}

// letters reads what follows a single "-". The argument of the last letter is
// the rest of the word, or else the next word, whatever that looks like.
func (n *normaliser) letters(word string) error {
	for len(word) > 0 {
		letter := word[0]
		word = word[1:]
		o := shortOption(letter)
		switch {
		case o == nil:
			// The byte as it is: getopt knows no UTF-8.
			return n.complain("invalid option -- '%s'", string([]byte{letter}))
		case !o.argument:
			n.add(o, "")
		case word != "":
			n.add(o, word)
			word = ""
		case len(n.args) == 0:
			return n.complain("option requires an argument -- '%s'", string([]byte{letter}))
		default:
			n.add(o, n.next())
		}
	}
	return nil
}

// add appends one option in its only spelling.
func (n *normaliser) add(o *option, argument string) {
	if !o.argument {
		n.options = append(n.options, "--"+o.long)
		return
	}
	n.options = append(n.options, "--"+o.long+"="+argument)
}

// complain is an error in the words of glibc.
func (n *normaliser) complain(format string, a ...any) error {
	return usageFailure(n.program + ": " + fmt.Sprintf(format, a...))
}
