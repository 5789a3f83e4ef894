// loadgen sends DNS queries at a constant rate over UDP and TCP, each from a new socket and sent
// once, and reports lost and refused queries, the longest gap, latencies, and its own scheduling
// delay.
//
// Half of the queries are for a fixed set of names, which a cache has; half for new names.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

type settings struct {
	server   netip.AddrPort
	udp, tcp int
	length   time.Duration
	wait     time.Duration
	warm     time.Duration
	names    names
	marks    bool
	json     bool
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "-idle" {
		for { // for a pod that waits for `kubectl exec`: its image has no other program
			time.Sleep(time.Hour)
		}
	}
	options, err := flags(os.Args[1:])
	if err == nil {
		err = run(options, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(2)
	}
}

func flags(arguments []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	server := f.String("server", "", "address, or address:port; the first nameserver of /etc/resolv.conf if empty")
	f.IntVar(&s.udp, "udp", 0, "queries per second over UDP")
	f.IntVar(&s.tcp, "tcp", 0, "queries per second over TCP, each on a new connection")
	f.DurationVar(&s.length, "time", 0, "duration; with -marks and 0, until standard input ends")
	f.DurationVar(&s.wait, "wait", 2*time.Second, "timeout after which a query is lost")
	f.DurationVar(&s.warm, "warm", 0, "time over which the fixed set is queried once beforehand, uncounted; spread so that its TTLs do not end together")
	f.IntVar(&s.names.set, "names", 200, "size of the fixed set")
	f.StringVar(&s.names.outside, "outside", "loadgen.example", "zone in which an upstream answers every name")
	f.StringVar(&s.names.cluster, "cluster", "default.pod.cluster.local", "zone in which an upstream answers every a-b-c-d; empty for none")
	f.BoolVar(&s.marks, "marks", false, "a line on standard input ends a window and names the next; each window is reported")
	f.BoolVar(&s.json, "json", false, "JSON lines instead of a table")
	f.Bool("idle", false, "as the only flag: sleep forever")
	if err := f.Parse(arguments); err != nil {
		return s, err
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("unexpected %q", f.Arg(0))
	}
	if s.udp < 0 || s.tcp < 0 || s.udp+s.tcp == 0 || s.udp > 100000 || s.tcp > 100000 {
		return s, fmt.Errorf("rates of -udp and -tcp must be 0 to 100000 and not both 0")
	}
	if s.length <= 0 && !s.marks {
		return s, fmt.Errorf("-time is missing")
	}
	if s.wait <= 0 || s.names.set < 1 {
		return s, fmt.Errorf("-wait and -names must be above 0")
	}
	s.names.fresh = uint32(time.Now().UnixNano() / 1000)
	var err error
	s.server, err = serverAddress(*server)
	return s, err
}

func serverAddress(text string) (netip.AddrPort, error) {
	if text == "" {
		file, err := os.ReadFile("/etc/resolv.conf")
		if err != nil {
			return netip.AddrPort{}, err
		}
		for _, line := range strings.Split(string(file), "\n") {
			if f := strings.Fields(line); len(f) >= 2 && f[0] == "nameserver" {
				text = f[1]
				break
			}
		}
	}
	if address, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(address, 53), nil
	}
	return netip.ParseAddrPort(text)
}

func run(s settings, marks io.Reader, out io.Writer) error {
	inflight, err := newInflight(s.wait)
	if err != nil {
		return err
	}
	go inflight.receive()
	if s.warm > 0 {
		warm(s, inflight)
	}
	var stop atomic.Bool
	first := "all"
	if s.marks {
		first = "start"
	}
	inflight.open(first, time.Now())
	if s.marks {
		go follow(marks, inflight, &stop, s.length == 0)
	}
	reports := &printer{out: out, json: s.json, began: time.Now()}
	finished := make(chan struct{})
	go func() { reports.follow(inflight); close(finished) }()

	send(s, inflight, &stop)
	inflight.close(time.Now())
	<-finished
	return inflight.failure()
}

// warm queries each name of the set once; it is not reported.
func warm(s settings, inflight *inflight) {
	inflight.open("", time.Now())
	spread(s.names.set, s.warm, func(i int) { inflight.send(s.server, udp, s.names.known(i), true, time.Now()) })
}

// send returns when the last query is sent.
func send(s settings, inflight *inflight, stop *atomic.Bool) {
	begin := time.Now()
	done := make(chan struct{})
	senders := 0
	for transport, rate := range map[transport]int{udp: s.udp, tcp: s.tcp} {
		if rate == 0 {
			continue
		}
		senders++
		go func() {
			sendAtRate(rate, s.length, begin, stop, func(i int, due time.Time) {
				name, known := s.names.of(i, transport)
				inflight.send(s.server, transport, name, known, due)
			})
			done <- struct{}{}
		}()
	}
	for range senders {
		<-done
	}
}

func follow(marks io.Reader, inflight *inflight, stop *atomic.Bool, until bool) {
	lines := bufio.NewScanner(marks)
	for lines.Scan() {
		inflight.open(lines.Text(), time.Now())
	}
	if until {
		stop.Store(true)
	}
}
