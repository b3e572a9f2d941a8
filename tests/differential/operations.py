"""The text that both programs read and write: operations, answers, and the changelog.

An operation is one line, fields separated by one space; each gets one line of answer. Bytes stand
for themselves if they are letters, digits or _.:|"{}[],+*-, all others as %XX; no bytes at all
are "%", and "-" alone stands for nothing.

    store plain | windowed | timestamped GRACE_MS one|all
                              what the partition is; the first operation
    alone PARTITION FOLDER    another partition, without a changelog, write-ahead log in FOLDER
    open START                closes it if it is open, opens it, recovers it. START is JSON:
                              {"topic":offset,…}, where processing goes on
    wipe                      closes it and removes its local state
    prepare PROCESSED         prepares the transaction; answers with the changelog messages
    flush [OFFSET]            with the offset of the last message, or with this one
    abort                     drops the transaction
    compact, control          what a broker does to the changelog: compaction, an offset
                              without a record
    dump FAMILY               what is committed in a column family
    offset                    the changelog offset of the state
    kill                      ends the program at once; the changelog is kept

    set PREFIX KEY BYTES [TIME|- [TTL_MS]]    setjson PREFIX TEXT JSON [TIME|- [TTL_MS]]
    get PREFIX KEY [TIME]                     exists PREFIX KEY [TIME]
    delete PREFIX KEY                         setbad PREFIX KEY   (a value without a JSON form)

    update PREFIX START END JSON TIME         window PREFIX START END
    remove PREFIX START END                   windows PREFIX FROM TO forward|backward
    time PREFIX                               expired PREFIX
    expire PREFIX MAX_START delete|keep plain|collect|inclusive [TAKE]
    expireall MAX_END STEP delete|keep plain|collect [TAKE]
    removeall PREFIX MAX_START values|keep    add PREFIX ID|- JSON
    collected PREFIX START END                uncollect PREFIX END [START]
    walk PREFIX FROM TO|- forward|backward    advance TIME
    checkpoint PREFIX [TIME]

    put PREFIX TIME JSON                      latest PREFIX TIME
    interval PREFIX START END [LIMIT]         cut PREFIX START END

A transaction begins with the first operation that needs one. Answers: "ok" with items, "none", or
"error CODE", where "# …" after it is for people.

SPDX-License-Identifier: Apache-2.0
"""

import string

_PLAIN = frozenset((string.ascii_letters + string.digits + "_.:|\"{}[],+*-").encode())
_ENCODED = {byte: chr(byte) if byte in _PLAIN else "%%%02X" % byte for byte in range(256)}


def encode(data):
    """Bytes, or None, as a field."""
    if data is None:
        return "-"
    if data == b"-":
        return "%2D"
    return "".join(map(_ENCODED.__getitem__, data)) or "%"


def decode(field):
    """The bytes of a field, None for "-"."""
    if field == "-":
        return None
    if field == "%":
        return b""
    first, *rest = field.split("%")
    data = first.encode()
    for part in rest:
        data += bytes.fromhex(part[:2]) + part[2:].encode()
    return data


class Record:
    """A changelog message. flags holds the names of headers beyond the usual two."""

    __slots__ = ("offset", "family", "key", "value", "processed", "flags")

    def __init__(self, offset, family, key, value, processed, flags=()):
        self.offset = offset
        self.family = family
        self.key = key
        self.value = value
        self.processed = processed
        self.flags = tuple(flags)

    def fields(self):
        """All but the offset, as text."""
        return " ".join(
            [
                encode(self.family.encode()),
                encode(self.key),
                encode(self.value),
                encode(self.processed),
                ",".join(self.flags) or "-",
            ]
        )


class Topic:
    """A changelog partition, with the rules of Kafka. It outlives who writes to it."""

    def __init__(self):
        self.records = []
        self.low = 0
        self.high = 0

    def append(self, family, key, value, processed, flags=()):
        self.records.append(Record(self.high, family, key, value, processed, flags))
        self.high += 1

    def control(self):
        self.high += 1

    def compact(self):
        last = {(record.family, record.key): record.offset for record in self.records}
        self.records = [
            record for record in self.records if last[record.family, record.key] == record.offset
        ]

    def since(self, offset):
        return [record for record in self.records if record.offset >= offset]

    def save(self, path):
        with open(path, "w", encoding="ascii") as file:
            file.write("%d\n" % self.high)
            for record in self.records:
                file.write("%d %s\n" % (record.offset, record.fields()))

    @classmethod
    def load(cls, path):
        topic = cls()
        with open(path, encoding="ascii") as file:
            topic.high = int(file.readline())
            for line in file:
                offset, family, key, value, processed, flags = line.split()
                topic.records.append(
                    Record(
                        int(offset),
                        decode(family).decode(),
                        decode(key),
                        decode(value),
                        decode(processed),
                        () if flags == "-" else flags.split(","),
                    )
                )
        return topic
