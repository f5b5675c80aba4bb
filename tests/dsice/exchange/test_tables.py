"""Tables as spreadsheets, pandas and scripts write them."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from dsice.errors import InvalidInput
from dsice.exchange.dialect import split
from tests.dsice.exchange.reading import found, small, told

PLAIN = "lr,flag,loss\n0.1,True,0.5\n0.001,False,1234.25\n"
RESULTS = [((2, 0), {"loss": 0.5}), ((0, 1), {"loss": 1234.25})]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace(",", ", "),
        '"lr", "flag", "loss"\n"0.1", "True", "0.5"\n"0.001", "False", "1234.25"\n',
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "|"),
        PLAIN.replace("True", "TRUE").replace("False", "FALSE"),
        # A German spreadsheet: decimal commas, thousands, the separator's hint, empty lines.
        "sep=;\r\nlr;flag;loss\r\n0,1;TRUE;0,5\r\n0,001;FALSE;1.234,25\r\n;;\r\n\r\n",
        "lr\tflag\tloss\n0,1\tTRUE\t5E-1\n1e-3\tFALSE\t1234,25\n",
        '"lr","flag","loss"\n"0,1","TRUE","0,5"\n"0,001","FALSE","1234,25"\n',
        # Row numbers of pandas: without a name, saved twice, in another table's place.
        ",lr,flag,loss\n0,0.1,True,0.5\n1,0.001,False,1234.25\n",
        "Unnamed: 0,,lr,flag,loss\n0,0,0.1,True,0.5\n1,1,0.001,False,1234.25\n",
        "lr,flag,loss,\n0.1,True,0.5,\n0.001,False,1234.25,\n",
        # Cells beyond the header that are empty, and rows that lack their last cells.
        "lr,flag,loss,note\n0.1,True,0.5,,,\n0.001,False,1234.25\n",
        'flag,"a, b; c",lr,loss\nTrue,"x;y;z",0.1,0.5\nFalse,"1,5",0.001,1234.25\n',
    ],
)
def test_however_a_table_is_written(tmp_path: Path, content: str) -> None:
    config = small(tmp_path)
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        matched = told(config, content.encode(encoding))
        assert found(matched) == RESULTS
        assert matched.left_out == {}


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv"])
def test_compressed_tables(tmp_path: Path, compress: Callable[[bytes], bytes], name: str) -> None:
    config = small(tmp_path)
    data = compress(PLAIN.encode())
    assert found(told(config, data, name)) == RESULTS
    for damaged in (data[: len(data) // 2], data[:12] + b"\xff" * 20):
        with pytest.raises(
            InvalidInput, match=r"cannot read .*t\.csv.*: compressed, and .*damaged"
        ):
            told(config, damaged, name)


def test_a_cell_of_any_length(tmp_path: Path) -> None:
    log = "x" * 200_000
    assert found(told(small(tmp_path), f'lr,flag,loss,log\n0.1,true,0.5,"{log}"\n')) == RESULTS[:1]


def test_a_comma_that_may_be_a_thousand_is_not_guessed_at(tmp_path: Path) -> None:
    config = small(tmp_path)
    for table in ('lr,flag,loss\n0.1,true,"1,234"\n', "lr\tflag\tloss\n0.1\ttrue\t1,234\n"):
        with pytest.raises(InvalidInput, match="line 2: metric 'loss' is '1,234', which is no num"):
            told(config, table)
    # Semicolons, or another number, tell.
    for table in ("lr;flag;loss\n1e-1;true;1,234\n", "lr\tflag\tloss\n0,1\ttrue\t1,234\n"):
        assert found(told(config, table)) == [((2, 0), {"loss": 1.234})]


def test_levels_that_are_texts_with_a_comma_stay_texts(tmp_path: Path) -> None:
    text = """
