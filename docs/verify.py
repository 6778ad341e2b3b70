#!/usr/bin/env python3
"""A second opinion beside `gostech-audit-log seal verify`: checks an export of sealed audit events on its own.
    verify.py --key KEY [--checkpoints FILE] [--receiver NAME] EXPORT…      (- is standard input)
KEY: what `seal init` printed, or a file with it. The format: evidence.md. To be read, not to be fast; Streebog: package `gostcrypto`.
Exit: 0 clean, 1 tampered, 2 usage, 3 cannot tell. Refuses: to believe anything but what follows from KEY."""
import argparse, base64, fileinput, hashlib, json, sys
from collections import defaultdict
from datetime import datetime
from functools import reduce
from types import SimpleNamespace
from urllib.parse import unquote

FOREIGN = set("""@timestamp @version gostech host headers tags event url http user_agent agent ecs input log type path port
process cloud container docker kubernetes stream source_type offset""".split())
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
def add(a, b):  # Ed25519 (RFC 8032), points as (x, y)
    t = D * a[0] * b[0] * a[1] * b[1] % P
    return (a[0] * b[1] + a[1] * b[0]) * pow(1 + t, -1, P) % P, (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, -1, P) % P
def times(n, p):
    return add(times(n >> 1, add(p, p)), p if n & 1 else (0, 1)) if n else (0, 1)
def point(raw):
    y = int.from_bytes(raw, "little") & (1 << 255) - 1
    xx = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(xx, (P + 3) // 8, P)
    x = x if x * x % P == xx else x * pow(2, (P - 1) // 4, P) % P
    if y >= P or x * x % P != xx or len(raw) != 32:
        raise ValueError("no point")
    return (P - x if x & 1 != raw[31] >> 7 else x), y
def is_signed(public, body, signature):
    base, s = point((4 * pow(5, -1, P) % P).to_bytes(32, "little")), int.from_bytes(signature[32:], "little")
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + body).digest(), "little") % L
    return s < L and times(s, base) == add(point(signature[:32]), times(h, point(public)))

b64 = lambda text: base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
moment = lambda text: datetime.fromisoformat(text.replace("Z", "+00:00"))
visible = lambda event: {k: v for k, v in event.items() if k not in FOREIGN and not k.startswith("_")}
is_flat = lambda fields: all(type(v) is str for v in fields.values())
utf8 = lambda text: text.encode("utf-8", "surrogatepass")
def hasher(stream):
    if stream[-1] == 1:
        return lambda data: hashlib.sha256(data).digest()
    from gostcrypto import gosthash
    return lambda data: bytes(gosthash.new("streebog256", data=bytearray(data)).digest())
def leaf_of(stream, seq, form, body=b""):
    return hasher(stream)(b"\0" + stream + seq.to_bytes(8, "big") + form + body)
def push(tree, size, leaf, hash_of):  # RFC 6962: the edge of a tree that grows by one leaf
    while size & 1:
        leaf, size = hash_of(b"\1" + tree.pop() + leaf), size >> 1
    tree.append(leaf)
def root(tree, hash_of):
    return reduce(lambda right, left: hash_of(b"\1" + left + right), reversed(tree)) if tree else hash_of(b"")
def once(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)
def canonical(fields):
    order = dict(sorted(fields.items(), key=lambda f: utf8(f[0])))
    return utf8(json.dumps(order, ensure_ascii=False, separators=(",", ":")))
def sealed_of(event):  # form and body of an event; whether what it shows is what was sealed
    ours, shown, whole = event["gostech"], visible(event), {}
    if "raw" not in ours and "raw_base64" not in ours:
        return b"c", canonical(shown), is_flat(shown)
    raw = ours["raw"].encode() if "raw" in ours else b64(ours["raw_base64"])
    try:
        whole = json.loads(raw, object_pairs_hook=once)
        form = b"c" if visible(whole) == whole and canonical(whole) == raw and is_flat(whole) else b"r"
        if visible(whole) == shown:
            return form, raw, True
    except (ValueError, AttributeError):
        form = b"r"
    text = raw.decode("utf-8", "replace")  # cut, or no object: what is shown stands in the bytes, but for what we add
    stands = lambda v: json.dumps(v, ensure_ascii=False).strip('"') in text or str(v).rstrip("\ufffd") in text
    return form, raw, all(stands(v) for k, v in shown.items() if k not in ("title", "severity"))
def ranges(text):
    parts = [part.partition("-") for part in text.split(",") if part]
    return {seq for a, _, b in parts for seq in range(int(a), int(b or a) + 1)}
