"""Bodies as they come over the wire: encodings, shapes, and JSON that is not."""

import gzip
import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sandbox.parsing import MOST_NESTING, Item, decompress, parse
from bridge.sandbox.refusals import Refused

LIMIT = 1_000_000

text_values = st.text(st.characters(codec="utf-8"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text_values, inner, max_size=3),
    max_leaves=10,
)
objects = st.lists(st.dictionaries(text_values, json_values, max_size=4), min_size=1, max_size=5)


def raw_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(body) + stream.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("", bytes),
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("GZIP ", gzip.compress),
        ("x-gzip", gzip.compress),
        ("gzip", lambda body: gzip.compress(body[:5]) + gzip.compress(body[5:])),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
    ],
)
def test_encodings_that_http_servers_take_are_undone(encoding, pack):
    assert decompress(pack(b'[{"a": 1}]'), encoding, LIMIT) == b'[{"a": 1}]'


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "utf-8"])
def test_another_encoding_is_refused_with_415(encoding):
    with pytest.raises(Refused) as refused:
        decompress(b"[]", encoding, LIMIT)
    assert refused.value.status == 415


# No time in its head: the bytes name the cases, and each test process must find the same names.
whole = gzip.compress(b'[{"a": 1}]' * 50, mtime=0)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"[]"),
        ("gzip", b""),
        ("gzip", whole[:-1]),
        ("gzip", whole[:40] + b"\xff\xff" + whole[42:]),
        ("gzip", whole + b"rest"),
        ("gzip", zlib.compress(b"[]")),
        ("deflate", whole),
        ("deflate", zlib.compress(b"[]")[:-1]),
        ("deflate", zlib.compress(b"[]") + b"rest"),
        ("deflate", zlib.compress(b"[]") * 2),
        ("deflate", raw_deflate(b"[]" * 100)[:-3]),
    ],
)
def test_a_damaged_encoding_is_refused_with_400(encoding, body):
    with pytest.raises(Refused) as refused:
        decompress(body, encoding, LIMIT)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)]
)
def test_what_unpacks_to_the_limit_passes_and_one_byte_more_does_not(encoding, pack):
    assert len(decompress(pack(b" " * LIMIT), encoding, LIMIT)) == LIMIT
    with pytest.raises(Refused) as refused:
        decompress(pack(b" " * (LIMIT + 1)), encoding, LIMIT)
    assert refused.value.status == 413


