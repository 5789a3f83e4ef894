// search resolves new outside names with Go's resolver, one after another, and prints how many have their
// address, and the median time in milliseconds.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: search PREFIX COUNT")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[2])
	if err != nil || count < 1 {
		fmt.Fprintln(os.Stderr, "COUNT is a number above 0")
		os.Exit(2)
	}
	resolver := &net.Resolver{PreferGo: true}
	domains := []string{"com", "net", "org"}
	answered := 0
	times := make([]time.Duration, count)
	for number := range times {
		name := fmt.Sprintf("%s%d.example.%s", os.Args[1], number, domains[number%3])
		begin := time.Now()
		found, err := resolver.LookupHost(context.Background(), name)
		times[number] = time.Since(begin)
		if err == nil && len(found) == 1 && found[0][0] == '1' {
			answered++
		}
	}
	slices.Sort(times)
	fmt.Printf("%d %.3f\n", answered, float64(times[count/2].Microseconds())/1000)
}
