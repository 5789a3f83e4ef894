"""An upstream: crafted answers over TCP and UDP. Usage: upstream.py ADDRESS COUNT SEED"""

import asyncio
import struct
import sys

import messages


class Upstream(asyncio.DatagramProtocol):
    def __init__(self, mutations):
        self.mutations = mutations

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, query, peer):
        self.transport.sendto(self.answer(query), peer)

    def answer(self, query):
        end = 12
        while query[end]:
            end += 1 + query[end]
        question = query[12 : end + 5]
        label = question[1 : 1 + question[0]].lower()
        if label[:1] == b"m" and label[1:].isdigit():
            packet = self.mutations.answer(int(label[1:]))
        else:
            packet = messages.answer(question, struct.unpack("!H", question[-4:-2])[0])
        return query[:2] + packet[2:12] + question + packet[12 + len(question) :]

    async def serve_stream(self, reader, writer):
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                packet = self.answer(await reader.readexactly(length))
                writer.write(struct.pack("!H", len(packet)) + packet)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def main(address, count, seed):
    upstream = Upstream(messages.Mutations(count, seed))
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: upstream, local_addr=(address, 53))
    server = await asyncio.start_server(upstream.serve_stream, address, 53, backlog=1024)
    print("listening", flush=True)
    await server.serve_forever()


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
