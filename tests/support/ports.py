"""Ports of this machine for the processes of a test."""

import socket


def free_ports(count):
    holders = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports
