"""The plan of a release: its data, its hash and its verdict; and how it is shown."""
