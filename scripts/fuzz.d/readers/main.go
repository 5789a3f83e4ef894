// Readers reads what crates/wire/examples/relayed.rs writes: responses of upstreams, what clients get of
// them, and what hickory-proto and domain read in both. It reads both with miekg/dns. A client's response
// must be readable for each of the three that can read the upstream's, and they must read the same in it:
// question, response code, number of records and their TTLs.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/miekg/dns"
)

var names = [3]string{"hickory-proto", "domain", "miekg/dns"}

func main() {
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	var messages, failures int
	var unreadable [3]int
	for {
		parts, err := next(input)
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "readers:", err)
			os.Exit(1)
		}
		messages++
		received := [3]string{string(parts[2]), string(parts[4]), read(parts[0])}
		relayed := [3]string{string(parts[3]), string(parts[5]), read(parts[1])}
		problem := compare(received, relayed)
		for reader, text := range relayed {
			if text == "" {
				unreadable[reader]++
			}
		}
		if problem != "" {
			failures++
			if failures <= 10 {
				fmt.Printf("readers: %s\n  received %x\n  relayed  %x\n", problem, parts[0], parts[1])
			}
		}
	}
	for reader, count := range unreadable {
		fmt.Printf("readers: %s cannot read %d, nor what the upstream sent\n", names[reader], count)
	}
	fmt.Printf("readers: 3 readers, %d relayed responses, %d disagreements\n", messages, failures)
	if failures > 0 || messages == 0 {
		os.Exit(1)
	}
}

// compare returns what is wrong with a relayed response.
func compare(received, relayed [3]string) string {
	first := -1
	for reader, text := range relayed {
		if text == "" {
			if received[reader] != "" {
				return names[reader] + " cannot read the relayed response"
			}
			continue
		}
		if first < 0 {
			first = reader
		}
		if text != relayed[first] {
			return fmt.Sprintf("%s reads %s, %s %s", names[first], relayed[first], names[reader], text)
		}
	}
	return ""
}

// next returns the six parts of a response.
func next(input io.Reader) ([6][]byte, error) {
	var parts [6][]byte
	for index := range parts {
		var length [4]byte
		if _, err := io.ReadFull(input, length[:]); err != nil {
			return parts, err
		}
		parts[index] = make([]byte, binary.BigEndian.Uint32(length[:]))
		if _, err := io.ReadFull(input, parts[index]); err != nil {
			return parts, err
		}
	}
	return parts, nil
}

// read returns what miekg/dns reads, in the form of relayed.rs; nothing when it cannot.
func read(packet []byte) string {
	var message dns.Msg
	if err := message.Unpack(packet); err != nil || len(message.Question) != 1 {
		return ""
	}
	question := message.Question[0]
	wire := make([]byte, 256)
	end, err := dns.PackDomainName(question.Name, wire, 0, nil, false)
	if err != nil {
		return ""
	}
	wire = binary.BigEndian.AppendUint16(wire[:end], question.Qtype)
	wire = binary.BigEndian.AppendUint16(wire, question.Qclass)
	for index, octet := range wire {
		if octet >= 'A' && octet <= 'Z' {
			wire[index] = octet + 'a' - 'A'
		}
	}
	text := fmt.Sprintf("%s %d", hex.EncodeToString(wire), message.Rcode&0xf)
	for _, section := range [][]dns.RR{message.Answer, message.Ns, message.Extra} {
		ttls := []string{}
		for _, record := range section {
			if record.Header().Rrtype != dns.TypeOPT {
				ttls = append(ttls, fmt.Sprint(record.Header().Ttl))
			}
		}
		text += fmt.Sprintf(" %d[%s]", len(ttls), strings.Join(ttls, ","))
	}
	return text
}
