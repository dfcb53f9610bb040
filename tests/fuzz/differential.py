#!/usr/bin/env python3
"""differential.py FILTER [INPUTS]: our parsers against Python's, on random texts: queries and paths against urllib,
the body of POST offsets against json. Where the two differ on purpose, the rule is applied to Python's answer, and
stands here with its reason. KP_SEED repeats a run.
"""

import json
import math
import os
import random
import re
import subprocess
import sys
from datetime import datetime, timedelta
from fractions import Fraction
from urllib.parse import parse_qsl, unquote_to_bytes

BROKEN = re.compile(rb"%(?![0-9a-fA-F]{2})")

# ---- what is expected ----


def query(text):
    """Python keeps a broken escape as it stands. We drop the pair, as Go does, and Kafka-Pixy with it."""
    whole = b"&".join(pair for pair in text.split(b"&") if not BROKEN.search(pair))
    pairs = parse_qsl(whole.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    return "".join(f"{k.encode('latin-1').hex()}={v.encode('latin-1').hex()}&" for k, v in pairs)


def path(text):
    """A broken escape in a path is an error: the name that was meant cannot be known."""
    return "-" if BROKEN.search(text) else "+" + unquote_to_bytes(text).hex()


class Refused(ValueError):
    pass


INT64 = range(-1 << 63, 1 << 63)


def unique(pairs):
    """Of two equal keys Python takes the last; we refuse: one of them is a mistake. And a key cannot hold U+0000,
    which jansson does not support."""
    found = dict(pairs)
    if len(found) < len(pairs) or any("\0" in key for key in found):
        raise Refused
    return found


def integer(text):
    """Python's have no end; ours are of 64 bits."""
    n = int(text) if len(text) < 25 else 1 << 64
    if n not in INT64:
        raise Refused
    return n


def real(text):
    """1e999 is infinite in Python, an error here."""
    if math.isinf(float(text)):
        raise Refused
    return float(text)


def no_constant(_):
    """NaN and Infinity are Python's own."""
    raise Refused


def all_strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for k, v in value.items():
            yield k
            yield from all_strings(v)
    elif isinstance(value, list):
        for v in value:
            yield from all_strings(v)


def depth(value):
    if not isinstance(value, (dict, list)):
        return 0
    below = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, below), default=0)


LAST_MS = 253402300799999
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)


def milliseconds(text):
    """RFC 3339, by Python's calendar; rounded up. Python has no leap seconds: ours are the first second of the next day."""
    found = TIME.fullmatch(text)
    if not found:
        raise Refused
    *date, fraction, sign, hours, minutes = found.groups()
    year, month, day, hour, minute, second = map(int, date)
    zone = timedelta(0)
    if sign:
        if int(hours) > 23 or int(minutes) > 59:
            raise Refused
        zone = timedelta(hours=int(hours), minutes=int(minutes)) * (1 if sign == "+" else -1)
    leap = second == 60
    at = datetime(year, month, day, hour, minute, 59 if leap else second) - zone + timedelta(seconds=leap)
    if leap and (at.hour, at.minute, at.second) != (0, 0, 0):
        raise Refused
    ms = (at - datetime(1970, 1, 1)) // timedelta(milliseconds=1) + math.ceil(Fraction(int(fraction or 0), 10 ** len(fraction or "")) * 1000)
    if not 0 <= ms <= LAST_MS:
        raise Refused
    return ms


def values(value):
    """All that are in it, where an empty list or object counts as one of them."""
    if not isinstance(value, (dict, list)):
        return 0
    return max(1, len(value)) + sum(map(values, value.values() if isinstance(value, dict) else value))


