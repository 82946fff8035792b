"""Two studies beside each other: what differs between them, what changed, and whether anything is worse."""
