"""How rows stand in files: one module a format, and what they share: encodings, packing, lines, names of columns."""
