"""Sends the questions of all mutated answers to the daemon and to its peer, and parses what they
respond with dnspython. Fails if dnspython cannot parse a response of the daemon where it can parse
the peer's. Usage: mutations.py DAEMON PEER COUNT SEED"""

import asyncio
import collections
import random
import struct
import sys

import dns.message

import messages

CLIENTS = 64
TIMEOUT = 8


class Client(asyncio.DatagramProtocol):
    """Queries over UDP; a truncated response is repeated over TCP."""

    def __init__(self, server):
        self.server, self.waiting = server, {}

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, packet, peer):
        waiter = self.waiting.pop(packet[:2], None)
        if waiter and not waiter.done():
            waiter.set_result(packet)

    async def query(self, question):
        request_id = random.randbytes(2)
        while request_id in self.waiting:
            request_id = random.randbytes(2)
        packet = request_id + struct.pack("!5H", 0x0100, 1, 0, 0, 1) + question
        packet += b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
        waiter = self.waiting[request_id] = asyncio.get_running_loop().create_future()
        self.transport.sendto(packet)
        try:
            response = await asyncio.wait_for(waiter, TIMEOUT)
        except (TimeoutError, asyncio.TimeoutError):
            self.waiting.pop(request_id, None)
            return None
        return response if not response[2] & 2 else await self.over_tcp(packet)

    async def over_tcp(self, packet):
        try:
            reader, writer = await asyncio.open_connection(self.server, 53)
            writer.write(struct.pack("!H", len(packet)) + packet)
            (length,) = struct.unpack("!H", await asyncio.wait_for(reader.readexactly(2), TIMEOUT))
            response = await asyncio.wait_for(reader.readexactly(length), TIMEOUT)
            writer.close()
            return response
        except (TimeoutError, asyncio.TimeoutError, OSError, asyncio.IncompleteReadError):
            return None


async def responses(server, mutations):
    """The response to each question, or None."""
    loop = asyncio.get_running_loop()
    _, client = await loop.create_datagram_endpoint(lambda: Client(server), remote_addr=(server, 53))
    results, numbers = [None] * mutations.count, iter(range(mutations.count))

    async def work():
        for number in numbers:
            results[number] = await client.query(mutations.question(number))

    await asyncio.gather(*(work() for _ in range(CLIENTS)))
    return results


async def all_responses(servers, mutations):
    return await asyncio.gather(*(responses(server, mutations) for server in servers))


def outcome(packet):
    """Why dnspython cannot parse a response, or None, and what the response is."""
    if packet is None:
        return "no response", "none"
    rcode = packet[3] & 15
    answers = struct.unpack("!H", packet[6:8])[0]
    kind = {0: "with answers" if answers else "without answers", 3: "NXDOMAIN"}.get(rcode, f"RCODE {rcode}")
    try:
        dns.message.from_wire(packet)
    except Exception as error:  # dnspython raises many kinds.
        return f"{type(error).__name__}: {error}", kind
    return None, kind


def main(daemon, peer, count, seed):
    mutations = messages.Mutations(count, seed)
    ours, theirs = asyncio.run(all_responses((daemon, peer), mutations))
    failures, worse, kinds = collections.Counter(), [], [collections.Counter(), collections.Counter()]
    for number in range(count):
        (our_error, our_kind), (their_error, their_kind) = outcome(ours[number]), outcome(theirs[number])
        kinds[0][our_kind] += 1
        kinds[1][their_kind] += 1
        failures["daemon"] += our_error is not None
        failures["peer"] += their_error is not None
        if our_error and not their_error:
            octets = (mutations.answer(number), ours[number] or b"", theirs[number])
            worse.append(f"{number}: {our_error}; upstream, daemon, peer: " + " ".join(part.hex() for part in octets))
    for title, counts in zip(("daemon", "peer"), kinds):
        print(f"{title}: " + ", ".join(f"{kind} {counts[kind]}" for kind in sorted(counts)))
    for line in worse[:20]:
        print(line)
    print(
        f"mutations: {count} answers: dnspython cannot parse {failures['daemon']} of the daemon's responses and "
        f"{failures['peer']} of the peer's; {len(worse)} of the daemon's where it can parse the peer's"
    )
    return bool(worse)


sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
