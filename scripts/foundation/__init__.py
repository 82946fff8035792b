"""What every stage stands on: errors, files, and the shape of an entry point. Imports no heavy library."""
