"""How the file is read, and what is said where it cannot be. (What of a change: ``test_selection_file``.)"""

from pathlib import Path

import pytest

from bridge.errors import ConfigurationError
from bridge.selection import Mode, load
from examples.stack import ROOT

SOURCE_DOCUMENT = ["nv_inference_request_success", "nv_inference_request_duration_us", "nv_cpu_utilization"]
SHIPPED = ROOT / "config" / "metrics.json"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "metrics.json"


def test_the_shipped_file_names_the_three_metrics_of_the_source_document() -> None:
    assert [entry.metric for entry in load(SHIPPED).entries] == SOURCE_DOCUMENT
    assert {entry.mode for entry in load(SHIPPED).entries} == {Mode.VALUE}


def test_a_byte_order_mark_is_no_error(file: Path) -> None:
    file.write_text('{"customMetrics": ["a"]}', encoding="utf-8-sig")

    assert [entry.metric for entry in load(file).entries] == ["a"]


def test_a_missing_file_says_what_to_do(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file — mount one there, or set BRIDGE_METRICS_FILE"):
        load(file)


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read: Is a directory — .*the bridge's user"):
        load(tmp_path)


def test_a_file_that_is_no_text_is_named(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigurationError, match=r"cannot be read: .* — it must be a UTF-8 file"):
        load(file)


def test_places_begin_with_the_name_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text('{"customMetrics": [1]}')

    with pytest.raises(ConfigurationError, match=r"^mine\.json: customMetrics\[0\]: "):
        load(file)
