# SPDX-License-Identifier: BSD-2-Clause
"""The program of test_calls.py: scenarios of calls on one established TCP connection, and its peer.

usage: calls.py serve PORT | peer

A scenario is a function that gets S: the connection's descriptor and ways to call the C library with it and to have
the peer do something. It returns nothing; what it notes is compared between a kernel socket and a switched one.
"""
import ctypes
import errno
import fcntl
import json
import mmap
import os
import select
import signal
import socket
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.recv.restype = libc.send.restype = libc.sendto.restype = libc.recvfrom.restype = ctypes.c_ssize_t
libc.recvmsg.restype = libc.sendmsg.restype = ctypes.c_ssize_t
SCENARIOS = {}
PORT = 9100
WAIT_MS = 10000


def scenario(f):
    SCENARIOS[f.__name__] = f
    return f


class S:
    def __init__(self, fd, ask):
        self.fd, self.ask, self.notes = fd, ask, []

    def note(self, *what):
        self.notes.append(what)

    def c(self, name, *args, quiet=False):
        """Call the C library on the descriptor; notes and returns the result or the name of the error."""
        ctypes.set_errno(0)
        r = getattr(libc, name)(self.fd, *args)
        r = errno.errorcode.get(ctypes.get_errno(), "?") if r < 0 else r
        if not quiet:
            self.note(name, r)
        return r

    def peer(self, code):
        """Python, run by the peer with its socket as p."""
        return self.ask(code)

    def get(self, level, name, size):
        room = ctypes.create_string_buffer(b"\xaa" * (size + 8), size + 8)
        length = ctypes.c_uint32(size)
        r = self.c("getsockopt", level, name, room, ctypes.byref(length), quiet=True)
        if (level, name) == (SOL, 28) and size >= 4:
            room[2:4] = b"pp"  # the peer's port is another each time
        self.note("get", name, size, r, length.value, room.raw.hex())
        return room.raw

    def set(self, level, name, value, length=None):
        data = value if isinstance(value, bytes) else struct.pack("i", value)
        return self.c("setsockopt", level, name, data, len(data) if length is None else length)

    def recv(self, n, flags=0):
        room = ctypes.create_string_buffer(n)
        r = self.c("recv", room, ctypes.c_size_t(n), flags, quiet=True)
        self.note("recv", n, flags, r, room.raw[:r].hex() if isinstance(r, int) else "")
        return r

    def send(self, data, flags=0):
        return self.c("send", data, ctypes.c_size_t(len(data)), flags | socket.MSG_NOSIGNAL)

    def events(self, timeout=0, mask=0xFFFF & ~select.POLLWRBAND):
        p = select.poll()
        p.register(self.fd, mask)
        r = p.poll(timeout)
        self.note("poll", r[0][1] if r else 0)
        return r[0][1] if r else 0

    def until(self, mask):
        """Wait for these events; not noted, as they may come one by one."""
        p = select.poll()
        p.register(self.fd, mask)
        r = p.poll(WAIT_MS)
        assert r, "no event of %#x" % mask

    def ioctl_int(self, request):
        value = ctypes.c_int(-1)
        r = self.c("ioctl", ctypes.c_ulong(request), ctypes.byref(value), quiet=True)
        self.note("ioctl", request, r, value.value)
        return value.value

    def name(self, call, size=128):
        room = ctypes.create_string_buffer(b"\xaa" * (size + 1), size + 1)
        length = ctypes.c_uint32(size)
        r = self.c(call, room, ctypes.byref(length), quiet=True)
        raw = room.raw
        if size >= 4:  # the ports are others each time
            raw = raw[:2] + b"pp" + raw[4:]
        self.note(call, size, r, length.value, raw.hex())


RDHUP = select.POLLRDHUP
SIOCOUTQ, SIOCOUTQNSD, FIONREAD, SIOCATMARK, FIONBIO = 0x5411, 0x894B, 0x541B, 0x8905, 0x5421
SOL, TCP, IP, V6 = socket.SOL_SOCKET, socket.IPPROTO_TCP, socket.IPPROTO_IP, socket.IPPROTO_IPV6

# ---- every option: asked for with room for nothing, a part, all and more; set, and asked again ----

