# ruff: noqa: RUF001 - quotes and colons of all scripts
"""Words of many languages by which what stands around a headline is told from it."""

import regex

# What stands before a colon and a headline.
LABELS = (
    "headline", "headlines", "title", "news title", "answer", "final answer", "assistant",
    "concise title", "short title", "suggested title",  # English
    "schlagzeile", "überschrift", "titel", "titelzeile", "antwort",  # German
    "titre", "gros titre", "réponse",  # French
    "titular", "título", "titulo", "encabezado", "respuesta",  # Spanish
    "manchete", "resposta",  # Portuguese
    "titolo", "risposta",  # Italian
    "kop", "koptekst", "krantenkop",  # Dutch
    "rubrik", "overskrift", "otsikko", "fyrirsögn",  # Nordic languages
    "nagłówek", "tytuł", "titulek", "nadpis", "titlu", "cím", "főcím", "naslov", "pealkiri", "virsraksts", "antraštė",
    "заголовок", "заглавие", "наслов", "назва",  # Cyrillic scripts
    "τίτλος", "επικεφαλίδα",  # Greek
    "başlık", "manşet",  # Turkish
    "العنوان", "عنوان", "تیتر", "כותרת",  # Arabic, Persian, Hebrew
    "शीर्षक", "শিরোনাম", "தலைப்பு", "శీర్షిక",  # languages of India
    "标题", "標題", "新闻标题", "新聞標題", "頭條", "头条", "見出し", "タイトル", "제목", "헤드라인",  # East Asia
    "tiêu đề", "judul", "tajuk", "พาดหัว", "พาดหัวข่าว", "หัวข้อ", "kichwa cha habari",  # South-East Asia, Swahili
)  # fmt: skip
# "News headline", "Suggested short headline 1" and the like; in other languages the label alone.
_BEFORE = r"(?:(?:news|suggested|generated|possible|concise|short|final|proposed|new|my|the|catchy|article)\s+){0,4}"
_OPTION = r"(?:option|version|variante|opción|вариант|选项|選項|案)\s*(?:\d{1,2}|[a-c])|option"
_NAMES = "|".join(regex.escape(label) for label in sorted(LABELS, key=len, reverse=True))
LABEL = regex.compile(rf"(?:{_BEFORE}(?:{_NAMES})(?:\s*(?:\#\s*)?\d{{1,2}})?|{_OPTION})", regex.I)

# "Here is a concise headline for the summary": a noun and what may follow, so that "Here's the title race:" stays.
_NOUN = r"(?:headline|headlines|title)"
_FOLLOWS = "for|of|based|that|which|in|with|to|from|summari[sz]ing|summari[sz]es|could|would|might|may|is"
_AFTER = rf"(?:\s+(?:{_FOLLOWS})\b[^:]{{0,160}})?"
_OPENED = (
    r"(?:(?:sure|certainly|of\s+course|absolutely|okay|ok|great|alright)(?:\s+thing)?\s*[,.!:]*\s*)?"
    r"(?:based\s+on[^:]{0,120}?,\s*)?"
)
PREAMBLE = regex.compile(
    rf"{_OPENED}(?:(?:here(?:'|’)?s|here\s+is|here\s+are|this\s+is|below\s+is|i\s+(?:would\s+)?suggest)\s+(?:[\w'’-]+\s+){{0,8}}?"
    rf"|(?:a|an|the|my|your|one)\s+(?:[\w'’-]+\s+){{0,5}}?){_NOUN}{_AFTER}",
    regex.I,
)  # fmt: skip
# Beginnings of such sentences in other languages; the sentence must name a headline and go on to a colon.
_FOREIGN = (
    "hier ist", "hier sind", "gerne", "natürlich", "voici", "bien sûr", "aquí tienes", "aquí está", "aqui está",
    "claro", "por supuesto", "ecco", "certo", "hier is", "natuurlijk", "här är", "her er", "tässä", "oto",
    "zde je", "вот",
    "конечно", "işte", "tabii", "ορίστε", "إليك", "هذا", "הנה",
    "यहाँ", "यह रहा", "以下是", "以下は", "这是", "這是", "这里是",
    "当然", "當然", "好的", "こちら", "はい", "다음은", "여기", "물론", "đây là", "dưới đây", "berikut", "tentu", "นี่คือ",
)  # fmt: skip
FOREIGN_PREAMBLE = regex.compile(
    rf"(?:{'|'.join(regex.escape(each) for each in _FOREIGN)})(?!\p{{L}})?[^::]{{0,160}}?(?:{_NAMES})[^::]{{0,160}}",
    regex.I,
)
OPENER = regex.compile(
    r"(?:sure|certainly|of\s+course|absolutely|okay|ok|here|below|based\s+on|i\s+(?:would\s+)?suggest)\b", regex.I
)
# Nothing but politeness.
POLITE = regex.compile(
    r"(?:sure|certainly|of\s+course|absolutely|okay|ok|great|alright|gerne|natürlich|bien\s+sûr|claro|certo|"
    r"конечно|当然|當然|好的|はい|물론입니다|tentu)(?:\s+thing)?[!.,。!]*",
    regex.I,
)
REFUSAL = regex.compile(
    r"(?:i(?:'|’)?m|i\s+am)\s+(?:really\s+)?(?:sorry|afraid)\b[^.]{0,40}?\b(?:i\s+)?(?:can(?:'|’)?t|cannot|can\s+not|unable|won(?:'|’)?t)"
    r"|i\s+(?:can(?:'|’)?t|cannot|am\s+unable\s+to|am\s+not\s+able\s+to)\s+(?:assist|help|fulfil+|comply|provide|create|write|"
    r"generate)\b.{0,60}\b(?:request|headline|that|this|content|summary)"
    r"|as\s+an\s+ai(?:\s+language)?(?:\s+model|\s+assistant)",
    regex.I,
)  # fmt: skip
KEYS = ("headline", "title", "answer", "output", "text")
