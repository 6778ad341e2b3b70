#!/usr/bin/env python3
"""A second opinion beside `gostech-audit-log seal verify`: checks an export of sealed audit events on its own.
    verify.py --key KEY [--checkpoints FILE] [--receiver NAME] EXPORT…      (- is standard input)
KEY: what `seal init` printed, or a file with it. The format: evidence.md. To be read, not to be fast; Streebog: package `gostcrypto`.
Exit: 0 clean, 1 tampered, 2 usage, 3 cannot tell. Refuses: to believe anything but what follows from KEY."""
import argparse, base64, datetime, fileinput, functools, hashlib, json, sys, types
from collections import defaultdict
from urllib.parse import unquote
FOREIGN = set("""@timestamp @version gostech host headers tags event url http user_agent agent ecs input log type path port
process cloud container docker kubernetes stream source_type offset""".split())
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
def add(a, b):  # Ed25519 (RFC 8032), points as (x, y)
    t = D * a[0] * b[0] * a[1] * b[1] % P
    return (a[0] * b[1] + a[1] * b[0]) * pow(1 + t, -1, P) % P, (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, -1, P) % P
def times(n, p): return add(times(n >> 1, add(p, p)), p if n & 1 else (0, 1)) if n else (0, 1)
def point(raw):
    y = int.from_bytes(raw, "little") & (1 << 255) - 1
    xx = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(xx, (P + 3) // 8, P)
    x = x if x * x % P == xx else x * pow(2, (P - 1) // 4, P) % P
    if y >= P or x * x % P != xx or len(raw) != 32: raise ValueError("no point")
    return (P - x if x & 1 != raw[31] >> 7 else x), y
def is_signed(public, body, signature):
    base, s = point((4 * pow(5, -1, P) % P).to_bytes(32, "little")), int.from_bytes(signature[32:], "little")
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + body).digest(), "little") % L
    return s < L and times(s, base) == add(point(signature[:32]), times(h, point(public)))
b64 = lambda text: base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
moment = lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
visible = lambda event: {k: v for k, v in event.items() if k not in FOREIGN and not k.startswith("_")}
is_flat = lambda fields: all(type(v) is str for v in fields.values())
parts = lambda raw: [raw[i : i + 32] for i in range(0, len(raw), 32)]
utf8 = lambda text: text.encode("utf-8", "surrogatepass")
def hasher(stream):
    if stream[-1] == 1: return lambda data: hashlib.sha256(data).digest()
    if stream[-1] != 2: raise ValueError("no stream")
    from gostcrypto import gosthash
    return lambda data: bytes(gosthash.new("streebog256", data=bytearray(data)).digest())
leaf_of = lambda stream, seq, form, body=b"": hasher(stream)(b"\0" + stream + seq.to_bytes(8, "big") + form + body)
def push(tree, size, leaf, hash_of):  # RFC 6962: the edge of a tree that grows by one leaf
    while size & 1: leaf, size = hash_of(b"\1" + tree.pop() + leaf), size >> 1
    tree.append(leaf)
root = lambda tree, hash_of: functools.reduce(lambda r, l: hash_of(b"\1" + l + r), reversed(tree)) if tree else hash_of(b"")
def once(pairs):
    if len(dict(pairs)) < len(pairs): raise ValueError("a name stands twice")
    return dict(pairs)
sort = lambda fields: {key: fields[key] for key in sorted(fields, key=utf8)}
canonical = lambda fields: utf8(json.dumps(sort(fields), ensure_ascii=False, separators=(",", ":")))
def sealed_of(event):  # form and body of an event; whether what it shows is what was sealed
    ours, shown, form = event["gostech"], visible(event), b"r"
    if "raw" not in ours and "raw_base64" not in ours: return b"c", canonical(shown), is_flat(shown)
    raw = ours["raw"].encode() if "raw" in ours else b64(ours["raw_base64"])
    try:
        whole = json.loads(raw, object_pairs_hook=once)
        form = b"c" if visible(whole) == whole and canonical(whole) == raw and is_flat(whole) else b"r"
        if visible(whole) == shown: return form, raw, True
    except (ValueError, AttributeError): pass
    text = raw.decode("utf-8", "replace")  # cut, or no object: what is shown stands in the bytes, but for what we add
    stands = lambda v: json.dumps(v, ensure_ascii=False).strip('"') in text or str(v).rstrip("\ufffd") in text
    added = (shown.pop("title", ""), shown.pop("severity", "")) in (("unparsed", "medium"), ("truncated", "high"))
    return form, raw, added and all(stands(v) for v in shown.values())
