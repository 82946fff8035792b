"""Where a study's models come from: trained from scratch, a hub, a local directory, or random weights."""
