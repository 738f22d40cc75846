"""An application on a socket: who is let in, for how long, over which protocols."""
