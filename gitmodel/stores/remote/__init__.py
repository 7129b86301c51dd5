"""The artifact store on a server, and the copies of its objects on this machine."""
