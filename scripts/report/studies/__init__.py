"""The comparison of two studies as a page, as Markdown, and as lines for a terminal."""
