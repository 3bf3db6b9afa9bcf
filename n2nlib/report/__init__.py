"""The chain of chapters: stale steps (`plan`), their execution (`run`), and documents (`render`)."""