def element(value):
    def number(name, least, most):
        n = value.get(name)
        if not isinstance(n, int) or isinstance(n, bool) or not least <= n <= most:
            raise Refused
        return n
    if not isinstance(value, dict) or values(value) > 100:
        raise Refused
    partition = number("partition", 0, (1 << 31) - 1)
    if "time" not in value:
        offset = number("offset", -2, (1 << 63) - 1)
    elif "offset" in value:
        raise Refused
    elif isinstance(value["time"], str):
        offset = f"@{milliseconds(value['time'])}"
    else:
        offset = f"@{number('time', 0, LAST_MS)}"
    metadata = value.get("metadata", "")
    if not isinstance(metadata, str) or len(metadata.encode()) > 4096:
        raise Refused
    return partition, offset, metadata.encode().hex()


def offsets(text):
    try:
        root = json.loads(text.decode("utf-8-sig"), object_pairs_hook=unique, parse_int=integer, parse_float=real,
                          parse_constant=no_constant)
        # Half a surrogate pair is text to Python, and cannot be written as UTF-8. And we look no deeper than 32.
        if any("\ud800" <= c <= "\udfff" for s in all_strings(root) for c in s) or depth(root) > 32:
            raise Refused
        if not isinstance(root, list):
            raise Refused
        rows = sorted(map(element, root), key=lambda row: row[0])
        if len({p for p, _, _ in rows}) < len(rows):
            raise Refused
    except (ValueError, RecursionError, OverflowError):
        return "-"
    return "+" + "".join(f"{p},{o},{m};" for p, o, m in rows)


# ---- random texts ----

QUERY_PARTS = [b"%", b"%2", b"%zz", b"%00", b"%2F", b"%2f", b"%26", b"%3D", b"%25", b"%e2%82%ac", b"%ff", b"&", b"&&", b"=", b"==",
               b"+", b"?", b";", b"#", b"/", b"group", b"key", b"sync", b"a", b"\xff", b"\0", b" ", b"\r\n", b"%g0", b"%0g", b"%0"]
NUMBERS = ["0", "1", "-0", "-1", "-2", "-3", "2147483647", "2147483648", "9223372036854775807", "9223372036854775808",
           "-9223372036854775808", "-9223372036854775809", "1.0", "1e2", "1E+2", "1e999", "-1e999", "1e-999", "01", "+1", "1.", ".5",
           "0x1", "NaN", "Infinity", "-Infinity", "9" * 30, "9" * 5000, "true", "null", "-", "1 2"]
STRINGS = ['""', '"m"', '"\\u0000"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\ude00"', '"\\ude00\\ud83d"', '"\\u12"', '"\\x"', '"\\/\\b\\f"', '"é€😀"',
           '"\t"', '"\x7f"', '"', "'a'", '"' + "x" * 4096 + '"', '"' + "é" * 2048 + '"', '"' + "x" * 4097 + '"']
KEYS = ['"partition"', '"offset"', '"metadata"', '"time"', '"begin"', '"Partition"', '""', '"a\\u0000"', '"p\\u0061rtition"', '"\\ud800"']
SPACE = ["", "", "", " ", "\n", "\t", "\r", "\x0b", "\xa0", "\ufeff"]


def random_query(rng):
    return b"".join(rng.choice(QUERY_PARTS) if rng.random() < 0.8 else rng.randbytes(2) for _ in range(rng.randrange(14)))


def random_value(rng, levels=2):
    kind = rng.random()
    if kind < 0.4 or levels == 0:
        return rng.choice(NUMBERS)
    if kind < 0.7:
        return rng.choice(STRINGS)
    if kind < 0.72:
        n = rng.choice([29, 30, 31, 32, 40])
        return "[" * n + "]" * n
    if kind < 0.85:
        return "[" + ",".join(random_value(rng, levels - 1) for _ in range(rng.randrange(3))) + "]"
    return "{" + ",".join(f"{rng.choice(KEYS)}:{random_value(rng, levels - 1)}" for _ in range(rng.randrange(3))) + "}"