OPTIONS = [
    (SOL, "SO_TYPE", 3), (SOL, "SO_PROTOCOL", 38), (SOL, "SO_DOMAIN", 39), (SOL, "SO_ERROR", 4), (SOL, "SO_ACCEPTCONN", 30),
    (SOL, "SO_DEBUG", 1), (SOL, "SO_REUSEADDR", 2), (SOL, "SO_DONTROUTE", 5), (SOL, "SO_BROADCAST", 6), (SOL, "SO_SNDBUF", 7),
    (SOL, "SO_RCVBUF", 8), (SOL, "SO_KEEPALIVE", 9), (SOL, "SO_OOBINLINE", 10), (SOL, "SO_NO_CHECK", 11), (SOL, "SO_PRIORITY", 12),
    (SOL, "SO_LINGER", 13), (SOL, "SO_REUSEPORT", 15), (SOL, "SO_PASSCRED", 16), (SOL, "SO_PEERCRED", 17), (SOL, "SO_RCVLOWAT", 18),
    (SOL, "SO_SNDLOWAT", 19), (SOL, "SO_RCVTIMEO", 20), (SOL, "SO_SNDTIMEO", 21), (SOL, "SO_BINDTODEVICE", 25),
    (SOL, "SO_DETACH_FILTER", 27), (SOL, "SO_PEERNAME", 28), (SOL, "SO_TIMESTAMP", 29), (SOL, "SO_PEERSEC", 31), (SOL, "SO_PASSSEC", 34),
    (SOL, "SO_TIMESTAMPNS", 35), (SOL, "SO_MARK", 36), (SOL, "SO_TIMESTAMPING", 37), (SOL, "SO_RXQ_OVFL", 40),
    (SOL, "SO_WIFI_STATUS", 41), (SOL, "SO_PEEK_OFF", 42), (SOL, "SO_NOFCS", 43), (SOL, "SO_LOCK_FILTER", 44),
    (SOL, "SO_SELECT_ERR_QUEUE", 45), (SOL, "SO_BUSY_POLL", 46), (SOL, "SO_MAX_PACING_RATE", 47), (SOL, "SO_ZEROCOPY", 60),
    (SOL, "SO_TXTIME", 61), (SOL, "SO_PREFER_BUSY_POLL", 69), (SOL, "SO_NETNS_COOKIE", 71), (SOL, "SO_BUF_LOCK", 72),
    (SOL, "SO_TXREHASH", 74), (SOL, "SO_RCVMARK", 75), (SOL, "SO_PASSPIDFD", 76), (SOL, "SO_PEERPIDFD", 77), (SOL, "no such", 999),
    (TCP, "TCP_NODELAY", 1), (TCP, "TCP_MAXSEG", 2), (TCP, "TCP_CORK", 3), (TCP, "TCP_KEEPIDLE", 4), (TCP, "TCP_KEEPINTVL", 5),
    (TCP, "TCP_KEEPCNT", 6), (TCP, "TCP_SYNCNT", 7), (TCP, "TCP_LINGER2", 8), (TCP, "TCP_DEFER_ACCEPT", 9), (TCP, "TCP_WINDOW_CLAMP", 10),
    (TCP, "TCP_CONGESTION", 13), (TCP, "TCP_MD5SIG", 14), (TCP, "TCP_THIN_LINEAR_TIMEOUTS", 16), (TCP, "TCP_THIN_DUPACK", 17),
    (TCP, "TCP_USER_TIMEOUT", 18), (TCP, "TCP_REPAIR_OPTIONS", 22), (TCP, "TCP_FASTOPEN", 23), (TCP, "TCP_NOTSENT_LOWAT", 25),
    (TCP, "TCP_SAVE_SYN", 27), (TCP, "TCP_SAVED_SYN", 28), (TCP, "TCP_FASTOPEN_CONNECT", 30), (TCP, "TCP_ULP", 31), (TCP, "TCP_INQ", 36),
    (TCP, "TCP_TX_DELAY", 37), (TCP, "no such", 999),
    (IP, "IP_TOS", 1), (IP, "IP_TTL", 2), (IP, "IP_HDRINCL", 3), (IP, "IP_OPTIONS", 4), (IP, "IP_RECVOPTS", 6), (IP, "IP_RETOPTS", 7),
    (IP, "IP_PKTINFO", 8), (IP, "IP_MTU_DISCOVER", 10), (IP, "IP_RECVERR", 11), (IP, "IP_RECVTTL", 12), (IP, "IP_RECVTOS", 13),
    (IP, "IP_MTU", 14), (IP, "IP_FREEBIND", 15), (IP, "IP_PASSSEC", 18), (IP, "IP_TRANSPARENT", 19), (IP, "IP_MINTTL", 21),
    (IP, "IP_BIND_ADDRESS_NO_PORT", 24), (IP, "IP_MULTICAST_TTL", 33), (IP, "IP_MULTICAST_LOOP", 34), (IP, "IP_UNICAST_IF", 50),
    (IP, "IP_LOCAL_PORT_RANGE", 51), (IP, "no such", 999), (V6, "IPV6_V6ONLY", 26), (V6, "IPV6_TCLASS", 67),
    (socket.IPPROTO_UDP, "a level of others", 1), (12345, "no level", 1),
]
LEVELS = {SOL: "socket", TCP: "tcp", IP: "ip", V6: "ipv6"}


