"""D-DBPN super-resolution with a four-term loss."""