def random_time(rng):
    if rng.random() < 0.2:
        return rng.choice([str(rng.randrange(1 << 48)), str(LAST_MS), str(LAST_MS + 1), rng.choice(NUMBERS)])

    def some(most, digits=2):
        return f"{rng.choice([0, 1, most, most + 1, rng.randrange(most + 1), rng.randrange(most + 1)]):0{digits}}"
    date = f"{rng.choice([0, 1, 1969, 1970, 2000, 2024, 2026, 2100, 9999]):04}-{some(12)}-{some(30)}"
    clock = f"{some(23)}:{some(59)}:{some(59)}"
    if rng.random() < 0.1:
        clock = "23:59:60"
    fraction = rng.choice(["", "", ".", ".5", ".1239", ".999", ".9990", ".9999", "." + "0" * 30 + "1", ",5"])
    zone = rng.choice(["Z", "Z", "z", "", "+00:00", "-00:00", f"+{some(23)}:{some(59)}", f"-{some(23)}:{some(59)}", "+0100"])
    text = date + rng.choice("TTTTt ") + clock + fraction + zone
    if rng.random() < 0.1:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(["", "0", "-", "9", "é"]) + text[at + 1:]
    return f'"{text}"'


def random_element(rng):
    if rng.random() < 0.1:
        return random_value(rng)
    odd = rng.random() < 0.3
    pairs = [('"partition"', rng.choice(NUMBERS) if odd and rng.random() < 0.5 else str(rng.randrange(9))),
             ('"offset"', rng.choice(NUMBERS) if odd else str(rng.randrange(-2, 1 << 40)))]
    if rng.random() < 0.4:
        pairs[1:] = [('"time"', random_time(rng))]
    if rng.random() < 0.4:
        pairs.append(('"metadata"', rng.choice(STRINGS)))
    if rng.random() < 0.2:
        pairs.append((rng.choice(KEYS), random_value(rng)))
    if rng.random() < 0.05:
        pairs.append(('"x"', "[" + ",".join(rng.choices(["{}", "[]", "0", "[0]", '"],["'], k=rng.randrange(30, 100))) + "]"))
    rng.shuffle(pairs)
    gap = rng.choice(SPACE) if rng.random() < 0.2 else ""
    return "{" + ",".join(f"{gap}{k}:{v}" for k, v in pairs) + gap + "}"


def random_offsets(rng):
    elements = [random_element(rng) for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3]))]
    text = (rng.choice(SPACE) + "[" + ",".join(elements) + "]" + rng.choice(SPACE)).encode()
    if rng.random() < 0.15:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice([b"", b"\0", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b",", b"]", rng.randbytes(1)]) + text[at + 1:]
    return text


KINDS = {"q": (random_query, query), "p": (random_query, path), "j": (random_offsets, offsets)}


def main(program, count):
    seed = int(os.environ.get("KP_SEED") or random.SystemRandom().randrange(1 << 31))
    rng = random.Random(seed)
    cases = [(kind, KINDS[kind][0](rng)) for kind in rng.choices("qpj", (4, 2, 4), k=count)]
    run = subprocess.run([program], input="".join(f"{k} {t.hex()}\n" for k, t in cases).encode(), stdout=subprocess.PIPE,
                         check=True)
    answers = run.stdout.decode().splitlines()
    assert len(answers) == count, f"{len(answers)} answers to {count} texts"
    wrong, taken = 0, {"q": 0, "p": 0, "j": 0}
    for (kind, text), answer in zip(cases, answers):
        want = KINDS[kind][1](text)
        taken[kind] += answer[:1] not in ("-", "")
        if answer != want and not (want == "-" and answer.startswith("-")):
            wrong += 1
            if wrong <= 10:
                print(f"{kind} {text!r}: ours {answer}, Python's {want}")
    print(f"differential: inputs={count} taken={taken} different={wrong} seed={seed}")
    return 1 if wrong or min(taken.values()) < count // 100 else 0


sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100_000))
