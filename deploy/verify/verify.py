#!/usr/bin/env python3
"""Checks what 'tollgate audit tiles DIR' has exported, with none of Tollgate's code.

usage: verify.py DIR --key VKEY [--old CHECKPOINT]... [--witness VKEY]... [--event SEQ]

Every event is read once. Checked are: the checkpoint's signature; the order and the numbers of the events; every tile,
and the root over all of it (so every event is included); that each --old checkpoint is a beginning of the log; and the
sums: what each account has spent and holds, reckoned from the events, against summary.jsonl. With --event only one
event is shown to be in the log, by its path through the tiles.

Needs Python 3.9 and 'cryptography'. Exit code: 0 all holds, 1 something does not, 2 wrong usage. The formats are
c2sp.org/tlog-tiles, tlog-checkpoint, signed-note and tlog-cosignature; schemas/events.md has the events' bytes.
"""
import argparse
import base64
import hashlib
import json
import os
import struct
import sys
from decimal import Decimal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Wrong(Exception):
    """Something is not what was once written or signed."""


def require(holds, what):
    if not holds:
        raise Wrong(what)


# --- The tree: RFC 6962, section 2.1 ---------------------------------------------------------

def leaf(event):
    return hashlib.sha256(b"\0" + event).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(hashes):
    """Of one or more nodes of one level; the last may be of fewer leaves than the others."""
    while len(hashes) > 1:
        pairs = [node(*hashes[i:i + 2]) for i in range(0, len(hashes) - 1, 2)]
        hashes = pairs + hashes[len(pairs) * 2:]
    return hashes[0]


def root_over(levels):
    """Of the whole tree: what is left over in each level of tiles, from the leaves up."""
    carried = []
    for hashes in levels:
        if hashes or carried:
            carried = [root_of(hashes + carried)]
    return carried[0] if carried else hashlib.sha256(b"").digest()


# --- Signed notes ----------------------------------------------------------------------------

def verifier(text):
    """name+id+base64 → (name, id, kind, key); kind 1 is a log, 4 a witness."""
    name, key_id, key = text.strip().split("+", 2)
    raw = base64.b64decode(key, validate=True)
    digest = hashlib.sha256(name.encode() + b"\n" + raw).digest()
    require(len(raw) == 33 and raw[0] in (1, 4) and digest[:4].hex() == key_id, f"{name}: no key, or misspelt")
    return name, digest[:4], raw[0], Ed25519PublicKey.from_public_bytes(raw[1:])


def read_checkpoint(path, keys):
    """(size, root), once every key has signed it."""
    with open(path, encoding="utf-8") as file:
        text, gap, lines = file.read().rpartition("\n\n")
    text += "\n"
    fields = text.split("\n")
    require(gap and len(fields) >= 4, f"{path} is no checkpoint")
    require(fields[0] == keys[0][0], f"{path} is of {fields[0]}, and the key is of {keys[0][0]}: another log")
    for name, key_id, kind, key in keys:
        signed = False
        for line in lines.splitlines():
            words = line.split(" ")
            raw = base64.b64decode(words[2], validate=True) if len(words) == 3 else b""
            if words[:2] != ["—", name] or raw[:4] != key_id:
                continue
            message, signature = text.encode(), raw[4:]
            if kind == 4:
                message = b"cosignature/v1\ntime %d\n" % struct.unpack(">Q", raw[4:12]) + message
                signature = raw[12:]
            try:
                key.verify(signature, message)
            except InvalidSignature:
                raise Wrong(f"{path}: the signature of {name} is wrong") from None
            signed = True
        require(signed, f"{path} is not signed by {name} with that key")
    return int(fields[1]), base64.b64decode(fields[2], validate=True)


# --- Static files ----------------------------------------------------------------------------

def read_tile(folder, level, index, width):
    """The bytes of a tile, or with the level 'entries' of a bundle of events."""
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[i:i + 3] for i in range(0, len(digits), 3)]
    path = os.path.join(folder, "tile", str(level), *("x" + part for part in parts[:-1]), parts[-1])
    path += "" if width == 256 else f".p/{width}"
    require(os.path.isfile(path), f"{path} is missing")
    with open(path, "rb") as file:
        return file.read(), path