@settings(deadline=None)
@given(objects, st.booleans())
def test_array_lines_and_object_hold_the_same_items_and_sizes(items, ascii_only):
    texts = [json.dumps(item, ensure_ascii=ascii_only) for item in items]
    expected = [Item(item, len(text.encode())) for item, text in zip(items, texts, strict=True)]
    assert parse(f"[{', '.join(texts)}]".encode()) == expected
    assert parse("\r\n".join(texts).encode()) == expected
    assert parse(("\n\n" + "\n".join(texts) + "\n").encode()) == expected
    assert [item.value for item in parse("\n".join(json.dumps(item, indent=2) for item in items).encode())] == items


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'[{"a": NaN}]', "SyntaxError: Unexpected token N at position 1"),
        (b'[{"a": Infinity}]', "SyntaxError: Unexpected token I at position 1"),
        (b'[{"a": -Infinity}]', "SyntaxError: Unexpected token I at position 1"),
        (b'{"a": NaN}', "SyntaxError: Unexpected token N at position 0"),
        (b'[{"a": nan}]', "SyntaxError: Unexpected token n at position 7"),
        (b'[{"a": 1},]', "SyntaxError: Unexpected token ] at position 10"),
        (b'[{"a": 1,}]', "SyntaxError: Unexpected token } at position 9"),
        (b'[{"a": 1} {"b": 1}]', "SyntaxError: Unexpected token { at position 10"),
        (b'[{"a": 1}', "SyntaxError: Unexpected end of JSON input at position 9"),
        (b'[{"a": 1}\n', "SyntaxError: Unexpected end of JSON input at position 10"),
        (b'[{"a": 1}] x', "SyntaxError: Unexpected token x at position 11"),
        (b'[{"a": 1}]\n[{"a": 1}]', "SyntaxError: Unexpected token [ at position 11"),
        (b'{"a": 1}{"b": 1}', "SyntaxError: Unexpected token { at position 8"),
        (b'{"a": 1}, {"b": 1}', "SyntaxError: Unexpected token , at position 8"),
        (b'{"a": 1}\n5', "SyntaxError: Unexpected token 5 at position 9"),
        (b'{"a": 1}\n{"b": ', "SyntaxError: Unexpected end of JSON input at position 15"),
        (b"5", "SyntaxError: Unexpected token 5 at position 0"),
        (b'"text"', 'SyntaxError: Unexpected token " at position 0'),
        (b"null", "SyntaxError: Unexpected token n at position 0"),
        (b"{'a': 1}", "SyntaxError: Unexpected token ' at position 1"),
        (b'[{"a": 01}]', "SyntaxError: Unexpected token 1 at position 8"),
        (b'[{"a": 1.}]', "SyntaxError: Unexpected token . at position 8"),
        (b'[{"a": "\x01"}]', "SyntaxError: Unexpected token \x01 at position 8"),
        (b'[{"a": 1, "a": 2}]', "SyntaxError: Duplicate name in an object at position 1"),
        (b'\xef\xbb\xbf[{"a": 1}]', "SyntaxError: Unexpected token \ufeff at position 0"),
        (b'[{"a": "\xff"}]', "SyntaxError: not UTF-8 at byte 8"),
        ('[{"a": 1}]'.encode("utf-16"), "SyntaxError: not UTF-8 at byte 0"),
        (b"", "No telemetry items"),
        (b" \r\n", "No telemetry items"),
        (b"[]", "No telemetry items"),
        (b" [ ] ", "No telemetry items"),
    ],
)
def test_what_is_not_json_or_holds_nothing_is_refused_whole(body, message):
    with pytest.raises(Refused) as refused:
        parse(body)
    assert (refused.value.status, refused.value.message) == (400, message)


@pytest.mark.parametrize(
    "body", [rb'[{"a": "\ud800"}]', rb'[{"\udc00": 1}]', b'[{"a": %s}]' % (b"9" * 5000), b"[" * 100_000]
)
def test_json_that_not_every_reader_can_hold_is_refused_whole(body):
    with pytest.raises(Refused) as refused:
        parse(body)
    assert refused.value.status == 400


def test_a_surrogate_pair_is_one_character():
    assert parse(rb'[{"a": "\ud83d\ude00"}]') == [Item({"a": "\U0001f600"}, 21)]


def test_nesting_is_taken_up_to_the_limit_of_nets_readers():
    def nested(depth):
        return b"[" + b'{"a":' * (depth - 1) + b"[1]" + b"}" * (depth - 1) + b"]"

    assert len(parse(nested(MOST_NESTING))) == 1
    with pytest.raises(Refused, match="nested deeper than 64"):
        parse(nested(MOST_NESTING + 1))


def test_brackets_beside_one_another_are_not_nesting():
    assert parse(b'[{"a": [%s]}]' % b",".join([b"{}"] * 500))[0].value == {"a": [{}] * 500}


@pytest.mark.parametrize("join", [lambda items: b"[" + b",".join(items) + b"]", b"\n".join])
def test_nan_per_item_spoils_the_item_that_holds_it_and_no_other(join):
    items = parse(join([b'{"a":1}', b'{"a":NaN}', b'{"a":[-Infinity]}', b'{"a":2}']), nan_per_item=True)
    assert [item.error for item in items] == [
        "",
        "SyntaxError: Unexpected token N",
        "SyntaxError: Unexpected token I",
        "",
    ]
    assert [items[0].value, items[3].value] == [{"a": 1}, {"a": 2}]


def test_nan_per_item_leaves_other_faults_to_the_whole_post():
    with pytest.raises(Refused):
        parse(b'[{"a": NaN}, {"b": nan}]', nan_per_item=True)


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text('[]{}",:.-+eE0123456789 \n\\uaNInfity', max_size=40).map(str.encode))
def test_any_bytes_are_refused_or_read_as_the_standard_library_reads_them(body):
    try:
        values = [item.value for item in parse(body)]
    except Refused:
        return
    if len(values) == 1 and body.lstrip().startswith(b"{"):
        values = values[0]
    assert json.loads(body) == values