def option_scenarios(level, label, name):
    def ask(s):
        for size in (0, 1, 2, 4, 8, 16, 64):
            s.get(level, name, size)

    def change(s):
        s.set(level, name, b"\1")
        s.set(level, name, b"")
        s.set(level, name, 1)
        s.get(level, name, 8)
        s.set(level, name, -1)
        s.get(level, name, 8)
        s.set(level, name, struct.pack("ii", 1, 30))
        s.get(level, name, 8)
        s.set(level, name, 100000)
        s.set(level, name, b"\0" * 64)
        s.get(level, name, 8)
        s.set(level, name, 0)
        s.get(level, name, 8)
        s.set(level, name, b"\1\0\0\0", -1)

    text = "%s.%s" % (LEVELS.get(level, level), label)
    SCENARIOS["get " + text] = ask
    SCENARIOS["set " + text] = change


for option in OPTIONS:
    option_scenarios(*option)


@scenario
def option_bad_memory(s):
    s.c("getsockopt", TCP, socket.TCP_NODELAY, None, None)
    length = ctypes.c_uint32(4)
    s.c("getsockopt", TCP, socket.TCP_NODELAY, ctypes.c_void_p(8), ctypes.byref(length))
    s.c("setsockopt", TCP, socket.TCP_NODELAY, ctypes.c_void_p(8), 4)
    length = ctypes.c_uint32(0xFFFFFFFF)
    s.c("getsockopt", TCP, socket.TCP_NODELAY, ctypes.create_string_buffer(4), ctypes.byref(length))


@scenario
def option_congestion(s):
    s.set(TCP, socket.TCP_CONGESTION, b"reno")
    s.get(TCP, socket.TCP_CONGESTION, 16)
    s.set(TCP, socket.TCP_CONGESTION, b"nonesuch")


@scenario
def option_linger(s):
    for value in ((1, 7), (0, 0), (1, 0)):
        s.set(SOL, socket.SO_LINGER, struct.pack("ii", *value))
        s.get(SOL, socket.SO_LINGER, 8)


@scenario
def option_device(s):
    s.set(SOL, 25, b"lo\0")
    s.get(SOL, 25, 16)
    s.set(SOL, 25, b"\0")
    s.get(SOL, 25, 16)


@scenario
def option_info(s):
    s.peer("p.sendall(b'i' * 1000)")
    s.until(select.POLLIN)
    s.recv(2000)
    raw = s.get(TCP, socket.TCP_INFO, 232)
    s.notes.pop()
    # state, options, scales; MSS, PMTU; bytes received; length
    s.note(raw[0], raw[5], raw[6], struct.unpack_from("I", raw, 16), struct.unpack_from("I", raw, 60),
           struct.unpack_from("Q", raw, 128))
    room, length = ctypes.create_string_buffer(512), ctypes.c_uint32(512)
    s.c("getsockopt", TCP, socket.TCP_INFO, room, ctypes.byref(length))
    s.note(length.value)


# ---- names ----

@scenario
def names(s):
    for call in ("getsockname", "getpeername"):
        for size in (0, 1, 2, 8, 15, 16, 28, 128):
            s.name(call, size)


@scenario
def names_bad_memory(s):
    for call in ("getsockname", "getpeername"):
        s.c(call, None, None)
        length = ctypes.c_uint32(16)
        s.c(call, ctypes.c_void_p(8), ctypes.byref(length))
        length = ctypes.c_uint32(0x80000000)
        s.c(call, ctypes.create_string_buffer(16), ctypes.byref(length))


@scenario
def names_after_their_end(s):
    s.peer("p.close()")
    s.until(RDHUP)
    s.recv(10)
    s.name("getpeername")
    s.c("shutdown", socket.SHUT_WR)


@scenario
def names_after_both_ends(s):
    s.c("shutdown", socket.SHUT_WR)
    s.peer("p.recv(10), p.close()")
    s.until(RDHUP)
    s.recv(10)
    s.name("getsockname")
    s.name("getpeername")
    s.c("shutdown", socket.SHUT_WR)
    s.get(SOL, socket.SO_ERROR, 4)
    s.recv(10)
    s.send(b"x")


