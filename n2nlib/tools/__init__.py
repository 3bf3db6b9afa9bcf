"""What the command line runs besides the report: benchmark, verification, search, comparison of reports."""