def ranges(text):
    return {seq for a, _, b in (part.partition("-") for part in text.split(",") if part) for seq in range(int(a), int(b or a) + 1)}
class Checkpoint:
    def __init__(self, note):
        body, rest = note.split("\n\n", 1)
        self.body, lines = body.encode() + b"\n", [line.split(" ") for line in body.splitlines()]
        self.signatures = [b64(line.split(" ")[2]) for line in rest.splitlines() if line.startswith("\u2014 ")]
        self.stream, self.size = bytes.fromhex(lines[0][0].split("/", 1)[1]), int(lines[1][0])
        self.root, self.lines, self.said = b64(lines[2][0]), lines[3:], {w[0]: w[1] for w in lines[3:]}
        self.number, self.previous, self.why = int(self.said["number"]), self.said["previous"], self.said["why"]
        self.next_key, edge = self.said.get("next-key"), b"" if self.said["edge"] == "none" else b64(self.said["edge"])
        self.after = bytes.fromhex(self.said["after"]) if len(self.said["after"]) == 32 else b""
        self.hash = base64.b64encode(hashlib.sha256(self.body).digest()).decode()
        self.edge, own = parts(edge), [self.stream.hex()]
        self.excused = [own + w[1:] if w[0] == "excused" else w[1:] for w in self.lines if w[0].startswith("excused")]
    def of(self, word, receiver): return [w[2:] for w in self.lines if w[0] == word and unquote(w[1]) == receiver]
    def counts(self, receiver):  # at, delivered, waiting, quarantined, dropped, filtered
        return [[int(word.partition("=")[2]) for word in words] for words in self.of("receiver", receiver)]
    def at(self, receiver): return max([n[0] for n in self.counts(receiver)] + [0])
def new_trail():  # what an export says of one stream, by seq
    seqs = dict(events=defaultdict(set), listed=defaultdict(set), passes=defaultdict(list))
    return types.SimpleNamespace(own=set(), lost=set(), origins=set(), **seqs)
