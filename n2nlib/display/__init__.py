"""What a chapter shows: tables, sentences and figures, on one style."""