# ---- connecting, binding, listening once more ----

ADDRESS = struct.pack("=H", socket.AF_INET) + struct.pack(">H", PORT) + socket.inet_aton("10.78.0.2") + b"\0" * 8


@scenario
def connect_again(s):
    s.c("connect", ADDRESS, 16)
    s.c("connect", ADDRESS, 8)
    s.c("connect", ADDRESS, 1)
    s.c("connect", ctypes.c_void_p(8), 16)
    s.c("connect", struct.pack("=H", socket.AF_UNIX) + b"/nowhere\0", 11)


@scenario
def connect_no_more(s):
    s.c("connect", b"\0" * 16, 16)
    s.name("getpeername")
    s.recv(1, socket.MSG_DONTWAIT)


@scenario
def bind_again(s):
    s.c("bind", ADDRESS, 16)
    s.c("bind", ADDRESS, 4)


@scenario
def listen_now(s):
    s.c("listen", 5)


@scenario
def accept_now(s):
    s.c("accept", None, None)
    s.c("accept4", None, None, socket.SOCK_CLOEXEC)


# ---- sending and receiving ----

def fill(s, data, wait=True):
    s.peer("p.sendall(%r)" % data)
    if wait:
        s.until(select.POLLIN)


def settle(s, n):
    """n bytes can be read at once."""
    for _ in range(100000):
        value = ctypes.c_int(-1)
        libc.ioctl(s.fd, ctypes.c_ulong(FIONREAD), ctypes.byref(value))
        if value.value >= n:
            return
        select.select([], [], [], 0.0005)
    raise AssertionError("%d bytes did not come" % n)


@scenario
def recv_sizes(s):
    fill(s, b"abcdefghij")
    settle(s, 10)
    for n in (0, 1, 2, 100):
        s.recv(n)


@scenario
def recv_nothing_there(s):
    s.recv(10, socket.MSG_DONTWAIT)
    s.recv(0, socket.MSG_DONTWAIT)
    s.recv(10, socket.MSG_DONTWAIT | socket.MSG_PEEK)


@scenario
def recv_peek(s):
    fill(s, b"peek at me")
    settle(s, 10)
    s.recv(4, socket.MSG_PEEK)
    s.recv(100, socket.MSG_PEEK)
    s.recv(100)
    s.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)


@scenario
def recv_peek_at_the_end(s):
    s.peer("p.sendall(b'last'), p.shutdown(1)")
    s.until(RDHUP)
    s.recv(10, socket.MSG_PEEK)
    s.recv(10)
    s.recv(10, socket.MSG_PEEK)
    s.recv(10)


@scenario
def recv_waitall(s):
    s.peer("p.sendall(b'one'), p.sendall(b'two'), p.shutdown(1)")
    s.recv(6, socket.MSG_WAITALL)
    s.recv(6, socket.MSG_WAITALL)


@scenario
def recv_waitall_short(s):
    s.peer("p.sendall(b'short'), p.shutdown(1)")
    s.recv(100, socket.MSG_WAITALL)


@scenario
def recv_trunc(s):
    fill(s, b"0123456789")
    settle(s, 10)
    room = ctypes.create_string_buffer(b"." * 8, 8)
    s.note(s.c("recv", room, ctypes.c_size_t(4), socket.MSG_TRUNC), room.raw.hex())
    s.recv(100)
    s.recv(10, socket.MSG_TRUNC | socket.MSG_DONTWAIT)


