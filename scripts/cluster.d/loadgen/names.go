package main

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// names alternate between a fixed set and new ones; half of each are external names, half names of
// the cluster, which have different upstreams.
type names struct {
	set     int
	outside string
	cluster string
	fresh   uint32 // first number of the new names
}

// of returns the name of the i-th query of a transport, and whether it is in the fixed set.
func (n names) of(i int, s transport) (string, bool) {
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

// encodeQuery encodes a query for the A records of name with RD set (RFC 1035 section 4.1).
func encodeQuery(name string, id uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = append(b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	for _, label := range strings.Split(strings.TrimSuffix(name, "."), ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0, 0, 1, 0, 1)
}

// matchResponse returns whether a message is the response to request, its RCODE, and whether it has
// an answer.
func matchResponse(message, request []byte) (matches bool, rcode uint8, records bool) {
	if len(message) < len(request) || message[2]&0x80 == 0 || message[0] != request[0] || message[1] != request[1] {
		return false, 0, false
	}
	if !strings.EqualFold(string(message[12:len(request)]), string(request[12:])) {
		return false, 0, false
	}
	return true, message[3] & 15, binary.BigEndian.Uint16(message[6:]) > 0
}
