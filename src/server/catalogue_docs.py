"""The generated part of `docs/systems/`: what the manifests say, between two markers of each page."""

from pathlib import Path

from connectors.kit.catalogue import SystemEntry, entries

BEGIN = "<!-- made by `crossdock catalogue write` from the connector; change the connector, not this -->"
END = "<!-- end of what is made -->"
_CHANNELS = {
    "WEBHOOK": "webhooks, at `POST /webhooks/<integration>`",
    "STREAM": "a socket that stays open",
    "POLL": "polling",
}


def block(entry: SystemEntry) -> str:
    """The generated part of one page, markers included."""
    listed = [each.kind.value for each in entry.capabilities if each.lists]
    single = [each.kind.value for each in entry.capabilities if not each.lists]
    lines = [
        BEGIN,
        "## At a glance",
        "",
        "| | |",
        "| --- | --- |",
        f"| `system` in `crossdock.toml` | `{entry.system.value}` |",
        f"| read in lists and by id | {_codes(listed) or 'nothing'} |",
    ]
    if single:
        lines.append(f"| read by id only | {_codes(single)} |")
    lines += [
        "| written | nothing yet |",
        f"| live by | {', '.join(_CHANNELS[each.value] for each in entry.channels) or 'nothing'} |",
        f"| joins by number | {'yes' if entry.joins else 'no'} |",
        f"| objects in one batch read | at most {entry.batch_size} |",
        f"| calls per second | {'no limit known' if entry.rate_per_second is None else f'{entry.rate_per_second:g}'} |",
        f"| how solid our knowledge is | {_cell(entry.ground_truth)} |",
        f"| the vendor's documentation | <{entry.documentation}> |",
        f"| `crossdock decode --as` | {_codes(entry.payloads)} |",
        "",
        "Credentials:",
        "",
        "| name | needed | what it is |",
        "| --- | --- | --- |",
    ]
    lines += [
        f"| `{each.name}` | {'yes' if each.required else 'no'} | {_cell(each.description)} |"
        for each in entry.credentials
    ] or ["| none | | |"]
    if entry.settings:
        lines += ["", "Settings:", "", "| name | takes | default | what it does |", "| --- | --- | --- | --- |"]
        lines += [
            f"| `{each.name}` | {_cell(each.value_type)} | "
            f"{'must be given' if each.default is None else f'`{_cell(each.default)}`'} | {_cell(each.description)} |"
            for each in entry.settings
        ]
    return "\n".join([*lines, END]) + "\n"


def with_block(page: str, made: str) -> str:
    """The page with its generated part renewed; a page without markers gets it before its first section."""
    if BEGIN not in page or END not in page:
        head, mark, rest = page.partition("\n## ")
        return head.rstrip("\n") + "\n\n" + made + (mark + rest if mark else "")
    before, _, rest = page.partition(BEGIN)
    return before + made + rest.partition(END)[2].removeprefix("\n")


def renew(folder: Path, *, write: bool) -> list[Path]:
    """The pages whose generated part is not what the connectors say now; written when `write` is set."""
    stale = []
    for entry in entries():
        path = folder / f"{entry.system.value}.md"
        page = path.read_text(encoding="utf-8") if path.exists() else f"# {entry.title}\n\n{entry.summary}\n"
        renewed = with_block(page, block(entry))
        if not path.exists() or renewed != page:
            stale.append(path)
            if write:
                path.write_text(renewed, encoding="utf-8")
    return stale


def _codes(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
