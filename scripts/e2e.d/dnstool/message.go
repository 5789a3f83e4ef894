package main

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
)

const (
	typeA         = 1
	classIN       = 1
	noError       = 0
	servfail      = 2
	nxdomain      = 3
	responseFlag  = 1 << 15
	authoritative = 1 << 10
	recursion     = 1 << 8
	headerLen     = 12
)

var errShort = errors.New("truncated message")

// message holds the parts of a DNS message that dnstool needs (RFC 1035 section 4.1).
type message struct {
	id        uint16
	rcode     int
	name      string
	qtype     uint16
	addresses []string
}

func header(id, flags, answers uint16) []byte {
	m := binary.BigEndian.AppendUint16(nil, id)
	m = binary.BigEndian.AppendUint16(m, flags)
	m = binary.BigEndian.AppendUint16(m, 1)
	m = binary.BigEndian.AppendUint16(m, answers)
	return append(m, 0, 0, 0, 0)
}

func appendQuestion(m []byte, name string, qtype uint16) []byte {
	for _, label := range strings.Split(strings.TrimSuffix(name, "."), ".") {
		m = append(m, byte(len(label)))
		m = append(m, label...)
	}
	m = append(m, 0)
	m = binary.BigEndian.AppendUint16(m, qtype)
	return binary.BigEndian.AppendUint16(m, classIN)
}

func query(id uint16, name string) []byte {
	return appendQuestion(header(id, recursion, 0), name, typeA)
}

// reply answers an A query with the address; NXDOMAIN without one, NODATA for other types.
func reply(query message, address string) []byte {
	flags := uint16(responseFlag | authoritative | recursion)
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return appendQuestion(header(query.id, flags|nxdomain, 0), query.name, query.qtype)
	}
	if query.qtype != typeA {
		return appendQuestion(header(query.id, flags|noError, 0), query.name, query.qtype)
	}
	m := appendQuestion(header(query.id, flags|noError, 1), query.name, query.qtype)
	m = append(m, 0xc0, headerLen, 0, typeA, 0, classIN, 0, 0, 0, 30, 0, 4)
	return append(m, ip.AsSlice()...)
}

func parse(m []byte) (message, error) {
	if len(m) < headerLen {
		return message{}, errShort
	}
	parsed := message{id: binary.BigEndian.Uint16(m), rcode: int(m[3] & 0x0f)}
	name, at, err := parseName(m, headerLen)
	if err != nil || len(m) < at+4 {
		return message{}, errShort
	}
	parsed.name, parsed.qtype = name, binary.BigEndian.Uint16(m[at:])
	at += 4
	for range binary.BigEndian.Uint16(m[6:]) {
		if _, at, err = parseName(m, at); err != nil || len(m) < at+10 {
			return message{}, errShort
		}
		rtype, length := binary.BigEndian.Uint16(m[at:]), int(binary.BigEndian.Uint16(m[at+8:]))
		at += 10
		if len(m) < at+length {
			return message{}, errShort
		}
		if ip, ok := netip.AddrFromSlice(m[at : at+length]); ok && rtype == typeA {
			parsed.addresses = append(parsed.addresses, ip.String())
		}
		at += length
	}
	return parsed, nil
}

// parseName returns the name at an offset and the offset behind it. Compression pointers are not
// followed: only owner names of answers are compressed, and those are not used.
func parseName(m []byte, at int) (string, int, error) {
	var labels []string
	for at < len(m) {
		length := int(m[at])
		switch {
		case length == 0:
			return strings.Join(labels, "."), at + 1, nil
		case length&0xc0 == 0xc0:
			return strings.Join(labels, "."), at + 2, nil
		case at+1+length > len(m):
			return "", 0, errShort
		}
		labels = append(labels, string(m[at+1:at+1+length]))
		at += 1 + length
	}
	return "", 0, errShort
}