class Checkpoint:
    def __init__(self, note):
        body, rest = note.split("\n\n", 1)
        self.body, lines = body.encode() + b"\n", [line.split(" ") for line in body.splitlines()]
        self.signatures = [b64(line.split(" ")[2]) for line in rest.splitlines() if line.startswith("\u2014 ")]
        self.stream, self.size = bytes.fromhex(lines[0][0].split("/", 1)[1]), int(lines[1][0])
        self.root, self.lines, self.said = b64(lines[2][0]), lines[3:], {w[0]: w[1] for w in lines[3:]}
        self.number, self.previous, self.why = int(self.said["number"]), self.said["previous"], self.said["why"]
        self.next_key, edge = self.said.get("next-key"), b"" if self.said["edge"] == "none" else b64(self.said["edge"])
        self.hash = base64.b64encode(hashlib.sha256(self.body).digest()).decode()
        self.edge = [edge[i : i + 32] for i in range(0, len(edge), 32)]
    def at(self, receiver):
        return max([n[0] for n in self.counts(receiver)] + [0])
    def counts(self, receiver):  # at, delivered, waiting, quarantined, dropped, filtered
        of = lambda w: w[0] == "receiver" and unquote(w[1]) == receiver
        return [[int(word.partition("=")[2]) for word in w[2:]] for w in self.lines if of(w)]
def new_trail():  # what an export says of one stream, by seq
    return SimpleNamespace(events=defaultdict(set), listed=defaultdict(set), own=set(), lost=set(), passes=defaultdict(list))
