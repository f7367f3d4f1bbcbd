"""Finding records: the query language, and what it asks of a record."""
