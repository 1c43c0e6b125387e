"""The attack list: bad inputs over real sockets, while another caller measures its waits."""
