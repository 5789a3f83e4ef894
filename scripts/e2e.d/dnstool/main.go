// dnstool: DNS clients, a slow upstream and a port holder for the end-to-end test.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const usage = `usage: dnstool slow-upstream ADDRESS
       dnstool hold-port udp|tcp ADDRESS
       dnstool resolve NAME
       dnstool burst ADDRESS NUMBER NAME    (%d in NAME counts from 0)
       dnstool pipeline ADDRESS NAME...     (on one TCP connection; prints the names in response order)
       dnstool hold-stream ADDRESS NAME     (one query after the other on a TCP connection, until the server
                                             closes it or SIGTERM; %d counts from 0)
       dnstool write-stream ADDRESS NAME    (queries on a TCP connection without reading, until it is reset)
       dnstool load ADDRESS RATE NAME [udp|tcp] (until SIGTERM; %d counts from 0)`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "dnstool:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch {
	case len(args) == 2 && args[0] == "slow-upstream":
		return serveSlowly(args[1])
	case len(args) == 3 && args[0] == "hold-port":
		return holdPort(ended, args[1], args[2])
	case len(args) == 2 && args[0] == "resolve":
		return resolve(args[1])
	case len(args) == 3 && args[0] == "hold-stream":
		held, err := holdStream(ended, args[1], args[2])
		fmt.Println(held)
		return err
	case len(args) == 3 && args[0] == "write-stream":
		return writeStream(ended, args[1], args[2])
	case len(args) > 2 && args[0] == "pipeline":
		order, err := pipeline(args[1], args[2:])
		fmt.Println(strings.Join(order, " "))
		return err
	case len(args) == 4 && (args[0] == "burst" || args[0] == "load"), len(args) == 5 && args[0] == "load":
		number, err := strconv.Atoi(args[2])
		if err != nil || number < 1 {
			return fmt.Errorf("%q is not a number of queries", args[2])
		}
		if args[0] == "burst" {
			fmt.Println(burst(args[1], number, args[3]))
		} else {
			fmt.Println(load(ended, append(args, "udp")[4], args[1], number, args[3]))
		}
		return nil
	}
	return fmt.Errorf("%s", usage)
}

// holdPort binds a port without SO_REUSEPORT until SIGTERM.
func holdPort(ended context.Context, network, address string) error {
	var closer interface{ Close() error }
	var err error
	if network == "udp" {
		closer, err = net.ListenPacket(network, address)
	} else {
		closer, err = net.Listen(network, address)
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	fmt.Println("held")
	<-ended.Done()
	return nil
}

// resolve uses Go's resolver: the build has no cgo.
func resolve(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	sort.Strings(addresses)
	fmt.Println(strings.Join(addresses, " "))
	return nil
}
