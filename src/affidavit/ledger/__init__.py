"""The only ground state: sequencer, journal, publisher, reader, recovery."""
