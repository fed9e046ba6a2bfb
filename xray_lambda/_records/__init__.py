"""Records: what came in one event or one poll, each with a subsegment or a segment of its own."""
