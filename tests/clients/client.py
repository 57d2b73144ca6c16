"""A client of echo_http that reads by h11: client.py PORT. Says "ok", or fails."""

import socket
import sys

import h11


def receive(conn, sock):
    """One response, as h11 understands it."""
    head, body, trailers = None, b"", []
    while True:
        event = conn.next_event()
        if event is h11.NEED_DATA:
            conn.receive_data(sock.recv(3000))
        elif isinstance(event, h11.InformationalResponse):
            assert event.status_code in (100, 103), event
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return head, body, list(event.headers)
        else:
            raise AssertionError(event)


def ask(conn, sock, method, target, fields, pieces):
    request = h11.Request(method=method, target=target, headers=[("Host", "localhost"), *fields])
    data = conn.send(request)
    for piece in pieces:
        data += conn.send(h11.Data(data=piece))
    sock.sendall(data + conn.send(h11.EndOfMessage()))
    return receive(conn, sock)


def main():
    sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60)
    conn = h11.Connection(h11.CLIENT)
    chunked = ("Transfer-Encoding", "chunked")
    for i in range(40):
        pieces = [bytes([65 + i]) * size for size in (1, 10, 1000, 5000, 300)[: i % 6]]
        total = sum(map(len, pieces))
        fields = [chunked] if i % 2 else [("Content-Length", str(total))]
        head, body, _ = ask(conn, sock, "POST", "/", fields, pieces)
        assert head.status_code == 200 and body == b"".join(pieces), (i, head, body)
        assert conn.our_state is h11.DONE and conn.their_state is h11.DONE, conn
        conn.start_next_cycle()
    head, body, _ = ask(conn, sock, "HEAD", "/echo", [], [])
    assert head.status_code == 200 and body == b"", head
    conn.start_next_cycle()
    # A refusal is framed as well, and says that it is the last.
    sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    conn.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    conn.send(h11.EndOfMessage())
    head, body, _ = receive(conn, sock)
    assert head.status_code == 400 and body, head
    assert (b"connection", b"close") in head.headers.raw_items() or conn.their_state is h11.MUST_CLOSE
    assert sock.recv(1) == b""

    # HTTP/1.0, whose bodies may end with the connection.
    sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60)
    conn = h11.Connection(h11.CLIENT)
    conn.send(h11.Request(method="POST", target="/", headers=[("Host", "a"), ("Content-Length", "20000")]))
    conn.send(h11.Data(data=b"x" * 20000))
    conn.send(h11.EndOfMessage())
    sock.sendall(b"POST / HTTP/1.0\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20000)
    head, body, _ = receive(conn, sock)
    assert head.status_code == 200 and body == b"x" * 20000, (head, len(body))
    print("ok")


if __name__ == "__main__":
    main()
