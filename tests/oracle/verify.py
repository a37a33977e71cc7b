#!/usr/bin/env python3
"""Checks an exported log, or one entry with its proof, with nothing of ours.

Python's standard library hashes (RFC 6962), openssl checks Ed25519 (RFC 8032). Written from
c2sp.org/signed-note, tlog-checkpoint, tlog-tiles and tlog-proof and from RFC 9162, section 2.1, so
that an auditor can read it in a sitting and need not believe the program that made the log.

    verify.py entry VKEY ENTRY PROOF        one entry is in the log that the key signs for
    verify.py log VKEY BUNDLE [OLDER...]    the whole log, and that it goes on from older checkpoints

Of what the entries say it judges one thing, since a lease is used where nobody can look: each
credential was recorded once, spent once at most and by who held it, and never after it was voided
for good; and none was recorded for a serial whose last one may be in a unit without a record. What else the entries must keep to, the program's own `audit verify` judges.

Exit code 0 good, 1 not as it was signed, 2 unusable arguments: what is named is not there, or is no
such thing.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile

# SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410).
ED25519 = bytes.fromhex("302a300506032b6570032100")
WIDTH = 256


class Bad(Exception):
    """What was signed is not what is here."""


class Unusable(Exception):
    """Nothing was judged: the arguments, or this machine, are not what they should be."""


def need(held, why):
    if not held:
        raise Bad(why)


def read(*path, missing=Unusable):
    try:
        with open(os.path.join(*path), "rb") as file:
            return file.read()
    except OSError as error:
        raise missing(str(error))


def b64(text):
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Bad("no base 64: %r" % text)


def leaf(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root(leaves):
    """The Merkle tree hash of RFC 9162, 2.1.1, a level at a time."""
    while len(leaves) > 1:
        pairs = [node(*leaves[i : i + 2]) for i in range(0, len(leaves) - 1, 2)]
        leaves = pairs + ([leaves[-1]] if len(leaves) % 2 else [])
    return leaves[0] if leaves else hashlib.sha256(b"").digest()


def included(index, size, hashes, found, top):
    """RFC 9162, 2.1.3.2."""
    need(index < size, "entry %d is not below the %d that were signed" % (index, size))
    place, last = index, size - 1
    for one in hashes:
        need(last > 0, "the proof is too long")
        if place & 1 or place == last:
            found = node(one, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = node(found, one)
        place, last = place >> 1, last >> 1
    need(last == 0, "the proof is too short")
    need(found == top, "the proof leads to another root")


def key_of(path):
    try:
        line = read(path).decode().strip()
        name, number, key = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+(\S+)", line).groups()
        key = b64(key)
    except (Bad, ValueError, AttributeError):
        raise Unusable("%s holds no verifier key (name+number+key)" % path)
    need(len(key) == 33 and key[0] == 1, "the key is not Ed25519")
    digest = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    need(digest.hex() == number, "the key's number is not its own")
    return name, digest, key[1:]


def good(public, message, signature):
    with tempfile.TemporaryDirectory() as folder:
        names = [os.path.join(folder, name) for name in ("key", "message", "signature")]
        for name, data in zip(names, (ED25519 + public, message, signature)):
            with open(name, "wb") as file:
                file.write(data)
        command = "openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey".split()
        command += [names[0], "-in", names[1], "-sigfile", names[2]]
        try:
            return subprocess.run(command, capture_output=True).returncode == 0
        except OSError as error:
            raise Unusable("openssl does not run: %s" % error)


def checkpoint(note, key):
    """Size and root, when the log's key signed them."""
    name, number, public = key
    try:
        text, lines = note.decode().rsplit("\n\n", 1)
    except ValueError:
        raise Bad("this is no signed note")
    message = text.encode() + b"\n"
    signed = False
    for line in lines.splitlines():
        mark, who, signature = (line + "  ").split(" ")[:3]
        need(mark == "\u2014", "this is no signature line: %r" % line)
        signature = b64(signature)
        if who == name and signature[:4] == number:
            need(good(public, message, signature[4:]), "the signature does not hold")
            signed = True
    need(signed, "the key has not signed this")
    origin, size, top = text.split("\n")[:3]
    need(origin == name, "it is of the log %s" % origin)
    return int(size), b64(top)


def entry(key, bytes_of, proof):
    head, _, note = read(proof).partition(b"\n\n")
    lines = head.decode(errors="replace").split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1":
        raise Unusable("%s is no tlog-proof" % proof)
    index = int(lines[1].removeprefix("index "))
    size, top = checkpoint(note, key)
    included(index, size, [b64(line) for line in lines[2:]], leaf(read(bytes_of)), top)
    return "entry %d is in the log of %d entries" % (index, size)


def tile(bundle, level, index, width):
    path = "%03d" % (index % 1000)
    while index >= 1000:
        index //= 1000
        path = "x%03d/%s" % (index % 1000, path)
    path += ".p/%d" % width if width < WIDTH else ""
    return read(bundle, "tile", level, path, missing=Bad)


