"""The tcp-echo program."""

import socket
from collections.abc import Callable
from typing import Any

Start = Callable[..., Any]


def test_each_line_comes_back_behind_the_prefix_on_every_port(start: Start) -> None:
    """As the sample's `args: ["9000,9001", "hello"]`: several ports, one prefix, many lines on a connection."""
    program = start("tcp_echo", "0,0", "hello", listeners=2)
    assert len(set(program.ports)) == 2
    for port in program.ports:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, connection.makefile("rwb") as stream:
            for line in (b"one\n", b"t w o\n"):
                stream.write(line)
                stream.flush()
                assert stream.readline() == b"hello " + line


def test_a_line_without_its_end_gets_no_answer(start: Start) -> None:
    """The original waits for the line break; a client that ends before gets nothing."""
    program = start("tcp_echo", "0", "one")
    with socket.create_connection(("127.0.0.1", program.ports[0]), timeout=10) as connection:
        connection.sendall(b"no end")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""


def test_it_ends_at_once_on_sigterm_and_says_nothing_of_open_connections(start: Start) -> None:
    """SIGTERM with a client connected: exit code 0, no trace in the log."""
    program = start("tcp_echo", "0", "one")
    with socket.create_connection(("127.0.0.1", program.ports[0]), timeout=10) as connection:
        connection.sendall(b"x\n")
        assert connection.recv(100) == b"one x\n"
        program.process.terminate()
        assert program.process.wait(timeout=10) == 0
    assert len(program.log) == 1
