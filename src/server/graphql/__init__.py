"""The transports of the graph: GraphQL over HTTP, server-sent events, multipart and WebSockets."""
