"""The training engine, what it learns from (schemes, losses), and the textbook loop that it is compared
with.
"""
