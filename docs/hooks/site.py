"""What MkDocs cannot do by itself: generated pages, pages nobody listed, and MathJax on board."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from importlib.metadata import files as installed_files
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from dsice import cli
from dsice.launch.make import SETTINGS
from dsice.study.schema import schema

_MATHJAX = "sphinx-mathjax-offline"
_NO_PAGE = r"(?!https?:|#|[\w.-]+\.md\b)[^)]+"
_SETTING = """
<script>
  window.MathJax = {
    tex: {inlineMath: [["\\\\(", "\\\\)"]], displayMath: [["\\\\[", "\\\\]"]]},
    options: {ignoreHtmlClass: ".*|", processHtmlClass: "arithmatex"},
    loader: {load: []}
  };
</script>
<script src="mathjax/tex-chtml.js" defer></script>
"""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages that the navigation does not name under "More"."""
    listed = json.dumps(config.nav)
    pages = sorted(path.name for path in Path(config.docs_dir).glob("*.md"))
    more: list[Any] = [name for name in pages if json.dumps(name) not in listed]
    more += [{"README": "readme.md"}, {"Changelog": "changelog.md"}]
    config.nav = [*(config.nav or []), {"More": more}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages and MathJax."""
    root = Path(config.config_file_path).parent
    pages = {
        "study-file.md": study_file(schema()),
        "commands.md": commands(),
        "study.schema.json": json.dumps(schema(), indent=2),
        "readme.md": (root / "README.md").read_text(encoding="utf-8").replace("](docs/", "]("),
        "changelog.md": (root / "CHANGELOG.md").read_text(encoding="utf-8"),
    }
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    for source in installed_files(_MATHJAX) or []:
        path = source.as_posix().partition("/static/mathjax/")[2]
        if path == "tex-chtml.js" or path.endswith(".woff"):
            found = Path(str(source.locate()))
            files.append(File.generated(config, f"mathjax/{path}", abs_src_path=str(found)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links between the pages and the files above them."""
    for file in ("README", "CHANGELOG"):
        markdown = re.sub(rf"\]\((\.\./)?{file}\.md", f"]({file.lower()}.md", markdown)
    # What else stands above is not part of the site: its name will do.
    outside = r"\.\./[^)]+" if page.file.src_uri != "readme.md" else _NO_PAGE
    return re.sub(rf"(?<!!)\[([^\]]+)\]\({outside}\)", r"\1", markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Load MathJax where there is something to set."""
    if 'class="arithmatex"' in output:
        return output.replace("</body>", _SETTING + "</body>")
    return output


def study_file(whole: dict[str, Any]) -> str:
    """The reference of the study file, from its schema."""
    lines = [
        "# The study file",
        "",
        "A TOML file. This page is made from the same models that check it. "
        "[study.schema.json](study.schema.json) is the same as JSON Schema, which `dsice schema` "
        "prints too: with `#:schema ./study.schema.json` as first line of a study file, editors "
        "that know TOML (Even Better TOML in VS Code, taplo elsewhere) complete its keys, "
        "explain them and mark mistakes.",
        "",
        "A mistake is answered by one line that names the key, the value and what is accepted; "
        "`dsice run --dry-run` looks for them without running anything.",
    ]
    tables = {
        "The top": whole,
        "first, as a table": whole["$defs"]["First"],
        "[grid]: one key per parameter": whole["$defs"]["Range"],
        "[trial] and [stage.NAME]": whole["$defs"]["CommandConfig"],
        "metrics, each as a table": whole["$defs"]["MetricConfig"],
        "[trial.progress]": whole["$defs"]["ProgressConfig"],
        "[finalists]": whole["$defs"]["FinalistsConfig"],
        "resources": whole["$defs"]["Resources"],
        "[run]": whole["$defs"]["RunConfig"],
        **{f"[run.{name}]": whole["$defs"][kind.__name__] for name, kind in SETTINGS.items()},
        "[run.allocation]": whole["$defs"]["AllocationSettings"],
        "[report]": whole["$defs"]["ReportConfig"],
        "[[report.pictures]]": whole["$defs"]["PictureRow"],
    }
    anchors = {id(table): _anchor(title) for title, table in tables.items()}
    links = {
        f"#/$defs/{name}": anchors.get(id(table), "") for name, table in whole["$defs"].items()
    }
    if unseen := [name for name, anchor in links.items() if not anchor]:
        raise ValueError(f"docs/hooks/site.py has no place for {', '.join(unseen)}")
    for title, table in tables.items():
        lines += ["", f"## {title} {{ #{_anchor(title)} }}", "", table["description"], ""]
        lines += ["| key | values | default | meaning |", "|---|---|---|---|"]
        for key, entry in table["properties"].items():
            if key in table.get("required", []):
                default = "*needed*"
            else:
                default = f"`{json.dumps(entry['default'])}`" if "default" in entry else ""
            cells = [f"`{key}`", _form(entry, links), default, entry["description"]]
            lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _anchor(title: str) -> str:
    return "-".join(re.findall(r"\w+", title.split(":")[0].lower()))


def _form(entry: dict[str, Any], links: dict[str, str]) -> str:
    """What values an entry takes, in words."""
    if "$ref" in entry:
        return f"[table](#{links[entry['$ref']]})"
    if "anyOf" in entry:
        return " or ".join(dict.fromkeys(_form(form, links) for form in entry["anyOf"]))
    if "enum" in entry:
        return ", ".join(f"`{json.dumps(value)}`" for value in entry["enum"])
    match entry.get("type"):
        case "array":
            if "prefixItems" in entry:
                return "pair of " + _form(entry["prefixItems"][0], links) + "s"
            inner = _form(entry.get("items", {}), links)
            return f"list of {inner}s" if " " not in inner else f"list of: {inner}"
        case "object":
            each = entry.get("additionalProperties")
            return f"table of {_form(each, links)}" if isinstance(each, dict) else "table"
        case "string":
            return "duration" if "min|h|d" in entry.get("pattern", "") else "text"
        case "integer" | "number" as kind:
            return " ".join([kind, *_limits(entry)])
        case "boolean":
            return "true or false"
    return "value"


def _limits(entry: dict[str, Any]) -> Iterator[str]:
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    for key, sign in signs.items():
        if key in entry:
            yield f"{sign} {entry[key]:g}"


def commands() -> str:
    """The help of all commands, as they print it."""
    parser = cli.parser()
    subparsers = next(
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    lines = ["# Command line", "", "What `dsice --help` and `dsice COMMAND --help` say."]
    lines += ["", "```text", parser.format_help(), "```"]
    for name, command in subparsers.choices.items():
        lines += ["", f"## dsice {name}", "", "```text", command.format_help(), "```"]
    return "\n".join(lines) + "\n"
