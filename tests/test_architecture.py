"""The imports of the package are those that docs/architecture.md allows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import inductor_override

PACKAGE = Path(inductor_override.__file__).parent
DOCUMENT = Path(__file__).parent.parent / "docs" / "architecture.md"


def room_of(module: str) -> str:
    """`hooks` for `inductor_override.hooks.gate`, `__init__` for the package itself."""
    return (module.split(".") + ["__init__"])[1]


def rows() -> list[tuple[list[str], str, set[str]]]:
    """The rooms, the floor, and what may be imported, as the table of the document has them."""
    found = []
    for line in DOCUMENT.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            names = re.findall(r"`(\w+)(?:\.py|/)?`", cells[0])
            found.append((names, cells[1], set(re.findall(r"`(\w+)`", cells[2]))))
    return found


def allowed() -> dict[str, set[str]]:
    return {name: may | {name} for names, _, may in rows() for name in names}


def imports() -> dict[str, set[str]]:
    """Module to the modules of the package that it imports, also within functions."""
    found: dict[str, set[str]] = {}
    names = {
        ".".join(
            ("inductor_override", *path.relative_to(PACKAGE).with_suffix("").parts)
        ).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }
    for name, path in names.items():
        found[name] = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "inductor_override"
            ):
                for alias in node.names:
                    submodule = f"{node.module}.{alias.name}"
                    found[name].add(submodule if submodule in names else str(node.module))
            elif isinstance(node, ast.Import):
                found[name] |= {a.name for a in node.names if a.name in names}
    return found


def test_every_room_is_in_the_document() -> None:
    rooms = {room_of(module) for module in imports()}
    assert rooms <= allowed().keys()


def test_imports_go_only_where_the_document_says() -> None:
    table = allowed()
    wrong = [
        f"{module} imports {other}"
        for module, others in imports().items()
        for other in others
        if room_of(other) not in table[room_of(module)]
    ]
    assert wrong == []


def test_rooms_import_only_what_stands_below_them() -> None:
    """The rows are in order, so there is no circle between rooms."""
    table = allowed()
    order = list(table)
    top = {
        "cli",
        "explanation",
        "comparison",
        "diagnosis",
        "__init__",
        "__main__",
    }  # they use the public face
    for room, may in table.items():
        above = {o for o in may if order.index(o) < order.index(room)} - {room}
        assert room in top or not above, (room, above)


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {
        module: {o for o in others if o != module} - {"inductor_override"}
        for module, others in imports().items()
    }
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way, module))
        if module not in done:
            for other in graph[module]:
                visit(other, (*way, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_the_core_has_seven_floors_and_knows_nothing_of_the_rest() -> None:
    apart = {name for names, floor, _ in rows() if floor == "-" for name in names}
    core = {
        m: {o for o in others if o != "inductor_override"}
        for m, others in imports().items()
        if room_of(m) not in apart
    }
    assert not {o for others in core.values() for o in others} - core.keys()
    floors = {name: int(floor) for names, floor, _ in rows() if floor != "-" for name in names}
    assert max(floors.values()) == 7
    for module, others in core.items():
        for other in others:
            here, there = room_of(module), room_of(other)
            assert here == there or floors[there] < floors[here], (module, other)


def test_the_files_that_the_map_names_are_there() -> None:
    files = [path.as_posix() for path in PACKAGE.rglob("*.py")]
    files += [path.as_posix() for path in DOCUMENT.parent.parent.glob("tests/*.py")]
    named = set(re.findall(r"`([\w/]+\.py)`", DOCUMENT.read_text("utf-8")))
    assert len(named) > 30
    assert [name for name in named if not any(f.endswith(f"/{name}") for f in files)] == []
