"""A TCP proxy that misbehaves on command: python netproxy.py LISTEN_PORT TARGET_PORT, commands on standard input.

    pass                what comes is passed on
    latency MS          each piece waits so long, both ways
    trickle             one byte a second, both ways
    reset               all connections are reset, and those that come, while it lasts
    blackhole           nothing is passed on; when it is over, what was held goes on
    halfopen            the target's side is closed and this side never told: those connections stay dead for good
    cut N               a connection is reset after N bytes of what the target answers from now on
    target PORT         who comes from now on is led there, and those that are there are reset

Each command is answered by a line: how many connections there are, and how many the commands have hit so far.
"""

import asyncio
import socket
import struct
import sys

PIECE = 65536


class Mode:
    def __init__(self):
        self.name, self.number = "pass", 0
        self.changed = asyncio.Event()

    def set(self, name, number=0):
        self.name, self.number = name, number
        self.changed.set()
        self.changed = asyncio.Event()

    async def pause(self, seconds):
        """Or until the mode changes."""
        try:
            await asyncio.wait_for(self.changed.wait(), seconds)
        except asyncio.TimeoutError:
            pass


class Link:
    """A client's connection and ours to the target, and what passes between them."""

    all = set()
    hits = 0

    def __init__(self, mode, client, target):
        self.mode, self.client, self.target = mode, client, target
        self.dead = self.hit = False
        self.answered = 0  # bytes since the mode is "cut"

    def struck(self):
        if not self.hit:
            self.hit = True
            Link.hits += 1

    def reset(self):
        self.struck()
        for _, writer in (self.client, self.target):
            sock = writer.get_extra_info("socket")
            if sock and not writer.is_closing():
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    def go_dead(self):
        """The target is gone without a word; the client's bytes are swallowed."""
        self.struck()
        self.dead = True
        self.target[1].transport.abort()

    async def send(self, writer, data, answer):
        while True:
            mode = self.mode
            if self.dead:
                return
            if mode.name == "blackhole":
                self.struck()
                await mode.changed.wait()
                continue
            if mode.name == "trickle" and data:
                self.struck()
                writer.write(data[:1])
                data = data[1:]
                await mode.pause(1)
                continue
            if mode.name == "latency":
                self.struck()
                await asyncio.sleep(mode.number / 1000)
            if mode.name == "cut" and answer:
                left = mode.number - self.answered
                self.answered += len(data)
                if left < len(data):
                    writer.write(data[:max(left, 0)])
                    await asyncio.sleep(0)  # on its way before the reset
                    return self.reset()
            writer.write(data)
            return await writer.drain()

    async def pump(self, reader, writer, answer):
        try:
            while data := await reader.read(PIECE):
                await self.send(writer, data, answer)
        except OSError:
            pass
        if self.dead and answer:
            return  # the client is not told
        for _, w in (self.client, self.target):
            w.close()

    async def run(self):
        Link.all.add(self)
        if self.mode.name == "reset":
            self.reset()
        await asyncio.gather(self.pump(self.client[0], self.target[1], False),
                             self.pump(self.target[0], self.client[1], True))
        Link.all.discard(self)


async def main(listen, port):
    mode, target = Mode(), [port]

    async def accept(reader, writer):
        try:
            there = await asyncio.open_connection("127.0.0.1", target[0])
        except OSError:
            writer.transport.abort()
            return
        await Link(mode, (reader, writer), there).run()

    await asyncio.start_server(accept, "127.0.0.1", listen, limit=PIECE)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print("ready", flush=True)
    while line := await commands.readline():
        name, *number = line.decode().split()
        for link in list(Link.all):
            link.hit, link.answered = False, 0
        if name == "target":
            target[0], name = int(number[0]), "pass"
            for link in list(Link.all):
                link.reset()
        mode.set(name, int(number[0]) if number else 0)
        for link in list(Link.all):
            if name == "reset":
                link.reset()
            elif name == "halfopen":
                link.go_dead()
        print(len(Link.all), Link.hits, flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
