"""The vocabulary of Crossdock: records, events, ids, keys, queries. Pure: no I/O, no vendor, no GraphQL."""
