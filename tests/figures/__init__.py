"""Commands that measure the figures which the documentation states; not part of `make test`."""
