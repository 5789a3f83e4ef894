package main

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// names of which every other is one of a fixed set and every other was never asked before; of either kind, half
// are outside names and half names of the cluster, which take different ways upstream.
type names struct {
	set     int
	outside string
	cluster string
	fresh   uint32 // where this run begins to count new names
}

// of the i-th question of a stream: its name, and whether that is of the fixed set.
func (n names) of(i int, s stream) (string, bool) {
	if i%2 == 0 {
		return n.known(i / 2 % n.set), true
	}
	count := n.fresh + uint32(i)*2 + uint32(s)
	if n.cluster == "" || i/2%2 == 0 {
		return fmt.Sprintf("n%08x.%s.", count, n.outside), false
	}
	return n.pod(count), false
}

func (n names) known(i int) string {
	if n.cluster == "" || i%2 == 0 {
		return fmt.Sprintf("known%d.%s.", i, n.outside)
	}
	return n.pod(0x0a000000 | uint32(i))
}

func (n names) pod(address uint32) string {
	b := binary.BigEndian.AppendUint32(nil, address)
	return fmt.Sprintf("%d-%d-%d-%d.%s.", b[0], b[1], b[2], b[3], n.cluster)
}

// query is a DNS message that asks for the A records of name, recursion desired (RFC 1035, 4.1).
func query(name string, id uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = append(b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	for _, label := range strings.Split(strings.TrimSuffix(name, "."), ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0, 0, 1, 0, 1)
}

// verdict on a message: is it the answer to asked, with which RCODE, and does it hold a record?
func verdict(message, asked []byte) (ours bool, rcode uint8, records bool) {
	if len(message) < len(asked) || message[2]&0x80 == 0 || message[0] != asked[0] || message[1] != asked[1] {
		return false, 0, false
	}
	if !strings.EqualFold(string(message[12:len(asked)]), string(asked[12:])) {
		return false, 0, false
	}
	return true, message[3] & 15, binary.BigEndian.Uint16(message[6:]) > 0
}
