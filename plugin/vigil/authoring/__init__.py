"""For model authors and approvers: the room is kept; its work comes later."""
