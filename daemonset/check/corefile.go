package main

import (
	"net/netip"
	"regexp"
	"strings"
	"time"
)

// corefile has the addresses of a Corefile with one directive per line. The daemon's parser checks
// the grammar.
type corefile struct {
	blocks      []block  // in the order of the file
	health      string   // HOST:PORT of the first health directive
	ready       string   // HOST:PORT of the first ready directive
	prometheus  string   // HOST:PORT of the first prometheus directive
	lameduck    string   // the first lameduck, as it is written; empty if there is none
	environment []string // names substituted as {$NAME}, each once
	unreplaced  []string // words with a template variable that is not replaced
}

// block is a server block: its first key, and the arguments of bind.
type block struct {
	key  string
	bind []string
}

var substitution = regexp.MustCompile(`\{\$([A-Za-z_][A-Za-z0-9_]*)\}`)

// fill replaces a template's variables as the daemon does. The address of the upstream Service
// becomes an environment variable, from which the daemon reads it.
func fill(template string, local []string, variable string) string {
	return strings.NewReplacer(
		"__PILLAR__LOCAL__DNS__", strings.Join(local, " "),
		"__PILLAR__DNS__SERVER__", "",
		"__PILLAR__UPSTREAM__SERVERS__", "/etc/resolv.conf",
		"__PILLAR__CLUSTER__DNS__", "{$"+variable+"}",
	).Replace(template)
}

func readCorefile(text string) corefile {
	var facts corefile
	depth := 0
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, match := range substitution.FindAllStringSubmatch(line, -1) {
			facts.environment = addOnce(facts.environment, match[1])
		}
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if depth == 0 {
			facts.blocks = append(facts.blocks, block{key: words[0]})
		}
		facts.read(words)
		switch words[len(words)-1] {
		case "{":
			depth++
		case "}":
			depth--
		}
	}
	return facts
}

// read records one directive.
func (facts *corefile) read(words []string) {
	for _, word := range words {
		if strings.Contains(word, "__PILLAR__") {
			facts.unreplaced = addOnce(facts.unreplaced, word)
		}
	}
	if len(words) < 2 {
		return
	}
	switch words[0] {
	case "bind":
		last := &facts.blocks[len(facts.blocks)-1]
		last.bind = append(last.bind, words[1:]...)
	case "health":
		facts.health = firstOf(facts.health, words[1])
	case "ready":
		facts.ready = firstOf(facts.ready, words[1])
	case "prometheus":
		facts.prometheus = firstOf(facts.prometheus, words[1])
	case "lameduck":
		facts.lameduck = firstOf(facts.lameduck, words[1])
	}
}

// shutdownTime is the longest shutdown: the lameduck, then the time for queries in flight.
func (facts *corefile) shutdownTime() (time.Duration, error) {
	if facts.lameduck == "" {
		return drain, nil
	}
	lameduck, err := time.ParseDuration(facts.lameduck)
	return lameduck + drain, err
}

// placeholderClusterIP stands for the ClusterIP that the kubelet inserts.
var placeholderClusterIP = netip.MustParseAddr("192.0.2.10")

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
