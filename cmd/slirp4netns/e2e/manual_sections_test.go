package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// manualSections are the sections of our own manual, docs/slirp4netns.1.md.
func manualSections(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("../../../docs/slirp4netns.1.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string]string)
	for _, s := range strings.Split(string(b), "\n## ")[1:] {
		name, text, _ := strings.Cut(s, "\n")
		sections[name] = text
	}
	return sections
}

func manualSection(t *testing.T, name string) string {
	t.Helper()
	text, ok := manualSections(t)[name]
	if !ok {
		t.Fatalf("the manual has no section %s", name)
	}
	return text
}

// testName is the start of the name of a section's tests.
func testName(section string) string {
	name := "TestManual"
	for _, word := range strings.FieldsFunc(section, func(r rune) bool { return r == ' ' || r == '-' }) {
		switch word {
		case "API", "BESS", "DHCP":
			name += word
		case "IPV6":
			name += "IPv6"
		default:
			name += word[:1] + strings.ToLower(word[1:])
		}
	}
	return name
}

// TestManualSections wants each section of the C program's manual and of our own
// to be a row of docs/compatibility.md, and to have a test that is named after
// it. All tests that the page names have to be there.
func TestManualSections(t *testing.T) {
	b, err := os.ReadFile("../../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	tests := make(map[string]bool)
	var files []string
	for _, pattern := range []string{"*/*_test.go", "*/*/*_test.go", "*/*/*/*_test.go"} {
		found, err := filepath.Glob("../../../" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`).FindAllStringSubmatch(string(b), -1) {
			tests[m[1]] = true
		}
	}
	for _, m := range regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(page, -1) {
		if !tests[m[1]] {
			t.Errorf("docs/compatibility.md names %s, which is not there", m[1])
		}
	}
	_, manual, _ := strings.Cut(page, "\n# The manual\n")
	manual, _, _ = strings.Cut(manual, "\n# What is different\n")
	rows := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^\| ([A-Z][A-Z6 -]+[A-Z6]) \| (.*)$`).FindAllStringSubmatch(manual, -1) {
		rows[m[1]] = m[2]
	}
	// The C program's, as of 1.2.0, but for those that promise nothing.
	sections := []string{"SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLE", "ROUTING PING PACKETS", "FILTERING CONNECTIONS", "API SOCKET",
		"DEFINED NAMESPACE PATHS", "OUTBOUND ADDRESSES", "INTER-NAMESPACE COMMUNICATION", "INTER-HOST COMMUNICATION", "BESS MODE", "BUGS"}
	for name := range manualSections(t) {
		switch name {
		case "NAME", "DIFFERENCES", "SEE ALSO": // they promise nothing, either
		default:
			sections = append(sections, name)
		}
	}
	for _, name := range sections {
		if row, want := rows[name], testName(name); !strings.Contains(row, "`"+want) {
			t.Errorf("docs/compatibility.md names no test %s… for %s: %q", want, name, row)
		}
	}
}
