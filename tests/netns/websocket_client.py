# SPDX-License-Identifier: GPL-2.0-only
"""The visitor of interactive.py that speaks WebSocket, run by Debian's python3 with python3-websockets: text, 10 MiB,
ping, a long silence without pings, and the server's close code. Usage: websocket_client.py URL IDLE_SECONDS"""
import asyncio
import os
import sys

import websockets


async def echoed(socket, message):
    await socket.send(message)
    answer = await asyncio.wait_for(socket.recv(), 20)
    if answer != message or type(answer) is not type(message):
        sys.exit(f"{len(message)} sent, {len(answer)} came, and it differs")


async def talk(url, idle_s):
    async with websockets.connect(url, max_size=16 << 20, ping_interval=None, compression=None) as socket:
        await echoed(socket, "gr\u00fc\u00df dich")
        await echoed(socket, os.urandom(10 << 20))
        await asyncio.wait_for(await socket.ping(b"there?"), 5)
        await asyncio.sleep(idle_s)
        await echoed(socket, "still here")
        await echoed(socket, "bye")
        await asyncio.wait_for(socket.wait_closed(), 5)
        print(f"closed {socket.close_code} {socket.close_reason}")


asyncio.run(talk(sys.argv[1], float(sys.argv[2])))
