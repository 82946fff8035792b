"""What this machine can run of a study, and what it will take, before anything runs."""