def take_list(event, streams):
    trail = hasher(stream := bytes.fromhex(event["stream_id"])) and streams[stream]
    start, count, leaves = int(event["from"]), int(event["count"]), iter(parts(b64(event["leaves"])))
    trail.lost |= (lost := ranges(event.get("absent", "").replace("l", "")))
    bits = {unquote(name): b64(bits) for name, _, bits in (w.partition("=") for w in event.get("passes", "").split())}
    for i, seq in enumerate(range(start, start + count)):
        trail.listed[seq].add(leaf_of(stream, seq, b"a") if seq in lost else next(leaves))
        trail.passes[seq].append({name: bitmap[i // 8] >> i % 8 & 1 for name, bitmap in bits.items()})
def take(event, streams, say, where, unsealed):
    ours = (event := event.get("_source", event)).get("gostech", {})
    origin = tuple(ours.get(name) for name in ("node", "cluster", "instance"))
    if "seal" not in ours: return unsealed.append((ours.get("read_at") or event.get("time"), origin, where))
    seal, title, (form, body, shown) = ours["seal"], event.get("title"), sealed_of(event)
    leaf = leaf_of(stream := bytes.fromhex(seal["stream"]), seq := seal["seq"], form, body)
    if not shown or base64.urlsafe_b64encode(leaf).rstrip(b"=").decode() != seal["leaf"]:
        say(1, f"altered: {stream.hex()} {seq} {event.get('id')} ({where})")
    streams[stream].events[seq].add(leaf), streams[stream].origins.add(origin)
    if title in ("audit_leaves", "audit_checkpoint"):
        streams[stream].own.add(seq)
        return [Checkpoint(event["checkpoint"])] if title == "audit_checkpoint" else take_list(event, streams)
def believed(found, key, say):  # the checkpoints that KEY and its successors have signed, in order
    key, good = b64(key.split("+", 2)[2])[1:], []
    for c in sorted({c.body: c for c in found}.values(), key=lambda c: c.number):
        last = good[-1] if good else None
        if not any(len(s) == 68 and is_signed(key, c.body, s[4:]) for s in c.signatures):
            say(1 if last and c.number <= last.number + 1 else 3, f"checkpoint {c.number}: KEY does not lead to its key")
        elif last and (c.number == last.number or c.number == last.number + 1 and c.previous != last.hash):
            say(1, f"checkpoint {c.number}: it does not follow checkpoint {last.number}")
        else:
            # No removal by itself: it may be in a quarantine, or its receiver have begun anew. Its place is judged like others.
            last and c.number > last.number + 1 and say(3, f"checkpoints before {c.number} are not there")
            good, key = good + [c], b64(c.next_key.split("+", 2)[2])[1:] if c.next_key else key
    return good
def doubts(signed, receiver, streams):  # from which (stream, seq) to which what is missing cannot be told, or a filter was changed
    order, unclear, changed, old, begun = list(dict.fromkeys([c.stream for c in signed] + sorted(streams))), [], [], None, False
    for last, c in zip(signed[:1] + signed, signed):
        n, rule, gap = order.index(c.stream), c.of("rule", receiver), c.number - (last is not c and last.number) > 1
        more = {bytes.fromhex(w[0]) for w in c.excused if unquote(w[1]) == receiver and w[2] == "more"}
        unclear += [((order.index(s), 0), (order.index(s) + 1, 0)) for s in more if s in order and s != c.stream]
        for at, *counts in c.counts(receiver):
            m, was, before, had = old or (0, 0, counts, rule)
            # Counts that go back: it was forgotten and began anew, or its cursor went with the power.
            anew = any(counts[i] < before[i] for i in (0, 2, 3)) or counts[4] > before[4] and not (rule or had)
            anew |= not old and last is not c and counts[4] > 0  # nobody tells what it was given before that
            if anew or gap or c.stream in more or begun and m != n:
                unclear.append(((m, was) if min(at, was) else (0, 0), (n, at)))
            begun = (anew or begun) and c.why == "closed" and at > c.size  # where it is the next stream says
            old = n, at, counts, rule
        m, at = order.index(last.stream), last.at(receiver)
        if m != n and last.why != "closed": unclear.append(((m, at), (m + 1, 0)))  # what its end lost nobody has signed
        if rule != last.of("rule", receiver) or rule and gap: changed.append(((m, at), (n, c.size + 1)))
    return order, unclear, changed
def judge(stream, streams, signed, receiver, say, order, unclear, changed):
    trail, tree, size, hash_of, name = streams[stream], [], 0, hasher(stream), stream.hex()
    mine, i = [c for c in signed if c.stream == stream], order.index(stream)
    within = lambda seq, stretches: any(a <= (i, seq) < b for a, b in stretches)
    after = [min(c.at(receiver), 1) * 2**64 for c in signed if mine and c.number > mine[-1].number]
    passed, there = max([0] + after + [c.at(receiver) for c in mine]), [s for s in order if streams[s].events]
    earlier, later = any(s in there for s in order[:i]), any(s in there for s in order[i + 1 :])
    begun = any(c.after in there for c in mine) or stream not in there and (earlier or not later)
    first = 1 if begun else min(trail.events, default=2**64)  # an index may be pruned up to here, and ragged behind it
    ragged = 0 if first == 1 else min([c.size for c in mine if c.size >= first + 1024], default=2**64)
    told = [w[3] for c in signed for w in c.excused if w[0] == name and unquote(w[1]) == receiver and w[2] != "more"]
    excused = trail.lost.union(*map(ranges, told + [w[1] for c in mine for w in c.lines if w[0] == "lost"]))
    for c in mine:
        fresh = range(size + 1, c.size + 1)
        leaf = {seq: trail.listed.get(seq) or trail.events.get(seq) or {leaf_of(stream, seq, b"a")} for seq in fresh}
        for seq in fresh: push(tree, seq - 1, min(leaf[seq]), hash_of)
        fine = root(tree, hash_of) == c.root and all(len(leaf[seq]) == 1 for seq in fresh)
        if not fine and c.size >= first:
            say(1 if all(len(trail.listed[seq]) == 1 for seq in fresh) else 3, f"{name} {size + 1} to {c.size}: not the signed root")
        for seq in fresh if fine else ():
            there, kept = trail.events.get(seq), not any(bits.get(receiver, 1) for bits in trail.passes[seq])
            if there and there != leaf[seq]:
                say(3 if seq in trail.lost else 1, f"not what was sealed: {name} {seq}")
            elif not there and seq in trail.listed and seq not in excused and not kept and not within(seq, changed):
                sure = ragged <= seq < passed and not within(seq, unclear)
                code, what = (3 * earlier, "before the beginning") if seq < first else (1, "removed") if sure else (3, "missing")
                say(code, f"{what}: {name} {seq}")
        tree, size = list(c.edge), c.size
    tail = [seq for seq in trail.events.keys() - trail.own if seq > size]
    tail and say(3 if not mine or any(c.why == "closed" for c in mine) else 0, f"not sealed: {name} {min(tail)} to {max(tail)}")
def main():
    args = argparse.ArgumentParser(usage=__doc__)
    args.add_argument("--key", required=True), args.add_argument("export", nargs="+")
    args.add_argument("--checkpoints"), args.add_argument("--receiver")
    args, worst, streams, found, unsealed = args.parse_args(), [0], defaultdict(new_trail), [], []
    say = lambda code, text: worst.append(code) or print({0: "said", 1: "TAMPERED", 3: "cannot tell"}[code] + ": " + text)
    for n, line in enumerate(fileinput.input(args.export, mode="rb"), 1):
        try:
            found += line.strip() and take(json.loads(line, object_pairs_hook=once), streams, say, f"line {n}", unsealed) or []
        except (json.JSONDecodeError, UnicodeError, AttributeError, RecursionError) as e:
            say(3, f"cannot be read: line {n}: {e}")
        except (ValueError, KeyError, IndexError, TypeError, OverflowError, StopIteration) as e:
            say(1, f"inserted or altered: line {n}: {type(e).__name__} {e}")
    read = lambda name: open(name, encoding="utf-8").read().strip()
    notes = read(args.checkpoints).split("\n\n") if args.checkpoints else []
    found += [Checkpoint(a + "\n\n" + b) for a, b in zip(notes[::2], notes[1::2] or notes)]
    key = args.key if "+" in args.key else read(args.key)
    signed = believed(found, key, say)
    signed or say(3, "there is no checkpoint that KEY leads to")
    names = {w[1] for c in signed for w in c.lines if w[0] == "receiver"}
    unsure = doubts(signed, receiver := args.receiver or (unquote(min(names)) if len(names) == 1 else ""), streams)
    for stream in unsure[0]:
        judge(stream, streams, signed, receiver, say, *unsure)
    origins = set().union(*(trail.origins for trail in streams.values()))
    for when, origin, where in unsealed:  # what was read while all was sealed has a seal
        sealed = [(int.from_bytes(c.stream[:6], "big") / 1000, moment(c.said["time"]).timestamp()) for c in signed]
        within = when and any(begun <= moment(when).timestamp() < last for begun, last in sealed)
        say(1 if within and (origin in origins or not any(origin)) else 3, f"without a seal: {where}")
    print({0: "clean", 1: "tampered", 3: "cannot tell"}[end := min(worst, key=[1, 3, 0].index)])
    sys.exit(end)
try:
    main()
except (OSError, ImportError, ValueError, LookupError) as e:
    sys.exit(print(f"verify.py: {type(e).__name__}: {e}", file=sys.stderr) or 2)
