#!/usr/bin/env python3
"""Checks what 'tollgate audit tiles DIR' has exported, with none of Tollgate's code.

Every event is read once. Checked are: the checkpoint's signature; the numbers and the order of the events; every tile,
and the root over all of it, and so that every event is in it; that each --old checkpoint is of a beginning of the log;
and the sums: what each account has spent and holds, reckoned from the events, against summary.jsonl. With --event one
event alone is shown to be in the log, by its path through the tiles. Exit code: 0 all holds, 1 not, 2 wrong usage.
Needs Python 3.9 and 'cryptography'; schemas/proof.md and schemas/events.md describe the files and the events' bytes.
"""
import argparse, base64, hashlib, json, os, struct, sys
from decimal import Decimal
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

def require(holds, what):
    if not holds: raise ValueError(what)

def root_of(hashes):  # one or more nodes of one level; the last may be of fewer leaves than the others
    while len(hashes) > 1:
        pairs = [hashlib.sha256(b"\1" + a + b).digest() for a, b in zip(hashes[::2], hashes[1::2])]
        hashes = pairs + hashes[2 * len(pairs):]
    return hashes[0]

def root_over(levels):  # of a whole tree: what is left over at the right edge of each level, from the leaves up
    carried = []
    for hashes in levels: carried = [root_of(hashes + carried)] if hashes or carried else []
    return carried[0] if carried else hashlib.sha256(b"").digest()

def from_base64(text):  # in the one form that it has
    data = base64.b64decode(text, validate=True)
    require(base64.b64encode(data).decode() == text, "base 64 in another form than its one")
    return data

def verifier(text, kind):  # name+id+base64, or its file → (name, id, kind, key); kind 1 is a log, 4 a witness
    if os.path.isfile(text): text = open(text, encoding="utf-8").read()
    name, _, rest = text.strip().partition("+")
    key_id, raw = rest[:8], from_base64(rest[9:])
    digest = hashlib.sha256(name.encode() + b"\n" + raw).digest()
    require(len(raw) == 33 and digest[:4].hex() == key_id, f"{name}: no key, or misspelt")
    require(raw[0] == kind, f"{name} is no key of a {'log' if kind == 1 else 'witness'}")
    return name, digest[:4], kind, Ed25519PublicKey.from_public_bytes(raw[1:])

def read_checkpoint(path, logs, witnesses):  # (origin, size, root), once its log and every witness have signed it
    with open(path, encoding="utf-8", newline="") as file:
        text, gap, lines = file.read().rpartition("\n\n")
    fields = text.split("\n")
    require(gap and len(fields) >= 3 and lines.endswith("\n"), f"{path} is no checkpoint")
    signed = [line[2:].rpartition(" ") for line in lines.split("\n") if line.startswith("— ")]
    signed = [(name, raw[:4], raw[4:]) for name, raw in ((name, from_base64(text)) for name, _, text in signed)]
    logs = [log for log in logs if log[0] == fields[0] and log[:2] in (by[:2] for by in signed)]
    require(logs, f"{path} of {fields[0]} is not signed with a --key: another log, or before a restore or a new key?")
    for name, key_id, kind, key in logs + witnesses:
        given = [signature for *by, signature in signed if by == [name, key_id]]
        require(given, f"{path} is not signed by {name} with that key")
        for signature in given:
            time, signature = (signature[:8], signature[8:]) if kind == 4 else (b"", signature)
            head = f"cosignature/v1\ntime {int.from_bytes(time, 'big')}\n" if time else ""
            try:
                key.verify(signature, (head + text + "\n").encode())
            except InvalidSignature:
                raise ValueError(f"{path} is not what {name} has signed") from None
    return fields[0], int(fields[1]), from_base64(fields[2])

def read_file(folder, level, index, width):
    parts = f"{index:,}".split(",")
    parts[0] = parts[0].zfill(3)
    parts[-1] += "" if width == 256 else f".p/{width}"
    path = os.path.join(folder, "tile", str(level), *("x" + part for part in parts[:-1]), parts[-1])
    with open(path, "rb") as file: return file.read(), path

