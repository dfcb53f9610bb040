"""The file of a store whose helper does not run: rows that were never sent."""

import sqlite3
import struct
import time
import zlib
from collections import Counter


def crc(message, topic, ms, key, value):
    """As helper/store/store_read.c has it."""
    sum_ = 0
    for part in (struct.pack(">qq", message, ms), topic, key, value):
        sum_ = zlib.crc32(part, zlib.crc32(struct.pack(">I", len(part)), sum_))
    return sum_


def add(path, rows, dead=False):
    """Each of `rows` is (topic, key, value); pending, or a dead letter."""
    table = "dead" if dead else "pending"
    more = ", 0, 'too large'" if dead else ""
    columns = "id, topic, accepted_ms, attempts, crc, key, value" + (", buried_ms, reason" if dead else "")
    db = sqlite3.connect(path)
    for pragma in ("journal_mode=off", "synchronous=off", "cache_size=-200000"):
        db.execute(f"PRAGMA {pragma}")
    # Ids of before there was a key: of these the file has none, or those of an earlier call.
    (next_id,) = db.execute("SELECT 1 + max((SELECT coalesce(max(id), 0) FROM pending WHERE id < 1 << 62),"
                            " (SELECT coalesce(max(id), 0) FROM dead WHERE id < 1 << 62))").fetchone()
    numbers, count, size = {}, Counter(), Counter()
    ms = int(time.time() * 1000)

    def number(topic):
        if topic not in numbers:
            db.execute("INSERT OR IGNORE INTO topic (name) VALUES (?)", (topic,))
            (numbers[topic],) = db.execute("SELECT id FROM topic WHERE name = ?", (topic,)).fetchone()
        return numbers[topic]

    def each():
        for i, (topic, key, value) in enumerate(rows, next_id):
            count[topic] += 1
            size[topic] += len(key) + len(value)
            yield i, number(topic), ms, 0, crc(i, topic.encode(), ms, key, value), key, value
    db.executemany(f"INSERT INTO {table} ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?{more})", each())
    db.executemany(f"UPDATE topic SET {table} = {table} + ?, {table}_bytes = {table}_bytes + ? WHERE name = ?",
                   [(count[t], size[t], t) for t in count])
    db.execute("UPDATE counts SET accepted = accepted + ?", (sum(count.values()),))
    db.commit()
    db.close()
