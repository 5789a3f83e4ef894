package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

// reply returns the response to a query with one A record.
func reply(message []byte) []byte {
	b := append([]byte{}, message...)
	b[2], b[3], b[7] = b[2]|0x80, 0x80, 1
	return append(b, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 80)
}

// server responds on a loopback port with the result of choose; nil for no response.
func server(t *testing.T, choose func([]byte) []byte) netip.AddrPort {
	t.Helper()
	packets, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	address := packets.LocalAddr().(*net.UDPAddr).AddrPort()
	listener, err := net.Listen("tcp", address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { packets.Close(); listener.Close() })
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, from, err := packets.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			if answer := choose(buffer[:n]); answer != nil {
				packets.WriteToUDPAddrPort(answer, from)
			}
		}
	}()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				buffer := make([]byte, 2048)
				if n, err := io.ReadAtLeast(client, buffer, 14); err == nil {
					if answer := choose(buffer[2:n]); answer != nil {
						client.Write(append([]byte{0, byte(len(answer))}, answer...))
					}
				}
			}()
		}
	}()
	return address
}

func runLoadgen(t *testing.T, marks string, arguments ...string) map[string]stats {
	t.Helper()
	s, err := flags(append(arguments, "-json"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(s, strings.NewReader(marks), &out); err != nil {
		t.Fatal(err)
	}
	all := map[string]stats{}
	for decoder := json.NewDecoder(&out); decoder.More(); {
		var f stats
		if err := decoder.Decode(&f); err != nil {
			t.Fatal(err)
		}
		all[f.Window+" "+f.Transport+" "+f.Names] = f
	}
	return all
}

func TestEveryQueryIsAnswered(t *testing.T) {
	got := runLoadgen(t, "", "-server", server(t, reply).String(), "-udp", "500", "-tcp", "100", "-time", "500ms", "-warm", "50ms")
	for transport, want := range map[string]int{"all udp all": 250, "all udp cached": 125, "all udp new": 125, "all tcp all": 50} {
		if f := got[transport]; f.Sent != want || f.Answered != want || f.Lost+f.Refused+f.Errors != 0 || f.Rcodes["0"] != want || f.FirstBad != -1 {
			t.Errorf("%s: %+v, want %d sent and answered", transport, f, want)
		}
	}
}

func TestALostQuestionIsLostAndAnErrorIsOdd(t *testing.T) {
	var count atomic.Int32
	address := server(t, func(message []byte) []byte {
		switch count.Add(1) {
		case 3:
			return nil
		case 5:
			answer := reply(message)
			answer[3] |= 2
			return answer
		case 7: // a mismatched response only
			answer := reply(message)
			answer[13] ^= 1
			return answer
		}
		return reply(message)
	})
	f := runLoadgen(t, "", "-server", address.String(), "-udp", "100", "-time", "200ms", "-wait", "300ms")["all udp all"]
	if f.Sent != 20 || f.Answered != 17 || f.Lost != 2 || f.Errors != 1 || f.Rcodes["2"] != 1 {
		t.Errorf("%+v", f)
	}
	if f.FirstBad < 0 || f.LastBad < f.FirstBad {
		t.Errorf("no time of the first and last loss: %+v", f)
	}
}

func TestClosedPortIsRefused(t *testing.T) {
	packets, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	address := packets.LocalAddr().String()
	packets.Close()
	got := runLoadgen(t, "", "-server", address, "-udp", "100", "-tcp", "100", "-time", "200ms")
	for _, transport := range []string{"all udp all", "all tcp all"} {
		if f := got[transport]; f.Refused != 20 || f.Lost != 0 || f.Gap < 150 {
			t.Errorf("%s: %+v, want 20 refused at once and one gap", transport, f)
		}
	}
}

func TestConnectionClosedWithoutResponseIsRefused(t *testing.T) {
	address := server(t, func([]byte) []byte { return nil })
	if f := runLoadgen(t, "", "-server", address.String(), "-tcp", "100", "-time", "100ms")["all tcp all"]; f.Refused != 10 {
		t.Errorf("%+v", f)
	}
}

func TestMarksSeparateWindowsAndEndOfInputStops(t *testing.T) {
	got := runLoadgen(t, "one\ntwo\n", "-server", server(t, reply).String(), "-udp", "100", "-time", "100ms", "-marks")
	// The run has started before the marks arrive; how many queries were sent by then is undefined.
	if sent := got["start udp all"].Sent + got["one udp all"].Sent + got["two udp all"].Sent; sent != 10 || got["two udp all"].Sent == 0 {
		t.Errorf("%d sent: %+v", sent, got)
	}
	if got = runLoadgen(t, "", "-server", server(t, reply).String(), "-udp", "100", "-marks"); len(got) > 3 {
		t.Errorf("%+v", got)
	}
}

func TestNamesAreNewOrInTheSet(t *testing.T) {
	n := names{set: 20, outside: "example", cluster: "pod.cluster.local", fresh: 7}
	known, fresh, cluster := map[string]bool{}, map[string]bool{}, 0
	for i := range 1000 {
		for _, s := range []transport{udp, tcp} {
			name, isKnown := n.of(i, s)
			if isKnown {
				known[name] = true
				continue
			}
			if fresh[name] {
				t.Fatalf("%s is not new", name)
			}
			if fresh[name] = true; strings.HasSuffix(name, "cluster.local.") {
				cluster++
			}
		}
	}
	if len(known) != 20 || len(fresh) != 1000 || cluster != 500 {
		t.Errorf("%d known, %d new, %d of these of the cluster", len(known), len(fresh), cluster)
	}
}

func TestGapExcludesDelaysOfTheClient(t *testing.T) {
	q := func(left, done int64, what outcome) *query {
		return &query{left: left, done: done, outcome: what}
	}
	for name, c := range map[string]struct {
		queries  []*query
		from, to int64
	}{
		"a client that sent nothing":    {[]*query{q(0, 1, answered), q(100, 103, answered)}, 100, 103},
		"a query in flight from before": {[]*query{q(0, 1, answered), q(0, 50, answered), q(40, 41, answered)}, 1, 41},
		"refusals at once":              {[]*query{q(0, 1, answered), q(10, 10, refused), q(60, 60, refused), q(70, 71, answered)}, 10, 71},
		"a loss among responses":        {[]*query{q(0, 1, answered), q(2, 2002, lost), q(10, 11, answered), q(20, 100, answered)}, 11, 100},
		"an end without a response":     {[]*query{q(0, 1, answered), q(20, 2020, lost)}, 20, 100},
		"no response at all":            {[]*query{q(5, 2005, lost), q(20, 2020, lost)}, 5, 100},
	} {
		if from, to := longestGap(c.queries, 100); from != c.from || to != c.to {
			t.Errorf("%s: %d to %d, want %d to %d", name, from, to, c.from, c.to)
		}
	}
}

func TestInvalidFlagsAreRejected(t *testing.T) {
	for _, line := range []string{"", "-udp 5", "-udp -1 -time 1s", "-udp 5 -time 1s extra", "-udp 5 -time 1s -server here", "-udp 5 -time 1s -names 0"} {
		if _, err := flags(strings.Fields("-server 127.0.0.1 " + line)); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}
