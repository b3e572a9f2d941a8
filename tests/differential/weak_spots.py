"""Scripts that show where Quix Streams is wrong, and that Weir is right there.

A file of weak_spots/ holds operations. Below one there can be what is expected: "both: ANSWER", or
"quix: ANSWER" and "weir: ANSWER", indented by two spaces, where an answer of * is any. Without it, both
have to answer alike.

SPDX-License-Identifier: Apache-2.0
"""

import pathlib
import re

from compare import Difference, Folder, run_quix, told
from operations import Topic

FOLDER = pathlib.Path(__file__).parent / "weak_spots"
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "quix-compatibility.md"


def read(path):
    """Lines of operations, and for each the expected answers by name."""
    lines, expected = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            name, answer = line.strip().split(": ", 1)
            for one in ("quix", "weir") if name == "both" else (name,):
                expected[-1][one] = answer
        elif line and not line.startswith("#"):
            lines.append(line)
            expected.append({})
    return lines, expected


def check(weir, path):
    lines, expected = read(path)
    with Folder() as folder:
        answers = {
            "quix": run_quix(lines, folder / "quix", Topic()),
            "weir": weir.run(lines, folder / "weir", Topic()),
        }
    for number, line in enumerate(lines):
        wanted = expected[number] or {"weir": told(answers["quix"][number])}
        for name, answer in wanted.items():
            if answer not in ("*", told(answers[name][number])):
                raise Difference(
                    "%s: %s\n  expected of %s: %s\n  given:         %s"
                    % (path.name, line, name, answer, answers[name][number])
                )


def documented():
    """The page lists what there is, and nothing else."""
    named = set(re.findall(r"^\| `(\d\d_\w+)` \|", PAGE.read_text(encoding="utf-8"), re.M))
    there = {path.stem for path in FOLDER.glob("*.ops")}
    if named != there:
        raise Difference("only on the page or only in the folder: %s" % sorted(named ^ there))


def cases(weir):
    yield "weak_spots_are_documented", documented
    for path in sorted(FOLDER.glob("*.ops")):
        yield "weak_spot_" + path.stem, lambda path=path: check(weir, path)