def take_list(event, stream, trail):
    start, count, raw = int(event["from"]), int(event["count"]), b64(event["leaves"])
    trail.lost |= (lost := ranges(event.get("absent", "").replace("l", "")))
    leaves = iter([raw[i : i + 32] for i in range(0, len(raw), 32)])
    bits = {unquote(name): b64(bits) for name, _, bits in (w.partition("=") for w in event.get("passes", "").split())}
    for i, seq in enumerate(range(start, start + count)):
        trail.listed[seq].add(leaf_of(stream, seq, b"a") if seq in lost else next(leaves))
        trail.passes[seq].append({name: bitmap[i // 8] >> i % 8 & 1 for name, bitmap in bits.items()})
def take(event, streams, say, where, unsealed):
    event = event.get("_source", event)
    ours = event.get("gostech", {})
    if "seal" not in ours:
        return unsealed.append((moment(ours.get("read_at") or event["time"]), where))
    seal, title, (form, body, shown) = ours["seal"], event.get("title"), sealed_of(event)
    stream, seq = bytes.fromhex(seal["stream"]), seal["seq"]
    leaf = leaf_of(stream, seq, form, body)
    if not shown or base64.urlsafe_b64encode(leaf).rstrip(b"=").decode() != seal["leaf"]:
        say(1, f"altered: {stream.hex()} {seq} {event.get('id')} ({where})")
    streams[stream].events[seq].add(leaf)
    if title in ("audit_leaves", "audit_checkpoint"):
        streams[stream].own.add(seq)
        of = bytes.fromhex(event.get("stream_id", ""))
        return Checkpoint(event["checkpoint"]) if title == "audit_checkpoint" else take_list(event, of, streams[of])
def believed(found, key, say):  # the checkpoints that KEY and its successors have signed, in order
    key, good = b64(key.split("+", 2)[2])[1:], []
    for c in sorted({c.body: c for c in found}.values(), key=lambda c: c.number):
        last = good[-1] if good else None
        if not any(len(s) == 68 and is_signed(key, c.body, s[4:]) for s in c.signatures):
            say(1 if last and c.number <= last.number + 1 else 3, f"checkpoint {c.number}: KEY does not lead to its key")
        elif last and (c.number == last.number or c.number == last.number + 1 and c.previous != last.hash):
            say(1, f"checkpoint {c.number}: it does not follow checkpoint {last.number}")
        else:
            last and c.number > last.number + 1 and say(1, f"checkpoints before {c.number} were removed")
            good, key = good + [c], b64(c.next_key.split("+", 2)[2])[1:] if c.next_key else key
    return good

def judge(stream, trail, signed, receiver, say):
    tree, size, hash_of, name = [], 0, hasher(stream), stream.hex()
    mine = [c for c in signed if c.stream == stream]
    said = {n: {w[1]: w[2:] for w in c.lines if w[0] == "rule"} for n, c in enumerate(mine)}
    later = any(c.at(receiver) for c in signed if mine and c.number > mine[-1].number)
    passed = 2**64 if later else max([c.at(receiver) for c in mine] + [0])
    excused, more = set(trail.lost), 0
    for c in signed:
        said_of = [w[1:] for w in c.lines if c.stream == stream and w[0] == "excused"]
        said_of += [w[2:] for w in c.lines if w[:2] == ["excused-of", name]]
        for why, text in (w[1:] for w in said_of if unquote(w[0]) == receiver):
            more, excused = (more + int(text), excused) if why == "more" else (more, excused | ranges(text))
        excused |= {seq for w in c.lines if c.stream == stream and w[0] == "lost" for seq in ranges(w[1])}
    told, rules = [n for c in signed for n in c.counts(receiver)], {w[1] for c in signed for w in c.lines if w[0] == "rule"}
    for a, b in zip(told, told[1:]):  # forgotten and begun anew, or its cursor went with the power
        more += any(b[i] < a[i] for i in (1, 3, 4)) or b[5] > a[5] and receiver not in map(unquote, rules)
    if mine and mine[-1].why != "closed":  # what was lost of its end nobody has signed, where it has ended
        more += any(c.number > mine[-1].number and c.stream != stream for c in signed)
    for n, c in enumerate(mine):
        fresh = range(size + 1, c.size + 1)
        leaf = {seq: trail.listed.get(seq) or trail.events.get(seq) or {leaf_of(stream, seq, b"a")} for seq in fresh}
        for seq in fresh:
            push(tree, seq - 1, min(leaf[seq]), hash_of)
        if n and said[n] != said[n - 1]:
            excused |= set(range(mine[n - 1].at(receiver), c.size + 1))
        fine = root(tree, hash_of) == c.root and all(len(leaf[seq]) == 1 for seq in fresh)
        if not fine and (n or not trail.events or any(seq in trail.listed or seq in trail.events for seq in fresh)):
            all_listed = all(seq in trail.listed for seq in fresh)
            say(1 if all_listed else 3, f"{name} {size + 1} to {c.size}: the leaves here do not give the signed root")
        for seq in fresh if fine else ():
            there, kept = trail.events.get(seq), not any(bits.get(receiver, 1) for bits in trail.passes[seq])
            if there and there != leaf[seq]:
                say(3 if seq in trail.lost else 1, f"not what was sealed: {name} {seq}")
            elif not there and seq in trail.listed and seq not in excused and not kept:
                say(1 if seq < passed and not more else 3, f"{'removed' if seq < passed else 'missing'}: {name} {seq}")
        tree, size = list(c.edge), c.size
    tail = [seq for seq in trail.events.keys() - trail.own if seq > size]
    ended = not mine or any(c.why == "closed" for c in mine)
    tail and say(3 if ended else 0, f"not sealed: {name} {min(tail)} to {max(tail)}, {len(tail)} events")

def main():
    args = argparse.ArgumentParser(usage=__doc__)
    for name, how in ("--key", {"required": True}), ("--checkpoints", {}), ("--receiver", {}), ("export", {"nargs": "+"}):
        args.add_argument(name, **how)
    args, worst, streams, found, unsealed = args.parse_args(), [0], defaultdict(new_trail), [], []
    def say(exit_code, text):
        worst.append(exit_code)
        print({0: "said", 1: "TAMPERED", 3: "cannot tell"}[exit_code] + ": " + text)
    for n, line in enumerate(fileinput.input(args.export, encoding="utf-8"), 1):
        try:
            c = take(json.loads(line, object_pairs_hook=once), streams, say, f"line {n}", unsealed)
            found += [c] if c else []
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, StopIteration) as e:
            say(1, f"inserted or altered: line {n}: {type(e).__name__} {e}")
    notes = open(args.checkpoints, encoding="utf-8").read().strip("\n").split("\n\n") if args.checkpoints else []
    found += [Checkpoint(a + "\n\n" + b) for a, b in zip(notes[::2], notes[1::2])]
    key = open(args.key, encoding="utf-8").read().strip() if "+" not in args.key else args.key
    signed = believed(found, key, say)
    names = {w[1] for c in signed for w in c.lines if w[0] == "receiver"}
    receiver = args.receiver or (unquote(min(names)) if len(names) == 1 else "")
    for stream, trail in sorted({**{c.stream: streams[c.stream] for c in signed}, **streams}.items()):
        judge(stream, trail, signed, receiver, say)
    for when, where in unsealed:  # what was read while all was sealed has a seal
        sealed = [(int.from_bytes(c.stream[:6], "big") / 1000, moment(c.said["time"]).timestamp()) for c in signed]
        say(1 if any(begun <= when.timestamp() < last for begun, last in sealed) else 3, f"without a seal: {where}")
    print({0: "clean", 1: "tampered", 3: "cannot tell"}[min(worst, key=[1, 3, 0].index)])
    sys.exit(min(worst, key=[1, 3, 0].index))
main()
