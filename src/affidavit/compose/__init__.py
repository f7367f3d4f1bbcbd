"""The one place that knows concrete classes: makes a log, opens it, serves it, runs it."""