def entries(data, width):
    all_of, at = [], 0
    for _ in range(width):
        length = int.from_bytes(data[at : at + 2], "big")
        all_of.append(data[at + 2 : at + 2 + length])
        need(at + 2 + length <= len(data), "an entry bundle is cut short")
        at += 2 + length
    need(at == len(data), "an entry bundle is too long")
    return all_of


class Credentials:
    """What is leased to whom, as the entries tell it one by one.

    A serial has one lease at a time: a dict of its entry's fields, with what became of it as `end`:
    None while it is held, else `spent` or the cause of its void.
    """

    def __init__(self):
        self.passwords = set()
        self.newest = {}
        self.leases = {}

    def hear(self, number, data):
        try:
            told = json.loads(data)
            kind = told["kind"]
            # Written again after a loss: the same rules, at its new place.
            if kind == "recovered":
                told = told["entry"]
                kind = told["kind"]
            if kind in ("issued", "leased", "spent", "lease_voided"):
                getattr(self, kind)(told)
            if kind == "serial_blocked" and told.get("evidence"):
                # Its password is burnt, if it was not before.
                self.passwords.add(told["evidence"]["entry"]["fingerprint"])
        except (KeyError, TypeError, ValueError):
            raise Bad("entry %d is none" % number)
        except Bad as why:
            raise Bad("entry %d, %s of %s: %s" % (number, kind, told["serial"], why))

    def minted(self, told):
        serial, password = told["serial"], told["fingerprint"]
        need(password not in self.passwords, "an earlier entry has its password")
        held = self.leases.get(serial)
        need(held is None or held["end"], "it is leased, and nobody has ended that")
        need(not held or held["end"] != "unit_lost", "a unit with its last lease may exist")
        need(told["attempt"] > self.newest.get(serial, 0), "it is no later attempt")
        self.passwords.add(password)
        self.newest[serial] = told["attempt"]

    issued = minted

    def leased(self, told):
        self.minted(told)
        fields = ("attempt", "station", "order", "expires")
        self.leases[told["serial"]] = dict({name: told[name] for name in fields}, end=None)

    def lease_of(self, told):
        lease = self.leases.get(told["serial"])
        need(lease, "it was never leased")
        for name in ("attempt", "station", "order"):
            need(lease[name] == told[name], "its lease has another %s" % name)
        return lease

    def spent(self, told):
        lease = self.lease_of(told)
        # Built in time and told of late is as good: its station had no network.
        need(lease["end"] in (None, "lease_expired"), "its lease was over: %s" % lease["end"])
        need(self.newest[told["serial"]] == told["attempt"], "a later attempt was issued")
        lease["end"] = "spent"

    def lease_voided(self, told):
        lease = self.lease_of(told)
        # Of one that expired its holder may say later that a unit got it, while it is the last try.
        last = self.newest[told["serial"]] == told["attempt"]
        late = told["cause"] == "unit_lost" and lease["end"] == "lease_expired" and last
        need(lease["end"] is None or late, "its lease was over: %s" % lease["end"])
        lease["end"] = told["cause"]


def log(key, bundle, older):
    size, top = checkpoint(read(bundle, "checkpoint"), key)
    leaves, credentials = [], Credentials()
    for index in range((size + WIDTH - 1) // WIDTH):
        width = min(WIDTH, size - index * WIDTH)
        told = entries(tile(bundle, "entries", index, width), width)
        fresh = [leaf(one) for one in told]
        held = tile(bundle, "0", index, width)
        for nth, one in enumerate(fresh):
            same = held[32 * nth : 32 * nth + 32] == one
            need(same, "entry %d is not the one that was hashed" % (index * WIDTH + nth))
        leaves += fresh
        for nth, one in enumerate(told):
            credentials.hear(index * WIDTH + nth, one)
    need(root(leaves) == top, "the entries lead to another root than was signed")
    for path in older:
        before, what = checkpoint(read(path), key)
        need(before <= size, "%s was signed over %d entries, here are %d" % (path, before, size))
        need(root(leaves[:before]) == what, "%s is of another history" % path)
    return "%d entries, as they were signed, and going on from %d older" % (size, len(older))


def main(arguments):
    verb, count = arguments[:1], len(arguments)
    if not (verb == ["log"] and count >= 3 or verb == ["entry"] and count == 4):
        print(__doc__)
        return 2
    try:
        key = key_of(arguments[1])
        if verb == ["log"]:
            print("GOOD " + log(key, arguments[2], arguments[3:]))
        else:
            print("GOOD " + entry(key, arguments[2], arguments[3]))
    except Unusable as why:
        print("nothing was judged: %s" % why, file=sys.stderr)
        return 2
    except (Bad, ValueError, IndexError) as why:
        print("BAD  %s" % why)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
