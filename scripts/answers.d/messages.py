"""Answers of every record type with names in RDATA, compressed, and mutations of them."""

import random
import struct

QR_RD_RA = 0x8180
POINTER_TO_QNAME = b"\xc0\x0c"


def name(text):
    labels = [label.encode() for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def record(owner, rtype, rdata, ttl=300, rclass=1):
    return owner + struct.pack("!HHIH", rtype, rclass, ttl, len(rdata)) + rdata


N = POINTER_TO_QNAME
BITMAP = b"\x00\x02\x40\x01"
SIGNED = b"\x00\x01\x0d\x03" + b"\x00" * 3 + b"\x3c" + b"\x7f" * 4 + b"\x01" * 4 + b"\x00\x07"

# RDATA by mnemonic and number; every domain name is a pointer to QNAME.
NAMES = {
    ("NS", 2): N,
    ("CNAME", 5): N,
    ("SOA", 6): N + N + struct.pack("!5I", 1, 7200, 1800, 86400, 300),
    ("PTR", 12): N,
    ("MX", 15): b"\x00\x0a" + N,
    ("RP", 17): N + N,
    ("AFSDB", 18): b"\x00\x01" + N,
    ("RT", 21): b"\x00\x0a" + N,
    ("NSAP-PTR", 23): N,
    ("SIG", 24): SIGNED + N + b"\x09" * 64,
    ("PX", 26): b"\x00\x0a" + N + N,
    ("NXT", 30): N + b"\x40\x01",
    ("SRV", 33): b"\x00\x0a\x00\x14\x13\xc4" + N,
    ("NAPTR", 35): b"\x00\x0a\x00\x14\x01s\x07SIP+D2U\x00" + N,
    ("KX", 36): b"\x00\x0a" + N,
    ("DNAME", 39): N,
    ("IPSECKEY", 45): b"\x0a\x03\x02" + N + b"\x01" * 8,
    ("RRSIG", 46): SIGNED + N + b"\x09" * 64,
    ("NSEC", 47): N + BITMAP,
    ("HIP", 55): b"\x02\x02\x00\x04\x01\x02\x03\x04\x05\x06" + N,
    ("SVCB", 64): b"\x00\x01" + N + b"\x00\x03\x00\x02\x01\xbb",
    ("HTTPS", 65): b"\x00\x01" + N + b"\x00\x01\x00\x03\x02h2\x00\x04\x00\x04\xc0\x00\x02\x01",
    ("LP", 107): b"\x00\x0a" + N,
    ("AMTRELAY", 260): b"\x0a\x03" + N,
}

# Types in which names may be compressed (RFC 3597 section 4).
RFC_1035 = ("NS", "CNAME", "SOA", "PTR", "MX")

# RDATA without names.
OTHERS = {
    ("A", 1): b"\xc0\x00\x02\x01",
    ("AAAA", 28): b"\x20\x01\x0d\xb8" + b"\0" * 11 + b"\x01",
    ("HINFO", 13): b"\x03AMD\x05Linux",
    ("TXT", 16): b"\x05hello\x05world",
    ("X25", 19): b"\x0531105",
    ("ISDN", 20): b"\x041500\x03123",
    ("LOC", 29): b"\x00\x12\x16\x13\x89\x17\x2d\xd0\x70\xbe\x15\xf0\x00\x98\x8d\x20",
    ("CERT", 37): b"\x00\x01\x00\x07\x08" + b"\x01" * 9,
    ("APL", 42): b"\x00\x01\x08\x01\x0a\x00\x02\x20\x84\x20\x01\x0d\xb8",
    ("DS", 43): b"\x00\x07\x08\x02" + b"\x05" * 32,
    ("SSHFP", 44): b"\x01\x01" + b"\x05" * 20,
    ("DNSKEY", 48): b"\x01\x00\x03\x08" + b"\x05" * 32,
    ("NSEC3", 50): b"\x01\x00\x00\x05\x02\xaa\xbb\x14" + b"\x07" * 20 + BITMAP,
    ("NSEC3PARAM", 51): b"\x01\x00\x00\x05\x02\xaa\xbb",
    ("TLSA", 52): b"\x03\x01\x01" + b"\x05" * 32,
    ("CSYNC", 62): b"\x00\x00\x00\x07\x00\x03" + BITMAP,
    ("EUI48", 108): b"\x02\x00\x5e\x00\x53\x01",
    ("URI", 256): b"\x00\x0a\x00\x01https://a.test/",
    ("CAA", 257): b"\x00\x05issueca.test",
    ("TYPE65400", 65400): b"\xc0\x0c\x00\x01",
}

TYPES = {**NAMES, **OTHERS}
NUMBERS = {mnemonic: number for mnemonic, number in TYPES}


def answer(question, number, request_id=0):
    """The response to `question` (octets) with two records of its type."""
    rdata = next((rdata for (_, other), rdata in TYPES.items() if other == number), None)
    if rdata is None:
        return struct.pack("!6H", request_id, QR_RD_RA, 1, 0, 0, 0) + question
    counts = (2, 0, 0) if number not in (5, 6, 39, 46) else (1, 0, 0)
    records = record(POINTER_TO_QNAME, number, rdata) * counts[0]
    return struct.pack("!6H", request_id, QR_RD_RA, 1, *counts) + question + records


def sections(question, number):
    """The same with authority and additional records, and OPT."""
    head = answer(question, number)
    parent = b"\xc0" + bytes([12 + 1 + question[0]])
    authority = record(parent, 2, N) + record(parent, 46, SIGNED + N + b"\x09" * 64)
    additional = record(N, 1, b"\xc0\x00\x02\x02") + b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
    flags_and_answers = head[2:8]
    return head[:2] + flags_and_answers + struct.pack("!2H", 2, 2) + head[12:] + authority + additional


def denial(question):
    """NXDOMAIN with SOA, NSEC and signatures."""
    parent = b"\xc0" + bytes([12 + 1 + question[0]])
    signature = record(parent, 46, SIGNED + N + b"\x09" * 64)
    soa = N + N + struct.pack("!5I", 1, 7200, 1800, 86400, 300)
    records = record(parent, 6, soa) + signature + record(N, 47, N + BITMAP) + signature
    return struct.pack("!6H", 0, QR_RD_RA | 3, 1, 0, 4, 0) + question + records


class Mutations:
    """Mutated answers, numbered; each is to a question of its own."""

    def __init__(self, count, seed):
        self.count, self.seed = count, seed
        self.types = sorted(NUMBERS.values())

    def question(self, number):
        rtype = self.types[number % len(self.types)]
        return name(f"m{number:05}.answers.test") + struct.pack("!HH", rtype, 1)

    def answer(self, number):
        rng = random.Random(self.seed * 1_000_003 + number)
        question = self.question(number)
        rtype = self.types[number % len(self.types)]
        shape = number // len(self.types) % 4
        packet = denial(question) if shape == 3 else sections(question, rtype) if shape == 2 else answer(question, rtype)
        head, packet = 12 + len(question), bytearray(packet)
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            mutate(packet, head, rng)
        return bytes(packet)


def mutate(packet, head, rng):
    """Changes the flags, the counts or the records; ID and question stay."""
    if rng.random() < 0.08 or len(packet) <= head:
        at = rng.choice((3, 7, 9, 11))
        packet[at] = rng.choice((packet[at] ^ 1 << rng.randrange(4), packet[at] ^ 2))
        return
    at, kind = rng.randrange(head, len(packet)), rng.randrange(12)
    if kind < 5:
        packet[at] = rng.randrange(256)
    elif kind < 7:
        packet[at] = rng.choice((0, 1, 41, 63, 64, 128, 192, 250, 255))
    elif kind < 9:
        packet[at : at + 2] = struct.pack("!H", 0xC000 | rng.randrange(0, len(packet) + 4))
    elif kind == 9:
        packet[at:at] = rng.randbytes(rng.randrange(1, 4))
    elif kind == 10:
        del packet[at : at + rng.randrange(1, 12)]
    else:
        part = packet[at : at + rng.randrange(1, 40)]
        packet[at:at] = part
