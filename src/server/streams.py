"""Server-sent events as clients read them (https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md)."""

from strawberry.http.streaming import SSETransport


class LineFeedSse(SSETransport):
    """LF frames, and only for who prefers a stream.

    Strawberry's CR LF frames are not parsed by urql and Hive, and it takes any mention of the media type in
    `Accept` for a wish, although urql mentions it with every query.
    """

    def accepts(self, accept: str) -> bool:
        best, wanted = 0.0, ""
        for part in accept.split(","):
            name, *parameters = (piece.strip().lower() for piece in part.split(";"))
            quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
            weight = float(quality) if quality.replace(".", "", 1).isdigit() else 0.0
            if weight > best:
                best, wanted = weight, name
        return wanted == "text/event-stream"

    def encode_event(self, event: str, data: str | None = None) -> str:
        return super().encode_event(event, data).replace("\r\n", "\n")

    def encode_comment(self, comment: str) -> str:
        return f": {comment}\n\n"
