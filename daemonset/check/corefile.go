package main

import (
	"regexp"
	"strings"
)

// corefile is what a Corefile says about addresses. One directive a line, as in the files here; the daemon's own
// parser is the judge of the grammar.
type corefile struct {
	bind        []string // arguments of bind, each once
	health      string   // HOST:PORT of the first health directive
	ready       string   // HOST:PORT of the first ready directive
	prometheus  string   // HOST:PORT of the first prometheus directive
	environment []string // names substituted as {$NAME}, each once
}

var substitution = regexp.MustCompile(`\{\$([A-Za-z_][A-Za-z0-9_]*)\}`)

func readCorefile(text string) corefile {
	var facts corefile
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, match := range substitution.FindAllStringSubmatch(line, -1) {
			facts.environment = addOnce(facts.environment, match[1])
		}
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "bind":
			for _, address := range words[1:] {
				facts.bind = addOnce(facts.bind, address)
			}
		case "health":
			facts.health = firstOf(facts.health, words[1])
		case "ready":
			facts.ready = firstOf(facts.ready, words[1])
		case "prometheus":
			facts.prometheus = firstOf(facts.prometheus, words[1])
		}
	}
	return facts
}

func addOnce(list []string, word string) []string {
	for _, known := range list {
		if known == word {
			return list
		}
	}
	return append(list, word)
}

func firstOf(known, word string) string {
	if known != "" {
		return known
	}
	return word
}
