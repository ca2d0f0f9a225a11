"""The page of `compare`: whole, self-contained, and true to the figures."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from test_recommend import result_of

from inductor_override.comparison.page import intervals, page, processes
from inductor_override.comparison.schedule import CHECK
from inductor_override.comparison.verdict import judge

ARMS = ["stock", "min_sms=0", "max_autotune_gemm_backends=<b>ATEN,TRITON</b>"]


def test_every_tag_is_closed_and_nothing_is_loaded_from_elsewhere() -> None:
    text = page(result_of([0.9, 1.2], ARMS))
    unclosed: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            names = dict(attributes)
            assert not {"src", "srcset"} & names.keys()
            assert str(names.get("href", "#")).startswith("#")
            if tag not in ("meta", "br", "hr", "link"):
                unclosed.append(tag)

        def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            pass

        def handle_endtag(self, tag: str) -> None:
            assert unclosed.pop() == tag

    Reader().feed(text)
    assert unclosed == []
    assert "url(http" not in text
    assert "<b>ATEN" not in text, "what a user typed is text"


def test_the_page_says_what_the_verdicts_say() -> None:
    result = result_of([0.9, 1.2], ARMS)
    text = page(result)
    for judged in judge(result):
        assert f">{judged.verdict}</td>" in text
        for reason in judged.reasons:
            assert f"<code>{reason}</code>" in text


def test_intervals_are_drawn_where_they_are() -> None:
    result = result_of([0.9, 1.2], ARMS)
    drawn = intervals(judge(result), result.min_effect)
    assert drawn is not None
    faster, slower = drawn["bars"]
    assert faster["low"] <= faster["value"] <= faster["high"] < drawn["one"]
    assert drawn["one"] < slower["low"] <= slower["value"] <= slower["high"]
    assert drawn["same"][0] < drawn["one"] < drawn["same"][1]
    assert all(0 <= bar[end] <= 100 for bar in drawn["bars"] for end in ("low", "high"))


def test_processes_are_drawn_in_their_order_and_slower_ones_lower_on_the_page() -> None:
    result = result_of([0.9, 1.2], ARMS)
    drawn = processes(result)
    assert drawn is not None
    assert [row["number"] for row in drawn["rows"]] == list(range(1, 19))
    by_time = sorted(drawn["rows"], key=lambda row: row["middle"])
    assert by_time[0]["y_middle"] > by_time[-1]["y_middle"]
    assert len(re.findall('class="range"', page(result))) == 18


def test_a_comparison_without_any_figure_has_a_page() -> None:
    result = result_of([1.0], ["stock", "min_sms=0"])
    result.runs = [run for run in result.runs if run.step.phase == CHECK]
    result.runs[1].failed = {"message": "no <memory>", "detail": "line 1\nline 2"}
    text = page(result)
    assert "no &lt;memory&gt;" in text
    assert "Every process, in the order" not in text
