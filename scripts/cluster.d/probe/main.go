// probe asks a DNS server at a steady rate, over UDP and over TCP at once, each question from a new socket and
// sent once, and reports what was lost or refused, the longest silence, the latencies and how late it was itself.
//
// Half of the questions are for a fixed set of names, which a cache has; half for names that nobody asked before.
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
		for { // what a pod runs that waits for `kubectl exec`; its image has nothing else
			time.Sleep(time.Hour)
		}
	}
	wanted, err := flags(os.Args[1:])
	if err == nil {
		err = run(wanted, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(2)
	}
}

func flags(arguments []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("probe", flag.ContinueOnError)
	server := f.String("server", "", "address, or address:port; the first nameserver of /etc/resolv.conf if empty")
	f.IntVar(&s.udp, "udp", 0, "questions a second over UDP")
	f.IntVar(&s.tcp, "tcp", 0, "questions a second over TCP, each on a connection of its own")
	f.DurationVar(&s.length, "time", 0, "how long; with -marks until standard input ends, if 0")
	f.DurationVar(&s.wait, "wait", 2*time.Second, "a question unanswered for so long is lost")
	f.DurationVar(&s.warm, "warm", 0, "time over which the fixed set is asked once beforehand, uncounted; spread so that its lives do not end together")
	f.IntVar(&s.names.set, "names", 200, "size of the fixed set")
	f.StringVar(&s.names.outside, "outside", "probe.example", "zone in which an upstream answers every name")
	f.StringVar(&s.names.cluster, "cluster", "default.pod.cluster.local", "zone in which an upstream answers every a-b-c-d; empty asks none there")
	f.BoolVar(&s.marks, "marks", false, "a line on standard input ends a window and names the next; each is reported on its own")
	f.BoolVar(&s.json, "json", false, "one JSON object a line and no table")
	f.Bool("idle", false, "alone: do nothing, forever")
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
	desk, err := newDesk(s.wait)
	if err != nil {
		return err
	}
	go desk.receive()
	if s.warm > 0 {
		warm(s, desk)
	}
	var stop atomic.Bool
	first := "all"
	if s.marks {
		first = "start"
	}
	desk.open(first, time.Now())
	if s.marks {
		go follow(marks, desk, &stop, s.length == 0)
	}
	reports := &printer{out: out, json: s.json, began: time.Now()}
	finished := make(chan struct{})
	go func() { reports.follow(desk); close(finished) }()

	send(s, desk, &stop)
	desk.close(time.Now())
	<-finished
	return desk.failure()
}

// warm asks each name of the set once; what comes of it stands in no report.
func warm(s settings, desk *desk) {
	desk.open("", time.Now())
	pace(s.names.set, s.warm, func(i int) { desk.ask(s.server, udp, s.names.known(i), true, time.Now()) })
}

// send returns when the last question has left.
func send(s settings, desk *desk, stop *atomic.Bool) {
	begin := time.Now()
	done := make(chan struct{})
	streams := 0
	for stream, rate := range map[stream]int{udp: s.udp, tcp: s.tcp} {
		if rate == 0 {
			continue
		}
		streams++
		go func() {
			steady(rate, s.length, begin, stop, func(i int, due time.Time) {
				name, known := s.names.of(i, stream)
				desk.ask(s.server, stream, name, known, due)
			})
			done <- struct{}{}
		}()
	}
	for range streams {
		<-done
	}
}

func follow(marks io.Reader, desk *desk, stop *atomic.Bool, until bool) {
	lines := bufio.NewScanner(marks)
	for lines.Scan() {
		desk.open(lines.Text(), time.Now())
	}
	if until {
		stop.Store(true)
	}
}
