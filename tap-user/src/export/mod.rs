//! Exchanges in, records out: the wire formats and the sinks that deliver them.
