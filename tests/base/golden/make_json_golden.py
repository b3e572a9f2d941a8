#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes json.tsv, the pairs that test_json_golden.c reads: what orjson makes of a value.

    pip install orjson && python3 make_json_golden.py > json.tsv

Lines: `double <bits in hex> <text>` and `text <JSON text> <what orjson.dumps(orjson.loads(it))
gives, or ! when it refuses the text>`, separated by tabs. Integers beyond 64 bits and depths beyond
254 are not in it: there Weir gives an error instead of another value.
"""

import random
import struct

import orjson

random.seed(20260131)


def bits_of(value):
    return struct.unpack(">Q", struct.pack(">d", value))[0]


def double_of(bits):
    return struct.unpack(">d", struct.pack(">Q", bits))[0]


def doubles():
    yield from (0.0, -0.0, 1.0, -1.0, 0.1, 0.2, 0.1 + 0.2, 1 / 3, 2 / 3, 9007199254740993.0)
    for exponent in range(-1074, 1024):
        yield 2.0**exponent
    for exponent in range(-30, 31):
        for mantissa in (1, 1.5, 9.999, 1.2345678901234567, 9.999999999999999):
            yield mantissa * 10.0**exponent
            yield float(f"{mantissa}e{exponent}")
    for bits in (1, 2, 3, 0xFFFFFFFFFFFFF, 0x10000000000000, 0x10000000000001, 0x7FEFFFFFFFFFFFFF):
        yield double_of(bits)
    for value in (1e15, 1e16, 1e17, 1e21, 1e22, 1e23, 2.0**53, 2.0**63, 2.0**64, 1e-4, 1e-5, 1e-6):
        yield from (double_of(bits_of(value) + step) for step in (-2, -1, 0, 1, 2))
    for _ in range(150):
        yield double_of(random.getrandbits(52))
    for _ in range(800):
        yield random.choice((-1, 1)) * random.randrange(10**9) / 10 ** random.randrange(9)
    for _ in range(1500):
        value = double_of(random.getrandbits(64))
        if value - value == 0:
            yield value


TEXTS = r'''
null|true|false|0|-0|-1|1|9223372036854775807|-9223372036854775808|9223372036854775808
18446744073709551615|1.0|1.50|-0.0|0e10|1E5|1e+5|1e-7|1e16|1e22|123.456e-2|1e400|-1e400|1e-400
0.1e1|100000000000000000000.0|3.141592653589793238462643383279
01|-01|1.|.5|-|+1|1e|1e+|0x10|NaN|Infinity|-Infinity|nul|nulll|True|tru|'a'|1 2|[1|[1,]|[,1]|[1 2]
{|}|]|{]|[}|{"a"}|{"a":}|{"a":1,}|{,}|{a:1}|{"a":1 "b":2}|{"a"1}|{1:2}|"|"a|"\"|"\x"|"\u12"|"\u12g4"
"\ud800"|"\udc00"|"\ud800\u0041"|"\ud800\ud800"|"\ud83d\ude00"|"\uD83D\uDE00"|"\u0000"|"\u001f"
"\u007f"|"\u0080"|"\u00e9"|"\uffff"|"\ue000"|"\u2028"|"\/"|"\b\f\n\r\t\"\\"|"\u0008\u0009\u000a\u000b"
""|"a"|"é"|"😀"|"a😀\u00e9z"|"/"|"a b"|[]|{}|[[]]|[{}]|{"":{}}|{"a":[]}|[ ]|{ }| 1 | [ 1 , 2 ] |[1,2,3]
{"a":1,"b":[true,false,null],"c":{"d":"e"}}|{ "a" : 1 , "b" : 2 }
{"a":1,"a":2}|{"a":1,"b":2,"a":3}|{"b":1,"a":2,"a":3,"c":4}|{"a":{"x":1,"x":2},"a":{"y":1,"y":2}}
{"a":1,"\u0061":2}|{"a\u0000b":1,"a\u0000c":2,"a":3}|[{"a":1,"a":2},{"a":1}]
{"z":0,"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10,"k":11,"l":12,"m":13,"n":14,"o":15,"p":16,"q":17}
{"z":0,"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10,"k":11,"l":12,"m":13,"n":14,"z":15,"p":[1],"a":17}
[0.1,1e3,-5,"x",{"k":[]}]|[[[[[[[[[[1]]]]]]]]]]|// no|[1]//|/**/1|1,|,|:|"a":1
'''


def texts():
    for line in TEXTS.strip("\n").split("\n"):
        yield from line.split("|")
    many = [f'"key{i}":{i}' for i in range(100)]
    yield "{" + ",".join(many) + "}"
    yield "{" + ",".join(many + many[::-3]) + "}"
    yield "[" * 254 + "]" * 254


def main():
    for value in doubles():
        print(f"double\t{bits_of(value):016x}\t{orjson.dumps(value).decode()}")
    for text in texts():
        try:
            result = orjson.dumps(orjson.loads(text)).decode()
        except orjson.JSONDecodeError:
            result = "!"
        print(f"text\t{text}\t{result}")


main()
