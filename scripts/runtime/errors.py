"""Why a technique has no figures: it is unsupported here, or the evidence contradicts its settings."""


class UnsupportedError(Exception):
    """The technique can't run on this machine or with these libraries; the message is a sentence for the report."""


class EvidenceError(Exception):
    """What was observed contradicts the settings; the message is a sentence for the report."""
