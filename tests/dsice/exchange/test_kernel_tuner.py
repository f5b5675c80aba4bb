"""Kernel Tuner's files: every version of the cache, whole and cut short, and T4."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from dsice.errors import InvalidInput
from dsice.exchange.formats import READERS, guess
from dsice.exchange.kernel_tuner import read
from dsice.exchange.match import Matched, match
from dsice.exchange.wishes import Wishes
from dsice.study.config import StudyConfig, parse
from dsice.study.known import add_known

STUDY = """
name = "kernel"
minimize = "time"
[grid]
block_size_x = [16, 32, 64]
method = { choice = ["shared", "plain"] }
[trial]
command = ["run"]
"""

HEADER = {
    "device_name": "Some GPU",
    "kernel_name": "k",
    "problem_size": [4096, 4096],
    "tune_params_keys": ["block_size_x", "method"],
    "tune_params": {"block_size_x": [16, 32], "method": ["shared", "plain"]},
    "objective": "time",
}
TIMES = {"times": [1.0, 2.0], "compile_time": 9.5, "timestamp": "2023-12-22 09:54:05+00:00"}
ENTRIES: dict[str, Any] = {
    "16,shared": {"block_size_x": 16, "method": "shared", "time": 1.25, **TIMES},
    "32,shared": {"block_size_x": 32, "method": "shared", "time": "InvalidConfig"},
    "64,plain": {
        "block_size_x": 64,
        "method": "plain",
        "time": 1e20,
        "__error__": "RuntimeFailedConfig",
    },
    "32,plain": {"block_size_x": 32, "method": "plain", "time": 2.5, "GFLOP/s": 7},
}
FOUND = [
    ((0, 0), {"time": 1.25, "compile_time": 9.5}, ""),
    ((1, 0), None, "Kernel Tuner: invalid configuration"),
    ((2, 1), None, "Kernel Tuner: failed at run time"),
    ((1, 1), {"time": 2.5, "GFLOP/s": 7.0}, ""),
]


def found(tmp_path: Path, text: str, study: str = STUDY, **wishes: Any) -> Matched:
    file = tmp_path / "cache.json"
    file.write_text(text)
    config: StudyConfig = parse(study, tmp_path)
    return match(read(str(file), config), config.grid, config.goal, Wishes(**wishes))


def facts(matched: Matched) -> list[Any]:
    return [(r.point, r.metrics, r.reason) for r in matched.results]


def written(version: str | None = None) -> str:
    """A cache file as Kernel Tuner writes it: a header, then a line for each entry."""
    head = HEADER if version is None else {"schema_version": version, **HEADER}
    lines = [json.dumps({key: entry})[1:-1] + "," for key, entry in ENTRIES.items()]
    return json.dumps({**head, "cache": {}}, indent="")[:-3] + "\n" + "\n".join(lines)


@pytest.mark.parametrize("version", [None, "1.0.0", "1.1.0"])
@pytest.mark.parametrize("end", [",", "", "}\n}", "}}"])
def test_cache_files(tmp_path: Path, version: str | None, end: str) -> None:
    text = written(version).rstrip(",") + end
    matched = found(tmp_path, text)
    assert facts(matched) == FOUND
    assert matched.left_out == {}
    assert matched.results[0].where == "entry '16,shared'"


def test_a_cache_file_that_is_cut_short_anywhere_gives_its_whole_entries(tmp_path: Path) -> None:
    text = written()
    first = text.index('"16,shared"')
    ends = [text.index(f'"{key}"') + len(json.dumps({key: e})) - 2 for key, e in ENTRIES.items()]
    for cut in range(ends[0], len(text)):
        whole = sum(end <= cut for end in ends)
        assert facts(found(tmp_path, text[:cut]))[:whole] == FOUND[:whole], text[first:cut]


def test_t4_files(tmp_path: Path) -> None:
    kinds = {"InvalidConfig": "constraints", "RuntimeFailedConfig": "runtime"}
    results = []
    for entry in ENTRIES.values():
        config = {key: entry[key] for key in HEADER["tune_params_keys"]}
        error = next((kinds[v] for v in map(str, entry.values()) if v in kinds), "correct")
        measured = [
            {"name": k, "value": v, "unit": ""} for k, v in entry.items() if k not in config
        ]
        results.append(
            {
                "configuration": config,
                "times": {"runtimes": []},
                "invalidity": error,
                "correctness": 1,
                "measurements": measured,
                "objectives": ["time"],
            }
        )
    text = json.dumps({"schema_version": "1.0.0", "results": results})
    assert facts(found(tmp_path, text)) == FOUND


def test_a_parameter_that_the_study_lacks_must_not_matter(tmp_path: Path) -> None:
    fewer = STUDY.replace('method = { choice = ["shared", "plain"] }\n', "")
    with pytest.raises(InvalidInput, match="'method' that this study has not, with 2 values: add"):
        found(tmp_path, written(), fewer)
    assert len(found(tmp_path, written(), fewer, ignored=frozenset({"method"})).results) == 4
    constant = json.dumps({**HEADER, "cache": {"16,shared": ENTRIES["16,shared"]}})
    assert facts(found(tmp_path, constant, fewer)) == [((0,), FOUND[0][1], "")]


def test_an_error_that_nobody_knows_is_a_failure_like_others(tmp_path: Path) -> None:
    entries: dict[str, dict[str, Any]] = {
        "16,plain": {"block_size_x": 16, "method": "plain", "time": "OutOfRegistersConfig"},
        "32,plain": {"block_size_x": 32, "method": "plain", "time": 1.0, "__error__": "Lost"},
        "64,plain": {"block_size_x": 64, "method": "plain", "time": 1.0, "mode": "fast"},
    }
    expected = [
        ((0, 1), None, "Kernel Tuner: OutOfRegistersConfig"),
        ((1, 1), None, "Kernel Tuner: Lost"),
        ((2, 1), {"time": 1.0}, ""),
    ]
    assert facts(found(tmp_path, json.dumps({**HEADER, "cache": entries}))) == expected
    results = [
        {
            "configuration": {key: entry[key] for key in ("block_size_x", "method")},
            "invalidity": "Lost" if "__error__" in entry else "correct",
            "measurements": [{"name": "time", "value": entry["time"]}],
            "objectives": ["time"],
        }
        for entry in entries.values()
    ]
    assert facts(found(tmp_path, json.dumps({"results": results}))) == expected


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_cache_and_t4_of_one_run_are_the_same_results(
    tmp_path: Path, order: tuple[int, int]
) -> None:
    """As Kernel Tuner 1.5 writes both: T4 keeps times apart, and computed metrics where it will."""
    study = STUDY.replace('"time"', '"time"\nsubject_to = ["compile_time <= 20"]')
    cache, results = {}, []
    for k, (x, method) in enumerate([(16, "shared"), (32, "shared"), (64, "plain")]):
        params = {"block_size_x": x, "method": method}
        took = {"compile_time": 9.5 + k, "verification_time": 0, "benchmark_time": 1.25}
        time: float | str = "RuntimeFailedConfig" if k == 2 else 1.5 + k
        cache[f"{x},{method}"] = {**params, "time": time, **took, "GFLOP/s": 7.0}
        results.append(
            {
                "timestamp": "",
                "configuration": params,
                "times": {"compilation": 9.5 + k, "validation": 0, "runtimes": [1.0]},
                "invalidity": "runtime" if k == 2 else "correct",
                "correctness": 1,
                "measurements": [{"name": "time", "value": time, "unit": "ms"}],
                "objectives": ["time"],
            }
        )
    config = parse(study, tmp_path)
    files = [json.dumps({**HEADER, "cache": cache}), json.dumps({"results": results})]
    first, second = (found(tmp_path, files[k], study) for k in order)
    assert [r.reason for r in first.results] == [r.reason for r in second.results]
    assert len(add_known(config, tmp_path / "out", first.results, "first")) == 3
    assert add_known(config, tmp_path / "out", second.results, "second") == []


def test_the_form_of_the_auto_tuning_hub(tmp_path: Path) -> None:
    file = tmp_path / "A100.json.gz"
    file.write_bytes(gzip.compress(written().rstrip(",").encode() + b"}\n}"))
    config = parse(STUDY, tmp_path)
    for form in (guess(str(file)), "kernel-tuner"):
        source = READERS[form](str(file), config, None)
        assert facts(match(source, config.grid, config.goal)) == FOUND


def test_times_in_other_units(tmp_path: Path) -> None:
    study = STUDY.replace('"time"', '"seconds"')
    with pytest.raises(InvalidInput, match=r"has no metric .seconds.: it has .*give --metric sec"):
        found(tmp_path, written(), study)
    wishes = {"metrics": {"seconds": "time / 1000"}}
    assert facts(found(tmp_path, written(), study, **wishes))[0][1]["seconds"] == 0.00125
