"""What `explain` says on its page and on a screen. The page is whole, and needs nothing else."""

from __future__ import annotations

import dataclasses
import html
import json
import os
import re
import shutil
import subprocess
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest

from inductor_override.catalogue import Gpu
from inductor_override.explanation.page import page, write_page
from inductor_override.explanation.report import (
    NOTHING_TIMED,
    Candidate,
    OnGpu,
    Problem,
    Report,
    Side,
    Totals,
    Verdict,
)
from inductor_override.explanation.text import as_text
from inductor_override.explanation.verdict import judge
from inductor_override.simulation.machine_code import MachineCode
from inductor_override.simulation.result import CandidateKernel

BAD = "<script>alert('x')</script>"
VOID = {"meta", "br", "link", "img", "input", "hr"}
CODES = (
    MachineCode(24_576, 48, 0, 16, True, 256, 0.25),
    MachineCode(147_456, 190, 8, 128, True, 128, 1.125),
    MachineCode(seconds=0.5, error=f"ptxas: {BAD} & no more"),
    None,
)


def candidates(*codes: MachineCode | None) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(str(i), CandidateKernel("k", "p", "m", (64, 128, 32 << i), i + 1, 4, 512), code)
        for i, code in enumerate(codes)
    )


def side(*codes: MachineCode | None) -> Side:
    return Side(len(codes) + 1, "triton_tem_fused_mm_relu_0", candidates(*codes))


def product(op: str, m: int, share: float, *epilogue: str) -> Problem:
    return Problem(
        op, m, 1024, 512, 1, "float16", "row, column", epilogue, 2, int(share * 1e9), share
    )


@pytest.fixture
def report() -> Report:
    library = Side(1, "extern_kernels.mm")
    small = Gpu("NVIDIA GeForce RTX 3060", 28, (8, 6), 101_376, "vendor-spec")
    return Report(
        torch="2.13.0",
        triton="3.7.1",
        what="Mlp",
        train=False,
        dynamic=False,
        min_sms=0,
        options={"deterministic": False},
        flops=10**9,
        problems=(
            product("mm", 8, 0.1, "relu", "add"),
            product("addmm", 4096, 0.7),
            product("bmm", 64, 0.2),
        ),
        gpus=(
            OnGpu(
                small,
                gate_open=(False, True),
                required_sms=(68, 0),
                consulted=3,
                problems={
                    0: (library, side(CODES[0], CODES[1])),
                    1: (library, side(*CODES)),
                    2: (library, library),
                },
                totals=Totals(3, 2, 0.8, (7, 5), (9_000_000, 6_000_000), 6, 5, 12.345),
                verdict=Verdict("worth-trying", "Measure it."),
                notes=("A note.",),
            ),
            OnGpu(
                Gpu("Tesla T4", 40, (7, 5), 65_536, "vendor-spec"),
                gate_open=(False, True),
                required_sms=(68, 0),
                problems={0: (library, side(None, None))},
                totals=Totals(candidate_kernels=2),
                verdict=Verdict("worth-trying", "Measure it."),
            ),
            OnGpu(
                Gpu("Old", 10, (6, 1), 49_152, "device"),
                verdict=Verdict("not-compiled", "torch does not compile float16 for Old."),
            ),
        ),
    )


