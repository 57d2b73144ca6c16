"""Reads one answer with its trailers by h11: trailers.py PORT. Says what it got."""

import socket
import sys

import h11
from client import ask

sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60)
conn = h11.Connection(h11.CLIENT)
head, body, trailers = ask(conn, sock, "GET", "/", [], [])
assert conn.their_state is h11.DONE, conn
print(dict(head.headers)[b"trailer"].decode(), body.decode(), trailers)
