// Looks all types up that Go's resolver knows. Usage: lookup ADDRESS NAME
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"
)

func main() {
	address, name := os.Args[1], os.Args[2]+"."
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	resolver := &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(address, "53"))
	}}
	failed := 0
	check := func(rtype string, count int, err error) {
		if err != nil || count == 0 {
			failed++
			fmt.Printf("%s: %d records, %v\n", rtype, count, err)
		}
	}
	_, services, err := resolver.LookupSRV(ctx, "", "", name)
	check("SRV", len(services), err)
	exchanges, err := resolver.LookupMX(ctx, name)
	check("MX", len(exchanges), err)
	servers, err := resolver.LookupNS(ctx, name)
	check("NS", len(servers), err)
	texts, err := resolver.LookupTXT(ctx, name)
	check("TXT", len(texts), err)
	addresses, err := resolver.LookupHost(ctx, name)
	check("A, AAAA", len(addresses), err)
	names, err := resolver.LookupAddr(ctx, "192.0.2.1")
	check("PTR", len(names), err)
	if failed > 0 {
		os.Exit(1)
	}
}
