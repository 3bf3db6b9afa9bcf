"""Commands besides the report: benchmark, verification, search, comparison of reports."""
