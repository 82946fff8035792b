"""Used by every stage: errors, files, entry points, plugins. Imports no heavy library."""
