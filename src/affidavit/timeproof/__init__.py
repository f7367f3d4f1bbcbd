"""What the evidence proves about time: intervals, time-stamp tokens, and the order of two records. Pure."""
