"""File formats, one module each, and their common parts: encodings, compression, lines, column names."""
