"""Input files made from templates: their text, and what is said of a mistake, when and where."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsice.errors import InvalidInput
from dsice.study import templates
from dsice.study.config import parse
from tests.conftest import Dsice, StudyFile

COMMAND = '["sh", "-c", "cat conf/in.txt; . ./conf/in.txt; echo >> conf/in.txt; echo $json"]'
TRIAL = 'files = { "conf/in.txt" = "in.j2" }\ntimeout = "1 min"'
TEMPLATE = """\
{% if flag %}
# flag is {{ flag }}
{% endif %}
json='{"y": {{ (a - 3) ** 2 }}, "z": {{ b / 3 }}}' # {{ stage.build }}
"""


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "in.j2"


def written(study_file: StudyFile, file: Path, text: str = TEMPLATE, trial: str = TRIAL) -> Path:
    file.write_text(text)
    return study_file(
        grid="a = [1, 2, 3]\nb = [1.5, 3]\nflag = { choice = [true, false] }",
        more='[stage.build]\ncommand = ["true"]',
        command=COMMAND,
        trial=trial,
        run="trials = 12",
    )


@settings(deadline=None)  # the first one begins a process
@given(st.text(st.characters(exclude_characters="{}\r", codec="utf-8")), st.floats(), st.integers())
def test_what_is_no_field_stays_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, text: str, a: float, b: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "in.j2"
    path.write_text(text + "{{ a }}" + text + "{{ b }}" + text, encoding="utf-8", newline="")
    assert templates.render(path, {"a": a, "b": b}) == f"{text}{a}{text}{b}{text}"


def test_values_stand_as_in_commands_and_compute_as_what_they_are(file: Path) -> None:
    file.write_text("{{ yes }} {{ 'on' if yes else 'off' }} {{ n * 2 }} {{ stage.build }}")
    values = {"yes": True, "n": 4, "stage.build": "/b"}
    assert templates.render(file, values) == "true on 8 /b"


def test_a_template_includes_what_lies_beside_it(file: Path) -> None:
    file.write_text("{% include 'part.j2' %}\n")
    with pytest.raises(InvalidInput, match=r"in\.j2.*: there is no template 'part\.j2' in its fo"):
        templates.render(file, {"a": 1})
    file.with_name("part.j2").write_text("a\n= {{ a }}")
    assert templates.render(file, {"a": 1}) == "a\n= 1"
    with pytest.raises(InvalidInput, match=r"part\.j2, line 2: 'a' is undefined"):
        templates.render(file, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n{{ rat }}", "line 2: unknown name 'rat': accepted are dir, stage.build, rate"),
        ("{% if rat is defined %}{% endif %}", "line 1: unknown name 'rat'"),
        ("{{ rate }}\n{{ stage.bild }}", "line 2: unknown name 'stage.bild': accepted are"),
        ("{{ rate", "line 1: unexpected end of template, expected 'end of print statement'."),
        ("\n\n{% for i in [] %}", "line 3: Unexpected end of template. Jinja was looking for"),
        ("{{ rate | nofilter }}", "line 1: No filter named 'nofilter'."),
    ],
)
def test_one_line_about_a_mistake(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(InvalidInput) as error:
        templates.check(file, ["dir", "stage.build", "rate"])
    assert str(error.value).startswith(f"{file}, {message}")
    assert "\n" not in str(error.value)


def test_what_is_right_is_accepted(file: Path) -> None:
    file.write_text("{% for i in range(3) %}{{ i * rate }}{{ stage.build }}{% endfor %}")
    templates.check(file, ["rate", "stage.build"])
    branches = "{% set w = 1 %}{{ w }}{% elif rate %}{% set w = 2 %}{{ w }}{% endif %}"
    file.write_text("{% if rate == 1 %}" + branches)
    templates.check(file, ["rate"])


@pytest.mark.parametrize(("content", "what"), [(None, "No such file"), (b"\xff", "not UTF-8 text")])
def test_a_template_that_cannot_be_read(file: Path, content: bytes | None, what: str) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidInput, match=re.escape(f"cannot read {str(file)!r}: {what}")):
        templates.check(file, [])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('"/etc/x" = "t"', "[trial] files: '/etc/x': give the name of a file in the program's"),
        ('"../x" = "t"', "[trial] files: '../x': give the name of a file"),
        ('"" = "t"', "[trial] files: '': give the name of a file"),
        ('x = ""', "key 'trial.files.x' = \"\": "),
        ('x = "{dir}/t"', "[trial] files 'x': unknown field {dir} in '{dir}/t': accepted are {st"),
    ],
)
def test_entries_that_are_refused(entry: str, message: str) -> None:
    text = f"""name = "x"\nminimize = "y"\n[grid]\na = [1]
        [trial]\ncommand = ["true"]\nfiles = {{ {entry} }}"""
    with pytest.raises(InvalidInput, match=re.escape(message)):
        parse(text, Path("/folder"))


def test_each_attempt_finds_its_file(dsice: Dsice, study_file: StudyFile, file: Path) -> None:
    path = written(study_file, file)
    previewed = dsice("run", "--dry-run", path)
    assert previewed.returncode == 0
    assert "with the file conf/in.txt:\n" in previewed.stdout
    assert re.search(r"^ +\| json='.*/stages/build/work$", previewed.stdout, re.MULTILINE)
    done = dsice("run", path)
    assert done.returncode == 0, done.stderr
    trials = sorted((file.parent / "runs" / "small" / "trials").iterdir())
    assert len(trials) == 12
    for trial in trials:
        params = json.loads((trial / "params.json").read_text())
        seen = (trial / "attempt-1" / "stdout.txt").read_text()
        assert ("# flag is true\n" in seen) == params["flag"]
        metrics = json.loads(seen.splitlines()[-1])
        assert metrics == {"y": (params["a"] - 3) ** 2, "z": params["b"] / 3}
        # What the program made of it is the program's; what it was given is on record.
        given = json.loads((trial / "attempt-1" / "spec.json").read_text())["files"]
        assert (trial / "work" / "conf" / "in.txt").read_text() == given["conf/in.txt"] + "\n"


def test_a_mistake_is_told_before_anything_is_run(
    dsice: Dsice, study_file: StudyFile, file: Path
) -> None:
    path = written(study_file, file, "\n{{ c }}")
    message = f"[trial] files 'conf/in.txt': {file}, line 2: unknown name 'c': accepted are study, "
    assert f"- {message}" in dsice("run", "--dry-run", path).stdout
    done = dsice("run", path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"dsice: {message}")
    assert not (file.parent / "runs").exists()


def test_a_template_that_fails_at_some_points(
    dsice: Dsice, study_file: StudyFile, file: Path
) -> None:
    """As with a program that cannot be started: one line at once, or a failed trial later."""
    where = f"cannot make 'conf/in.txt': {file}, line 4: ZeroDivisionError: division by zero"
    path = written(study_file, file, TEMPLATE.replace("b / 3", "b / 0"))
    assert f"- {where}\n" in dsice("run", "--dry-run", path).stdout
    done = dsice("run", path)
    assert done.returncode == 2
    assert f"{where}. Mend it and run the same command again" in done.stderr
    first = json.loads((file.parent / "runs/small/trials/00001/params.json").read_text())["a"]
    other = next(a for a in (1, 2, 3) if a != first)
    file.write_text(TEMPLATE.replace("b / 3", f"b / (a - {other})"))
    assert dsice("run", path).returncode == 0
    trials = json.loads(dsice("status", "runs/small", "--json").stdout)["trials"]
    assert (trials["done"], trials["failed"]) == (8, 4)


def test_a_stage_has_files_too(dsice: Dsice, study_file: StudyFile, file: Path) -> None:
    path = written(study_file, file, "{{ a }}", trial="")
    text = path.read_text().replace(
        'command = ["true"]', 'command = ["cat", "x"]\nfiles.x = "in.j2"'
    )
    path.write_text(text)
    assert f"[stage.build] files 'x': {file}, line 1: unknown name 'a'" in dsice("run", path).stderr
    file.write_text("of {{ study }}")
    assert f"| of {file.parent}\n" in dsice("run", "--dry-run", path).stdout


# -- of strangers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "{{ cycler.__init__.__globals__.os.popen('touch PLACE').read() }}",
        "{{ joiner.__init__.__globals__['os'].system('touch PLACE') }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''|attr('__class__') }}",
        "{{ a['__class__'] }}",
        "{{ '{0.__class__.__init__}'.format(a) }}",
        "{{ ('{0.__class__.__init__}'|attr('format'))(a) }}",
        "{% set f = '{0.__class__.__init__}'.format %}{{ f(a) }}",
        "{{ [a]|map(attribute='__class__')|first }}",
        "{{ self._TemplateReference__context.vars }}",
        "{% set g = dict.__base__ %}{{ g }}",
    ],
)
def test_a_template_runs_nothing(
    dsice: Dsice, study_file: StudyFile, file: Path, text: str, tmp_path: Path
) -> None:
    text = text.replace("PLACE", str(tmp_path / "made"))
    path = written(study_file, file, f"{text}\n")
    before = sorted(tmp_path.rglob("*"))

    shown = dsice("run", "--dry-run", path)

    assert shown.returncode == 0
    assert re.search(
        r"- cannot make 'conf/in\.txt': \S+, line 1: .*(unsafe|no attribute)", shown.stdout
    )
    assert "Nothing was run or written." in shown.stdout
    assert sorted(tmp_path.rglob("*")) == before
    done = dsice("run", path)
    assert done.returncode == 2
    assert "cannot make 'conf/in.txt'" in done.stderr
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(10 ** 12) %}{% endfor %}",
        "{% macro f(n) %}{{ f(n - 1) ~ f(n - 1) if n }}{% endmacro %}{{ f(60) }}",
        "{{ 10 ** (10 ** 9) }}",
    ],
)
def test_a_template_does_not_go_on_for_ever(
    file: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "SECONDS", 1)
    monkeypatch.setattr(templates, "_RENDERER", templates._Renderer())
    file.write_text(text)
    with pytest.raises(InvalidInput) as error:
        templates.render(file, {})
    assert str(error.value) == f"{file}: it takes more than 1 s"
    file.write_text("{{ a }}")
    assert templates.render(file, {"a": 1}) == "1"


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 10 ** 12 }}",
        "{{ [0] * 10 ** 11 }}",
        "{{ range(10 ** 12)|list }}",
        "{{ 'a'|center(10 ** 11) }}",
        "{{ '%100000000000s' % 1 }}",
        "{{ '{:100000000000}'.format(1) }}",
        "{% set n = namespace(x=1) %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    ],
)
def test_a_template_does_not_take_all_memory(
    file: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "MEMORY", 100_000_000)
    monkeypatch.setattr(templates, "_RENDERER", templates._Renderer())
    file.write_text(text)
    with pytest.raises(InvalidInput, match="line 1: it takes too much memory"):
        templates.render(file, {})
    file.write_text("{{ a }}")
    assert templates.render(file, {"a": 1}) == "1"


@pytest.mark.parametrize(
    "text",
    [
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% include 'in.j2' %}",
    ],
)
def test_a_template_that_is_nested_too_deeply(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(InvalidInput, match="it is nested too deeply"):
        templates.render(file, {})


def test_checking_a_template_has_limits_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "SECONDS", 1)
    monkeypatch.setattr(templates, "_RENDERER", templates._Renderer())
    file.write_text("{{ 10 ** (10 ** 9) }}")  # constants are worked out when it is read
    with pytest.raises(InvalidInput, match="it takes more than 1 s"):
        templates.check(file, [])


def test_what_a_template_needs_much_of_is_given(file: Path) -> None:
    file.write_text("{% for i in range(200000) %}{{ i }}\n{% endfor %}")
    assert templates.render(file, {}).count("\n") == 200_000
    file.write_text("{% set l = [] %}{% set _ = l.append(a) %}{{ l }}")
    assert templates.render(file, {"a": 1}) == "[1]"


def test_a_renderer_that_was_killed_is_begun_anew(file: Path) -> None:
    file.write_text("{{ a }}")
    assert templates.render(file, {"a": 1}) == "1"
    process = templates._RENDERER._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    assert templates.render(file, {"a": 2}) == "2"


def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "study"
    (folder / "sub").mkdir(parents=True)
    (folder / "real.j2").write_text("{{ a }}")
    file = folder / "in.j2"
    file.write_text("{% include 'part' %}")
    part = folder / "part"
    for target in ("../secret", tmp_path / "secret", "/etc/passwd"):
        part.unlink(missing_ok=True)
        part.symlink_to(target)
        for path in (file, part):
            with pytest.raises(InvalidInput, match=r"part': it lies outside of .*/study, at /"):
                templates.render(path, {"a": 1})
        with pytest.raises(InvalidInput, match="it lies outside of"):
            templates.check(part, ["a"])
    for name in ("../secret", "/etc/passwd", str(tmp_path / "secret")):
        file.write_text(f"{{% include '{name}' %}}")
        with pytest.raises(InvalidInput, match=r"there is no template|it lies outside of"):
            templates.render(file, {})
    part.unlink()
    part.symlink_to("real.j2")
    (folder / "sub" / "up.j2").symlink_to("../real.j2")
    assert templates.render(part, {"a": 1}) == "1"
    assert templates.render(folder / "sub" / "up.j2", {"a": 2}, folder) == "2"
    with pytest.raises(InvalidInput, match="it lies outside of"):
        templates.render(folder / "sub" / "up.j2", {"a": 2})


def test_a_study_names_a_template_elsewhere_itself(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "in.j2").write_text("x = {{ a }}")
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "in.j2").symlink_to("../elsewhere/in.j2")
    text = study_file(trial='files = { "x" = "in.j2" }').read_text()
    path = folder / "study.toml"
    path.write_text(text)
    refused = dsice("run", "--dry-run", path)
    assert f"cannot read '{folder}/in.j2': it lies outside of {folder}, at" in refused.stdout
    for place in ("../elsewhere/in.j2", f"{tmp_path}/elsewhere/in.j2"):
        path.write_text(text.replace('"in.j2"', f'"{place}"'))
        assert "| x = " in dsice("run", "--dry-run", path).stdout


def test_a_template_that_is_no_file_is_not_waited_for(file: Path) -> None:
    os.mkfifo(file)
    with pytest.raises(InvalidInput, match=r"in\.j2': it is a FIFO, not a regular file"):
        templates.check(file, [])
    other = file.with_name("other.j2")
    other.write_text("{% include 'in.j2' %}")
    with pytest.raises(InvalidInput, match=r"in\.j2': it is a FIFO, not a regular file"):
        templates.render(other, {})
