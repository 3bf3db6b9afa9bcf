"""The chain of chapters: what is stale (`plan`), running it (`run`), and the two documents (`render`)."""
