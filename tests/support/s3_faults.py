#!/usr/bin/env python3
"""Stands before an S3 server on 127.0.0.1 and fails, delays and resets some of its requests.

usage: s3_faults.py HOST:PORT SEED [PERCENT]

Prints its port, then, when it is ended with SIGTERM, how often it did what. What it does with a
request follows from the seed and the order in which requests come:

  error   answers 503 or 500 without asking the server
  drop    closes the connection with a reset, without asking the server
  late    asks the server after a delay
  lost    asks the server, and closes the connection with a reset instead of the answer

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import random
import signal
import socket
import struct
import sys

KINDS = ("error", "drop", "late", "lost")
counts = dict.fromkeys(KINDS + ("pass",), 0)


async def read_message(reader):
    """The head of a request and its body; None when the client has no more."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    size = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
    return head, await reader.readexactly(size)


async def ask(server, head, body):
    """The whole answer of the server, on a connection of its own."""
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    head = b"\r\n".join([lines[0], b"Connection: close"] + lines[1:])
    reader, writer = await asyncio.open_connection(*server)
    writer.write(head + body)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


def reset(writer):
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def serve(server, draw, reader, writer):
    try:
        message = await read_message(reader)
        if message is None:
            writer.close()
            return
        kind = draw()
        counts[kind] += 1
        if kind == "drop":
            reset(writer)
            return
        if kind == "error":
            status = b"503 Slow Down" if counts["error"] % 2 else b"500 Internal Server Error"
            answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        else:
            if kind == "late":
                await asyncio.sleep(0.15)
            answer = await ask(server, *message)
        if kind == "lost":
            reset(writer)
            return
        writer.write(answer)
        await writer.drain()
        writer.close()
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
        writer.transport.abort()


async def main():
    host, port = sys.argv[1].rsplit(":", 1)
    percent = float(sys.argv[3]) if len(sys.argv) > 3 else 12
    rng = random.Random(int(sys.argv[2]))

    def draw():
        return rng.choice(KINDS) if rng.random() * 100 < percent else "pass"

    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    server = await asyncio.start_server(
        lambda reader, writer: serve((host, int(port)), draw, reader, writer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()
    print(" ".join(f"{kind}={count}" for kind, count in counts.items()), flush=True)


asyncio.run(main())
