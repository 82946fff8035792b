"""The benchmark's rows of speculation: both forms of the draft in the same rounds, judged by the better one."""

import pytest
import torch

from tests.performance.engine_rows import models, speculation
from tests.performance.engine_rows.models import Place
from tests.performance.engine_rows.speculation import ACCEPTANCES, FORMS


@pytest.fixture(scope="module")
def rows():
    """Of shapes that a test has time for."""
    shapes = {models.EIGHT: {"num_hidden_layers": 2}, models.ONE: {"num_hidden_layers": 1}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "config_of", lambda shape: models.small_config(vocab_size=320, **shapes[shape]))
        return list(speculation.rows(Place(torch.device("cpu"), 3, True)))


def test_there_is_a_row_an_acceptance(rows):
    assert sorted(row.limit.key for row in rows) == [f"speculation_{share}" for share in ACCEPTANCES]


def test_the_better_form_is_judged_and_the_note_has_both(rows):
    for row in rows:
        drafts = row.raw["drafts"]
        assert list(drafts) == list(FORMS) == ["bf16", "int4"]
        assert row.estimate.value == max(draft["estimate"]["value"] for draft in drafts.values())
        assert row.estimate.value == drafts[row.raw["judged"]]["estimate"]["value"]
        for form, draft in drafts.items():
            assert f"{form} draft {draft['estimate']['value']:.2f}x (" in row.note
            assert draft["count"] in speculation.QUICK_COUNTS


def test_both_forms_and_the_target_alone_take_turns(rows):
    for row in rows:
        lengths = {name: len(row.raw[f"{name}.whole"]) for name in ("alone", *FORMS)}
        assert lengths == {"alone": 3, "bf16": 3, "int4": 3}


def test_the_forms_differ_in_the_linear_layers_alone(monkeypatch):
    monkeypatch.setattr(models, "config_of", lambda shape: models.small_config(vocab_size=320))
    place = Place(torch.device("cpu"), 1, True)
    plain, stored = (speculation._draft(place, form) for form in FORMS)
    assert torch.equal(plain.lm_head.weight, stored.lm_head.weight)
    kept, rounded = plain.model.layers[0].mlp.up_proj, stored.model.layers[0].mlp.up_proj
    assert rounded.kind == "int4"
    assert torch.allclose(kept.weight.float(), rounded.matrix.dense(torch.float32), atol=0.05)
