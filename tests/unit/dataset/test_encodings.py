# ruff: noqa: RUF001 - other scripts are what is tested
"""Text of other encodings: read where the study names the encoding, and guessed at where it does not."""

import json
from pathlib import Path

import pytest

from scripts.dataset.formats import encoding
from tests.support.data_files import Outcome, refusal, run

TEXTS = {
    "cp1252": (
        "Café owner’s “€{n} menu” goes viral again",
        "A café owner in Málaga who priced his whole menu at €{n}.",
    ),
    "cp1250": ("Rząd ogłosił {n} nowe podatki", "Premier mówi, że {n} źródeł środków na żłobki to za mało."),
    "cp1251": ("Город строит {n} новых мостов", "Совет города решил построить {n} новых мостов и дорогу."),
    "shift_jis": ("市議会 橋{n}本 建設", "市議会は 今日 {n}本の 新しい 橋の 建設を 決めた。"),
    "gb18030": ("市议会 决定 建桥{n}", "市议会 今天 决定 修建 {n} 座 新桥 和 道路。"),
    "utf-16": ("Town “{n}” builds", "The council of town {n} decided on “bridges” today."),
    "utf-16-le": ("Town “{n}” builds", "The council of town {n} decided on “bridges” today."),
    "utf-8-sig": ("Town “{n}” builds", "The council of town {n} decided on “bridges” today."),
}


def rows(encoding: str, count: int = 40) -> list[dict[str, str]]:
    headline, summary = TEXTS[encoding]
    return [{"headline": headline.format(n=n), "short_description": summary.format(n=n)} for n in range(count)]


def as_csv(encoding: str) -> str:
    lines = [f'{row["headline"]};"{row["short_description"]}"' for row in rows(encoding)]
    return "\n".join(["headline;short_description", *lines])


@pytest.mark.parametrize("encoding", TEXTS)
def test_text_of_a_named_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    files = {
        "rows.csv": as_csv(encoding),
        "rows.jsonl": "\n".join(json.dumps(row, ensure_ascii=False) for row in rows(encoding)),
        "rows.json": json.dumps({"items": rows(encoding)}, ensure_ascii=False),
    }
    for name, text in files.items():
        options = {"rows": "items"} if name == "rows.json" else {}
        outcome = run(tmp_path, text.encode(encoding), name, encoding=encoding, **options)
        assert outcome.headlines == {row["headline"] for row in rows(encoding)}
        assert outcome.reasons == {}


@pytest.mark.parametrize("encoding", ["cp1252", "cp1251"])
def test_the_message_names_the_option_and_the_likely_encoding(tmp_path: Path, encoding: str) -> None:
    sentence = refusal(tmp_path, as_csv(encoding).encode(encoding), "rows.csv")
    assert "40 rows are not UTF-8" in sentence
    assert f"set dataset.file.encoding to {encoding}" in sentence


def test_a_header_in_another_encoding(tmp_path: Path) -> None:
    text = "Titular;Resumen;Sección\n" + "Gana el partido;El equipo local gana hoy el partido;Fútbol\n" * 30
    columns = {"headline": "Titular", "summary": "Resumen", "category": "Sección"}
    sentence = refusal(tmp_path, text.encode("cp1252"), "rows.csv", columns=columns)
    assert "line 1, is not UTF-8" in sentence
    assert "dataset.file.encoding" in sentence
    outcome = run(tmp_path, text.encode("cp1252"), "rows.csv", columns=columns, encoding="latin-1")
    assert {row["category"] for row in outcome.rows} == {"Fútbol"}


def test_a_few_rows_in_another_encoding_are_told(tmp_path: Path) -> None:
    fine = [f"Town {n} builds;The council of town {n} met today" for n in range(20)]
    lines = [line.encode() for line in ("headline;short_description", *fine)]
    lines.insert(5, as_csv("cp1252").splitlines()[1].encode("cp1252"))
    outcome = run(tmp_path, b"\n".join(lines), "rows.csv")
    assert outcome.reasons == {6: "not_utf8"}
    assert "1 row is not UTF-8" in outcome.manifest["notes"][0]
    assert "dataset.file.encoding" in outcome.manifest["notes"][0]


