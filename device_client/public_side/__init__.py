"""Everything that produces bytes on the wire. Nothing here can know the user's choice."""
