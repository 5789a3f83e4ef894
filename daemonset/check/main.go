// Command check renders Kustomize directories and the chart and validates every object against the Kubernetes API
// types, without a cluster: unknown fields and wrong types, then the rules of the API server and of
// this daemon.
//
// Usage: check ROOT DIRECTORY[+COMPONENT]...
//
// ROOT is the folder with base, overlays, components and helm; DIRECTORY and COMPONENT are relative to
// it. helm is the chart, with the values of a file of its folder: helm+values-addon.yaml. Faults go to stderr, one per line; the exit status is 1 if there are any.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: check ROOT DIRECTORY[+COMPONENT]...")
		os.Exit(2)
	}
	files, err := load(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	objects, faults := 0, 0
	for _, directory := range os.Args[2:] {
		manifest, found := examine(files, directory)
		for _, fault := range found {
			fmt.Fprintf(os.Stderr, "%s: %s\n", directory, fault)
		}
		fmt.Printf("%s: %d objects, %d faults\n", directory, len(manifest), len(found))
		objects += len(manifest)
		faults += len(found)
	}
	fmt.Printf("%d directories, %d objects, %d faults\n", len(os.Args)-2, objects, faults)
	if faults > 0 {
		os.Exit(1)
	}
}