def test_what_is_not_in_the_named_encoding_is_rejected(tmp_path: Path) -> None:
    data = as_csv("cp1252").encode("cp1252").replace(b"\x801 menu", b"\x811 menu", 1)  # cp1252 has no 0x81
    outcome = run(tmp_path, data, "rows.csv", encoding="cp1252")
    assert outcome.reasons == {3: "not_cp1252"}


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16-LE"), ("utf-16-be", "UTF-16-BE"), ("utf-32", "UTF-32")],
)
def test_wide_encodings_are_recognised(tmp_path: Path, encoding: str, name: str) -> None:
    text = as_csv("utf-16")
    sentence = refusal(tmp_path, text.encode(encoding), "rows.csv")
    assert f"is {name} text" in sentence
    assert f"set dataset.file.encoding to {name.lower()}" in sentence
    assert len(run(tmp_path, text.encode(encoding), "rows.csv", encoding=name.lower()).rows) == 40


@pytest.mark.parametrize("encoding", ["klingon", "base64", "rot13", "idna", "unicode_escape", "\0", "utf\ud800"])
def test_an_encoding_that_is_none_is_named(tmp_path: Path, encoding: str) -> None:
    sentence = refusal(tmp_path, as_csv("utf-8-sig"), "rows.csv", encoding=encoding)
    assert "dataset.file.encoding" in sentence
    assert "no known text encoding" in sentence


def test_half_a_character_is_no_matter_of_the_encoding(tmp_path: Path) -> None:
    bad = '{"headline": "half \\ud83d pair", "short_description": "one two three four five"}\n'
    fine = '{"headline": "a whole one", "short_description": "one two three four five"}\n'
    outcome = run(tmp_path, fine + bad)
    assert outcome.reasons == {2: "not_utf8"}
    assert "notes" not in outcome.manifest


SENTENCES = {
    "cp1252": [
        "Le café ouvre à Lyon; À Lyon, le café de la mère ouvre aujourd’hui après des années d’attente",
        "Brücke eröffnet; Der Bürgermeister hat gestern die große Brücke für den Verkehr eröffnet",
        "El año del niño; El niño ganó el premio en la región de España según dijo ayer",
        "Bron öppnad; Borgmästaren öppnade den nya bron över ån på måndag",
        "Ponte aberta; O prefeito abriu ontem a nova ponte, após sete anos de construção no coração de São Paulo",
    ],
    "cp1250": [
        "Most; Včera starosta města slavnostně otevřel nový most přes řeku, který se stavěl sedm let",
        "Most; Wczoraj burmistrz uroczyście otworzył nowy most przez rzekę, który budowano siedem lat, źródło",
        "Híd; Tegnap a polgármester ünnepélyesen megnyitotta az új hidat a folyó fölött, szűk út",
    ],
    "cp1254": ["Köprü; Belediye başkanı dün yedi yıllık inşaatın ardından şehrin yeni köprüsünü törenle açtı"],
    "cp1257": ["Tiltas; Vakar meras iškilmingai atidarė naują tiltą per upę, kuris buvo statomas septynerius metus"],
    "cp874": ["สะพาน; เทศบาลนครประกาศเมื่อเช้านี้ว่าสะพานใหม่ข้ามแม่น้ำเปิดใช้งานแล้ว"],
}


@pytest.mark.parametrize("name", SENTENCES)
@pytest.mark.parametrize("count", [2, 30])
def test_code_pages_are_told_apart_by_the_letters_of_languages(name: str, count: int) -> None:
    for sentence in SENTENCES[name]:
        assert encoding.likely("\n".join([sentence] * count).encode(name)) == name, sentence


def test_the_advice_shows_how_the_text_would_read(tmp_path: Path) -> None:
    text = "headline,short_description\n" + "El niño gana,El niño ganó el premio de la región ayer\n" * 20
    assert "cp1252 (there it reads “" in (sentence := refusal(tmp_path, text.encode("cp1252"), "rows.csv"))
    assert "El niño ganó" in sentence


@pytest.mark.parametrize("wide", ["utf-16", "utf-32"])
def test_wide_text_without_its_mark_is_refused_with_what_it_is(tmp_path: Path, wide: str) -> None:
    for name, words in {"cp1251": "most likely cp1251", "utf-16-le": "to utf-16-le", "utf-8-sig": "are UTF-8"}.items():
        sentence = refusal(tmp_path, as_csv(name).encode(name), "rows.csv", encoding=wide)
        assert f"does not begin with a byte-order mark, without which it can't be read as {wide.upper()}" in sentence
        assert words in sentence


def test_a_folders_text_without_its_mark_is_not_read_as_another_ones_letters(tmp_path: Path) -> None:
    for number in range(8):
        text = f"Town {number} builds\nThe council of town {number} decided on bridges today."
        (tmp_path / f"{number}.txt").write_bytes(text.encode("utf-16" if number else "cp1252"))
    outcome = Outcome(tmp_path, tmp_path / "out", encoding="utf-16")
    assert outcome.reasons == {1: "not_utf16"}
    assert len(outcome.rows) == 7
