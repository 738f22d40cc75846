"""A web page with the camera of the visitor's device: the server, and in ``page/`` the page (see PROTOCOL.md)."""