class Tree(HTMLParser):
    """Checks that the tags are balanced, and keeps what the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), (tag, attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        elif tag in ("th", "td"):
            self.cells[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if "tr" in self.open and ("td" in self.open or "th" in self.open):
            self.cells[-1][-1] += data.strip()

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", "", text).split())


def test_it_says_what_was_asked_and_that_nothing_was_timed(report: Report) -> None:
    text = words(page(report))
    for said in (
        "for Mlp under inductor_override.override(min_sms=0)",
        "torch 2.13.0 with Triton 3.7.1",
        "NVIDIA GeForce RTX 3060, Tesla T4, Old.",
        NOTHING_TIMED.replace("'", "&#39;"),
        "Gate, torch alone: closed: 28 SMs, fewer than 68.",
        "Gate, override(min_sms=0): open: 28 SMs, at least 0.",
        "deterministic=False",
        "Compiled for this page: 5, in 12.3 seconds",
        "A note.",
    ):
        assert said in text
    assert "was interrupted" not in text


def test_it_claims_no_speed_up(report: Report) -> None:
    text = words(page(report)).replace(NOTHING_TIMED.replace("'", "&#39;"), "")
    assert not re.search(r"speed-?up|faster|fastest|slower", text)


def test_the_verdict_is_the_first_thing_said_of_a_gpu(report: Report) -> None:
    text = page(report)
    for number, column in enumerate(report.gpus, 1):
        after = words(text.split(f'<h2 id="gpu{number}">')[1].split("</h2>")[1])
        assert after.startswith(f"{column.verdict.code} {column.verdict.text}")


def test_an_interrupted_one_says_so(report: Report) -> None:
    text = words(page(dataclasses.replace(report, complete=False)))
    assert "This explanation was interrupted" in text


def test_tags_are_balanced_and_names_are_unique(report: Report) -> None:
    tree = Tree(page(report))
    names = [attributes["id"] for _, attributes in tree.tags if "id" in attributes]
    assert len(names) == len(set(names))
    links = [str(attributes["href"]) for attributes in tree.all("a")]
    assert links
    assert {link[1:] for link in links} <= set(names)
    for name, attributes in tree.tags:
        assert set(str(attributes.get("aria-labelledby", "")).split()) <= set(names), name


def test_it_needs_nothing_but_itself(report: Report) -> None:
    text = page(report)
    assert "://" not in text
    assert "@import" not in text
    assert set(re.findall(r"url\([^)]*\)", text)) == {"url(#hatch)"}
    for tag, attributes in Tree(text).tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "use", "image")
        assert "src" not in attributes
        assert str(attributes.get("href", "#")).startswith("#")
        assert not [name for name in attributes if name.startswith("on")]


def test_what_comes_from_outside_is_escaped(report: Report) -> None:
    first, *others = report.gpus
    bad = dataclasses.replace(
        report,
        what=BAD,
        options={BAD: BAD},
        problems=tuple(
            dataclasses.replace(p, op=BAD, dtype=BAD, layout=f'"{BAD}', epilogue=(BAD,))
            for p in report.problems
        ),
        gpus=(
            dataclasses.replace(
                first,
                gpu=dataclasses.replace(first.gpu, name=f'"{BAD}'),
                verdict=Verdict("worth-trying", BAD),
                notes=(BAD,),
            ),
            *others,
        ),
    )
    text = page(bad)
    assert text.count("<script>") == 1
    assert "alert('x')" not in text
    assert len(Tree(text).all("script")) == 1
    assert "ptxas: <script>alert('x')</script> & no more" in [
        cell for row in Tree(text).cells for cell in row
    ]


def test_the_products(report: Report) -> None:
    rows = Tree(page(report)).cells
    products = [row for row in rows if len(row) == 14]
    assert [row[:6] for row in products[:4]] == [
        ["op", "batch", "M x K x N", "dtype", "layout", "times"],
        ["addmm", "1", "4096 x 512 x 1024", "float16", "row, column", "2"],
        ["bmm", "1", "64 x 512 x 1024", "float16", "row, column", "2"],
        ["mm", "1", "8 x 512 x 1024", "float16", "row, column", "2"],
    ]
    assert products[1][6:] == [
        *("70.0%", "1", "5", "not compiled", "not compiled", "not compiled"),
        *("nothing", "triton_tem_fused_mm_relu_0"),
    ]
    assert products[2][6:9] == ["20.0%", "1", "1"]
    assert set(products[2][9:]) == {"no Triton candidate"}
    assert products[3][9:13] == ["1 of 2", "1 of 2", "2 of 2", "relu + add"]
    # The other GPU has one of the three, and the third has none.
    assert [row[0] for row in products[4:]] == ["op", "mm"]


def test_the_candidates(report: Report) -> None:
    rows = [row for row in Tree(page(report)).cells if len(row) == 12]
    assert rows[1] == [
        *("64x128x32", "1", "4", "24,576", "yes", "48", "0", "16", "4", "4.57", "0.25", "none"),
    ]
    assert rows[2][:5] == ["64x128x64", "2", "4", "147,456", "no, over limit"]
    assert rows[2][8:10] == ["0", "none"]
    assert rows[3][3:10] == ["no code"] * 7
    assert rows[3][10:] == ["0.50", f"ptxas: {BAD} & no more"]
    assert rows[4] == ["64x128x256", "4", "4", *["not compiled"] * 9]
    assert "None" not in "".join(map("".join, rows))


def test_what_is_over_the_limit_is_marked_by_words_and_pattern(report: Report) -> None:
    text = page(report)
    tree = Tree(text)
    charts = [a for a in tree.all("svg") if a.get("role") == "img"]
    assert len(charts) == 2  # nothing is drawn where nothing was compiled
    assert all(f'<title id="{a["aria-labelledby"]}">' in text for a in charts)
    bars = [a for a in tree.all("rect") if str(a.get("class", "")).startswith("bar")]
    assert [a["class"] for a in bars] == ["bar fits", "bar over"] * 2
    assert [a["width"] for a in bars[:2]] == [f"{100 * 24_576 / 147_456:.2f}%", "100.0%"]
    lines = tree.all("line")
    assert [a["x1"] for a in lines] == [f"{100 * 101_376 / 147_456:.2f}%"] * 2
    assert "limit: 101,376 bytes" in text
    assert text.count(">147,456: over</text>") == 2
    assert ">did not compile</text>" in text
    assert ">not compiled</text>" in text
    assert "64x128x32, 1 stage, 4 warps" in text
    assert ".bar.over, .key .over { fill: url(#hatch)" in text


def test_tables_can_be_sorted_and_read_out(report: Report) -> None:
    tree = Tree(page(report))
    assert all(a.get("scope") in ("row", "col") for a in tree.all("th"))
    assert len(tree.all("caption")) == len(tree.all("table"))
    sortable = [a for a in tree.all("th") if "aria-sort" in a]
    assert len(sortable) == len(tree.all("button")) == 2 * 14 + 3 * 12
    assert [a["aria-sort"] for a in sortable[:14]].count("descending") == 1
    assert all(a.get("type") == "button" for a in tree.all("button"))
    boxes = [a for a in tree.all("div") if a.get("class") == "scroll"]
    assert len(boxes) == len(tree.all("table"))
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in boxes)


def test_a_file_is_replaced_whole(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, link = tmp_path / "page.html", tmp_path / "link.html"
    path.write_text("before")
    link.symlink_to(path)
    write_page(report, link)
    assert path.read_text("utf-8") == page(report)
    assert link.is_symlink()

    def fail(*args: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_page(dataclasses.replace(report, what="other"), path)
    assert path.read_text("utf-8") == page(report)
    assert sorted(tmp_path.iterdir()) == [link, path]


def test_a_pipe_is_written_to(report: Report, tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text("utf-8")), daemon=True)
    reader.start()
    write_page(report, pipe)
    reader.join(10)
    assert read == [page(report)]
    assert pipe.is_fifo()


def on_a_screen(report: Report) -> list[list[str]]:
    """The cells of each line; a sentence is one cell."""
    return [re.split(r"\s{2,}", line.strip()) for line in as_text(report).splitlines()]


def with_products(report: Report, *problems: Problem, override: Side | None = None) -> Report:
    """Of one GPU, with as many candidates for each product."""
    sides = Side(1, "extern_kernels.mm"), override or side(CODES[0])
    column = dataclasses.replace(
        report.gpus[0], problems=dict.fromkeys(range(len(problems)), sides)
    )
    return dataclasses.replace(report, problems=problems, gpus=(column,))


class TestScreen:
    def test_the_products_with_most_operations_come_first(self, report: Report) -> None:
        rows = on_a_screen(report)
        first = next(at for at, row in enumerate(rows) if row[0].startswith("addmm"))
        assert rows[first : first + 3] == [
            ["addmm 4096x512x1024 float16", *("2", "70%", "1 -> 5", "4", "?", "?", "?", "nothing")],
            ["bmm 64x512x1024 float16", "2", "20%", "1 -> 1", "0", "(no template)"],
            ["mm 8x512x1024 float16", *("2", "10%", "1 -> 3", "2", "1", "1", "2", "relu + add")],
        ]

    def test_an_interrupted_one_says_so(self, report: Report) -> None:
        said = "Interrupted: not every candidate was compiled, so some columns say ?."
        assert [said] not in on_a_screen(report)
        assert [said] in on_a_screen(dataclasses.replace(report, complete=False))

    def test_why_candidates_were_not_compiled(self, report: Report) -> None:
        errors = [c.code.error for c in candidates(*CODES) if c.code is not None and c.code.error]
        said = f"Triton does not compile {len(errors)} of the candidates: {errors[0]}."
        assert said in " ".join(as_text(report).split())

    def test_products_of_one_size_are_told_apart_by_their_layouts(self, report: Report) -> None:
        one, other, third = product("mm", 8, 0.2), product("mm", 8, 0.1), product("mm", 9, 0.3)
        other = dataclasses.replace(other, layout="column, row")
        names = [row[0] for row in on_a_screen(with_products(report, one, other, third))]
        assert [name for name in names if name.startswith("mm ")] == [
            "mm 9x512x1024 float16",
            "mm 8x512x1024 float16 (row, column)",
            "mm 8x512x1024 float16 (column, row)",
        ]

    def test_the_smallest_of_many_products_are_left_out(self, report: Report) -> None:
        many = [product("mm", m, m / 300) for m in range(1, 25)]
        names = [row[0] for row in on_a_screen(with_products(report, *many))]
        shown = [name for name in names if name.startswith("mm ")]
        assert shown == [f"mm {m}x512x1024 float16" for m in range(24, 4, -1)]
        assert "and 4 more, with fewer FLOPs: see --json" in names

    @pytest.mark.parametrize(
        ("codes", "products", "named"),
        [
            (CODES[:2], 1, True),
            (CODES[:1], 1, False),
            (CODES[2:], 1, False),
            (CODES[:2], 2, False),
        ],
        ids=["one too large", "all fit", "no code", "two products"],
    )
    def test_the_tiles_that_are_too_large_are_named_for_one_product(
        self,
        report: Report,
        codes: tuple[MachineCode | None, ...],
        products: int,
        named: bool,
    ) -> None:
        problems = [product("mm", m, 0.5) for m in range(products)]
        text = " ".join(as_text(with_products(report, *problems, override=side(*codes))).split())
        assert ("Too large for 101,376 bytes of shared memory" in text) == named
        assert ("rows x columns x depth: 64x128x64 with 2 stages." in text) == named

    def test_few_operations_and_bytes_have_no_prefix(self, report: Report) -> None:
        small = dataclasses.replace(report, flops=128)
        assert as_text(small).startswith("Mlp: 128 FLOP, torch 2.13.0")
        assert "moved 0 B -> 0 B." in as_text(small)
        assert "The model has 128 FLOP (floating-point operations; no rate)" in words(page(small))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            side(CODES[2], CODES[2]),
            "none of the 2 Triton candidates can run on NVIDIA GeForce RTX 3060: Triton does not "
            f"compile 2 of them for compute capability 8.6 (ptxas: {BAD} & no more).",
        ),
        (
            side(CODES[1], CODES[1]),
            "none of the 2 Triton candidates can run on NVIDIA GeForce RTX 3060: 2 need more "
            "shared memory than the 101,376 bytes that a thread block may have.",
        ),
        (
            side(CODES[1], CODES[2]),
            "none of the 2 Triton candidates can run on NVIDIA GeForce RTX 3060: Triton does not "
            f"compile 1 of them for compute capability 8.6 (ptxas: {BAD} & no more); 1 needs more "
            "shared memory than the 101,376 bytes that a thread block may have.",
        ),
    ],
    ids=["no code", "too large", "both"],
)
def test_where_no_candidate_can_run_the_reason_is_said(
    report: Report, override: Side, said: str
) -> None:
    asked = with_products(report, product("mm", 8, 1), override=override)
    verdict = judge(asked.gpus[0], asked.problems, {})
    assert verdict.code == "nothing-fits"
    assert verdict.text == f"The override opens the gate, but {said}"
    shown = as_text(
        dataclasses.replace(asked, gpus=(dataclasses.replace(asked.gpus[0], verdict=verdict),))
    )
    assert "(28 SMs, compute capability 8.6): nothing-fits" in shown
    assert "if the first Triton candidate wins" not in shown, "none can win"


def test_where_no_product_has_a_template_there_is_nothing_to_try(report: Report) -> None:
    asked = with_products(report, product("mm", 8, 1), override=Side(1, "extern_kernels.mm"))
    verdict = judge(asked.gpus[0], asked.problems, {})
    assert verdict == Verdict(
        "no-gemm-behind-the-gate",
        "The override opens the gate, but Inductor has no Triton template for any product of this "
        "model.",
    )


IN_A_FRAME = """<!doctype html><title>test</title>
<iframe width="360" height="800" style="border: 0" srcdoc="{page}"></iframe>
<pre id="result"></pre>
<script>
document.querySelector("iframe").addEventListener("load", event => {{
  const inner = event.target.contentDocument, table = inner.querySelectorAll("table")[1];
  const look = () => [
    [...table.tBodies[0].rows].map(row => row.cells[0].textContent.trim()),
    [...table.tHead.rows[0].cells].map(cell => cell.getAttribute("aria-sort")),
  ];
  const click = column => {{
    table.tHead.rows[0].cells[column].querySelector("button").click();
    return look();
  }};
  document.getElementById("result").textContent = JSON.stringify({{
    before: look(), sizes: click(2), again: click(2), fit: click(9),
    widths: [inner.documentElement.scrollWidth, inner.documentElement.clientWidth],
  }});
}});
</script>"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on PATH")
def test_in_a_browser(report: Report, tmp_path: Path) -> None:
    outer = tmp_path / "outer.html"
    outer.write_text(IN_A_FRAME.format(page=html.escape(page(report))), "utf-8")
    done = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000"),
            outer.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    result = re.search(r'<pre id="result">(.*?)</pre>', done.stdout)
    assert result is not None
    found = json.loads(result.group(1))
    none = ["none"] * 14
    assert found["before"] == [["addmm", "bmm", "mm"], [*none[:6], "descending", *none[7:]]]
    assert found["sizes"] == [["mm", "bmm", "addmm"], [*none[:2], "ascending", *none[3:]]]
    assert found["again"] == [["addmm", "bmm", "mm"], [*none[:2], "descending", *none[3:]]]
    # What is not known stays at the end.
    assert found["fit"][0][0] == "mm"
    width, room = found["widths"]
    assert width == room <= 360