@scenario
def recv_errqueue(s):
    fill(s, b"not an error")
    s.recv(100, socket.MSG_ERRQUEUE)
    s.recv(100, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    s.recv(100)


@scenario
def recv_oob_none(s):
    s.recv(1, socket.MSG_OOB)
    fill(s, b"x")
    s.recv(1, socket.MSG_OOB)
    s.recv(1)


@scenario
def recv_oob(s):
    s.peer("p.send(b'ab!', socket.MSG_OOB)")
    s.until(select.POLLPRI)
    s.ioctl_int(SIOCATMARK)
    s.recv(1, socket.MSG_OOB)
    s.recv(10)
    s.ioctl_int(SIOCATMARK)


@scenario
def recv_oob_inline(s):
    s.set(SOL, socket.SO_OOBINLINE, 1)
    s.peer("p.send(b'ab!', socket.MSG_OOB)")
    s.until(select.POLLPRI)
    s.recv(10)
    s.recv(10)


@scenario
def send_oob(s):
    s.send(b"plain")
    s.send(b"urgent", socket.MSG_OOB)
    s.send(b"after")
    s.note(s.peer("(p.setsockopt(1, 10, 1), p.recv(16, socket.MSG_WAITALL).hex())[1]"))


@scenario
def send_flags(s):
    for flag in (0, socket.MSG_DONTWAIT, socket.MSG_EOR, socket.MSG_MORE, socket.MSG_CONFIRM, socket.MSG_DONTROUTE, 0x4000000):
        s.send(b"flagged", flag)
    s.note(s.peer("p.recv(49, socket.MSG_WAITALL).hex()"))


@scenario
def send_nothing(s):
    s.send(b"")
    s.c("write", b"", ctypes.c_size_t(0))
    s.c("send", None, ctypes.c_size_t(0), 0)
    s.c("send", ctypes.c_void_p(8), ctypes.c_size_t(8), 0)


@scenario
def send_to_an_address(s):
    s.c("sendto", b"to", ctypes.c_size_t(2), 0, ADDRESS, 16)


@scenario
def recv_from(s):
    fill(s, b"from whom")
    room, length = ctypes.create_string_buffer(b"\xaa" * 32, 32), ctypes.c_uint32(32)
    s.c("recvfrom", ctypes.create_string_buffer(20), ctypes.c_size_t(20), 0, room, ctypes.byref(length))
    s.note(length.value, room.raw.hex())


@scenario
def recv_bad_memory(s):
    fill(s, b"kept")
    s.c("recv", ctypes.c_void_p(8), ctypes.c_size_t(4), 0)
    s.recv(4)


@scenario
def vectors(s):
    def vec(*parts):
        return (ctypes.c_void_p * (2 * len(parts)))(*[x for p in parts for x in (ctypes.addressof(p), len(p))])

    a, b = ctypes.create_string_buffer(b"12345", 5), ctypes.create_string_buffer(b"678", 3)
    s.c("writev", vec(a, b), 2)
    s.note(s.peer("p.recv(8, socket.MSG_WAITALL).hex()"))
    fill(s, b"abcdefgh")
    settle(s, 8)
    s.c("readv", vec(a, b), 2)
    s.note(a.raw.hex(), b.raw.hex())


@scenario
def message_with_control(s):
    fill(s, b"m")
    sock = socket.socket(fileno=os.dup(s.fd))
    data, control, flags, address = sock.recvmsg(10, 100)
    s.note(data.hex(), control, flags, address)
    sock.close()


@scenario
def send_a_file(s):
    fd = os.memfd_create("f")
    os.write(fd, b"f" * 5000)
    s.note(os.sendfile(s.fd, fd, 0, 5000), s.peer("len(p.recv(5000, socket.MSG_WAITALL))"))
    s.note(os.sendfile(s.fd, fd, 5000, 10))
    os.close(fd)


@scenario
def splice_through(s):
    fill(s, b"spliced")
    settle(s, 7)
    r, w = os.pipe()
    s.note(os.splice(s.fd, w, 100), os.read(r, 100).hex())
    os.write(w, b"back")
    s.note(os.splice(r, s.fd, 4), s.peer("p.recv(4, socket.MSG_WAITALL).hex()"))
    os.close(r)
    os.close(w)


@scenario
def read_at(s):
    s.c("pread", ctypes.create_string_buffer(4), ctypes.c_size_t(4), ctypes.c_long(0))
    s.c("lseek", ctypes.c_long(0), 0)
    s.c("fsync")
    s.c("ftruncate", ctypes.c_long(0))
    try:
        mmap.mmap(s.fd, 4096)
    except OSError as e:
        s.note(errno.errorcode[e.errno])


@scenario
def full(s):
    """A writer meets EAGAIN, waits for room, and everything arrives."""
    os.set_blocking(s.fd, False)
    total = 0
    while True:
        r = s.c("send", b"z" * 65536, ctypes.c_size_t(65536), socket.MSG_NOSIGNAL, quiet=True)
        if r == "EAGAIN":
            break
        total += r
    s.events(mask=select.POLLOUT)
    s.note(s.peer("drain(p, %d)" % total) == total)
    s.until(select.POLLOUT)
    s.send(b"end")
    s.note(s.peer("p.recv(3, socket.MSG_WAITALL).hex()"))


@scenario
def timeouts(s):
    s.set(SOL, socket.SO_RCVTIMEO, struct.pack("ll", 0, 20000))
    s.recv(1)
    s.get(SOL, socket.SO_RCVTIMEO, 16)
    s.set(SOL, socket.SO_RCVTIMEO, struct.pack("ll", 0, 2000000))


@scenario
def low_water(s):
    s.set(SOL, socket.SO_RCVLOWAT, 5)
    s.get(SOL, socket.SO_RCVLOWAT, 4)
    fill(s, b"abc", wait=False)
    settle(s, 3)
    s.peer("p.sendall(b'defg')")
    settle(s, 7)
    s.events(mask=select.POLLIN)
    s.recv(10)


# ---- counts ----

@scenario
def counts(s):
    s.ioctl_int(SIOCOUTQ)
    s.ioctl_int(SIOCOUTQNSD)
    s.ioctl_int(FIONREAD)
    fill(s, b"x" * 100)
    settle(s, 100)
    s.ioctl_int(FIONREAD)
    s.recv(40)
    s.ioctl_int(FIONREAD)
    s.ioctl_int(SIOCATMARK)


@scenario
def count_sent(s):
    """Bytes that the peer has are not counted, bytes that it has no room for are."""
    s.send(b"y" * 1000)
    s.note(s.peer("len(p.recv(1000, socket.MSG_WAITALL))"))
    for _ in range(100000):
        value = ctypes.c_int(-1)
        libc.ioctl(s.fd, ctypes.c_ulong(SIOCOUTQ), ctypes.byref(value))
        if not value.value:
            break
        select.select([], [], [], 0.0005)
    s.ioctl_int(SIOCOUTQ)
    s.peer("p.setsockopt(1, 8, 4096)")
    os.set_blocking(s.fd, False)
    total = 0
    while True:
        r = s.c("send", b"z" * 65536, ctypes.c_size_t(65536), socket.MSG_NOSIGNAL, quiet=True)
        if r == "EAGAIN":
            break
        total += r
    value, unsent = ctypes.c_int(-1), ctypes.c_int(-1)
    libc.ioctl(s.fd, ctypes.c_ulong(SIOCOUTQ), ctypes.byref(value))
    libc.ioctl(s.fd, ctypes.c_ulong(SIOCOUTQNSD), ctypes.byref(unsent))
    s.note(0 < value.value <= total, 0 < unsent.value <= value.value)


@scenario
def count_bad_memory(s):
    for request in (SIOCOUTQ, SIOCOUTQNSD, FIONREAD):
        s.c("ioctl", ctypes.c_ulong(request), ctypes.c_void_p(8))


@scenario
def other_ioctls(s):
    for request in (0x8901, 0x8902, 0x8903, 0x8904, 0x5401, 0x5413, 0x1234567):
        value = ctypes.create_string_buffer(64)
        s.note(hex(request), s.c("ioctl", ctypes.c_ulong(request), value, quiet=True))
    on = ctypes.c_int(1)
    s.c("ioctl", ctypes.c_ulong(FIONBIO), ctypes.byref(on))
    s.recv(1)


# ---- descriptor ----

@scenario
def descriptor_flags(s):
    s.note(fcntl.fcntl(s.fd, fcntl.F_GETFL), fcntl.fcntl(s.fd, fcntl.F_GETFD))
    fcntl.fcntl(s.fd, fcntl.F_SETFL, os.O_NONBLOCK)
    s.note(fcntl.fcntl(s.fd, fcntl.F_GETFL))
    s.recv(1)
    other = os.dup(s.fd)
    s.note(fcntl.fcntl(other, fcntl.F_GETFL), os.fstat(other).st_mode, os.isatty(other))
    os.close(other)


@scenario
def link_name(s):
    s.note(os.readlink("/proc/self/fd/%d" % s.fd).split("[")[0])


# ---- ends ----

@scenario
def their_end(s):
    s.events()
    s.peer("p.shutdown(1)")
    s.until(RDHUP)
    s.events()
    s.recv(10)
    s.recv(10)
    s.send(b"still")
    s.note(s.peer("p.recv(5, socket.MSG_WAITALL).hex()"))
    s.events()


@scenario
def our_end(s):
    s.c("shutdown", socket.SHUT_WR)
    s.note(s.peer("p.recv(10).hex()"))
    s.send(b"no more")
    s.events()
    fill(s, b"yet this")
    settle(s, 8)
    s.recv(10)
    s.c("shutdown", socket.SHUT_WR)


@scenario
def both_ends(s):
    s.peer("p.shutdown(1)")
    s.until(RDHUP)
    s.c("shutdown", socket.SHUT_WR)
    s.note(s.peer("p.recv(10).hex()"))
    s.until(select.POLLHUP)
    s.events()
    s.recv(10)
    s.send(b"x")
    s.recv(10)


@scenario
def our_reading_half(s):
    s.c("shutdown", socket.SHUT_RD)
    s.events()
    s.recv(10)
    s.peer("p.sendall(b'anyway')")
    settle(s, 6)
    s.recv(10)
    s.recv(10)
    s.send(b"out")
    s.note(s.peer("p.recv(3, socket.MSG_WAITALL).hex()"))


@scenario
def shut_all(s):
    s.c("shutdown", socket.SHUT_RDWR)
    s.recv(10)
    s.send(b"x")
    s.note(s.peer("p.recv(10).hex()"))


@scenario
def shut_all_unread(s):
    fill(s, b"unread")
    settle(s, 6)
    s.c("shutdown", socket.SHUT_RDWR)
    s.note(s.peer("p.recv(10).hex()"))
    s.recv(10)
    s.recv(10)


@scenario
def shut_badly(s):
    s.c("shutdown", 3)
    s.c("shutdown", -1)
    s.send(b"alive")
    s.note(s.peer("p.recv(5, socket.MSG_WAITALL).hex()"))


@scenario
def shut_with_linger(s):
    s.set(SOL, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.c("shutdown", socket.SHUT_RDWR)
    s.note(s.peer("p.recv(10).hex()"))


def at_the_peer(s, what):
    s.note(s.peer("outcome(lambda: %s)" % what))


@scenario
def close_plainly(s):
    s.send(b"bye")
    os.close(s.fd)
    at_the_peer(s, "p.recv(3, socket.MSG_WAITALL)")
    at_the_peer(s, "p.recv(10)")


@scenario
def close_unread(s):
    fill(s, b"never read")
    settle(s, 10)
    os.close(s.fd)
    at_the_peer(s, "p.recv(10)")


@scenario
def close_half_read(s):
    fill(s, b"half of it")
    settle(s, 10)
    s.recv(5)
    os.close(s.fd)
    at_the_peer(s, "p.recv(10)")


@scenario
def close_linger_zero(s):
    s.set(SOL, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(s.fd)
    at_the_peer(s, "p.recv(10)")


@scenario
def close_linger_zero_after_shut(s):
    s.c("shutdown", socket.SHUT_WR)
    at_the_peer(s, "p.recv(10)")
    s.set(SOL, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(s.fd)
    at_the_peer(s, "(p.send(b'x'), select.select([p], [], [], 5), p.recv(10))[2]")


@scenario
def close_linger_some(s):
    s.set(SOL, socket.SO_LINGER, struct.pack("ii", 1, 5))
    s.send(b"data")
    os.close(s.fd)
    at_the_peer(s, "p.recv(4, socket.MSG_WAITALL)")
    at_the_peer(s, "p.recv(10)")


@scenario
def closed_while_held(s):
    other = os.dup(s.fd)
    os.close(s.fd)
    s.fd = other
    s.send(b"held")
    at_the_peer(s, "p.recv(4, socket.MSG_WAITALL)")


@scenario
def their_reset(s):
    s.peer("(p.setsockopt(1, 13, struct.pack('ii', 1, 0)), p.close())")
    s.until(select.POLLERR)
    s.events()
    s.get(SOL, socket.SO_ERROR, 4)
    s.get(SOL, socket.SO_ERROR, 4)
    s.recv(10)
    s.send(b"x")
    s.events()


@scenario
def their_reset_read(s):
    s.peer("(p.setsockopt(1, 13, struct.pack('ii', 1, 0)), p.close())")
    s.until(select.POLLHUP)
    s.recv(10)
    s.recv(10)
    s.send(b"x")


@scenario
def their_reset_write(s):
    s.peer("(p.setsockopt(1, 13, struct.pack('ii', 1, 0)), p.close())")
    s.until(select.POLLHUP)
    s.send(b"x")
    s.send(b"x")
    s.recv(10)


@scenario
def their_reset_with_data(s):
    s.peer("(p.sendall(b'last words'), p.setsockopt(1, 13, struct.pack('ii', 1, 0)))")
    settle(s, 10)
    s.peer("p.close()")
    s.until(select.POLLHUP)
    s.recv(100)
    s.recv(100)


@scenario
def write_after_their_close(s):
    """The first write draws a reset, the second one fails."""
    s.peer("p.close()")
    s.until(RDHUP)
    s.send(b"first")
    s.until(select.POLLERR | select.POLLHUP)
    s.events()
    s.send(b"second")
    s.send(b"third")
    s.recv(10)


@scenario
def pipe_signal(s):
    seen = []
    old = signal.signal(signal.SIGPIPE, lambda *_: seen.append(1))
    s.c("shutdown", socket.SHUT_WR)
    s.c("write", b"x", ctypes.c_size_t(1))
    s.c("send", b"x", ctypes.c_size_t(1), 0)
    s.c("send", b"x", ctypes.c_size_t(1), socket.MSG_NOSIGNAL)
    s.note(len(seen))
    signal.signal(signal.SIGPIPE, old)


# ---- readiness ----

class Epoll:
    def __init__(self, s, mask):
        self.s, self.e = s, select.epoll()
        self.e.register(s.fd, mask)

    def note(self, wait=False):
        r = self.e.poll(WAIT_MS / 1000 if wait else 0)
        self.s.note("epoll", r[0][1] if r else 0)


@scenario
def epoll_level(s):
    e = Epoll(s, select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP)
    e.note()
    fill(s, b"level")
    e.note()
    e.note()
    s.recv(10)
    e.note()
    s.peer("p.shutdown(1)")
    s.until(RDHUP)
    e.note()


@scenario
def epoll_edge(s):
    e = Epoll(s, select.EPOLLIN | select.EPOLLET)
    e.note()
    fill(s, b"edge")
    settle(s, 4)
    e.note(wait=True)
    e.note()
    s.recv(10)
    s.recv(10, socket.MSG_DONTWAIT)
    fill(s, b"more")
    settle(s, 4)
    e.note(wait=True)
    e.note()
    s.recv(2)
    e.note()


@scenario
def epoll_once(s):
    e = Epoll(s, select.EPOLLIN | select.EPOLLONESHOT)
    fill(s, b"once")
    e.note(wait=True)
    e.note()
    e.e.modify(s.fd, select.EPOLLIN | select.EPOLLONESHOT)
    e.note()
    e.note()


@scenario
def epoll_closed(s):
    e = Epoll(s, select.EPOLLIN)
    fill(s, b"x")
    os.close(s.fd)
    e.note()


@scenario
def select_sets(s):
    s.note([len(x) for x in select.select([s.fd], [s.fd], [s.fd], 0)])
    fill(s, b"x")
    s.note([len(x) for x in select.select([s.fd], [s.fd], [s.fd], 0)])
    s.recv(1)
    s.peer("p.shutdown(1)")
    s.until(RDHUP)
    s.note([len(x) for x in select.select([s.fd], [s.fd], [s.fd], 0)])


@scenario
def poll_masks(s):
    fill(s, b"x")
    for mask in (0, select.POLLIN, select.POLLOUT, select.POLLPRI, RDHUP, select.POLLRDNORM, select.POLLWRNORM, select.POLLRDBAND,
                 select.POLLWRBAND):
        s.events(mask=mask)


# ---- the two processes ----

def drain(p, n):
    got = 0
    while got < n:
        got += len(p.recv(min(1 << 20, n - got))) or n
    return got


def outcome(f):
    try:
        r = f()
        return r.hex() if isinstance(r, bytes) else r
    except OSError as e:
        return errno.errorcode[e.errno]


def serve():
    listener = socket.create_server(("10.78.0.1", int(sys.argv[2])))
    print("ready", flush=True)
    conn = None

    def ask(code):
        print(json.dumps({"peer": code}), flush=True)
        answer = json.loads(sys.stdin.readline())
        if "error" in answer:
            raise RuntimeError("%s: %s" % (code, answer["error"]))
        return answer["value"]

    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "open":
            conn = listener.accept()[0]
            print(json.dumps({"opened": conn.fileno()}), flush=True)
        else:
            s = S(conn.detach(), ask)
            error = None
            try:
                SCENARIOS[order["name"]](s)
            except Exception as e:  # pylint: disable=broad-except
                error = repr(e)
            try:
                os.close(s.fd)
            except OSError:
                pass
            print(json.dumps({"notes": s.notes, "error": error}), flush=True)


def peer():
    world = dict(globals())
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "open" in order:
                world["p"] = socket.create_connection(("10.78.0.1", order["open"]))
                world["p"].settimeout(WAIT_MS / 1000)
                answer = {"value": world["p"].getsockname()[1]}
            else:
                value = eval(order["code"], world)  # pylint: disable=eval-used
                answer = {"value": value if isinstance(value, (int, str, type(None))) else str(value)}
        except Exception as e:  # pylint: disable=broad-except
            answer = {"error": repr(e)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    {"serve": serve, "peer": peer}[sys.argv[1]]()
