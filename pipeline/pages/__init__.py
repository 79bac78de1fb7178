"""Pages: bytes to text, text to segments, segments to a page summary."""
