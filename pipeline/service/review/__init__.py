"""The review queue: pages where people judge what was flagged, and what comes of their judgements."""