name = "texts"
minimize = "loss"
[grid]
tile = { choice = ["1,5", "2,5", "16,1"] }
[trial]
command = ["run"]
"""
    table = 'tile,loss\n"2,5","0,25"\n"16,1","0,5"\n'
    assert found(told(small(tmp_path, text), table)) == [
        ((1,), {"loss": 0.25}),
        ((2,), {"loss": 0.5}),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"lr,flag,loss\n0.1,true,\xf6\n", r"not UTF-8 text \(byte 23 is 246\): save it as UTF-8"),
        (PLAIN.encode("utf-16-le"), "not a text file, or UTF-16 without a byte order mark"),
        (b'lr,flag,loss\n0.1,"true,1\n0.01,true,2\n', r"not a CSV file \(line 3: unexpected end"),
        (b'lr,flag,loss\n0.1,"true"x,1\n', r"not a CSV file \(line 2: ',' expected after"),
        (b"", "has no rows"),
        (b"\n\n", "has no rows"),
        (b"lr,flag,loss\n,,\n", "has no rows"),
        (b"lr,flag,loss\n0.1,true,1,2\n", "line 2 has more values than names"),
        (b"lr,flag,loss,loss\n0.1,true,1,2\n", "two columns named 'loss'"),
        (
            b"lr flag loss\n0.1 true 1\n",
            "no param 'lr': it has lr flag loss; columns are separated",
        ),
        (
            b"LR,flag,loss\n0.1,true,1\n",
            "no param 'lr': .*if that is 'LR' there, give --param lr=LR",
        ),
        (b"flag,loss\ntrue,1\n", "no param 'lr': .* --param lr=VALUE if it was the same for all"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_in_a_line(
    tmp_path: Path, content: bytes, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as error:
        told(small(tmp_path), content)
    assert "\n" not in str(error.value)


def test_what_has_no_end_is_not_read_to_it(tmp_path: Path) -> None:
    (tmp_path / "endless.csv").symlink_to("/dev/zero")
    (tmp_path / "endless.parquet").symlink_to("/dev/zero")
    config = small(tmp_path)
    from dsice.exchange.formats import READERS

    for form, name, said in [
        ("csv", "endless.csv", "not a text file"),
        ("json", "endless.csv", "not a text file"),
        ("parquet", "endless.parquet", "not a Parquet file"),
    ]:
        with pytest.raises(InvalidInput, match=said):
            READERS[form](str(tmp_path / name), config, None)


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a;b\n0,1;0,2\n", ";"),  # nothing of the header is known
        ("x y\tz, w\n1\t2\n", "\t"),
        ("a,b;c\n1,2\n", ","),
        ("loss,a;b\n1,2\n", ","),
        ("loss;a,b\n1;2\n", ";"),
        ('"loss";"a,b"\n"1";"2"\n', ";"),
        ("a\n1\n", ","),
        ("", ","),
    ],
)
def test_separators_are_found(text: str, delimiter: str) -> None:
    assert split(text, {"loss"})[0] == delimiter


def test_one_bad_cell_does_not_refuse_a_table(tmp_path: Path) -> None:
    config = small(tmp_path)
    matched = told(config, "lr,flag,loss\n0.1,true,0.5\n0.01,true,OOM\n0.001,true,1_000\n")
    assert found(matched) == RESULTS[:1]
    assert matched.left_out == {"metric 'loss' is no number": (2, "line 3: 'OOM'")}
    table = "lr,flag,ms\n0.1,true,2\n0.01,true,0\n"
    matched = told(config, table, metrics={"loss": "1 / ms"})
    assert found(matched) == [((2, 0), {"loss": 0.5, "ms": 2.0})]
    (reason,) = matched.left_out
    assert reason == "metric 'loss' cannot be computed"
    matched = told(config, table, metrics={"loss": "ms"}, params={"lr": "0.1 / ms"})
    assert list(matched.left_out) == [
        "parameter 'lr' has no such level",
        "parameter 'lr' cannot be computed",
    ]


def test_a_level_none_is_none_and_what_pandas_writes_for_it(tmp_path: Path) -> None:
    text = """
name = "none"
minimize = "loss"
[grid]
how = { choice = ["svm", "None"] }
[trial]
command = ["run"]
"""
    config = small(tmp_path, text)
    expected = [((1,), {"loss": 1.0}), ((1,), {"loss": 2.0}), ((0,), {"loss": 3.0})]
    assert found(told(config, "how,loss\nNone,1\n,2\nsvm,3\n")) == expected
    records = '[{"how": "None", "loss": 1}, {"how": null, "loss": 2}, {"how": "svm", "loss": 3}]'
    assert found(told(config, records, "t.json")) == expected
    absent = told(config, '[{"loss": 1}, {"how": "svm", "loss": 3}]', "t.json")
    assert absent.left_out == {"parameter 'how' is missing": (1, "entry 1")}
    # Where None is no level, nothing is.
    other = told(small(tmp_path), "lr,flag,loss\n,true,1\n")
    assert other.left_out == {"parameter 'lr' has no such level": (1, "line 2: ''")}
