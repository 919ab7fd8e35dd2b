"""Everything that may know the user's choice. Nothing here can reach the network."""
