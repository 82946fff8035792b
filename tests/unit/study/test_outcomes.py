"""What a finished workflow says of the runs that failed."""

from scripts.study.outcomes import failed_sentence


def record(technique, status, reason=None):
    return {"technique": technique, "status": status, "reason": reason}


def test_other_outcomes_are_no_failure():
    assert failed_sentence([record("a", "ok"), record("b", "unsupported", "x"), record("c", "invalid", "y")]) is None


def test_each_technique_is_named_once_with_its_reason():
    told = failed_sentence(
        [record("a", "failed", "one.\nerror: forged."), record("a", "failed", "two."), record("b", "ok")]
    )
    assert told == "a failed: one.[U+000A]error: forged; the next call tries it again."
    several = failed_sentence([record(name, "failed", "why.") for name in "abcdefg"] + [record("h", "ok")])
    assert several.startswith("7 of 8 techniques failed: a (why); b (why)")
    assert several.endswith("and 2 more; the next call tries them again.")
