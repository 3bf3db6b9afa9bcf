"""The training engine, its schemes and losses, and the textbook loop to compare with."""
