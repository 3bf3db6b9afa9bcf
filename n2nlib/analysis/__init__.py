"""From runs to evidence: intervals, comparisons, stored measurements, claims and the ledger."""