def read_hashes(folder, level, index, width):
    data, path = read_file(folder, level, index, width)
    require(len(data) == 32 * width, f"{path} has {len(data)} bytes, not {32 * width}")
    return [data[i:i + 32] for i in range(0, len(data), 32)], path

def read_entries(folder, index, width):
    (data, path), entries, at = read_file(folder, "entries", index, width), [], 0
    while at < len(data):
        entries.append(data[at + 2:at + 2 + int.from_bytes(data[at:at + 2], "big")])
        at += 2 + len(entries[-1])
    require(at == len(data) and len(entries) == width, f"{path} does not hold {width} events")
    return entries

nano = lambda dollars: int(Decimal(dollars) * 10**9)
class Sums:  # of each account: [nano-dollars spent, nano-dollars held, requests, open holds]
    def __init__(self):
        self.names, self.sums, self.open, self.ended, self.before = {}, {}, {}, {}, (0, -1 << 63)

    def add(self, account, *numbers):
        path = self.names[account]
        while path:
            self.sums[path] = [a + b for a, b in zip(self.sums.get(path, [0, 0, 0, 0]), numbers)]
            path = path.rpartition("/")[0]

    def event(self, data, seq):
        length, kind, flags, epoch, number, time, _, account = struct.unpack_from("<HBBIQqII", data)
        require(number == seq, f"event {number} stands in the place of event {seq}: a gap, or another order")
        require(length == len(data), f"event {seq} says that it has {length} bytes, and has {len(data)}")
        require(epoch >= self.before[0] and time >= self.before[1], f"event {seq} is older than the one before it")
        self.before = epoch, time
        usd_at = {50: 50, 52: 54, 53: 69, 55: 52, 56: 65}.get(kind)
        usd = struct.unpack_from("<q", data, usd_at)[0] if usd_at else 0
        hold = struct.unpack_from("<Q", data, 36)[0] if kind in (52, 53, 54, 55) else seq
        if kind in (10, 11, 12):  # org.created, team.created, key.created: a number and its account
            self.names[struct.unpack_from("<I", data, 32)[0]] = json.loads(data[36:])["account"]
        elif kind == 33:  # charge.corrected
            fields = json.loads(data[36:])
            usd, charge = nano(fields["usd"]), int(fields["charge"].partition("-")[2])
            if charge in self.ended: self.ended[charge] = usd
            self.add(account, usd - nano(fields["was"]), 0, 0, 0)
        elif kind == 50:  # hold.placed
            self.open[hold] = usd
            self.add(account, 0, usd, 1, 1)
        elif kind == 52:  # hold.extended: what it holds now
            self.add(account, 0, usd - self.open[hold], 0, 0)
            self.open[hold] = usd
        elif kind == 53 and flags & 16:  # hold.settled, late: in the place of what its end was charged
            self.add(account, usd - self.ended.pop(hold), 0, 0, 0)
        elif kind in (53, 54, 55):  # hold.settled, released, lapsed
            self.add(account, usd, -self.open.pop(hold), 0, -1)
            if kind != 53: self.ended[hold] = usd
        elif kind == 56:  # charge.recorded
            self.add(account, usd, 0, 1, 0)

    def compare(self, path, origin, size, root):  # with what the ledger's own rules have made of the same events
        usd = lambda nano: format(Decimal(nano).scaleb(-9).normalize(), "f")
        ours = [{"origin": origin, "root": base64.b64encode(root).decode(), "size": size}]
        ours += [dict(account=account, usd=usd(sums[0]), held=usd(sums[1]), requests=sums[2], open_holds=sums[3])
                 for account in map(self.names.get, sorted(self.names)) if any(sums := self.sums.get(account, []))]
        ours = [json.dumps(row, ensure_ascii=False, separators=(",", ":"), sort_keys=True) for row in ours] + [""]
        with open(path, encoding="utf-8", newline="") as file:
            theirs = file.read().split("\n")
        for row, said in zip(ours, theirs):
            require(row == said, f"the sums differ: {row or 'none'} by the events, {said[:200] or 'none'} by {path}")
        require(len(ours) == len(theirs), f"{path} has {len(theirs) - 1} lines, not {len(ours) - 1}")

