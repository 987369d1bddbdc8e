"""Pages for people: the room is kept; its work comes later."""
