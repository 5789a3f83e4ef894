// clients resolves a name with Go's resolver, which reads the pod's resolv.conf, and prints the
// results, sorted, one per line.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: clients host|srv|ptr NAME")
		os.Exit(2)
	}
	results, err := lookUp(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	slices.Sort(results)
	for _, one := range slices.Compact(results) {
		fmt.Println(one)
	}
}

func lookUp(kind, name string) ([]string, error) {
	resolver := &net.Resolver{PreferGo: true}
	switch kind {
	case "host":
		return resolver.LookupHost(context.Background(), name)
	case "ptr":
		return resolver.LookupAddr(context.Background(), name)
	case "srv":
		_, services, err := resolver.LookupSRV(context.Background(), "", "", name)
		var found []string
		for _, service := range services {
			found = append(found, fmt.Sprintf("%d %s", service.Port, service.Target))
		}
		return found, err
	default:
		return nil, fmt.Errorf("unknown lookup %s", kind)
	}
}