def check_all(folder, origin, size, root, olds):
    levels, sums = [[]], Sums()
    for index in range(-(-size // 256)):
        entries = read_entries(folder, index, min(256, size - 256 * index))
        for i, entry in enumerate(entries): sums.event(entry, 256 * index + i + 1)
        level, levels[0] = 0, [hashlib.sha256(b"\0" + entry).digest() for entry in entries]
        for path, (old, old_root) in olds.items():
            if 256 * index < old <= 256 * index + len(entries):
                holds = root_over([levels[0][:old - 256 * index]] + levels[1:]) == old_root
                require(holds, f"the log does not begin with {path}, of {old} events")
        while len(levels[level]) == 256:  # A full tile is one hash in the level above.
            hashes, path = read_hashes(folder, level, (256 * index + 255) >> 8 * (level + 1), 256)
            require(hashes == levels[level], f"{path} is not what the events make")
            levels += [[]] if level + 1 == len(levels) else []
            levels[level + 1].append(root_of(hashes))
            levels[level], level = [], level + 1
    for level, hashes in enumerate(levels):
        kept, path = read_hashes(folder, level, size >> 8 * (level + 1), len(hashes)) if hashes else ([], "")
        require(kept == hashes, f"{path} is not what the events make")
    require(root_over(levels) == root, "the events make another root than the checkpoint's")
    sums.compare(os.path.join(folder, "summary.jsonl"), origin, size, root)
    return f"{size} events, every tile, {len(olds)} older checkpoints and the sums of {len(sums.sums)} accounts hold"

def check_one(folder, size, root, seq):
    require(1 <= seq <= size, f"event {seq} is not in this log of {size}")
    levels, index = [], seq - 1
    while size >> 8 * len(levels):  # The right edge, which is all that the root is made of.
        level, width = len(levels), (size >> 8 * len(levels)) % 256
        levels.append(read_hashes(folder, level, size >> 8 * (level + 1), width)[0] if width else [])
    require(root_over(levels) == root, "the tiles make another root than the checkpoint's")
    event = read_entries(folder, index >> 8, min(256, size - (index >> 8 << 8)))[index & 255]
    require(struct.unpack_from("<Q", event, 8)[0] == seq, f"another event stands in the place of event {seq}")
    found, level, is_edge = hashlib.sha256(b"\0" + event).digest(), 0, False
    while not is_edge:
        tile = index >> 8 * (level + 1)
        is_edge = tile == size >> 8 * (level + 1)
        hashes = levels[level] if is_edge else read_hashes(folder, level, tile, 256)[0]
        require(hashes[index >> 8 * level & 255] == found, f"event {seq} is not in tile {tile} of level {level}")
        found, level = root_of(hashes), level + 1
    return f"event {seq} is in the log of {size} events"

def main():
    parser = argparse.ArgumentParser(description="Checks an export of 'tollgate audit tiles'.")
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--key", action="append", required=True, metavar="VKEY", help="the log's; an older for --old")
    parser.add_argument("--old", action="append", default=[], metavar="FILE", help="an older checkpoint")
    parser.add_argument("--witness", action="append", default=[], metavar="VKEY", help="must have signed, too")
    parser.add_argument("--event", type=int, metavar="SEQ", help="check only that this event is in the log")
    words = parser.parse_args()
    if words.event is not None and words.old: parser.error("--event looks at one event alone: ask for --old without")
    try:
        logs, witnesses = [verifier(text, 1) for text in words.key], [verifier(text, 4) for text in words.witness]
    except (OSError, ValueError) as error: parser.error(f"--key or --witness: {error}")
    try:
        origin, size, root = read_checkpoint(os.path.join(words.folder, "checkpoint"), logs, witnesses)
        olds = {path: read_checkpoint(path, logs, [])[1:] for path in words.old}
        for path, (old, old_root) in olds.items():
            require(old <= size and (old or old_root == root_over([])), f"{path} is of {old} events, the log of {size}")
        print("ok:", check_all(words.folder, origin, size, root, olds) if words.event is None
              else check_one(words.folder, size, root, words.event))
    except Exception as error:
        sys.exit(f"WRONG: {error if isinstance(error, (OSError, ValueError)) else repr(error)}")

if __name__ == "__main__": main()
