"""Checks repository ids of models and data sets on a hub, so that none is read as a local path."""

from __future__ import annotations

import os

from scripts.foundation.errors import StudyError
from scripts.foundation.wording import shown


def check_id(key: str, name: str) -> None:
    """Check that ``name`` has the form ``owner/name`` and no local path of that name exists.

    Raises:
        StudyError: it is malformed, or a local path of that name would be read instead; the sentence names the key.
    """
    # Only here, since the library takes a moment to load.
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        raise StudyError(
            f"{key} is {shown(name)}, which is no name on a hub; give a repository as owner/name."
        ) from None
    if os.path.lexists(name):
        raise StudyError(
            f"{key} is {shown(name)}, and there is a folder or file of that name here, which would be read in its "
            "place; rename that, or use its path as the source."
        )
