"""The bytes of a log, read from a folder or a URL, each read bounded and none of it believed."""
