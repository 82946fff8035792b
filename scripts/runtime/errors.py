"""Why a technique has no figures: it can't run here, or it was not what its settings say."""


class UnsupportedError(Exception):
    """The technique can't run on this machine or with these libraries; the message is a sentence for the report."""


class EvidenceError(Exception):
    """What was observed contradicts the settings; the message is a sentence for the report."""
