package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence   = regexp.MustCompile("(?ms)^```.*?^```")
	code    = regexp.MustCompile("`[^`\n]*`")
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	// dropped are the characters that an anchor of a heading does not have.
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are those of the headings of a document, as GitHub makes them.
func anchors(text string) []string {
	var all []string
	for _, match := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		plain := dropped.ReplaceAllString(strings.ToLower(match[1]), "")
		all = append(all, strings.ReplaceAll(strings.TrimSpace(plain), " ", "-"))
	}
	return all
}

// faultyLinks are the links of a document to files and headings that do not exist.
func faultyLinks(name, text string) []string {
	var faults []string
	plain := code.ReplaceAllString(fence.ReplaceAllString(text, ""), "")
	for _, match := range link.FindAllStringSubmatch(plain, -1) {
		file, anchor, _ := strings.Cut(match[1], "#")
		if strings.Contains(file, "://") {
			continue
		}
		target := text
		if file != "" {
			content, err := os.ReadFile(filepath.Join(filepath.Dir(name), file))
			if _, failed := os.Stat(filepath.Join(filepath.Dir(name), file)); failed != nil {
				faults = append(faults, name+": "+match[1]+" does not exist")
				continue
			}
			if err != nil { // a folder
				continue
			}
			target = string(content)
		}
		if anchor != "" && strings.HasSuffix(firstOf(file, name), ".md") && !slices.Contains(anchors(target), anchor) {
			faults = append(faults, name+": "+match[1]+": no such heading")
		}
	}
	return faults
}

func TestEveryLinkOfTheDocumentsLeadsSomewhere(t *testing.T) {
	documents := 0
	err := filepath.WalkDir("../..", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && slices.Contains([]string{"target", ".git", ".cache"}, entry.Name()) {
			return firstError(err, filepath.SkipDir)
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		documents++
		text, err := os.ReadFile(name)
		for _, fault := range faultyLinks(name, string(text)) {
			t.Error(fault)
		}
		return err
	})
	if err != nil || documents < 10 {
		t.Errorf("%d documents: %v", documents, err)
	}
}

func firstError(known, other error) error {
	if known != nil {
		return known
	}
	return other
}

func TestFindsFaultyLinks(t *testing.T) {
	const text = "# One two\n[a](#one-two) [b](#three) [c](absent.md) [d](../README.md#no) [e](https://x.example/#y) `[f](g)`\n```\n[h](i)\n```\n"
	faults := faultyLinks("../helm/x.md", text)
	expected := []string{
		"../helm/x.md: #three: no such heading",
		"../helm/x.md: absent.md does not exist",
		"../helm/x.md: ../README.md#no: no such heading",
	}
	if !slices.Equal(faults, expected) {
		t.Errorf("%q, expected %q", faults, expected)
	}
}
