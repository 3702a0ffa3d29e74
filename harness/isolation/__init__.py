"""Where an adapter runs: a process of this interpreter, or a worker in an environment or container of its own."""
