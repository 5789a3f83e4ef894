// Actors of the end-to-end cases: the pods' programs and the slow part of the world.
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

const usage = `usage: actors answer-slowly ADDRESS
       actors hold udp|tcp ADDRESS
       actors resolve NAME
       actors burst ADDRESS NUMBER NAME    (%d in NAME counts from 0)
       actors pipeline ADDRESS NAME...     (on one TCP connection; prints the names in the order of their answers)
       actors load ADDRESS RATE NAME       (until SIGTERM; %d counts from 0)`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "actors:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch {
	case len(args) == 2 && args[0] == "answer-slowly":
		return answerSlowly(args[1])
	case len(args) == 3 && args[0] == "hold":
		return hold(ended, args[1], args[2])
	case len(args) == 2 && args[0] == "resolve":
		return resolve(args[1])
	case len(args) > 2 && args[0] == "pipeline":
		order, err := pipeline(args[1], args[2:])
		fmt.Println(strings.Join(order, " "))
		return err
	case len(args) == 4 && (args[0] == "burst" || args[0] == "load"):
		number, err := strconv.Atoi(args[2])
		if err != nil || number < 1 {
			return fmt.Errorf("%q is not a number of queries", args[2])
		}
		if args[0] == "burst" {
			fmt.Println(burst(args[1], number, args[3]))
		} else {
			fmt.Println(load(ended, args[1], number, args[3]))
		}
		return nil
	}
	return fmt.Errorf("%s", usage)
}

// Occupies a port as a server without SO_REUSEPORT does, until SIGTERM.
func hold(ended context.Context, network, address string) error {
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

// Go's own resolver, since the build has no cgo.
func resolve(name string) error {
	within, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(within, name)
	if err != nil {
		return err
	}
	sort.Strings(addresses)
	fmt.Println(strings.Join(addresses, " "))
	return nil
}
