"""Finding records: the query language, what it asks of a record, and an index that is never trusted."""
