"""Checks names of models and data sets on a hub, so that none can lead to a folder."""

from __future__ import annotations

import os

from scripts.foundation.errors import StudyError
from scripts.foundation.wording import shown


def check_id(key: str, name: str) -> None:
    """Check that ``name`` is a hub's ``owner/name`` and nothing of this machine.

    Raises:
        StudyError: it is a path, or a folder of this name would be read in its place; the sentence names the key.
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
