"""Turns questions into answers that stand on their own: sentences, explanations, readiness, exports."""