def read_hashes(folder, level, index, width):
    data, path = read_tile(folder, level, index, width)
    require(len(data) == 32 * width, f"{path} has {len(data)} bytes, not {32 * width}")
    return [data[i:i + 32] for i in range(0, len(data), 32)], path


def read_entries(folder, index, width):
    data, path = read_tile(folder, "entries", index, width)
    entries, at = [], 0
    while at + 2 <= len(data):
        length = int.from_bytes(data[at:at + 2], "big")
        entries.append(data[at + 2:at + 2 + length])
        at += 2 + length
    require(at == len(data) and len(entries) == width, f"{path} does not hold {width} events")
    return entries, path


# --- What the events add up to ---------------------------------------------------------------

class Sums:
    """Money in nano-dollars: [spent, held, requests, open holds] by account."""

    def __init__(self):
        self.names, self.sums, self.open, self.ended = {}, {}, {}, {}
        self.epoch, self.time = 0, -1 << 63

    def add(self, account, *numbers):
        path = self.names[account]
        while path:
            row = self.sums.setdefault(path, [0, 0, 0, 0])
            for i, number in enumerate(numbers):
                row[i] += number
            path = path.rpartition("/")[0]

    def event(self, data, seq):
        length, kind, flags, epoch, number, time, _, account = struct.unpack_from("<HBBIQqII", data)
        require(number == seq, f"event {number} stands in the place of event {seq}: a gap, or another order")
        require(length == len(data), f"event {seq} says that it has {length} bytes, and has {len(data)}")
        require(epoch >= self.epoch and time >= self.time, f"event {seq} is older than the one before it")
        self.epoch, self.time = epoch, time
        if kind in (10, 11, 12):
            self.names[struct.unpack_from("<I", data, 32)[0]] = json.loads(data[36:])["account"]
        elif kind == 33:
            fields = json.loads(data[36:])
            usd, was = (int(Decimal(fields[name]) * 10**9) for name in ("usd", "was"))
            charge = int(fields["charge"].partition("-")[2])
            if charge in self.ended:
                self.ended[charge] = usd
            self.add(account, usd - was, 0, 0, 0)
        elif kind == 50:
            self.open[seq] = struct.unpack_from("<q", data, 50)[0]
            self.add(account, 0, self.open[seq], 1, 1)
        elif kind == 56:
            self.add(account, struct.unpack_from("<q", data, 65)[0], 0, 1, 0)
        elif kind in (52, 53, 54, 55):
            hold = struct.unpack_from("<Q", data, 36)[0]
            if kind == 52:
                usd = struct.unpack_from("<q", data, 54)[0]
                self.add(account, 0, usd - self.open[hold], 0, 0)
                self.open[hold] = usd
                return
            usd = 0 if kind == 54 else struct.unpack_from("<q", data, 69 if kind == 53 else 52)[0]
            if kind == 53 and flags & 16:  # Late: it takes the place of what its end was charged.
                self.add(account, usd - self.ended.pop(hold), 0, 0, 0)
                return
            self.add(account, usd, -self.open.pop(hold), 0, -1)
            if kind != 53:
                self.ended[hold] = usd

    def compare(self, path, size):
        """With what the ledger's own rules have made of the same events."""
        with open(path, encoding="utf-8") as file:
            require(json.loads(file.readline())["size"] == size, f"{path} is of another size")
            said = {row["account"]: row for row in map(json.loads, file)}
        for account in sorted(self.sums.keys() | said.keys()):
            row = said.get(account, {})
            theirs = [int(Decimal(row.get(name, "0")) * 10**9) for name in ("usd", "held")]
            theirs += [row.get("requests", 0), row.get("open_holds", 0)]
            ours = self.sums.get(account, [0, 0, 0, 0])
            require(ours == theirs, f"the sums of {account} differ: {ours} by the events, {theirs} by {path}")


# --- The two checks --------------------------------------------------------------------------

