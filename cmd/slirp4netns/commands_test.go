package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	commandsFile    = "../../testdata/cli/commands.txt"
	differencesFile = "../../testdata/cli/differences.txt"
)

// commandLineUnderTest is one line of commands.txt.
type commandLineUnderTest struct {
	number      int
	text        string
	differences []string
	env, args   []string
}

var assignment = regexp.MustCompile(`^[A-Z_]+=`)

// readCommands reads commands.txt; its head says how it is written.
func readCommands(t *testing.T) []commandLineUnderTest {
	t.Helper()
	f, err := os.Open(commandsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []commandLineUnderTest
	var differences []string
	scanner := bufio.NewScanner(f)
	for number := 1; scanner.Scan(); number++ {
		text := scanner.Text()
		switch {
		case text == "" || text[0] == '#':
			continue
		case text == "[same]":
			differences = nil
			continue
		case text[0] == '[':
			differences = strings.Fields(strings.Trim(text, "[]"))
			continue
		}
		words, err := splitWords(text)
		if err != nil {
			t.Fatalf("%s:%d: %v", commandsFile, number, err)
		}
		line := commandLineUnderTest{number: number, text: text, differences: differences, args: words}
		for len(line.args) > 0 && assignment.MatchString(line.args[0]) {
			line.env = append(line.env, line.args[0])
			line.args = line.args[1:]
		}
		lines = append(lines, line)
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// splitWords splits at blanks outside of double quotes, and unquotes.
func splitWords(line string) ([]string, error) {
	var words []string
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		var word strings.Builder
		for line != "" && line[0] != ' ' {
			if line[0] != '"' {
				word.WriteByte(line[0])
				line = line[1:]
				continue
			}
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", line, err)
			}
			unquoted, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", quoted, err)
			}
			word.WriteString(unquoted)
			line = line[len(quoted):]
		}
		words = append(words, word.String())
	}
	return words, nil
}

func TestSplitWords(t *testing.T) {
	got, err := splitWords(`-r ""  --cidr="a b\n" "\xff"x  `)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"-r", "", "--cidr=a b\n", "\xffx"}; fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, err := splitWords(`"open`); err == nil {
		t.Errorf("an open quote gave %q", got)
	}
}
