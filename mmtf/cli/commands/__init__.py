"""The subcommands of `mmtf`, each a program: flags, and what is done with them."""