def check_all(folder, size, root, olds):
    levels, sums = [[]], Sums()
    for index in range(-(-size // 256)):
        width = min(256, size - 256 * index)
        entries, _ = read_entries(folder, index, width)
        for i, entry in enumerate(entries):
            sums.event(entry, 256 * index + i + 1)
        leaves = list(map(leaf, entries))
        for path, (old, old_root) in olds.items():
            if 256 * index < old <= 256 * index + width:
                begun = root_over([leaves[:old - 256 * index]] + levels[1:])
                require(begun == old_root, f"the log does not begin with {path}, of {old} events")
        levels[0] = leaves
        level = 0
        while len(levels[level]) == 256:  # A full tile is one hash in the level above.
            hashes, path = read_hashes(folder, level, (256 * index + 255) >> 8 * (level + 1), 256)
            require(hashes == levels[level], f"{path} is not what its events make")
            if level + 1 == len(levels):
                levels.append([])
            levels[level + 1].append(root_of(levels[level]))
            levels[level] = []
            level += 1
    for level, hashes in enumerate(levels):
        if hashes:
            kept, path = read_hashes(folder, level, size >> 8 * (level + 1), len(hashes))
            require(kept == hashes, f"{path} is not what its events make")
    require(root_over(levels) == root, "the events make another root than the checkpoint's")
    sums.compare(os.path.join(folder, "summary.jsonl"), size)
    return f"{size} events in order, every tile, the root, {len(olds)} older checkpoints and the sums of " \
           f"{len(sums.sums)} accounts hold"


def check_one(folder, size, root, seq):
    require(1 <= seq <= size, f"event {seq} is not in this log of {size}")
    levels = []
    while size >> 8 * len(levels):  # The right edge, which is all that the root is made of.
        level, width = len(levels), (size >> 8 * len(levels)) % 256
        levels.append(read_hashes(folder, level, size >> 8 * (level + 1), width)[0] if width else [])
    require(root_over(levels) == root, "the tiles make another root than the checkpoint's")
    index, level = seq - 1, 0
    entries, path = read_entries(folder, index >> 8, min(256, size - (index >> 8 << 8)))
    found = leaf(entries[index & 255])
    require(struct.unpack_from("<Q", entries[index & 255], 8)[0] == seq, f"{path} has another event for {seq}")
    while True:
        tile = index >> 8 * (level + 1)
        is_edge = tile == size >> 8 * (level + 1)
        hashes = levels[level] if is_edge else read_hashes(folder, level, tile, 256)[0]
        require(hashes[index >> 8 * level & 255] == found, f"event {seq} is not in tile {tile} of level {level}")
        if is_edge:
            return f"event {seq} is in the log of {size} events"
        found, level = root_of(hashes), level + 1


def main():
    parser = argparse.ArgumentParser(description="Checks an export of 'tollgate audit tiles'.")
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--key", required=True, metavar="VKEY", help="the log's verifier key")
    parser.add_argument("--old", action="append", default=[], metavar="FILE", help="an older checkpoint")
    parser.add_argument("--witness", action="append", default=[], metavar="VKEY", help="must have signed, too")
    parser.add_argument("--event", type=int, metavar="SEQ", help="check only that this event is in the log")
    words = parser.parse_args()
    try:
        keys = [verifier(text) for text in [words.key, *words.witness]]
        size, root = read_checkpoint(os.path.join(words.folder, "checkpoint"), keys)
        olds = {path: read_checkpoint(path, keys[:1]) for path in words.old}
        for path, (old, old_root) in olds.items():
            require(old <= size, f"{path} is of {old} events, and the log has {size}: events are missing")
            require(old or old_root == root_over([]), f"{path} is of no event and has a root")
        if words.event is not None:
            print("ok:", check_one(words.folder, size, root, words.event))
        else:
            print("ok:", check_all(words.folder, size, root, olds))
    except (Wrong, OSError, ValueError, LookupError, ArithmeticError, struct.error) as error:
        sys.exit(f"WRONG: {error if isinstance(error, Wrong) else repr(error)}")


if __name__ == "__main__":
    main()
