"""Every setting there is: data and its checks, and nothing that acts on it."""
