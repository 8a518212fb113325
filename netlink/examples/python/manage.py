#!/usr/bin/env python3
"""Manages an acrypto daemon with pyroute2, and with nothing of acrypto's own: finds the family by name, lists the
devices, switches the balancer, has a digest made and compares it, hears the event of the switch, and shows a refusal.

    acrypto daemon --listen netlink,rw
    pip install pyroute2 && python3 manage.py [PORT]

Numbers are those of netlink/spec/acrypto.yaml; the classes below have the attributes that are used here.
"""

import hashlib
import sys

from pyroute2.netlink import NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, genlmsg
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.generic import AsyncGenericNetlinkSocket, GenericNetlinkSocket

NETLINK_USERSOCK = 2
PORT = 0x41000000  # of the daemon, unless it was told another one

DEVICE_GET, BALANCER_SET, SESSION_NEW, OP_SUBMIT, EVENT_SUBSCRIBE, EVENT_NTF = 10, 21, 31, 40, 80, 82
DIGEST = 3


class Device(genlmsg):
    nla_map = ((1, "EPOCH", "uint32"), (3, "NAME", "asciiz"), (4, "KIND", "asciiz"), (5, "STATE", "uint32"))


class Balancer(genlmsg):
    nla_map = ((1, "EPOCH", "uint32"), (2, "NAME", "asciiz"))


class Session(genlmsg):
    nla_map = ((1, "EPOCH", "uint32"), (2, "ID", "uint64"), (3, "ALGORITHM", "asciiz"))


class Op(genlmsg):
    nla_map = (
        (1, "EPOCH", "uint32"),
        (3, "SESSION", "uint64"),
        (4, "KIND", "uint32"),
        (8, "DEVICE", "asciiz"),
        (16, "DATA", "cdata"),
        (17, "OUTPUT", "cdata"),
    )


class Event(genlmsg):
    nla_map = (
        (1, "EPOCH", "uint32"),
        (2, "SUBSCRIPTION", "uint32"),
        (3, "SEQ", "uint64"),
        (8, "NAME", "asciiz"),
        (9, "FROM", "asciiz"),
        (10, "TO", "asciiz"),
    )


class AsyncAcrypto(AsyncGenericNetlinkSocket):
    """The library takes the kernel, at port 0, for the only one who serves generic netlink."""

    port = PORT

    async def discovery(self, proto):
        self.socket.connect((AsyncAcrypto.port, 0))
        return await super().discovery(proto)

    def sendto(self, data, _address):
        return self.socket.send(data)


class Acrypto(GenericNetlinkSocket):
    async_class = AsyncAcrypto

    def __init__(self):
        super().__init__(family=NETLINK_USERSOCK, ext_ack=True)

    def ask(self, message_class, command, attributes=(), flags=NLM_F_ACK):
        """Asks, and gives the answers."""
        message = message_class()
        message["cmd"], message["version"] = command, 1
        message["attrs"] = [[name, value] for name, value in attributes]
        self.marshal.msg_map[self.prid] = message_class
        return tuple(self.nlm_request(message, msg_type=self.prid, msg_flags=NLM_F_REQUEST | flags))


def main():
    if len(sys.argv) > 1:
        AsyncAcrypto.port = int(sys.argv[1], 0)
    # Answers and events of one connection would have to be told apart by the library: each has one of its own.
    with Acrypto() as acrypto, Acrypto() as events:
        acrypto.bind("acrypto", Device)
        events.bind("acrypto", Event)
        print(f"family acrypto has id {acrypto.prid:#x}")

        for device in acrypto.ask(Device, DEVICE_GET, flags=NLM_F_DUMP):
            name, kind, state = (device.get_attr(name) for name in ("NAME", "KIND", "STATE"))
            print(f"device {name}, kind {kind}, state {state}")

        events.ask(Event, EVENT_SUBSCRIBE, [("SUBSCRIPTION", 1)])
        acrypto.ask(Balancer, BALANCER_SET, [("NAME", "round_robin_lb")])
        acrypto.ask(Balancer, BALANCER_SET, [("NAME", "simple_lb")])
        for event in events.get():
            seq, name, before, now = (event.get_attr(name) for name in ("SEQ", "NAME", "FROM", "TO"))
            print(f"event {seq}: {name}: {before} -> {now}")
            break

        (session,) = acrypto.ask(Session, SESSION_NEW, [("ALGORITHM", "sha256")])
        request = [("SESSION", session.get_attr("ID")), ("KIND", DIGEST), ("DATA", b"abc")]
        (answer,) = acrypto.ask(Op, OP_SUBMIT, request)
        if answer.get_attr("OUTPUT") != hashlib.sha256(b"abc").digest():
            sys.exit("manage.py: the digest is wrong")
        print(f'sha256 of "abc" by {answer.get_attr("DEVICE")} is right')

        try:
            acrypto.ask(Balancer, BALANCER_SET, [("NAME", "no_such_lb")])
        except NetlinkError as refused:
            print(f"refused: {refused}")
        else:
            sys.exit("manage.py: a balancer that does not exist was taken")


if __name__ == "__main__":
    main()
