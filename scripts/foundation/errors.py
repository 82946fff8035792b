"""Errors that a person can act on."""


class StudyError(Exception):
    """Bad input, configuration or environment.

    The message is one sentence that says what is wrong, where (file, key or row) and what to do. Entry points print
    it alone, without a traceback, and exit with status 1.
    """
